"""The demo in eight languages, and its language switch."""

from __future__ import annotations

import datetime
import re

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone
from django.utils.translation import override

from accounts.models import User
from multisession.models import Session
from multisession.pages.devices import in_words
from tests.conftest import PASSWORD

SWITCH = "/language/"
COOKIE = settings.LANGUAGE_COOKIE_NAME
LANGUAGES = [code for code, _name in settings.LANGUAGES]


def text_of(response) -> str:
    text = re.sub(r"<[^>]*>", " ", response.content.decode())
    return " ".join(text.replace("\N{NO-BREAK SPACE}", " ").split())


def html_of(response) -> tuple[str, str]:
    """The language and the direction that a page claims to have."""
    found = re.search(r'<html lang="([^"]+)" dir="([^"]+)">', response.content.decode())
    assert found
    return found[1], found[2]


def token_in(response) -> str:
    """The token of the switch on this page."""
    form = response.content.decode().partition(f'action="{SWITCH}"')[2]
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
    assert found
    return found[1]


@pytest.fixture
def browser() -> Client:
    return Client(enforce_csrf_checks=True)


def choose(browser: Client, code: str, **more: str):
    data = {"language": code, "csrfmiddlewaretoken": token_in(browser.get("/")), **more}
    return browser.post(SWITCH, data)


@pytest.mark.django_db
class TestSwitch:
    @pytest.mark.parametrize("code", LANGUAGES)
    def test_each_language_can_be_chosen_by_its_own_name(self, browser, code):
        name = dict(settings.LANGUAGES)[code]
        assert f'<option value="{code}" lang="{code}"' in browser.get("/").content.decode()
        answer = choose(browser, code, next="/accounts/sign-in/")
        assert answer["Location"] == "/accounts/sign-in/"
        page = browser.get("/accounts/sign-in/")
        assert html_of(page) == (code, "rtl" if code == "ar" else "ltr")
        assert f'lang="{code}" selected>{name}</option>' in page.content.decode()

    def test_choosing_a_language_leads_back_to_the_page_with_its_query(self, browser):
        page = browser.get("/accounts/sign-in/?next=/notes/1/&a=1").content.decode()
        assert 'name="next" value="/accounts/sign-in/?next=/notes/1/&amp;a=1"' in page

    def test_a_browser_that_asks_for_a_language_gets_it(self, browser):
        page = browser.get("/", headers={"accept-language": "pt-BR,pt;q=0.9,en;q=0.8"})
        assert html_of(page) == ("pt-br", "ltr")
        page = browser.get("/", headers={"accept-language": "zh-CN"})
        assert html_of(page) == ("zh-hans", "ltr")
        page = browser.get("/", headers={"accept-language": "tlh"})
        assert html_of(page) == ("en", "ltr")

    def test_what_was_chosen_counts_for_more_and_for_every_account(self, browser, ada, grace):
        choose(browser, "de")
        browser.force_login(ada)
        browser.force_login(grace)
        page = browser.get("/", headers={"accept-language": "ja"})
        assert "Hallo, Grace Hopper" in text_of(page)

    def test_a_visitor_who_looks_and_chooses_writes_no_row(self, browser):
        choose(browser, "de")
        browser.get("/")
        assert settings.SESSION_COOKIE_NAME not in browser.cookies
        assert not Session.objects.exists()
        cookie = browser.cookies[COOKIE]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"
        assert int(cookie["max-age"]) > 300 * 24 * 60 * 60

    def test_the_accounts_token_and_cookie_stay_as_they_are(self, browser, ada):
        browser.force_login(ada)
        key = browser.cookies[settings.SESSION_COOKIE_NAME].value
        answer = choose(browser, "fr")
        assert settings.SESSION_COOKIE_NAME not in answer.cookies
        assert browser.cookies[settings.SESSION_COOKIE_NAME].value == key
        assert browser.get("/").wsgi_request.user == ada

    def test_a_page_of_another_account_may_change_the_language_and_nothing_else(
        self, browser, ada, grace
    ):
        """The language is the browser's: nobody has to be asked as whom."""
        browser.force_login(ada)
        token = token_in(browser.get("/"))
        browser.force_login(grace)
        browser.get("/")
        data = {"language": "es", "next": "/", "csrfmiddlewaretoken": token}
        assert browser.post(SWITCH, data).status_code == 302
        assert "Hola, Grace Hopper" in text_of(browser.get("/"))
        data = {"text": "as Ada", "csrfmiddlewaretoken": token}
        assert browser.post("/notes/", data).status_code == 409

    def test_a_form_with_an_answer_is_not_thrown_away_by_it(self, browser):
        token = token_in(browser.get("/accounts/sign-in/"))
        refused = browser.post("/accounts/sign-in/", {"csrfmiddlewaretoken": token})
        assert f'action="{SWITCH}"' not in refused.content.decode()


@pytest.mark.django_db
class TestVillain:
    def test_a_link_changes_nothing(self, browser):
        answer = browser.get(SWITCH, {"language": "de", "next": "/"})
        assert COOKIE not in answer.cookies

    def test_another_site_changes_nothing(self, browser):
        assert browser.post(SWITCH, {"language": "de", "next": "/"}).status_code == 403
        assert COOKIE not in browser.cookies

    def test_nobody_is_led_off_the_site(self, browser):
        for url in ("https://evil.example/", "//evil.example", "javascript:alert(1)"):
            assert choose(browser, "de", next=url)["Location"] == "/"

    @pytest.mark.parametrize("code", ["tlh", "", "../../etc", "de\r\nSet-Cookie: a=b"])
    def test_a_language_that_there_is_not_changes_nothing(self, browser, code):
        assert choose(browser, code, next="/").status_code == 302
        assert COOKIE not in browser.cookies

    @pytest.mark.parametrize("code", ["tlh", "'\"><script>", "x" * 5000])
    def test_a_made_up_cookie_is_ignored(self, browser, code):
        browser.cookies[COOKIE] = code
        assert html_of(browser.get("/")) == ("en", "ltr")


@pytest.mark.django_db
class TestPages:
    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("de", "Diese Seite gehört zu Ada Lovelace, ada@example.com. Sie verwenden jetzt"),
            ("ja", "このページは Ada Lovelace, ada@example.com のものです。現在は Grace Hopper"),
        ],
    )
    def test_the_refusal_is_translated(self, browser, ada, grace, code, said):
        browser.force_login(ada)
        choose(browser, code)
        token = token_in(browser.get("/"))
        browser.force_login(grace)
        browser.get("/")
        page = browser.post("/notes/", {"text": "as Ada", "csrfmiddlewaretoken": token})
        assert page.status_code == 409
        assert html_of(page)[0] == code
        assert said in text_of(page)

    def test_the_error_page_500_is_translated(self, client, ada, monkeypatch):
        client.force_login(ada)
        client.cookies[COOKIE] = "ar"
        client.raise_request_exception = False
        monkeypatch.setattr("accounts.home.ScratchpadForm", None)
        page = client.get("/")
        assert page.status_code == 500
        assert html_of(page) == ("ar", "rtl")
        assert "ما زالت حساباتك مسجَّلة الدخول" in text_of(page)

    def test_programs_are_answered_in_english(self, client):
        client.cookies[COOKIE] = "de"
        answer = client.get("/v1/sessions")
        assert answer.status_code == 401
        assert answer.json()["errors"][0]["message"].isascii()

    def test_a_number_of_minutes_has_the_form_that_it_needs(self):
        with override("ar"):
            said = [render_to_string("accounts/_try_again.html", {"minutes": n}) for n in (1, 2, 3)]
        assert "دقيقة واحدة" in said[0]
        assert "دقيقتين" in said[1]
        assert "3 دقائق" in said[2]

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("en", "a.m. UTC"),
            ("de", "21. November 2026 09:05 UTC"),
            ("ja", "2026年11月21日9:05 UTC"),
            ("ar", "21 نوفمبر 2026، 9:05 ص UTC"),
            ("zh-hans", "2026年11月21日 09:05 UTC"),
        ],
    )
    def test_times_are_written_as_the_language_writes_them(self, client, ada, code, said):
        moment = datetime.datetime(2026, 11, 21, 9, 5, tzinfo=datetime.UTC)
        note = ada.notes.create(text="Buy milk")
        type(note).objects.update(created_at=moment)
        client.force_login(ada)
        client.cookies[COOKIE] = code
        page = client.get(f"/notes/{note.pk}/")
        assert said in text_of(page)
        assert 'datetime="2026-11-21T09:05:00+00:00"' in page.content.decode()


AGO = [
    ("en", {"minutes": 1}, "1 minute ago"),
    ("de", {"days": 3}, "vor 3 Tagen"),
    ("fr", {"days": 800}, "il y a 2 ans"),
    ("es", {"hours": 1}, "hace 1 hora"),
    ("pt-br", {"days": 40}, "há 1 mês"),
    ("ja", {"days": 14}, "2 週間前"),
    ("zh-hans", {"minutes": 59}, "59 分钟前"),
    ("ar", {"hours": 1}, "قبل ساعة"),
    ("ar", {"hours": 2}, "قبل ساعتين"),
    ("ar", {"hours": 5}, "قبل 5 ساعات"),
    ("ar", {"minutes": 11}, "قبل 11 دقيقة"),
]


@pytest.mark.parametrize(("code", "before", "said"), AGO)
def test_how_long_ago(code, before, said):
    with override(code):
        text = in_words(timezone.now() - datetime.timedelta(**before))
    assert text.replace("\N{NO-BREAK SPACE}", " ") == said


@pytest.mark.django_db
def test_the_admin_is_translated(client):
    client.force_login(User.objects.create_superuser("root@example.com", PASSWORD))
    client.cookies[COOKIE] = "fr"
    page = text_of(client.get("/admin/multisession/session/"))
    assert "1 session" in page
    assert "Révoquer toutes celles qui correspondent…" not in page  # nothing is filtered
    assert "Tout révoquer…" in page
