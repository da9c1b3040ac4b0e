"""The notice of a change in another tab, without a browser; and leaks between accounts."""

import gzip
import re
from html import unescape
from itertools import chain
from pathlib import Path
from string import ascii_letters

import pytest
from django.template import Context, Template
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

import multisession
from accounts.models import User
from multisession import actions
from multisession.models import Session
from multisession.pages.refusal import keep_quiet
from tests.test_guard import PASSWORD, Tab, follow_form

pytestmark = pytest.mark.django_db

NOTICE = "/multisession/notice/"
STATIC = Path(multisession.__file__).parent / "static" / "multisession"


@pytest.fixture
def client():
    """A browser whose forms need their tokens."""
    return Client(enforce_csrf_checks=True)


def sign_in(client, user):
    tab = Tab(client, "/accounts/sign-in/")
    response = tab.send("/accounts/sign-in/", {"username": user.email, "password": PASSWORD})
    assert response.status_code == 302
    client.get("/whoami")
    return id_of(user)


def id_of(user):
    return Session.objects.filter(user=user).latest("pk").public_id


def ask(client, session, **query):
    return client.get(NOTICE, {"session": session, **query})


def words(response):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.text)).split())


def whoami(client):
    return client.get("/whoami").json()["user"]


class TestTheNotice:
    def test_there_is_no_notice_for_a_page_of_the_active_account(
        self, client, ada, django_assert_num_queries
    ):
        session = sign_in(client, ada)
        with django_assert_num_queries(1):
            response = ask(client, session)
        assert response.status_code == 204
        assert response.content == b""

    def test_the_notice_costs_a_stranger_nothing(self, client, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert ask(client, "").status_code == 204

    def test_the_notice_names_who_is_active_and_leads_there_and_back(self, client, ada, grace):
        adas = sign_in(client, ada)
        sign_in(client, grace)
        response = ask(client, adas, next="/accounts/profile/?a=1&b=2")
        assert response.status_code == 200
        assert "You are now using Grace Hopper, grace@example.com in another tab." in words(
            response
        )
        assert 'role="status"' in response.text
        assert 'href="/accounts/profile/?a=1&amp;b=2"' in response.text
        back = follow_form(client, response, "Switch back to Ada")
        assert back.status_code == 204  # A browser leaves the page as it is.
        assert whoami(client) == ada.email

    def test_accounts_of_one_name_are_told_apart(self, client, ada, grace):
        User.objects.update(name="Ada")
        adas = sign_in(client, ada)
        sign_in(client, grace)
        said = words(ask(client, adas))
        assert "Reload as Ada, grace@example.com" in said
        assert "Switch back to Ada, ada@example.com" in said

    def test_the_notice_says_who_was_signed_out(self, client, ada, grace):
        adas = sign_in(client, ada)
        Tab(client).send("/multisession/sign-out/", {"session": adas})
        said = ask(client, adas, next="/note")
        assert "Ada Lovelace, ada@example.com was signed out." in words(said)
        assert f'href="/accounts/sign-in/?session={adas}" autofocus target="_blank"' in said.text
        assert "Choose an account" in words(said)
        sign_in(client, grace)
        said = words(ask(client, adas))
        assert "was signed out." in said
        assert "You are now using Grace" in said
        assert "Sign in as Ada" in said

    @pytest.mark.parametrize("change", ["revoke", "password", "deactivate"])
    def test_the_notice_says_who_was_signed_out_by_somebody_else(self, client, ada, change):
        adas = sign_in(client, ada)
        if change == "revoke":
            actions.revoke(Session.objects.get())
        elif change == "password":
            ada.set_password("another one altogether")
            ada.save()
        else:
            ada.is_active = False
            ada.save()
        assert "was signed out" in words(ask(client, adas))

    def test_the_notice_tells_a_page_without_an_account_who_is_active(self, client, ada):
        sign_in(client, ada)
        said = words(ask(client, ""))
        assert "You are now using Ada" in said
        assert "Switch back" not in said
        assert "Sign in again" not in said

    def test_there_is_no_notice_for_a_page_whose_account_signed_in_again(self, client, ada):
        first = sign_in(client, ada)
        Tab(client).send("/multisession/sign-out/", {"session": first})
        assert sign_in(client, ada) != first
        assert ask(client, first).status_code == 204

    def test_the_notice_names_nobody_after_signing_out_of_all(self, client, ada):
        adas = sign_in(client, ada)
        Tab(client).send("/multisession/sign-out-all/", {})
        response = ask(client, adas)
        assert "You are signed out." in words(response)
        assert "Ada" not in response.text

    def test_the_notice_knows_only_the_accounts_of_its_own_browser(self, client, ada, grace):
        other = Client(enforce_csrf_checks=True)
        foreign = sign_in(other, grace)
        sign_in(client, ada)
        for session in (foreign, "sess_nobody"):
            response = ask(client, session)
            assert "Grace" not in response.text
            assert "<form" not in response.text

    @pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:1"])
    def test_the_notice_leads_to_no_other_site(self, client, ada, grace, target):
        adas = sign_in(client, ada)
        sign_in(client, grace)
        response = ask(client, adas, next=target)
        assert "evil" not in response.text
        assert "javascript:" not in response.text
        assert 'href=""' in response.text  # the page that it is shown on

    def test_no_cache_keeps_the_notice(self, client, ada, grace):
        adas = sign_in(client, ada)
        for session in (adas, ""):
            response = ask(client, session)
            assert {"private", "no-store"} <= set(response["Cache-Control"].split(", "))
            assert "Cookie" in response["Vary"]

    def test_the_notice_is_there_for_visitors_under_login_required_middleware(
        self, client, settings
    ):
        required = "django.contrib.auth.middleware.LoginRequiredMiddleware"
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, required]
        assert client.get("/note").status_code == 302
        assert ask(client, "").status_code == 204
        assert client.get(reverse("multisession:choose")).status_code == 200

    def test_cannot_be_posted(self, client):
        assert Client().post(NOTICE).status_code == 405

    def test_escapes_names(self, client, ada, grace):
        User.objects.filter(pk=grace.pk).update(name="<img src=x onerror=alert(1)>")
        adas = sign_in(client, ada)
        sign_in(client, grace)
        assert "<img" not in ask(client, adas).text


class TestThePageSaysWhoseItIs:
    def test_a_page_names_its_account_with_and_without_a_button(self, client, ada):
        said = re.compile(r'data-multisession-page="([^"]*)" data-multisession-notice="([^"]*)"')
        assert said.findall(client.get("/").text) == [("", NOTICE)]
        session = sign_in(client, ada)
        assert said.findall(client.get("/").text) == [(session, NOTICE)]
        ada.is_staff = True
        ada.save()
        assert said.findall(client.get("/admin/").text) == [(session, NOTICE)]

    def test_the_page_of_a_refusal_has_nothing_to_ask(self, client, ada, grace):
        sign_in(client, ada)
        tab = Tab(client)
        session = sign_in(client, grace)
        refused = tab.send("/notes/", {"text": "x"})
        assert f'data-multisession-page="{session}"' in refused.text
        assert "data-multisession-notice" not in refused.text

    def test_a_button_loaded_by_the_page_of_a_refusal_has_nothing_to_ask(self, client, rf, ada):
        sign_in(client, ada)
        request = rf.get("/")
        mount = Template("{% load multisession %}{% user_button_mount show_name=True %}")
        usual = unescape(mount.render(Context({"request": request})))
        keep_quiet(request)
        quiet = unescape(mount.render(Context({"request": request})))
        for html, has_notice in ((usual, True), (quiet, False)):
            button = client.get(re.search(r'hx-get="([^"]+)"', html)[1]).text
            assert "ms-trigger-name" in button
            assert ("data-multisession-notice" in button) is has_notice


class TestTheRefusal:
    def test_carries_a_header_for_scripts(self, client, ada, grace):
        sign_in(client, ada)
        tab = Tab(client)
        sign_in(client, grace)
        for headers in ({}, {"HX-Request": "true"}, {"Accept": "application/json"}):
            assert tab.send("/notes/", {}, **headers)["X-Multisession"] == "wrong-account"

    def test_the_refusal_of_a_script_with_our_header_is_short_and_the_sheet_is_loaded_later(
        self, client, ada, grace
    ):
        session = sign_in(client, ada)
        tab = Tab(client)
        sign_in(client, grace)
        marked = {"X-Multisession-Page": session}
        for headers in (marked, marked | {"HX-Request": "true"}):
            response = tab.send("/notes/", {"text": "x"}, **headers)
            assert response.status_code == 409
            assert response.json()["error"] == "wrong_account"
            assert response["HX-Reswap"] == "none"
        sheet = ask(client, session, refused="1")
        assert sheet.status_code == 200
        assert sheet.text.strip().startswith("<dialog")
        assert follow_form(client, sheet, "Switch to Ada").status_code == 204
        assert whoami(client) == ada.email
        assert ask(client, session, refused="1").status_code == 204

    def test_the_refusal_of_a_form_is_discarded_by_loading_the_page_that_it_was_on(
        self, client, ada, grace
    ):
        sign_in(client, ada)
        tab = Tab(client)
        sign_in(client, grace)
        url = "http://testserver/accounts/profile/?a=1#there"
        response = tab.send("/note", {}, Referer=url)
        assert 'href="http://testserver/accounts/profile/?a=1">Discard' in response.text
        assert 'href="/">Discard' in tab.send("/note", {}, Referer="https://evil.example/").text


class TestTheScript:
    def test_the_notice_script_is_less_than_two_and_a_half_kilobytes(self, capsys):
        script = (STATIC / "notice.js").read_text()
        size = len(gzip.compress(minified(script).encode(), 9))
        with capsys.disabled():
            print(f"\nnotice.js: {size} bytes, minified and gzipped")  # noqa: T201
        assert size < 2500

    def test_the_notice_script_stores_nothing_and_never_polls(self):
        script = (STATIC / "notice.js").read_text()
        assert not re.search(r"Storage|indexedDB|document\.cookie|caches|setInterval", script)
        assert not re.search(r"htmx[.\[:]", script)


def minified(script):
    """What any minifier does: no comments, no spaces, short names. (It is only to be counted.)"""
    script = re.sub(r"/\*.*?\*/|^\s*//.*?$", "", script, flags=re.DOTALL | re.MULTILINE)
    strings = re.split(r'("[^"\n]*")', script)
    code = "\n".join(strings[::2])
    names = set(
        chain(*re.findall(r"(?:const|let) (\w+)|\((\w+)(?:,|\) =>)|, (\w+)\) (?:=>|\{)", code))
    )
    names -= {"", "this", *re.findall(r"[{,] (\w+)(?= \})", code)}
    short = [*ascii_letters, *(f"${letter}" for letter in ascii_letters)]
    assert len(names) <= len(short)
    for name, letter in zip(sorted(names), short, strict=False):
        # Not a property of something; but what is spread ("...name") is a name.
        code_name = rf"(?<![\w$])(?<!(?<!\.\.)\.){name}\b(?!:)"
        strings[::2] = [re.sub(code_name, letter, part) for part in strings[::2]]
    strings[::2] = [
        re.sub(r"\s*([^\w$\s])\s*|\s+", lambda found: found[1] or " ", part)
        for part in strings[::2]
    ]
    return "".join(strings).strip().replace(";}", "}")


def every_url():
    """Every URL of the site, with something in the place of its arguments."""

    def walk(patterns, prefix=""):
        for pattern in patterns:
            path = prefix + str(pattern.pattern).strip("^$").replace("\\Z", "")
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, path)
            elif isinstance(pattern, URLPattern):
                yield "/" + re.sub(r"<[^>]+>|\(\?P<[^>]+>[^)]*\)", "1", path)

    return sorted({url for url in walk(get_resolver().url_patterns) if not url.startswith("/(")})


class TestNoGetChangesTheActiveAccount:
    @pytest.mark.parametrize(
        "headers",
        [{}, {"Sec-Purpose": "prefetch"}, {"Sec-Purpose": "prefetch;prerender"}],
        ids=["get", "prefetch", "prerender"],
    )
    @pytest.mark.parametrize("after_sign_out", ["choose", "next"])
    def test_a_get_of_no_url_changes_the_active_account(
        self, client, ada, grace, settings, headers, after_sign_out
    ):
        settings.MULTISESSION = {**settings.MULTISESSION, "AFTER_SIGN_OUT": after_sign_out}
        for user in (ada, grace):
            user.is_staff = user.is_superuser = True
            user.save()
        adas = sign_in(client, ada)
        graces = sign_in(client, grace)
        before = client.cookies["sessionid"].value
        urls = every_url()
        assert len(urls) > 30
        for url in urls:
            for session in (adas, graces):
                client.get(url, {"session": session, "next": "/", "to": "/notes/"}, headers=headers)
        assert client.cookies["sessionid"].value == before
        assert whoami(client) == grace.email
        assert Session.objects.live().count() == 2

    def test_a_prefetch_does_not_choose_the_next_account(self, client, ada, grace, settings):
        settings.MULTISESSION = {**settings.MULTISESSION, "AFTER_SIGN_OUT": "next"}
        sign_in(client, ada)
        sign_in(client, grace)
        Session.objects.get(user=grace).revoke()
        client.get("/", headers={"Sec-Purpose": "prefetch;prerender"})
        assert client.get("/whoami", headers={"Sec-Purpose": "prefetch"}).json()["user"] is None


class TestNothingLeaksFromOneAccountToTheNext:
    @pytest.fixture
    def both(self, client, ada, grace):
        sign_in(client, ada)
        sign_in(client, grace)
        return client

    def test_a_message_waits_for_its_own_account(self, both, ada, grace):
        chooser = Tab(both, "/accounts/choose/")
        form = {"name": "Grace Brewster", "email": grace.email}
        assert Tab(both, "/accounts/profile/").send("/accounts/profile/", form).status_code == 302
        # The page that would have shown it is never loaded: Ada is chosen first.
        chooser.send("/multisession/set-active/", {"session": id_of(ada)})
        page = both.get("/").text
        assert "Now Ada Lovelace" in page
        assert "Your details have been saved" not in page
        chooser.send("/multisession/set-active/", {"session": id_of(grace)})
        assert "Your details have been saved" in both.get("/").text

    def test_what_a_page_shows_is_nobodys_to_keep(self, both):
        for url in (
            "/",
            "/whoami",
            "/accounts/profile/",
            "/accounts/choose/",
            "/accounts/sign-in/",
        ):
            response = both.get(url)
            assert {"private", "no-store"} <= set(
                response["Cache-Control"].replace(",", " ").split()
            ), url
            assert "Cookie" in response["Vary"], url
        for url in (reverse("multisession:menu"), reverse("multisession:choose")):
            response = both.get(url)
            assert "no-store" in response["Cache-Control"]
            assert {"Cookie", "HX-Request"} <= set(response["Vary"].split(", "))

    def test_signing_out_of_all_empties_the_browsers_cache(self, both):
        response = Tab(both).send("/multisession/sign-out-all/", {})
        assert response["Clear-Site-Data"] == '"cache"'
        assert response.cookies["sessionid"].value == ""

    def test_signing_out_of_one_account_does_not_empty_the_browsers_cache(self, both, ada):
        response = Tab(both).send("/multisession/sign-out/", {"session": id_of(ada)})
        assert not response.has_header("Clear-Site-Data")

    def test_htmx_keeps_no_copy_of_a_page(self, both):
        assert '"historyCacheSize":0' in both.get("/").text

    def test_what_a_visitor_wrote_goes_to_the_first_account_only(self, client, ada, grace):
        Tab(client, "/accounts/sign-in/").send("/note", {"note": "of a visitor"})
        sign_in(client, ada)
        assert client.get("/whoami").json()["note"] == "of a visitor"
        sign_in(client, grace)
        assert client.get("/whoami").json()["note"] == ""

    def test_a_language_in_the_session_is_the_accounts_own(self, both, ada, grace):
        """Where a project keeps it there. Django's own cookie is the browser's."""
        store = both.session
        store["language"] = "fr"
        store.save()
        switch(both, ada)
        assert "language" not in both.session
        switch(both, grace)
        assert both.session["language"] == "fr"

    def test_every_sign_in_says_who_is_active(self, client, ada, grace):
        sign_in(client, ada)
        assert f"You are now using {ada.email}." in Tab(client).html
        grace.is_staff = True
        grace.save()
        tab = Tab(client, "/admin/login/?next=/admin/")
        form = {"username": grace.email, "password": PASSWORD, "next": "/admin/"}
        assert tab.send("/admin/login/", form).status_code == 302
        header = re.search(r'id="user-tools">(.*?)<form', client.get("/admin/").text, re.DOTALL)
        assert header is not None
        assert grace.get_short_name() in header[1]


def switch(client, user):
    """By the form that the chooser has."""
    page = client.get("/accounts/choose/")
    assert follow_form(client, page, f"Switch to {user.name.split()[0]}").status_code == 302
    assert whoami(client) == user.email
