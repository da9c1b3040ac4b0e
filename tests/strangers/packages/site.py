"""An application from the package index, as its own documentation begins a project with it.

``Site`` makes the project twice: as it is, on Django's own sessions, and with the lines of our
README. Both run under ``runserver`` on a port of their own, with the same people in the database.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from tests.strangers import bench, readme
from tests.strangers.packages.web import Browser, Page

PASSWORD = "correct horse battery staple"
ADA, GRACE = "ada", "grace"
PEOPLE = (ADA, GRACE)

MAKE_PEOPLE = f"""
from django.contrib.auth import get_user_model
for name in {PEOPLE!r}:
    get_user_model().objects.create_superuser(name, name + "@example.com", {PASSWORD!r})
"""

RUN_CHECKS = "from django.core import checks; print(*[found.id for found in checks.run_checks()])"

#: The only thing that no project would have: people sign in a thousand times here.
QUICK_PASSWORDS = 'PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]\n'

CHOOSE = "/multisession/choose/"
#: Where `README.md` puts its lines, seen from the project.
SETTINGS, URLS = Path("mysite/settings.py"), Path("mysite/urls.py")


class Site:
    """A project of one package; a subclass says what the package wants, and how one signs in."""

    #: The file in requirements/ without "strangers-" and ".txt".
    package: ClassVar[str]
    #: A page of the project that everybody may see, with the button in its template.
    home: ClassVar[str] = "/"
    #: A page for signed-in people, in whose place visitors get the sign-in page.
    private: ClassVar[str]
    sign_in_page: ClassVar[str]
    #: A page for signed-in people with the form that signs out.
    page_to_sign_out: ClassVar[str]
    #: What people type.
    password: str = PASSWORD
    settings: ClassVar[Path] = SETTINGS
    urls: ClassVar[Path] = URLS

    def __init__(self, django: str, place: Path) -> None:
        self.place = place
        self.python = bench.environment(django, *bench.requirements(f"strangers-{self.package}"))
        stock, ours = place / "stock", place / "ours"
        self.make(stock)
        append(stock / self.settings, QUICK_PASSWORDS)
        shutil.copytree(stock, ours)
        readme.apply(ours / self.settings, ours / self.urls)
        first(ours / self.urls)
        self.finish(ours)
        self.manage("migrate", "--verbosity", "0")
        self.manage("shell", "-c", MAKE_PEOPLE + self.more_data())
        shutil.copy(ours / "db.sqlite3", stock)

    def make(self, place: Path) -> None:
        """Make the project, as the documentation of the package says."""
        raise NotImplementedError

    def finish(self, place: Path) -> None:
        """Put the README's line into a template, and do what else the package's users would."""

    def more_data(self) -> str:
        """Return Python that makes what else has to be in the database."""
        return ""

    def sign_in(self, browser: Browser, who: str, page: Page | None = None) -> Page:
        """Fill in the sign-in form of this page; of the package's own page, if none is given."""
        page = page or browser.get(self.sign_in_page)
        return page.form(has="username").submit(username=who, password=self.password)

    def sign_out(self, browser: Browser, page: Page | None = None) -> Page:
        """Sign out as the package has it, on this page or on one loaded now."""
        raise NotImplementedError

    def who(self, browser: Browser) -> str | None:
        """Return whom a page of the package takes this browser for."""
        raise NotImplementedError

    def turned_away(self, browser: Browser) -> Page:
        """Open a page for signed-in people as somebody who is not: return the sign-in page."""
        page = browser.get(self.private)
        assert self.is_sign_in_page(page), page
        return page

    def is_sign_in_page(self, page: Page) -> bool:
        return page.status == 200 and page.path == self.sign_in_page

    def manage(self, *arguments: str, project: str = "ours") -> str:
        return bench.run(self.python, "manage.py", *arguments, cwd=self.place / project)

    def key(self, who: str) -> str:
        """Return the primary key of a person."""
        return str(1 + PEOPLE.index(who))

    def warnings_of_ours(self) -> list[str]:
        """Return the ids of what the package's system checks have to say."""
        said = self.manage("shell", "-v", "0", "-c", RUN_CHECKS)
        return [word for word in said.split() if word.startswith("multisession.")]

    @contextmanager
    def served(self, project: str) -> Iterator[str]:
        """Run the project's server. Yields its address."""
        command = [str(self.python), "manage.py", "runserver", "127.0.0.1:0", "--noreload"]
        log = self.place / f"{project}.log"
        with (
            log.open("w") as errors,
            subprocess.Popen(
                command,
                cwd=self.place / project,
                stdout=subprocess.PIPE,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                text=True,
                env=bench.environ() | {"PYTHONUNBUFFERED": "1"},
            ) as server,
        ):
            try:
                assert server.stdout is not None
                for line in server.stdout:
                    if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
                        break
                else:
                    raise AssertionError(f"No server started:\n{log.read_text()[-4000:]}")
                yield found[0]
            finally:
                server.terminate()


def first(urls: Path) -> None:
    """Move the README's routes before a pattern that takes whatever is left."""
    code = urls.read_text(encoding="utf-8")
    code, moved = re.subn(
        r"^urlpatterns \+= (.*multisession)", r"urlpatterns[:0] = \1", code, flags=re.M
    )
    assert moved, f"The README's routes are not in {urls}"
    urls.write_text(code, encoding="utf-8")


def append(file: Path, code: str) -> None:
    file.write_text(f"{file.read_text(encoding='utf-8')}\n{code}", encoding="utf-8")


def replace(file: Path, old: str, new: str) -> None:
    code = file.read_text(encoding="utf-8")
    assert old in code, f"{file} has no {old!r}"
    file.write_text(code.replace(old, new, 1), encoding="utf-8")


def button() -> str:
    """Return what the README puts into a template, with the files it names."""
    return (
        readme.block("<body>")
        + """
{% load static %}
<link rel="stylesheet" href="{% static 'multisession/user_button.css' %}">
<script src="{% static 'multisession/user_button.js' %}" defer></script>
<script src="{% static 'multisession/notice.js' %}" defer></script>
"""
    )
