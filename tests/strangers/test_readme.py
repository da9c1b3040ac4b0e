"""The README, followed to the letter in an empty environment, and looked at over HTTP."""

import http.client
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.strangers import bench, readme
from tests.strangers.story.browser import Browser
from tools.pythons import interpreter

PASSWORD = "correct horse battery staple"
PEOPLE = f"""
from django.contrib.auth.models import User
for name in ("ada", "grace"):
    User.objects.create_user(name, password={PASSWORD!r})
"""
#: What the project has of its own: a page, and Django's sign-in page with a template.
URLS = """
from django.views.generic import TemplateView

urlpatterns += [
    path("", TemplateView.as_view(template_name="home.html")),
    path("accounts/", include("django.contrib.auth.urls")),
]
"""
SETTINGS = """
TEMPLATES[0]["DIRS"] = [BASE_DIR / "templates"]
LOGIN_REDIRECT_URL = "/"
"""
HOME = "<!doctype html><html><body>\n<p>Hello {{ user.username }}</p></body></html>"
SIGN_IN = '<form method="post">{% csrf_token %}{{ form }}<button>Sign in</button></form>'


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
    templates = place / "templates"
    (templates / "registration").mkdir(parents=True)
    (templates / "home.html").write_text(HOME, encoding="utf-8")
    (templates / "registration" / "login.html").write_text(SIGN_IN, encoding="utf-8")
    settings, urls = place / "mysite" / "settings.py", place / "mysite" / "urls.py"
    readme.apply(settings, urls, templates / "home.html")
    for file, code in ((settings, SETTINGS), (urls, URLS)):
        file.write_text(file.read_text(encoding="utf-8") + code, encoding="utf-8")
    bench.run(python, "manage.py", "migrate", cwd=place)
    bench.run(python, "manage.py", "shell", "--command", PEOPLE, cwd=place)
    return place


@pytest.fixture
def browser(python, project) -> Iterator[Browser]:
    """A browser for the project's own server, ``manage.py runserver``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
    environment = bench.environ() | {"PYTHONUNBUFFERED": "1"}
    log = project / "server.log"
    with log.open("w") as errors:
        server = subprocess.Popen(
            command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )

    def exchange(method: str, path: str, body: bytes, headers: dict[str, str]):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()

    try:
        # Said when it listens.
        assert any("development server at" in line for line in server.stdout), log.read_text()
        yield Browser(exchange, host=f"localhost:{port}")
    finally:
        server.terminate()
        server.wait(timeout=30)


def test_the_wheel_brings_django_and_nothing_else(python, project):
    frozen = bench.run(python, "-m", "pip", "list", "--format=freeze", cwd=project)
    names = {line.partition("==")[0].lower() for line in frozen.splitlines()}
    assert names - {"pip", "setuptools"} == {"django", "django-multisession", "asgiref", "sqlparse"}


def test_check_names_what_startproject_leaves_open(python, project):
    """The README promises it: messages in a cookie, SQLite without IMMEDIATE; no more."""
    done = subprocess.run(
        [python, "manage.py", "check"], cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert set(re.findall(r"multisession\.\w+", done.stderr)) == {
        "multisession.W001",
        "multisession.W002",
    }


def test_its_lines_lead_to_a_working_menu(browser):
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
    assert (page.status, "Hello ada" in browser.open("/").text) == (200, True)
    page = browser.submit(browser.open(page.loads[0]).form("Sign out of all accounts"))
    assert page.has_link("Sign in")
    page = sign_in(browser.open(page.link("Sign in")), "grace")
    assert "Hello grace" in page.text


def test_the_menu_has_its_stylesheet_and_scripts(browser):
    for name in ("user_button.css", "user_button.js", "notice.js"):
        assert browser.open(f"/static/multisession/{name}").status == 200
