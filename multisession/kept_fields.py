"""What a refused form said, kept in the answer so that it can be sent again."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from django.http import HttpRequest

from .conf import settings

#: More than this is not worth a page full of hidden fields (bytes).
LARGEST = 256 * 1024

#: The form's own: the answer has them anew.
NOT_THE_FORMS = ("csrfmiddlewaretoken", "multisession-send")

#: Words in the names of fields that do not belong into a page. A project adds its own in
#: ``MULTISESSION["NEVER_KEPT"]``.
NEVER_KEPT = (
    *("password", "passwd", "passphrase", "passcode", "pass", "pwd"),
    *("pin", "otp", "totp", "mfa", "cvc", "cvv", "csc"),
    *("secret", "token", "iban"),
)
#: Of these also inside a longer word.
ANYWHERE = ("password", "passwd", "passphrase")

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@dataclass(frozen=True, slots=True)
class Kept:
    """The fields of a form. What is said in them stays out of every representation."""

    fields: list[tuple[str, str]] = field(default_factory=list, repr=False)
    #: Names of fields whose value was left out: the person has to type it again.
    to_type_again: list[str] = field(default_factory=list)


def kept_fields(request: HttpRequest) -> Kept | None:
    """Return what was sent; None if it cannot be kept whole: files, or too much."""
    if request.method != "POST" or request.FILES:
        return None
    kept, size = Kept(), 0
    for name, values in request.POST.lists():
        if name in NOT_THE_FORMS:
            continue
        for value in map(str, values):
            if value and is_never_kept(name):
                kept.to_type_again.append(name)
                continue
            kept.fields.append((name, value))
            size += len(name) + len(value)
    return kept if size <= LARGEST else None


def is_never_kept(name: str) -> bool:
    """Return whether the name of a field says that its value is a secret."""
    lowered = name.lower()
    words = {word.lower() for word in _WORD.findall(name)}
    never = {*NEVER_KEPT, *(word.lower() for word in settings.NEVER_KEPT)}
    return not words.isdisjoint(never) or any(word in lowered for word in ANYWHERE)
