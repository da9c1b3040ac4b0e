"""Profiles: the name, identifier, initials, colour and picture by which an account is shown.

They are computed from the user object, without a query, for any kind of name: empty, one word, any
script, emoji, stray control characters. If the project's own code fails for an account, the error
is logged and the menu does without that part.
"""

import logging
import unicodedata
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.utils.module_loading import import_string

from multisession.conf import settings
from multisession.ground.colours import own_hue
from multisession.models import Session
from multisession.organizations import Organization

ZERO_WIDTH_JOINER = "\u200d"
#: Invisible characters that Unicode counts as letters or symbols: fillers, an empty Braille cell.
BLANKS = "\u115f\u1160\u2800\u3164\uffa0"

#: An identifier of more characters may be cut.
LONG = 24

logger = logging.getLogger("multisession")


@dataclass(frozen=True)
class Profile:
    """The parts by which the menu and the chooser show an account."""

    #: The nickname that the person gave the account, or else the account's name; not empty if the
    #: user has a username.
    name: str
    #: The e-mail address or username; empty if it would repeat the name.
    identifier: str
    #: One or two characters, shown if there is no picture.
    initials: str
    #: The number of a colour, 0 to 11. Two accounts of one browser have different ones, unless the
    #: person chose the same. It does not follow from the name.
    hue: int
    #: URL of a picture; empty if there is none.
    picture: str = ""
    #: What the project says that waits for the account: "3", or "".
    badge: str = ""

    @property
    def identifier_start(self) -> str:
        """The part of a long e-mail address before the @; "" for any other identifier."""
        return self.identifier.rpartition("@")[0] if len(self.identifier) > LONG else ""

    @property
    def identifier_end(self) -> str:
        """The rest: the domain, which stays in sight where an address is cut."""
        return self.identifier[len(self.identifier_start) :]

    @property
    def label(self) -> str:
        """The name and identifier in one line, for the accessible names of buttons."""
        return f"{self.name}, {self.identifier}" if self.identifier else self.name


def profile_of(account: Any) -> Profile:
    """Return the profile of a session, or of a user alone, without nickname and chosen colour.

    Uses the setting ``USER_LABEL`` if it is set.
    """
    session = account if isinstance(account, Session) else None
    user: Any = account if session is None else session.user
    name, identifier = _label(user)
    nickname, hue = (session.nickname, session.hue) if session is not None else ("", None)
    shown = nickname or name or identifier
    return Profile(
        name=shown,
        # A nickname says nothing about whose account it is, so the rest always stands beside it.
        identifier=next((text for text in (identifier, name) if text and text != shown), ""),
        initials=initials(shown),
        # From the key and not the name, so that a new name keeps the colour.
        hue=own_hue(user.pk) if hue is None else hue,
        picture=picture_of(user),
        badge=session.badge if session is not None else "",
    )


def organization_profile(organization: Organization) -> Profile:
    """Return the profile by which an organization is shown, with the user's role in it."""
    return Profile(
        name=organization.name or organization.id,
        identifier=organization.role,
        initials=initials(organization.name or organization.id),
        hue=own_hue(organization.id),
        picture=organization.picture if _is_safe(organization.picture) else "",
    )


def picture_of(user: Any) -> str:
    """Return the URL that the setting ``USER_PICTURE`` finds.

    Empty if there is none, if it is unsafe or if the project's code fails. Only http(s) URLs and
    paths on this site are safe, as users often enter the URL themselves.
    """
    setting = settings.USER_PICTURE
    if not setting:
        return ""
    find = import_string(setting) if "." in setting else None
    try:
        picture = find(user) if find is not None else getattr(user, setting, "")
        if callable(picture):
            picture = picture()
        if not picture:  # also an empty file field
            return ""
        url = str(getattr(picture, "url", picture))
    except Exception:
        logger.exception("MULTISESSION['USER_PICTURE'] failed for the user %s.", user.pk)
        return ""
    return url if _is_safe(url) else ""


def name_and_identifier(user: Any) -> tuple[str, str]:
    """Return the full name, and the e-mail address or username: the default ``USER_LABEL``.

    Works with every user model; the name is empty if the model has none.
    """
    email_field = user.get_email_field_name() if hasattr(user, "get_email_field_name") else ""
    return full_name(user), getattr(user, email_field or "email", "") or user.get_username()


def full_name(user: Any) -> str:
    """Return ``get_full_name()``, or ``name`` if that is empty.

    Models without first_name and last_name often set both to None, and Django's method then
    returns "None None".
    """
    found = user.get_full_name() if hasattr(user, "get_full_name") else ""
    parts = [getattr(user, name, "") for name in ("first_name", "last_name")]
    if None in parts and found == f"{parts[0]} {parts[1]}".strip():
        found = " ".join(str(part) for part in parts if part is not None)
    name = getattr(user, "name", "")
    return one_line(found) or (one_line(name) if isinstance(name, str) else "")


def plain_name(user: Any) -> str:
    """Return ``str(user)``, for administrators; never empty, for any model."""
    for ask in (str, lambda user: str(user.get_username() or "")):
        try:
            if text := ask(user).strip():
                return text
        except Exception:
            logger.exception("The user %s can't say its name.", user.pk)
    return str(user.pk)


def initials(text: str) -> str:
    """Return the first letters of the first and last word, or a single character.

    Two letters are for scripts with capitals only: Arabic letters would join into a syllable, and
    one Chinese character is as wide and means as much as two Latin letters.
    """
    words = [start for start in map(_first_letter, text.split("@")[0].split()) if start]
    if not words:
        return _first_cluster(text.strip()) or "?"
    first, last = words[0], words[-1]
    if len(words) > 1 and _has_case(first) and _has_case(last):
        return _capital(first) + _capital(last)
    return _capital(first)


def _label(user: Any) -> tuple[str, str]:
    """Return the name and the identifier. At least one of them is not empty."""
    path = settings.USER_LABEL
    for ask in (import_string(path) if path else name_and_identifier, name_and_identifier):
        try:
            name, identifier = (one_line(part) for part in ask(user))
        except Exception:
            logger.exception("%s failed for the user %s.", path or "A name", user.pk)
        else:
            if name or identifier:
                return name, identifier
    return "", one_line(plain_name(user))


def _is_safe(url: str) -> bool:
    if any(character.isspace() or unicodedata.category(character) == "Cc" for character in url):
        return False
    try:
        return urlsplit(url).scheme in {"", "http", "https"}
    except ValueError:
        return False


def one_line(text: Any) -> str:
    """Return the text in one line without control characters; "" if nothing of it can be seen."""
    composed = unicodedata.normalize("NFC", str(text or ""))
    # Format characters stay: emoji sequences and Persian need them. <bdi> isolates those that
    # change the direction.
    printable = "".join(" " if unicodedata.category(c) == "Cc" else c for c in composed)
    seen = any(c not in BLANKS and unicodedata.category(c)[0] not in "CZ" for c in printable)
    return " ".join(printable.split()) if seen else ""


def _first_letter(word: str) -> str:
    """Return the first letter or digit of a word with its accents, or ""."""
    for position, character in enumerate(word):
        if character.isalnum():
            return _first_cluster(word[position:])
    return ""


def _first_cluster(text: str) -> str:
    """Return the first grapheme: what readers see as one character, such as an emoji sequence."""
    cluster = ""
    for character in text:
        if cluster and not _extends(cluster, character):
            break
        cluster += character
    return cluster


def _extends(cluster: str, character: str) -> bool:
    is_flag = _is_regional(character) and len(cluster) == 1 and _is_regional(cluster)
    return (
        is_flag
        or unicodedata.category(character).startswith("M")
        or character == ZERO_WIDTH_JOINER
        or cluster.endswith(ZERO_WIDTH_JOINER)
        or "\U0001f3fb" <= character <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= character <= "\U000e007f"  # the flags of Scotland, Wales, England
        or (_is_virama(cluster[-1]) and character.isalpha())  # the two halves of क्ष
    )


def _is_virama(character: str) -> bool:
    return unicodedata.combining(character) == 9


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _has_case(cluster: str) -> bool:
    return cluster.lower() != cluster.upper()


def _capital(cluster: str) -> str:
    upper = cluster.upper()
    return upper if len(upper) == len(cluster) else cluster  # not "SS" for "ß"
