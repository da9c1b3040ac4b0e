"""The demo: its scratchpad and notes, its pages, headers and settings."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import django
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import Client

from accounts.models import Note
from config import env
from multisession.test import sign_in

ROOT = Path(__file__).resolve().parent.parent
HTMX = {"HX-Request": "true"}


@pytest.mark.django_db
class TestOwnThings:
    """Each account is independent: its own session data, its own notes."""

    @pytest.fixture
    def browser(self, ada, grace):
        """Ada and Grace are signed in; Grace is active."""
        browser = Client()
        sign_in(browser, ada, grace)
        return browser

    def switch(self, browser, user):
        sessions = browser.get("/").wsgi_request.multisession.sessions
        (session,) = [session for session in sessions if session.user == user]
        response = browser.post("/multisession/set-active/", {"session": session.public_id})
        assert response.status_code == 302

    def test_each_account_has_its_own_scratchpad(self, browser, ada, grace):
        browser.post("/note", {"note": "of Grace"})
        self.switch(browser, ada)
        assert browser.get("/whoami").json()["note"] == ""
        browser.post("/note", {"note": "of Ada"})
        self.switch(browser, grace)
        assert browser.get("/whoami").json()["note"] == "of Grace"
        self.switch(browser, ada)
        assert browser.get("/whoami").json()["note"] == "of Ada"

    def test_the_number_of_accounts_costs_nothing(
        self, browser, grace, django_assert_max_num_queries
    ):
        browser.get("/whoami")  # the first request with a new cookie says that it arrived
        with django_assert_max_num_queries(2):
            assert browser.get("/whoami").json()["user"] == grace.email

    def test_whoami_names_user_session_and_scratchpad(self, browser, grace):
        session = browser.get("/").wsgi_request.multisession.session
        answer = browser.get("/whoami").json()
        assert answer == {"user": grace.email, "sid": session.public_id, "note": ""}
        assert answer["sid"].startswith("sess_")

    def test_whoami_knows_nobody(self, client):
        assert client.get("/whoami").json() == {"user": None, "sid": None, "note": ""}

    def test_the_scratchpad_is_kept_in_place(self, browser):
        response = browser.post("/note", {"note": "short"}, headers=HTMX)
        assert response.status_code == 200
        assert b"Saved." in response.content
        assert b"<html" not in response.content

    def test_the_scratchpad_comes_back_as_it_was_written(self, browser):
        text = "  two spaces\nand <b>markup</b>, עברית, 漢字, 🙂"
        browser.post("/note", {"note": text})
        assert browser.get("/whoami").json()["note"] == text
        assert b"<b>markup" not in browser.get("/").content

    def test_each_account_has_its_own_notes(self, browser, ada, grace):
        browser.post("/notes/", {"text": "Grace's note"})
        note = grace.notes.get()
        assert "Grace&#x27;s note" in browser.get("/").content.decode()
        assert browser.get(f"/notes/{note.pk}/").status_code == 200
        self.switch(browser, ada)
        assert "Grace&#x27;s note" not in browser.get("/").content.decode()

    def test_notes_are_deleted_by_their_owner(self, browser, grace):
        note = Note.objects.create(user=grace, text="short-lived")
        assert browser.post(f"/notes/{note.pk}/delete/").status_code == 302
        assert not Note.objects.exists()

    def test_the_note_of_another_account_does_not_exist(self, browser, ada):
        note = Note.objects.create(user=ada, text="Ada's own")
        for response in (
            browser.get(f"/notes/{note.pk}/"),
            browser.post(f"/notes/{note.pk}/delete/"),
        ):
            assert response.status_code == 404
            assert b"Ada&#x27;s own" not in response.content
        assert browser.get("/notes/999999999999999999999/").status_code == 404
        assert Note.objects.exists()

    @pytest.mark.parametrize("text", ["", "   ", "x" * 501, "nul\0"])
    def test_a_note_that_cannot_be_kept_is_an_error_of_the_form(self, browser, text):
        assert browser.post("/notes/", {"text": text}).status_code == 422
        assert not Note.objects.exists()

    @pytest.mark.parametrize("headers", [{}, HTMX])
    @pytest.mark.parametrize("text", ["x" * 2001, "nul\0"])
    def test_a_scratchpad_that_cannot_be_kept_is_refused(self, browser, headers, text):
        response = browser.post("/note", {"note": text}, headers=headers)
        assert response.status_code == 422
        assert b"errorlist" in response.content
        assert browser.get("/whoami").json()["note"] == ""

    def test_a_visitor_cannot_write_notes(self, client):
        assert client.post("/notes/", {"text": "x"}).status_code == 302
        assert client.get("/notes/1/").status_code == 302
        assert not Note.objects.exists()

    @pytest.mark.parametrize("url", ["/note", "/notes/", "/notes/1/delete/"])
    def test_actions_of_the_demo_accept_post_only(self, browser, url):
        assert browser.get(url).status_code == 405


@pytest.mark.django_db
class TestPages:
    def test_home_tells_about_the_session(self, client, ada):
        client.force_login(ada)
        page = client.get("/").content.decode()
        session = client.get("/").wsgi_request.multisession.session
        assert "This session has been active since" in page
        assert session.public_id in page

    def test_home_welcomes_those_who_are_not_signed_in(self, client):
        page = client.get("/").content.decode()
        assert "/accounts/sign-in/" in page
        assert "/accounts/sign-up/" in page

    @pytest.mark.parametrize("signed_in", [False, True])
    def test_a_page_that_does_not_exist_says_so(self, client, ada, signed_in):
        if signed_in:
            client.force_login(ada)
        response = client.get("/no/such/page")
        assert response.status_code == 404
        assert b"Page not found" in response.content

    def test_an_error_page_needs_nothing_to_work(self, rf):
        from django.views.defaults import server_error

        assert b"Something went wrong" in server_error(rf.get("/")).content

    def test_no_template_holds_script_or_style(self):
        for template in ROOT.joinpath("templates").rglob("*.html"):
            text = template.read_text()
            assert "<style" not in text, template
            assert " style=" not in text, template
            assert " onclick=" not in text, template
            assert "<script>" not in text, template

    def test_htmx_is_told_what_to_show(self, client):
        page = client.get("/").content.decode()
        config = json.loads(page.split('name="htmx-config" content=\'')[1].split("'>")[0])
        shown = {code for code in (409, 422, 429) if str(code) in json.dumps(config)}
        assert shown == {409, 422, 429}
        # htmx 4 knows one digit for each "x"; none of these may hide an answer that explains.
        hidden = {str(code) for code in config["noSwap"]}
        for code in ("409", "422", "429"):
            assert not hidden & {code, f"{code[:2]}x", f"{code[0]}xx"}
        for code in ("403", "404", "413", "500"):
            assert hidden & {code, f"{code[:2]}x", f"{code[0]}xx"}
        assert config["includeIndicatorStyles"] is False
        assert config["historyCacheSize"] == 0


@pytest.mark.django_db
class TestHeaders:
    @pytest.mark.parametrize("url", ["/", "/whoami", "/accounts/sign-in/", "/accounts/profile/"])
    def test_pages_of_an_account_stay_out_of_caches(self, client, ada, url):
        client.force_login(ada)
        response = client.get(url)
        assert "no-store" in response["Cache-Control"]
        assert "private" in response["Cache-Control"]
        assert "Cookie" in response["Vary"]

    @pytest.mark.parametrize("url", ["/", "/accounts/sign-in/", "/admin/login/", "/no/such/page"])
    def test_the_content_policy_allows_nothing_inline(self, client, url):
        policy = client.get(url)["Content-Security-Policy"]
        directives = dict(part.strip().split(" ", 1) for part in policy.split(";") if part.strip())
        assert directives["default-src"] == "'self'"
        assert directives["frame-ancestors"] == "'none'"
        assert directives["form-action"] == "'self'"
        assert directives["base-uri"] == "'none'"
        assert directives["object-src"] == "'none'"
        assert "unsafe" not in policy

    def test_browsers_are_told_to_be_careful(self, client):
        response = client.get("/")
        assert response["X-Frame-Options"] == "DENY"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Referrer-Policy"] == "same-origin"
        assert response["Cross-Origin-Opener-Policy"] == "same-origin"

    def test_no_script_can_read_the_cookies(self, client, ada):
        client.post(
            "/accounts/sign-in/",
            {"username": ada.email, "password": "correct horse battery staple"},
        )
        for name in ("sessionid", "csrftoken"):
            assert client.cookies[name]["httponly"]
            assert client.cookies[name]["samesite"] == "Lax"


class TestEnvironment:
    def test_flags_are_yes_or_no(self, monkeypatch):
        for value, meaning in (("1", True), ("Yes", True), ("off", False), ("", False)):
            monkeypatch.setenv("IT", value)
            assert env.flag("IT") is meaning
        monkeypatch.setenv("IT", "ture")
        with pytest.raises(ImproperlyConfigured, match="neither yes nor no"):
            env.flag("IT")

    def test_environment_numbers_are_numbers(self, monkeypatch):
        monkeypatch.setenv("IT", "12")
        assert env.number("IT", default=5) == 12
        monkeypatch.setenv("IT", "a dozen")
        with pytest.raises(ImproperlyConfigured, match="whole number"):
            env.number("IT", default=5)

    def database(self, monkeypatch, url):
        monkeypatch.setenv("IT", url)
        return env.database("IT", default="sqlite:///db.sqlite3", base_dir=ROOT)

    def test_sqlite_lies_in_the_project_and_takes_its_lock_at_once(self, monkeypatch):
        found = self.database(monkeypatch, "")
        assert found["NAME"] == ROOT / "db.sqlite3"
        assert found["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
        assert self.database(monkeypatch, "sqlite:////var/db")["NAME"] == Path("/var/db")

    def test_a_server_is_named_by_a_url(self, monkeypatch):
        found = self.database(
            monkeypatch, "postgres://me:p%40ss@db.example:5433/shop?sslmode=require"
        )
        assert found["ENGINE"] == "django.db.backends.postgresql"
        assert (found["USER"], found["PASSWORD"]) == ("me", "p@ss")
        assert (found["HOST"], found["PORT"], found["NAME"]) == ("db.example", "5433", "shop")
        assert found["OPTIONS"] == {"sslmode": "require"}
        assert found["CONN_HEALTH_CHECKS"] is True

    def test_a_socket_folder_is_a_host(self, monkeypatch):
        found = self.database(monkeypatch, "postgres:///shop?host=/run/postgresql")
        assert (found["HOST"], found["OPTIONS"]) == ("/run/postgresql", {})

    def test_options_are_what_the_driver_expects(self, monkeypatch):
        found = self.database(
            monkeypatch, "postgres:///shop?server_side_binding=true&prepare_threshold=3&sslmode=on"
        )
        expected = {"server_side_binding": True, "prepare_threshold": 3, "sslmode": "on"}
        assert found["OPTIONS"] == expected

    def test_connections_are_kept_for_a_minute_unless_it_says_otherwise(self, monkeypatch):
        assert self.database(monkeypatch, "postgres:///shop")["CONN_MAX_AGE"] == 60
        monkeypatch.setenv("CONN_MAX_AGE", "0")
        assert self.database(monkeypatch, "postgres:///shop")["CONN_MAX_AGE"] == 0

    def test_an_unknown_database_is_refused(self, monkeypatch):
        with pytest.raises(ImproperlyConfigured, match="must be one of"):
            self.database(monkeypatch, "oracle://x/y")


DEPLOYED = {
    "SECRET_KEY": "0123456789-abcdefghijklmnopqrstuvwxyz-0123456789-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ALLOWED_HOSTS": "accounts.example",
    "TLS": "1",
    "DEBUG": "0",
}


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`manage.py` as an operator runs it, in an environment of its own."""
    return python(str(ROOT / "manage.py"), *arguments, **environment)


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    ours = {"PATH": os.environ["PATH"], "DATABASE_URL": "sqlite:///:memory:", **environment}
    return subprocess.run(
        [sys.executable, *arguments],
        env=ours,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


class TestDeployment:
    def test_the_documented_environment_passes_every_check(self):
        done = manage("check", "--deploy", "--fail-level", "WARNING", **DEPLOYED)
        assert done.returncode == 0, done.stderr

    def test_an_asgi_server_keeps_no_connections(self):
        """Each request would leave one behind, until the database server has no more."""
        program = (
            "import config.asgi; from config import env; "
            "print(env.database('SHOP', default='', base_dir=None)['CONN_MAX_AGE'])"
        )
        done = python("-c", program, SHOP="postgres:///shop", **DEPLOYED)
        assert done.stdout.split() == ["0"], done.stderr

    def test_mails_go_to_the_named_server_which_is_not_waited_for_for_ever(self):
        program = (
            "import django; django.setup(); from django.core import mail; "
            "sent_by = mail.mailers.default if django.VERSION >= (6, 1) else mail.get_connection();"
            "print(sent_by.host, 0 < sent_by.timeout < 30)"
        )
        deployed = {**DEPLOYED, "DJANGO_SETTINGS_MODULE": "config.settings"}
        done = python("-c", program, EMAIL_HOST="mail.example.com", **deployed)
        assert done.stdout.split() == ["mail.example.com", "True"], done.stderr

    def test_without_a_secret_there_is_no_site(self):
        done = manage("check", DEBUG="0")
        assert done.returncode != 0
        assert "SECRET_KEY is not set" in done.stderr

    def test_cookies_are_bound_to_this_host_under_tls(self):
        shown = manage("diffsettings", **DEPLOYED).stdout
        assert "SESSION_COOKIE_NAME = '__Host-sessionid'" in shown
        assert "CSRF_COOKIE_NAME = '__Host-csrftoken'" in shown
        assert "SESSION_COOKIE_SECURE = True" in shown

    @pytest.mark.django_db
    def test_the_migrations_are_complete(self):
        call_command("makemigrations", "--check", "--dry-run", verbosity=0)

    def test_this_python_has_the_pinned_django(self):
        running = f"Django=={django.get_version()}"
        if under_test := os.environ.get("DJANGO_UNDER_TEST"):  # set by noxfile.py
            assert running == f"Django=={under_test}"
        else:
            assert f"{running};" in ROOT.joinpath("requirements/demo.txt").read_text()

    def test_everything_named_in_a_group_is_pinned(self):
        groups = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text())["dependency-groups"]
        for name, requirements in groups.items():
            pins = ROOT.joinpath(f"requirements/{name}.txt").read_text()
            for requirement in requirements:
                if isinstance(requirement, str):
                    package = re.split(r"[>;]", requirement)[0]
                    assert re.search(rf"^{package}==[\d.]+(;|$)", pins, re.MULTILINE), package
                else:
                    assert f"-r {requirement['include-group']}.txt" in pins

    def test_requirements_do_not_say_where_packages_come_from(self):
        for requirements in ROOT.joinpath("requirements").glob("*.txt"):
            for line in requirements.read_text().splitlines():
                assert re.match(r"#|-r |[\w\[\]-]+==[\d.]+(post\d+|b\d+)?(; .+)?$", line), line
