"""Read a user agent: the browser's family and its system, without versions.

A user agent is untrusted: it is cut before it is parsed, and the names are only shown and compared.
ua-parser (``django-multisession[browsers]``) knows nearly every browser; without it, only the most
common ones are recognised.
"""

import functools
import unicodedata
from collections.abc import Callable
from typing import Any

#: The part of a user agent that is parsed: the length of the column that stores it.
LONGEST_USER_AGENT = 256
LONGEST_NAME = 40

# The first match wins: nearly all user agents name Chrome or Safari as well.
FAMILIES = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Opera", "Opera"),
    ("Vivaldi", "Vivaldi"),
    ("SamsungBrowser", "Samsung Internet"),
    ("FxiOS", "Firefox"),
    ("Firefox", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chromium", "Chromium"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)
# Words that ua-parser adds to a browser's common name.
PLAIN_WORDS = {"Mobile", "iOS", "WebView", "UI/WKWebView"}
#: In the kind of a browser whose family or system is not known.
UNKNOWN = "?"
PLAIN_SYSTEMS = {"Mac OS X": "macOS", "Chrome OS": "ChromeOS", "Other": ""}


def family_and_system(user_agent: str) -> tuple[str, str]:
    """Return the browser and the system; "" for what is unknown."""
    return _read(user_agent[:LONGEST_USER_AGENT])


@functools.lru_cache(maxsize=1024)
def _read(user_agent: str) -> tuple[str, str]:
    family, system = _parsed(user_agent)
    family = family or _first_of(FAMILIES, user_agent) or _product(user_agent)
    return _tidy(family), _tidy(system or _first_of(SYSTEMS, user_agent))


def device_kind(user_agent: str) -> str:
    """Return "phone", "tablet", "computer" or "program"; "" for what is unknown.

    Tablets with Android are those whose user agent lacks "Mobile". An iPad mostly says that it is a
    Macintosh, so it counts as a computer.
    """
    known = user_agent[:LONGEST_USER_AGENT]
    if not known.startswith(("Mozilla/", "Opera/")):
        return "program" if known else ""
    system = _first_of(SYSTEMS, known)
    if system == "iPadOS" or "Tablet" in known or (system == "Android" and "Mobile" not in known):
        return "tablet"
    if system in ("Android", "iOS") or "Mobile" in known:
        return "phone"
    return "computer" if system else ""


def _parsed(user_agent: str) -> tuple[str, str]:
    """Ask ua-parser, if it is installed."""
    parse = _parser()
    if parse is None:
        return "", ""
    found = parse(user_agent)
    family = found.user_agent.family if found.user_agent else ""
    system = found.os.family if found.os else ""
    words = [word for word in family.split() if word not in PLAIN_WORDS]
    return " ".join(words).replace("Other", ""), PLAIN_SYSTEMS.get(system, system)


@functools.cache
def _parser() -> Callable[[str], Any] | None:
    # Imported on first use, as loading its list of browsers takes a while.
    try:
        from ua_parser import parse
    except ImportError:
        return None
    return parse


def _first_of(known: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for sign, name in known if sign in user_agent), "")


def _product(user_agent: str) -> str:
    """Return the program's name: "curl" for "curl/8.5.0"."""
    product = user_agent.partition("/")[0].strip()
    return product if product.isascii() and product.replace("-", "").isalnum() else ""


def _tidy(name: str) -> str:
    printable = "".join(c for c in name if unicodedata.category(c)[0] not in "CZ" or c == " ")
    return printable[:LONGEST_NAME].strip()


def common_names(user_agent: str) -> tuple[str, str]:
    """Return the browser and the system if they are on the short lists; "" for all others."""
    known = user_agent[:LONGEST_USER_AGENT]
    return _first_of(FAMILIES, known), _first_of(SYSTEMS, known)


@functools.lru_cache(maxsize=1024)
def kind_of(user_agent: str) -> str:
    """Return the kind of browser, "Firefox on Linux", to compare it with that of another request.

    Every page asks, so it uses the short lists alone, which also gives the same answer wherever
    ua-parser is installed.
    """
    known = user_agent[:LONGEST_USER_AGENT]
    family = _tidy(_first_of(FAMILIES, known) or _product(known))
    system = _tidy(_first_of(SYSTEMS, known))
    return f"{family or UNKNOWN} on {system or UNKNOWN}"
