"""Follow the README to the letter in an empty environment, and check the site over HTTP."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.strangers import bench, readme
from tests.strangers.server import serving
from tests.strangers.story.browser import Browser
from tools.pythons import interpreter

PASSWORD = "correct horse battery staple"
PEOPLE = f"""
from django.contrib.auth.models import User
for name in ("ada", "grace"):
    User.objects.create_user(name, password={PASSWORD!r})
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """An empty environment, and in it what ``pip install`` brings: the wheel and what it needs."""
    place = tmp_path_factory.mktemp("empty")
    newest = interpreter("3.13") or interpreter("3.11")
    assert newest, "There is no Python here."
    bench.run(newest, "-m", "venv", place / "venv", cwd=place)
    own = place / "venv" / "bin" / "python"
    bench.run(own, "-m", "pip", "install", "--quiet", bench.wheel(), cwd=place)
    return own


@pytest.fixture(scope="module")
def project(python, tmp_path_factory) -> Path:
    place = bench.start_project(python, tmp_path_factory.mktemp("project"))
    readme.apply_to_new_project(place)
    bench.run(python, "manage.py", "migrate", cwd=place)
    bench.run(python, "manage.py", "shell", "--command", PEOPLE, cwd=place)
    return place


@pytest.fixture
def browser(python, project) -> Iterator[Browser]:
    """A browser for the project's own server, ``manage.py runserver``."""
    with serving(python, project) as browser:
        yield browser


def test_the_wheel_brings_django_and_nothing_else(python, project):
    frozen = bench.run(python, "-m", "pip", "list", "--format=freeze", cwd=project)
    names = {line.partition("==")[0].lower() for line in frozen.splitlines()}
    assert names - {"pip", "setuptools"} == {"django", "django-multisession", "asgiref", "sqlparse"}


def test_check_is_silent_then(python, project):
    told = "import sys; sys.stderr = sys.stdout; sys.argv = ['manage.py', 'check']"
    said = bench.run(python, "-c", f"{told}; import manage; manage.main()", cwd=project)
    assert said.strip() == "System check identified no issues (0 silenced)."


def test_collectstatic_brings_what_the_page_links_to(python, project, browser, tmp_path):
    where = f"from django.conf import settings; settings.STATIC_ROOT = {str(tmp_path)!r}"
    collect = "from django.core.management import call_command; call_command('collectstatic')"
    bench.run(python, "manage.py", "shell", "--command", f"{where}; {collect}", cwd=project)
    linked = re.findall(r'(?:href|src)="(/static/[^"]+)"', browser.open("/").text)
    assert [name.rpartition("/")[2] for name in linked] == [
        "user_button.css",
        "user_button.js",
        "notice.js",
    ]
    for name in linked:
        assert browser.open(name).status == 200
        assert (tmp_path / name.removeprefix("/static/")).exists()


def test_the_readmes_lines_lead_to_a_working_menu(browser):
    def sign_in(page, name):
        return browser.submit(page.form("password"), username=name, password=PASSWORD)

    page = browser.open("/")
    page = sign_in(browser.open(page.link("Sign in")), "ada")
    assert "Hello ada" in page.text
    (menu,) = page.loads
    page = browser.submit(browser.open(menu).form("Add account"))
    page = sign_in(page, "grace")
    assert (page.status, "Hello grace" in page.text) == (200, True)
    (menu,) = page.loads
    page = browser.submit(browser.open(menu).form("Switch to", "ada"))
    assert page.status == 200
    page = browser.open("/")
    assert "Hello ada" in page.text
    page = browser.submit(browser.open(page.loads[0]).form("Sign out of all accounts"))
    assert page.has_link("Sign in")
    page = sign_in(browser.open(page.link("Sign in")), "grace")
    assert "Hello grace" in page.text
