"""Keep the fields of a refused form in the answer, so that it can be sent again."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.conf import settings as django_settings
from django.http import HttpRequest

from multisession.conf import settings

#: The largest form to keep, in bytes.
LARGEST = 256 * 1024
#: The longest value that may be a secret, in characters.
LONGEST_SECRET = 200
#: The most bytes for a field that is added when the form is sent again.
ROOM = 128

#: Fields that the answer adds itself.
NOT_THE_FORMS = ("csrfmiddlewaretoken", "multisession-send")

#: Words in the names of fields with secrets, which must not be put into a page. A project adds its
#: own in ``MULTISESSION["NEVER_KEPT"]``.
NEVER_KEPT = (
    *("password", "passwd", "passphrase", "passcode", "pass", "pwd"),
    *("pin", "otp", "totp", "mfa", "cvc", "cvv", "csc"),
    *("secret", "token", "iban"),
)
#: These count inside a longer word, too.
ANYWHERE = ("password", "passwd", "passphrase")

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@dataclass(frozen=True, slots=True)
class Kept:
    """The fields of a form. Their values are left out of ``repr()``."""

    fields: list[tuple[str, str]] = field(default_factory=list, repr=False)
    #: Name and label of the fields with secrets, which the person has to type again.
    to_type_again: list[tuple[str, str]] = field(default_factory=list)


def kept_fields(request: HttpRequest) -> Kept | None:
    """Return the fields that were sent; None if they can't all be kept (files, or too much)."""
    if request.method != "POST" or request.FILES:
        return None
    kept = Kept()
    for name, values in request.POST.lists():
        if name in NOT_THE_FORMS:
            continue
        for value in map(str, values):
            if is_never_kept(name) and _may_be_secret(value):
                kept.to_type_again.append((name, re.sub(r"[\W_]+", " ", name).strip()))
                continue
            kept.fields.append((name, value))
    return kept if _can_be_sent(kept) else None


def _can_be_sent(kept: Kept) -> bool:
    """Return True if Django's limits allow these fields, two of ours and those to type again."""
    more = len(kept.to_type_again) + len(NOT_THE_FORMS)
    most = django_settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
    if most is not None and len(kept.fields) + more > most:
        return False
    largest = django_settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    size = len(urlencode(kept.fields)) + ROOM * more
    return size <= (LARGEST if largest is None else min(LARGEST, largest))


def _may_be_secret(value: str) -> bool:
    """Return True if the value is short and on one line, so that one can type it again."""
    return 0 < len(value) <= LONGEST_SECRET and "\n" not in value


def is_never_kept(name: str) -> bool:
    """Return True if the name of the field marks its value as a secret."""
    lowered = name.lower()
    words = {word.lower() for word in _WORD.findall(name)}
    never = {*NEVER_KEPT, *(word.lower() for word in settings.NEVER_KEPT)}
    return not words.isdisjoint(never) or any(word in lowered for word in ANYWHERE)
