"""docs/reference names every public name, and none that does not exist."""

import ast
import importlib
import re
from pathlib import Path

import pytest
from django.core.management import load_command_class
from django.template import engines

from multisession import urls
from multisession.request import MultiSession
from tools import reference

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "multisession"
PAGES = {page.stem: page.read_text() for page in (ROOT / "docs" / "reference").glob("*.md")}
EVERYTHING = "\n".join(PAGES.values())

#: Modules that a project imports from. Their ``__all__`` says what.
PUBLIC = [
    "actions",
    "admin",
    "backends.adopting",
    "backends.cached_db",
    "backends.db",
    "conf",
    "decorators",
    "guard",
    "lists",
    "middleware",
    "mixins",
    "models",
    "offers",
    "organizations",
    "passwords",
    "paths",
    "request",
    "signals",
]
COMMANDS = [
    "clearsessions",
    "erasesessions",
    "listsessions",
    "multisession_keys",
    "revokesessions",
]
#: What every command of Django has.
OF_DJANGO = {
    "--help",
    "--version",
    "--verbosity",
    "--settings",
    "--pythonpath",
    "--traceback",
    "--no-color",
    "--force-color",
    "--skip-checks",
}


def named_in(text: str) -> set[str]:
    """Return the identifiers in the code spans of a page."""
    return {word for span in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"\w+", span)}


def sources(folder: str, *suffixes: str) -> str:
    found = (PACKAGE / folder).rglob("*")
    return "\n".join(path.read_text() for path in found if path.suffix in suffixes)


def test_the_page_of_settings_says_what_conf_says():
    assert reference.PAGE.read_text() == reference.text(), "run: python -m tools.reference"


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_documented(module):
    exported = importlib.import_module(f"multisession.{module}").__all__
    assert set(exported) - named_in(EVERYTHING) == set()


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_module_is_on_the_list(module):
    name = module.removeprefix("backends.")
    assert re.search(rf"`(multisession\.)?(backends\.)?{name}`", PAGES["api"])


def test_every_name_that_is_exported_exists():
    for module in PUBLIC:
        found = importlib.import_module(f"multisession.{module}")
        assert [name for name in found.__all__ if not hasattr(found, name)] == []


def test_the_attributes_of_request_multisession():
    rows = re.findall(r"^\| (.*?) \|", PAGES["request"], re.MULTILINE)
    rows = [name for row in rows for name in re.findall(r"`(\w+)", row)]
    assert set(rows) == {name for name in vars(MultiSession) if not name.startswith("_")}


def test_the_verbs_have_rows_with_their_arguments():
    from inspect import signature

    from multisession import actions

    rows = dict(re.findall(r"^\| `(\w+)\(([^)]*)\)` \|", PAGES["verbs"], re.MULTILINE))
    verbs = {name for name in actions.__all__ if name[0].islower()}
    twins = {name for name in verbs if name[0] == "a" and name[1:] in verbs}
    assert verbs - twins <= set(rows)
    for name in verbs - twins:
        told = [word.split("=")[0].strip(" *") for word in rows[name].split(",")]
        assert [word for word in told if word] == list(signature(getattr(actions, name)).parameters)


def test_every_signal_has_a_row():
    from multisession import signals

    rows = re.findall(r"^\| `(\w+)`", PAGES["signals"], re.MULTILINE)
    assert sorted(rows) == sorted(signals.__all__)


def test_every_check_has_a_row():
    raised = set(
        re.findall(r"multisession\.[EW]\d{3}", sources("checks", ".py") + sources("contrib", ".py"))
    )
    rows = re.findall(r"^\| `(multisession\.[EW]\d{3})`", PAGES["checks"], re.MULTILINE)
    assert sorted(rows) == sorted(raised)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_named(name):
    parser = load_command_class("multisession", name).create_parser("manage.py", name)
    options = {option for action in parser._actions for option in action.option_strings}
    options = {option for option in options if option.startswith("--")} - OF_DJANGO - {"--no-input"}
    (row,) = re.findall(rf"^\| `{name}` \|.*$", PAGES["commands"], re.MULTILINE)
    assert set(re.findall(r"`(--[\w-]+)`", row)) == options


def test_every_command_has_a_row():
    commands = {path.stem for path in (PACKAGE / "management" / "commands").glob("[!_]*.py")}
    assert commands == set(COMMANDS)


def test_every_url_has_a_row():
    names = {f"multisession:{pattern.name}" for pattern in urls.urlpatterns}
    assert set(re.findall(r"^\| `(multisession:\w+)`", PAGES["urls"], re.MULTILINE)) == names


def test_every_tag_and_filter_has_a_row():
    found = engines["django"].engine.template_libraries["multisession"]
    rows = "\n".join(re.findall(r"^\| `.*$", PAGES["template-tags"], re.MULTILINE))
    assert {*found.tags, *found.filters} - named_in(rows) == set()


def test_every_attribute_that_a_template_has():
    used = sources("templates", ".html") + sources("static", ".js")
    used = set(re.findall(r"data-multisession-[a-z][a-z-]*[a-z]", used))
    used |= {f"data-multisession-{name}" for name in ("page", "notice", "more")}  # page_attributes
    assert set(re.findall(r"data-multisession-[a-z-]+", PAGES["html"])) == used


def test_every_custom_property():
    sheet = sources("static", ".css")
    defined = set(re.findall(r"(--ms-[a-z-]+)\s*:", sheet))
    told = set(re.findall(r"--ms-[a-z-]+", PAGES["html"]))
    assert told <= set(re.findall(r"--ms-[a-z-]+", sheet))
    assert defined - told == set()


def test_every_header_of_ours():
    code = sources(".", ".py") + sources("static", ".js")
    sent = set(re.findall(r'"(X-Multisession[A-Za-z-]*)"', code))
    assert sent - set(re.findall(r"^\| `([\w-]+)`", PAGES["urls"], re.MULTILINE)) == set()


def test_every_template_that_is_named_exists():
    templates = {path.name for path in (PACKAGE / "templates" / "multisession").glob("*.html")}
    assert set(re.findall(r"`(\w+\.html)`", PAGES["html"])) <= templates


@pytest.mark.parametrize("page", PAGES)
def test_every_example_is_python(page):
    for block in re.findall(r"^```python\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL):
        ast.parse(block)


def test_every_promise_of_clerks_documents_names_a_test_that_exists():
    rows = re.findall(
        r"^\| (?!Promise|-)[^|]*\| `(tests/[\w/]+\.py)::(\w+)` \|$", PAGES["clerk"], re.M
    )
    assert len(rows) == 27
    missing = [
        f"{file}::{test}"
        for file, test in rows
        if not re.search(rf"^ *def {test}\(", (ROOT / file).read_text(), re.M)
    ]
    assert missing == []
