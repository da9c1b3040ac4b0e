"""Never act as the wrong account: a form drawn for one account is not executed as another."""

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import Note, User
from multisession.models import Client as Browser
from multisession.models import Session
from multisession.models.tokens import Token

from .conftest import PASSWORD

pytestmark = pytest.mark.django_db

HOME = "/"
NOTES = "/notes/"


class Forms(HTMLParser):
    """The forms of a page: where each goes and what it would send."""

    def __init__(self, html):
        super().__init__()
        self.forms = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self.forms.append((attrs.get("action") or "", {}))
        if tag == "input" and self.forms and attrs.get("name"):
            self.forms[-1][1].setdefault(attrs["name"], []).append(attrs.get("value") or "")


class Tab:
    """A tab of a browser: it sends what its page says, however old the page is."""

    def __init__(self, client, url=HOME):
        self.client, self.url = client, url
        self.html = client.get(url).content.decode()

    @property
    def token(self):
        return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.html)[1]

    def send(self, url, data, **headers):
        body = {**data, "csrfmiddlewaretoken": self.token}
        return self.client.post(
            url, body, headers={"Referer": f"http://testserver{self.url}", **headers}
        )


def follow_form(client, response, words):
    """Press the button with these words on a page: a browser's POST, redirects of 307 included."""
    html = response.content.decode()
    forms = re.findall(r"<form.*?</form>", html, re.DOTALL)
    form = next(form for form in forms if words in unescape(re.sub(r"<[^>]+>", " ", form)))
    ((action, fields),) = Forms(form).forms
    origin = {"Origin": "http://testserver"}
    answer = client.post(unescape(action), fields, headers=origin)
    while answer.status_code == 307:
        answer = client.post(answer["Location"], fields, headers=origin)
    return answer


@pytest.fixture
def client():
    """A browser whose forms need their tokens."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def sign_in(client):
    def sign_in(user, password=PASSWORD):
        tab = Tab(client, "/accounts/sign-in/")
        response = tab.send("/accounts/sign-in/", {"username": user.email, "password": password})
        assert response.status_code == 302, response.content.decode()[:2000]
        client.get("/whoami")

    return sign_in


def whoami(client):
    return client.get("/whoami").json()["user"]


def switch_to(client, user):
    tab = Tab(client, "/accounts/choose/")
    session = Session.objects.get(user=user, status="active")
    assert tab.send("/multisession/set-active/", {"session": session.public_id}).status_code == 302
    assert whoami(client) == user.email


class TestAPageOfAnotherAccount:
    @pytest.fixture
    def adas_tab(self, client, sign_in, ada, grace):
        """Ada's page is open; Grace is active by now."""
        sign_in(ada)
        tab = Tab(client)
        sign_in(grace)
        assert whoami(client) == grace.email
        return tab

    def test_a_form_of_another_account_is_not_executed_and_the_answer_names_the_account(
        self, adas_tab, ada, grace
    ):
        response = adas_tab.send(NOTES, {"text": "from Ada's page"})
        assert response.status_code == 409
        assert Note.objects.count() == 0
        text = unescape(re.sub(r"\s+", " ", response.content.decode()))
        assert f"This page belongs to {ada.name}" in text
        assert f"You are now using {grace.name}" in text
        assert "no-store" in response["Cache-Control"]

    def test_a_refused_form_can_be_sent_as_its_own_account_once(self, adas_tab, client, ada):
        refused = adas_tab.send(NOTES, {"text": "from Ada's page\nin two lines"})
        sent = follow_form(client, refused, "Switch to Ada")
        assert sent.status_code == 302
        note = Note.objects.get()
        assert (note.user, note.text.split()) == (
            ada,
            ["from", "Ada's", "page", "in", "two", "lines"],
        )
        assert whoami(client) == ada.email

    def test_a_refused_form_can_be_discarded(self, adas_tab, client, grace):
        refused = adas_tab.send(NOTES, {"text": "x"}).content.decode()
        link = re.search(r'<a class="ms-button" href="([^"]+)">\s*Discard', refused)[1]
        assert link == "http://testserver/"
        assert whoami(client) == grace.email
        assert Note.objects.count() == 0

    def test_a_refused_form_is_good_again_after_switching_back(self, adas_tab, client, ada):
        switch_to(client, ada)
        assert adas_tab.send(NOTES, {"text": "mine"}).status_code == 302
        assert Note.objects.get().user == ada

    def test_a_refused_htmx_request_gets_a_partial_on_top_of_what_one_sees(self, adas_tab):
        response = adas_tab.send(NOTES, {"text": "x"}, **{"HX-Request": "true"})
        assert response.status_code == 409
        assert (response["HX-Retarget"], response["HX-Reswap"]) == ("body", "afterbegin")
        html = response.content.decode()
        assert "<html" not in html
        assert "Switch to Ada" in html

    def test_a_request_of_another_account_with_the_token_in_a_header_is_refused(
        self, adas_tab, client
    ):
        response = client.post(
            NOTES, {"text": "x"}, headers={"X-CSRFToken": adas_tab.token, "HX-Request": "true"}
        )
        assert response.status_code == 409
        assert Note.objects.count() == 0

    def test_a_script_that_talks_json_is_answered_in_json(self, adas_tab, client, ada, grace):
        response = client.post(
            NOTES,
            {"text": "x"},
            content_type="application/json",
            headers={"X-CSRFToken": adas_tab.token},
        )
        assert response.status_code == 409
        active = Session.objects.get(user=grace).public_id
        page = Session.objects.get(user=ada).public_id
        assert response.json() | {"detail": ""} == {
            "error": "wrong_account",
            "detail": "",
            "page_session": page,
            "active_session": active,
        }

    def test_a_script_that_read_the_newer_cookie_is_known_by_its_page(self, adas_tab, client, ada):
        """What the cookie says belongs to the browser; the header says whose page it was."""
        client.get("/")
        newest = client.cookies["csrftoken"].value
        page = Session.objects.get(user=ada).public_id
        response = client.post(
            NOTES, {"text": "x"}, headers={"X-CSRFToken": newest, "X-Multisession-Page": page}
        )
        assert response.status_code == 409
        assert Note.objects.count() == 0

    def test_files_have_to_be_chosen_again(self, adas_tab, client):
        from django.core.files.uploadedfile import SimpleUploadedFile

        upload = SimpleUploadedFile("a.txt", b"x")
        refused = adas_tab.send(NOTES, {"text": "x", "file": upload})
        html = refused.content.decode()
        assert refused.status_code == 409
        assert "Choose them again" in html
        assert "and send" not in html
        assert follow_form(client, refused, "Switch to Ada").status_code == 302

    def test_a_password_is_not_written_into_the_answer(self, adas_tab):
        response = adas_tab.send("/accounts/profile/password/", {"old_password": "hunter2hunter2"})
        assert response.status_code == 409
        assert "hunter2hunter2" not in response.content.decode()

    def test_what_was_typed_comes_back_as_text_and_not_as_markup(self, adas_tab):
        html = adas_tab.send(NOTES, {"text": '"><script>alert(1)</script>'}).content.decode()
        assert "<script>alert" not in html


class TestAPageOfAnAccountThatSignedOut:
    def test_a_refused_form_of_a_signed_out_account_offers_to_sign_in_and_then_to_send(
        self, client, sign_in, ada
    ):
        sign_in(ada)
        tab = Tab(client)
        active = Session.objects.get()
        Tab(client).send("/multisession/sign-out/", {"session": active.public_id})
        refused = tab.send(NOTES, {"text": "kept"})
        assert refused.status_code == 409
        assert "No account is active" in refused.content.decode()
        again = follow_form(client, refused, "Send as Ada")
        assert again.status_code == 409
        assert "is not signed in yet" in again.content.decode()
        sign_in(ada)
        assert follow_form(client, again, "Send as Ada").status_code == 302
        assert [note.text for note in Note.objects.all()] == ["kept"]

    def test_a_form_is_refused_when_the_browser_forgot_everybody(self, client, sign_in, ada, grace):
        sign_in(ada)
        tab = Tab(client)
        Tab(client).send("/multisession/sign-out-all/", {})
        assert tab.send("/note", {"note": "x"}).status_code == 409
        sign_in(grace)
        assert tab.send(NOTES, {"text": "x"}).status_code == 409
        assert Note.objects.count() == 0

    def test_a_page_of_a_signed_out_account_does_not_stand_in_the_way_of_a_sign_in(
        self, client, sign_in, ada
    ):
        """The account died by itself; its secret is still in the browser's CSRF cookie."""
        sign_in(ada)
        Tab(client)
        Session.objects.get().revoke()
        sign_in(ada)
        assert whoami(client) == ada.email

    def test_a_page_is_of_the_same_account_after_signing_in_again(self, client, sign_in, ada):
        sign_in(ada)
        tab = Tab(client)
        Tab(client).send("/multisession/sign-out/", {"session": Session.objects.get().public_id})
        sign_in(ada)
        assert tab.send(NOTES, {"text": "mine"}).status_code == 302


class TestOrdinaryLife:
    def test_the_forms_of_an_account_survive_every_switch(self, client, sign_in, ada, grace, alan):
        sign_in(ada)
        adas = Tab(client)
        sign_in(grace)
        graces = Tab(client)
        sign_in(alan)
        for user, tab in [(ada, adas), (grace, graces), (ada, adas)]:
            switch_to(client, user)
            assert tab.send(NOTES, {"text": f"of {user.name}"}).status_code == 302
        assert sorted(Note.objects.values_list("user__name", "text")) == [
            (ada.name, f"of {ada.name}"),
            (ada.name, f"of {ada.name}"),
            (grace.name, f"of {grace.name}"),
        ]

    def test_switching_needs_no_page_of_the_active_account(self, client, sign_in, ada, grace):
        sign_in(ada)
        tab = Tab(client, "/accounts/choose/")
        sign_in(grace)
        session = Session.objects.get(user=ada)
        response = tab.send("/multisession/set-active/", {"session": session.public_id})
        assert response.status_code == 302
        assert whoami(client) == ada.email

    def test_adding_an_account_needs_no_page_of_the_active_one(
        self, client, sign_in, ada, grace, alan
    ):
        sign_in(ada)
        tab = Tab(client, "/accounts/sign-in/")
        sign_in(grace)
        form = {"username": alan.email, "password": PASSWORD}
        assert tab.send("/accounts/sign-in/", form).status_code == 302
        assert whoami(client) == alan.email

    def test_a_visitor_who_looks_writes_no_row(self, client):
        for url in (HOME, "/accounts/sign-in/", "/accounts/sign-up/", "/accounts/choose/"):
            client.get(url)
        assert Session.objects.count() == Browser.objects.count() == Token.objects.count() == 0

    def test_a_page_that_needs_no_account_asks_for_none(
        self, client, sign_in, ada, django_assert_num_queries
    ):
        sign_in(ada)
        Tab(client)
        with django_assert_num_queries(0):
            client.get("/favicon.ico")

    def test_a_changed_secret_key_keeps_open_pages_good(self, client, sign_in, ada, settings):
        sign_in(ada)
        tab = Tab(client)
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another key altogether"
        assert tab.send(NOTES, {"text": "x"}).status_code == 302

    def test_a_script_may_send_the_value_of_the_cookie(self, client, sign_in, ada):
        sign_in(ada)
        Tab(client)
        value = client.cookies["csrftoken"].value
        assert client.post(NOTES, {"text": "x"}, headers={"X-CSRFToken": value}).status_code == 302

    def test_csrf_in_the_session_is_each_accounts_own(self, client, sign_in, ada, grace, settings):
        settings.CSRF_USE_SESSIONS = True
        sign_in(ada)
        tab = Tab(client)
        sign_in(grace)
        refused = tab.send(NOTES, {"text": "x"})
        assert refused.status_code == 409
        assert follow_form(client, refused, "Switch to Ada").status_code == 302
        switch_to(client, grace)
        switch_to(client, ada)
        assert tab.send(NOTES, {"text": "x"}).status_code == 302
        assert Note.objects.filter(user=ada).count() == 2


class TestVillains:
    def test_a_form_without_a_token_is_refused(self, client, sign_in, ada):
        sign_in(ada)
        assert client.post(NOTES, {"text": "x"}).status_code == 403

    def test_another_browsers_page_is_no_page_of_this_one(self, client, sign_in, ada, grace):
        other = Client(enforce_csrf_checks=True)
        tab = Tab(other, "/accounts/sign-in/")
        tab.send("/accounts/sign-in/", {"username": ada.email, "password": PASSWORD})
        token = Tab(other).token
        sign_in(ada)
        response = client.post(NOTES, {"text": "x", "csrfmiddlewaretoken": token})
        assert response.status_code == 409
        assert Note.objects.count() == 0


#: Sign-in pages, and the language: who is active does not matter to them.
OF_ANY_PAGE = ("/accounts/sign-in/", "/admin/login/", "/language/")


def unsafe_urls():
    """Every URL of the site, with something in the place of its arguments."""

    def walk(patterns, prefix=""):
        for pattern in patterns:
            path = prefix + str(pattern.pattern).strip("^$").replace("\\Z", "")
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, path)
            elif isinstance(pattern, URLPattern):
                yield pattern.callback, "/" + re.sub(r"<[^>]+>|\(\?P<[^>]+>[^)]*\)", "1", path)

    return sorted(
        {
            url
            for view, url in walk(get_resolver().url_patterns)
            if not getattr(view, "any_account", False)
            and not getattr(view, "csrf_exempt", False)
            and not url.startswith("/(")
        }
    )


def test_no_url_of_the_site_writes_as_the_wrong_account(client, sign_in, ada, grace):
    """Each unsafe request there is, from a page of the wrong account."""
    for user in (ada, grace):
        user.is_staff = user.is_superuser = True
        user.save()
    sign_in(ada)
    tab = Tab(client)
    sign_in(grace)
    Note.objects.create(pk=1, user=grace, text="hers")
    urls = unsafe_urls()
    assert len(urls) > 25
    for url in urls:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            response = tab.send(url, {"text": "x", "action": "delete_selected", "post": "yes"})
        expected = (200, 302) if url in OF_ANY_PAGE else (409, 404)
        assert response.status_code in expected, url
        writes = [
            query["sql"]
            for query in queries
            if re.match(r"(INSERT|UPDATE|DELETE)", query["sql"])
            and "multisession" not in query["sql"]
        ]
        assert writes == [], url
    assert Note.objects.get().text == "hers"
    assert User.objects.count() == 2
    assert Permission.objects.exists()
    assert whoami(client) == grace.email
