"""Profiles: the name, identifier, initials, colour and picture by which an account is shown.

They are computed from the user object, without a query, for any kind of name: empty, one word, any
script, emoji, stray control characters. If the project's own code fails for an account, the error
is logged and the menu does without that part.
"""

import logging
import unicodedata
import zlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.utils.module_loading import import_string

from multisession.conf import settings
from multisession.organizations import Organization

#: The avatar colours. The stylesheet has a class ``ms-hue-<n>`` for each.
COLOURS = (
    "#b9432f",
    "#96590a",
    "#6d6a10",
    "#3f7825",
    "#15794f",
    "#0d7575",
    "#126fa3",
    "#2f62cf",
    "#5d52d4",
    "#8643c2",
    "#a8359c",
    "#be3268",
)
HUES = len(COLOURS)

ZERO_WIDTH_JOINER = "\u200d"
#: Invisible characters that Unicode counts as letters or symbols: fillers, an empty Braille cell.
BLANKS = "\u115f\u1160\u2800\u3164\uffa0"

logger = logging.getLogger("multisession")


@dataclass(frozen=True)
class Profile:
    """The parts by which the menu and the chooser show an account."""

    #: The account's name; not empty if the user has a username.
    name: str
    #: The e-mail address or username; empty if it would repeat the name.
    identifier: str
    #: One or two characters, shown if there is no picture.
    initials: str
    #: The number of a colour, 0 to 11. It never changes for a user, even if the name does.
    hue: int
    #: URL of a picture; empty if there is none.
    picture: str = ""

    @property
    def label(self) -> str:
        """The name and identifier in one line, for the accessible names of buttons."""
        return f"{self.name}, {self.identifier}" if self.identifier else self.name


def profile_of(user: Any) -> Profile:
    """Return the profile of ``user``, using the setting ``USER_LABEL`` if it is set."""
    name, identifier = _label(user)
    return Profile(
        name=name or identifier,
        identifier=identifier if name and name != identifier else "",
        initials=initials(name or identifier),
        # From the key and not the name, so that a new name keeps the colour.
        hue=zlib.crc32(str(user.pk).encode()) % HUES,
        picture=picture_of(user),
    )


def organization_profile(organization: Organization) -> Profile:
    """Return the profile by which an organization is shown, with the user's role in it."""
    return Profile(
        name=organization.name or organization.id,
        identifier=organization.role,
        initials=initials(organization.name or organization.id),
        hue=zlib.crc32(organization.id.encode()) % HUES,
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
    return _tidy(found) or (_tidy(name) if isinstance(name, str) else "")


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
            name, identifier = (_tidy(part) for part in ask(user))
        except Exception:
            logger.exception("%s failed for the user %s.", path or "A name", user.pk)
        else:
            if name or identifier:
                return name, identifier
    return "", _tidy(plain_name(user))


def _is_safe(url: str) -> bool:
    if any(character.isspace() or unicodedata.category(character) == "Cc" for character in url):
        return False
    try:
        return urlsplit(url).scheme in {"", "http", "https"}
    except ValueError:
        return False


def _tidy(text: Any) -> str:
    """Return the text in one line without control characters, so that it can't garble the page."""
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
