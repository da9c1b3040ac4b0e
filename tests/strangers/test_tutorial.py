"""Follow docs/tutorial.md step by step in an empty folder.

A shell runs the blocks of ``sh``. The paragraph before any other block says what to do with its
lines: *Make* a file of them, *Replace the lines of* one, *Add to the end of* one, or *change* those
of a ``diff``.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.strangers import bench
from tests.strangers.server import serving
from tools.pythons import interpreter

PAGE = bench.ROOT / "docs" / "tutorial.md"
STEP = re.compile(
    r"(?P<paragraph>(?:^(?!```)[^\n]+\n)+)\n```(?P<language>\w+)\n(?P<code>[\s\S]*?)^```",
    re.MULTILINE,
)
FOLDER = "tutorial"


class Step(NamedTuple):
    paragraph: str
    language: str
    code: str


class Reader:
    """Somebody who does what the page says."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder = folder
        self.shell = shutil.which("bash") or "bash"
        (folder / "bin").mkdir()
        # The page says "python"; on the reader's machine that is one which is new enough.
        (folder / "bin" / "python").symlink_to(python)
        self.said = ""

    @property
    def project(self) -> Path:
        return self.folder / FOLDER

    def follow(self, step: Step) -> None:
        if step.language == "sh":
            self.type(step.code.replace("path/to/django-multisession", str(bench.wheel())))
            return
        sentence = step.paragraph.replace("\n", " ").strip().split(". ")[-1]
        for what, pattern in {
            self.change: r"In `([^`]+)`, change .*:",
            self.append: r"Add to the end of `([^`]+)`:",
            self.write: r"(?:Make|Replace the lines of) `([^`]+)`:",
        }.items():
            if found := re.fullmatch(pattern, sentence):
                what(self.project / found[1], step.code)
                return
        raise AssertionError(f"What is to be done with this? {sentence!r}")

    def type(self, lines: str) -> None:
        """Type lines into the one shell that is open: it keeps its folder and its variables."""
        state = self.folder / "state"
        before = f"cd {self.folder}\n" if not state.exists() else f". {state}\n"
        after = f"\n{{ declare -px; echo cd \"'$PWD'\"; }} > {state}"
        environment = bench.environ()
        environment["PATH"] = f"{self.folder / 'bin'}:{environment['PATH']}"
        environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
        done = subprocess.run(
            [self.shell, "-e"],
            input=before + lines + after,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.said = done.stdout
        assert done.returncode == 0, f"{lines}\n{self.said}"

    def write(self, file: Path, code: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code, encoding="utf-8")

    def append(self, file: Path, code: str) -> None:
        self.write(file, f"{file.read_text(encoding='utf-8')}\n{code}")

    def change(self, file: Path, diff: str) -> None:
        text = file.read_text(encoding="utf-8")
        old, new = (
            "".join(f"{line[1:]}\n" for line in diff.splitlines() if line.startswith(sign))
            for sign in "-+"
        )
        assert text.count(old) == 1, f"{file} has not got {old}"
        self.write(file, text.replace(old, new))


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Reader:
    """Somebody who has followed the page up to the server."""
    python = interpreter("3.13") or interpreter("3.11")
    assert python, "There is no Python here."
    reader = Reader(tmp_path_factory.mktemp("reader"), str(python))
    steps = [Step(**step.groupdict()) for step in STEP.finditer(PAGE.read_text(encoding="utf-8"))]
    *before, server = steps
    for step in before:
        reader.follow(step)
    assert server.code == "python manage.py runserver\n"
    return reader


def test_no_step_is_left_out(reader):
    """Each block of the page has a paragraph before it that says what to do."""
    text = PAGE.read_text(encoding="utf-8")
    assert len(STEP.findall(text)) == text.count("\n```") / 2


def test_manage_py_check_finds_nothing_after_the_tutorial(reader):
    assert reader.said.strip() == "System check identified no issues (0 silenced)."


def test_the_menu_works_as_the_page_says(reader):
    said = PAGE.read_text(encoding="utf-8")
    (password,) = re.findall(r'DJANGO_SUPERUSER_PASSWORD="(.+)"', said)
    python = reader.project / ".venv" / "bin" / "python"
    assert os.access(python, os.X_OK)

    def sign_in(browser, page, name):
        return browser.submit(page.form("password"), username=name, password=password)

    with serving(python, reader.project) as browser:
        page = sign_in(browser, browser.open(browser.open("/").link("Sign in")), "ada")
        assert "Hello ada" in page.text
        page = browser.submit(page.form("Keep"), note="milk")
        assert 'value="milk"' in page.text
        page = browser.open(page.link("Your accounts"))
        page = sign_in(browser, browser.submit(page.form("Add account")), "grace")
        assert "Hello grace" in page.text
        assert 'value=""' in page.text
        page = browser.open(page.link("Your accounts"))
        browser.submit(page.form("Switch to", "ada"))
        page = browser.open("/")
        assert "Hello ada" in page.text
        assert 'value="milk"' in page.text
        browser.submit(page.form("Sign out"))
        assert "Nobody is active." in browser.open("/").text
        page = browser.open("/multisession/choose/")
        browser.submit(page.form("Continue as", "grace"))
        assert "Hello grace" in browser.open("/").text
