"""The documentation: every block of code parses, and every link and name exists.

Other tests run the blocks: tests/test_recipes.py, tests/strangers/test_readme.py and
test_tutorial.py, tests/ecosystem, and more. tools/site.py checks the pages that Sphinx makes.
"""

import ast
import importlib
import json
import re
import shlex
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.core.checks import run_checks
from django.core.management import get_commands, load_command_class
from django.db import router
from django.shortcuts import redirect
from django.template import Engine, TemplateSyntaxError
from django.urls import include, path
from django.views.decorators.http import require_POST

from multisession.conf import Settings
from multisession.models import Session
from tools import site

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted(file for file in (ROOT / "docs").rglob("*.md") if "node_modules" not in file.parts),
]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
#: What a page may hold. The first three are parsed here; Sphinx reads the ones with braces.
LANGUAGES = {
    *("python", "html", "sh"),
    *("css", "diff", "js", "json", "mermaid", "nginx", "text", "{toctree}"),
}
#: Bare `await`, as in a coroutine of the reader's.
AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST


class Block(NamedTuple):
    page: Path
    line: int
    language: str
    code: str


def blocks(language: str = "") -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in FENCE.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            block = Block(page, line, found["language"], textwrap.dedent(found["code"]))
            if language in ("", block.language):
                yield block


def shell_lines() -> Iterator[list[str]]:
    """Yield the words of each line of a shell, without its comment."""
    for block in blocks("sh"):
        for line in block.code.replace("\\\n", " ").splitlines():
            yield shlex.split(line, comments=True)


def each(language: str) -> pytest.MarkDecorator:
    found = list(blocks(language))
    names = [f"{block.page.relative_to(ROOT)}:{block.line}" for block in found]
    return pytest.mark.parametrize("block", found, ids=names)


def prose(page: Path) -> str:
    """Return the text of a page without its blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


class TestBlocks:
    def test_every_block_names_its_language(self):
        unknown = [block[:3] for block in blocks() if block.language not in LANGUAGES]
        assert not unknown

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
    def test_no_block_is_made_by_indentation(self, page):
        """Nobody could say what it is. Below an item of a list, indentation continues it."""
        in_list, before = False, ""
        for line in prose(page).splitlines():
            if line and not line.startswith(" "):
                in_list = bool(re.match(r"([-*]|\d+\.) ", line))
            assert in_list or before or not line.startswith("    "), line
            before = line

    @each("python")
    def test_python_parses(self, block):
        compile(block.code, str(block.page), "exec", flags=AWAIT)

    @each("html")
    def test_html_is_a_template(self, block):
        libraries = {
            "django_htmx": "django_htmx.templatetags.django_htmx",
            "i18n": "django.templatetags.i18n",
            "multisession": "multisession.templatetags.multisession",
            "static": "django.templatetags.static",
        }
        # A fragment stands in a template that has loaded them.
        Engine(libraries=libraries, builtins=list(libraries.values())).from_string(block.code)

    def test_invalid_html_is_found(self):
        with pytest.raises(TemplateSyntaxError):
            Engine().from_string("{% user_button %}")

    @each("sh")
    def test_sh_parses(self, block):
        bash = shutil.which("bash")
        assert bash
        subprocess.run([bash, "-n"], input=block.code, text=True, check=True)

    @each("json")
    def test_json_parses(self, block):
        json.loads(block.code)


class TestNames:
    """What a block names is there."""

    def test_imports(self):
        for block in blocks("python"):
            for line in ast.walk(compile(block.code, "", "exec", flags=AWAIT)):
                if isinstance(line, ast.ImportFrom) and line.module.startswith("multisession"):
                    module = importlib.import_module(line.module)
                    missing = [name.name for name in line.names if not hasattr(module, name.name)]
                    assert not missing, block

    def test_settings(self, settings):
        """Each ``MULTISESSION = {…}`` has keys that exist, with values that they take."""
        for block in blocks("python"):
            for line in ast.walk(compile(block.code, "", "exec", flags=AWAIT)):
                if (
                    isinstance(line, ast.Assign)
                    and ast.unparse(line.targets[0]) == "MULTISESSION"
                    and isinstance(line.value, ast.Dict)
                ):
                    value = eval(ast.unparse(line.value), {"_": str})  # noqa: S307
                    settings.MULTISESSION = value
                    for key in value:
                        getattr(Settings(), key)
        for page in PAGES:
            if page.name != "CHANGELOG.md":  # which tells of those that went
                for name in re.findall(r"MULTISESSION\[[\"'](\w+)[\"']\]", prose(page)):
                    assert hasattr(Settings, name), page

    def test_commands(self):
        """``manage.py`` knows each command; ours, with the arguments that are given."""
        known = get_commands()
        for words in shell_lines():
            if "manage.py" in words:
                name, *arguments = words[words.index("manage.py") + 1 :]
                assert name in known, words
                if known[name] == "multisession":
                    command = load_command_class(known[name], name)
                    command.create_parser("manage.py", name).parse_args(arguments)

    def test_make(self):
        make = shutil.which("make")
        assert make
        everything = subprocess.run(
            [make, "--print-data-base", "--question", "help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        targets = set(re.findall(r"^([\w-]+):", everything, re.MULTILINE))
        for words in shell_lines():
            if words[:1] == ["make"]:
                assert {word for word in words[1:] if "=" not in word} <= targets, words

    def test_tests(self):
        """The tests that a page cites as its proof."""
        cited = [
            name
            for page in PAGES
            for name in re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", page.read_text("utf-8"))
        ]
        assert cited
        for name in cited:
            file, _, test = name.partition("::")
            assert f"def {test}" in (ROOT / file).read_text(encoding="utf-8"), name


class TestLinks:
    def test_every_link_leads_to_a_file_and_a_heading(self):
        """Those of README.md and CHANGELOG.md, too, which Sphinx does not see."""
        for page in PAGES:
            for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose(page)):
                path, _, anchor = link.partition("#")
                target = (page.parent / path).resolve() if path else page
                assert target.exists(), (page, link)
                assert not anchor or anchor in anchors(target), (page, link)

    def test_code_names_pages_that_exist(self):
        """In comments, docstrings, hints of system checks and the Makefile."""
        git = shutil.which("git")
        assert git
        if not (ROOT / ".git").exists():
            pytest.skip("no checkout, so nobody can say which files are ours")
        files = subprocess.run(
            [git, "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        for name in files:
            if not name.startswith("docs/") and Path(name).suffix not in {".png", ".mo"}:
                text = (ROOT / name).read_text(encoding="utf-8")
                for found in re.findall(r"\bdocs/[\w/-]+\.md\b", text):
                    assert (ROOT / found).exists(), (name, found)


def anchors(page: Path) -> set[str]:
    """Return the names of the headings, as GitHub and MyST make them."""
    titles = re.findall(r"^#+ (.*)", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def code_of(page: str, *, having: str) -> dict[str, Any]:
    """Run the block of this how-to guide that has these words, and return what it defines."""
    (block,) = (
        block
        for block in blocks("python")
        if block.page == ROOT / "docs" / "howto" / page and having in block.code
    )
    names: dict[str, Any] = {"redirect": redirect, "require_POST": require_POST}
    names["__name__"] = __name__
    exec(block.code, names)  # noqa: S102
    return names


class TestWhatNoOtherTestRuns:
    def test_redis(self, settings):
        names = code_of("redis.md", having="cached_db")
        settings.SESSION_ENGINE, settings.CACHES = names["SESSION_ENGINE"], names["CACHES"]
        ids = {message.id for message in run_checks() if (message.id or "").startswith("multi")}
        assert not ids & {"multisession.E010", "multisession.E012", "multisession.E014"}
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
        assert "multisession.E014" in {message.id for message in run_checks()}

    def test_replicas(self, settings):
        settings.DATABASE_ROUTERS = [
            code_of("replicas.md", having="Router")["PrimaryReplicaRouter"]()
        ]
        assert router.db_for_read(Session) == "replica"
        assert Session.objects.all().db == "default"

    @pytest.mark.django_db
    @pytest.mark.urls(__name__)
    def test_a_view_that_signs_out_of_everything(self, client, ada, grace):
        client.force_login(ada)
        client.force_login(grace)
        assert Session.objects.live().count() == 2
        assert client.post("/leave/").status_code == 302
        assert Session.objects.live().count() == 0


urlpatterns = [
    path("leave/", code_of("shared-computers.md", having="sign_out_all")["leave"]),
    path("multisession/", include("multisession.urls")),
]


class TestTheSiteItself:
    """tools/site.py finds what it is there for."""

    def test_a_link_to_nowhere(self, tmp_path):
        (tmp_path / "a.html").write_text('<h1 id="top"><a href="b.html">b</a>')
        assert list(site.mistakes(tmp_path)) == ["a.html leads to b.html, which does not exist"]

    def test_a_heading_that_is_not_there(self, tmp_path):
        (tmp_path / "a.html").write_text('<h1 id="top"><a href="#top">a</a><a href="#b">b</a>')
        assert list(site.mistakes(tmp_path)) == ["a.html leads to #b, which has no such heading"]

    def test_something_from_another_host(self, tmp_path):
        (tmp_path / "a.html").write_text(
            '<a href="https://example.com/">a link is allowed</a>'
            '<script src="https://example.com/a.js"></script>'
        )
        assert list(site.mistakes(tmp_path)) == [
            "a.html loads https://example.com/a.js from another host"
        ]
