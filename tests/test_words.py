"""The translation catalogues are complete, well-formed, compiled and up to date."""

from __future__ import annotations

import re
from functools import cache
from gettext import c2py
from io import BytesIO
from pathlib import Path

import django
import pytest
from babel import Locale
from babel.messages import Catalog, Message
from babel.messages.extract import extract_python
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.utils.translation import to_locale
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent
PACKAGE, DEMO = ROOT / "multisession", ROOT
LOCALES = sorted(to_locale(code) for code, _name in settings.LANGUAGES if code != "en")
#: Where the words of each catalogue stand.
SOURCES = {
    PACKAGE: [PACKAGE],
    DEMO: [ROOT / "accounts", ROOT / "config", ROOT / "templates"],
}
BOTH = pytest.mark.parametrize("home", SOURCES, ids=["package", "demo"])
EACH = pytest.mark.parametrize("locale", LOCALES)

#: The functions, and which of their arguments is the context ("c"), the message and the plural.
KEYWORDS: dict[str, tuple[int | tuple[int, str], ...] | None] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%")
TAG = re.compile(r"</?[^>]+>")
#: Forms that stand for one number alone may spell it out: "two sessions" is one word in Arabic.
SPELT_OUT = {"ar": {0, 1, 2}}

Key = tuple[str | None, str | tuple[str, ...]]


def directory(home: Path, locale: str) -> Path:
    return home / "locale" / locale / "LC_MESSAGES"


@cache
def catalogue(home: Path, locale: str) -> Catalog:
    with (directory(home, locale) / "django.po").open("rb") as file:
        return read_po(file, locale=locale, abort_invalid=True)


def entries(home: Path, locale: str) -> list[Message]:
    return [message for message in catalogue(home, locale) if message.id]


def forms(words: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else tuple(words)


def said(messages: list[Message]) -> dict[Key, tuple[str, ...]]:
    return {key(message): forms(message.string) for message in messages}


def key(message: Message) -> Key:
    # Babel reads contexts as bytes and plurals as lists, now and then.
    context = message.context.decode() if isinstance(message.context, bytes) else message.context
    return context, message.id if isinstance(message.id, str) else tuple(message.id)


@cache
def wanted(home: Path) -> set[Key]:
    """What the source has for translators, read without GNU gettext."""
    found: set[Key] = set()
    for source in SOURCES[home]:
        for path in sorted(source.rglob("*")):
            if path.suffix not in {".py", ".html", ".txt"}:
                continue
            text = path.read_text()
            if path.suffix != ".py":
                # What is no message becomes X's; within brackets their indentation means nothing.
                text = f"({templatize(text, origin=str(path))})"
            for _line, function, arguments, _comments in extract_python(
                BytesIO(text.encode()), list(KEYWORDS), (), {"encoding": "utf-8"}
            ):
                found.add(key_of(function, arguments))
    return found


def key_of(function: str, arguments: str | tuple[str | None, ...]) -> Key:
    given = forms(arguments)  # type: ignore[arg-type]
    context, number = (given[0], 1) if "pgettext" in function else (None, 0)
    if function.startswith("n"):
        return context, (given[number], given[number + 1])
    return context, given[number]


def test_the_demo_offers_the_languages_that_there_are():
    for home in SOURCES:
        assert sorted(path.parent.name for path in home.glob("locale/*/LC_MESSAGES")) == LOCALES


@BOTH
def test_the_reader_of_sources_reads(home):
    """Otherwise the tests below would be content with nothing."""
    assert len(wanted(home)) > 90
    assert {context for context, _message in wanted(home)} > {None}
    assert any(isinstance(message, tuple) for _context, message in wanted(home))


@BOTH
@EACH
def test_each_message_of_the_source_is_in_the_catalogue_and_no_other(home, locale):
    assert set(said(entries(home, locale))) == wanted(home), "run `make messages`"


@BOTH
@EACH
def test_a_catalogue_is_complete(home, locale):
    assert not catalogue(home, locale).obsolete
    for message in entries(home, locale):
        assert not message.fuzzy, message.id
        assert all(text.strip() for text in forms(message.string)), message.id


@BOTH
@EACH
def test_a_catalogue_has_the_plural_forms_of_its_language(home, locale):
    count, rule = re.fullmatch(
        r"nplurals=(\d); plural=(.+);", catalogue(home, locale).plural_forms
    ).groups()
    for message in entries(home, locale):
        assert len(forms(message.string)) == (int(count) if message.pluralizable else 1), message.id
    # Django's catalogues are no measure: their rules differ from version to version.
    form, category = c2py(rule), Locale.parse(locale).plural_form
    pairs = {(form(number), category(number)) for number in range(200)}
    assert (
        len(pairs) == len({form for form, _ in pairs}) == len({category for _, category in pairs})
    )
    assert {form(number) for number in [*range(200), 10**6]} == set(range(int(count)))


@BOTH
@EACH
def test_what_is_filled_in_and_what_is_marked_up_is_the_same_in_every_language(home, locale):
    for message in entries(home, locale):
        original = forms(message.id)[-1]
        names, tags = set(PLACEHOLDER.findall(original)), sorted(TAG.findall(original))
        for number, text in enumerate(forms(message.string)):
            found = set(PLACEHOLDER.findall(text))
            missing = names - found
            if message.pluralizable and number in SPELT_OUT.get(locale, set()):
                missing = {name for name in missing if not re.search("count|num|minutes", name)}
            assert found <= names, text
            assert not missing, text
            assert sorted(TAG.findall(text)) == tags, text


@BOTH
@EACH
def test_the_compiled_file_says_what_the_readable_one_does(home, locale):
    with (directory(home, locale) / "django.mo").open("rb") as file:
        compiled = read_mo(file)
    assert said([message for message in compiled if message.id]) == said(entries(home, locale))
    assert compiled.plural_forms == catalogue(home, locale).plural_forms


@EACH
def test_both_catalogues_say_the_same_with_the_same_words(locale):
    package, demo = (said(entries(home, locale)) for home in SOURCES)
    shared = package.keys() & demo.keys()
    assert shared
    assert {key: package[key] for key in shared} == {key: demo[key] for key in shared}


@EACH
def test_no_word_of_django_is_changed(locale):
    """All catalogues of a project are one: ours come first, also on pages that are not ours."""
    theirs: dict[Key, set[tuple[str, ...]]] = {}
    for app in ("conf", "contrib/admin", "contrib/auth", "contrib/contenttypes"):
        path = Path(django.__file__).parent / app / "locale" / locale / "LC_MESSAGES/django.po"
        with path.open("rb") as file:
            for message in read_po(file):
                theirs.setdefault(key(message), set()).add(forms(message.string))
    for home in SOURCES:
        for known, words in said(entries(home, locale)).items():
            assert words in theirs.get(known, {words}), known
