"""Views that set or delete the cookie, its lifetime, and other cookies of the same name."""

import logging
from http.cookies import SimpleCookie

import pytest
from django.conf import settings as django_settings
from django.contrib import auth, messages
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path

from accounts.models import User
from multisession.models import Session
from multisession.models.tokens import Token
from tests.engine_urls import BACKEND
from tests.stories import (
    COOKIE,
    NOBODY,
    Browser,
    EitherSetting,
    later,
    session_of,
    signed_in,
    silent,
    statuses,
)

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

COOKIE_AGE = 400 * 24 * 60 * 60
TWO_WEEKS = 14 * 24 * 60 * 60
NEIGHBOUR = "neighbourscookie0000000000000000"


def delete_cookie(response: HttpResponse) -> HttpResponse:
    response.delete_cookie(
        django_settings.SESSION_COOKIE_NAME,
        path=django_settings.SESSION_COOKIE_PATH,
        domain=django_settings.SESSION_COOKIE_DOMAIN,
    )
    return response


def log_out_and_delete(request: HttpRequest) -> HttpResponse:
    """As Wagtail's logout view does it."""
    auth.logout(request)
    messages.success(request, "Bye.")
    return delete_cookie(HttpResponse("out"))


def delete_only(request: HttpRequest) -> HttpResponse:
    messages.success(request, "Bye.")
    return delete_cookie(HttpResponse("out"))


def delete_every_cookie(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("out")
    for name in request.COOKIES:
        response.delete_cookie(name)
    return response


def delete_and_sign_in(request: HttpRequest, pk: int) -> HttpResponse:
    auth.login(request, User.objects.get(pk=pk), BACKEND)
    return delete_cookie(HttpResponse("in"))


def remember_me(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("remembered")
    response.set_cookie(COOKIE, request.session.session_key, max_age=60, path="/app/")
    return response


def shorten(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("remembered")
    response.set_cookie(COOKIE, request.session.session_key, max_age=60)
    return response


def another_session(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("somebody else's")
    response.set_cookie(COOKIE, NEIGHBOUR)
    return response


def delete_the_old_domain(request: HttpRequest) -> HttpResponse:
    request.session.cycle_key()
    response = HttpResponse("moved")
    response.delete_cookie(COOKIE, domain="old.example.com")
    return response


urlpatterns = [
    path("log-out-and-delete/", log_out_and_delete),
    path("delete-only/", delete_only),
    path("delete-every-cookie/", delete_every_cookie),
    path("delete-and-sign-in/<int:pk>/", delete_and_sign_in),
    path("remember-me/", remember_me),
    path("shorten/", shorten),
    path("another-session/", another_session),
    path("delete-the-old-domain/", delete_the_old_domain),
    path("", include("tests.engine_urls")),
]


def told(browser: Browser) -> list[str]:
    return browser.get("/messages/").json()["messages"]


class TestDeletedByAView(EitherSetting):
    def test_after_a_logout_the_other_accounts_stay(self, ada, grace, then):
        firefox = signed_in(grace, ada)
        assert silent(firefox.post("/log-out-and-delete/"))
        assert told(firefox) == ["Bye."]
        assert (firefox.who(), firefox.accounts()) == (then("grace"), ["grace"])
        assert statuses(ada) == ["ended"]

    def test_nothing_of_the_deletion_stays_on_a_cookie_until_the_browser_closes(
        self, ada, grace, settings
    ):
        settings.SESSION_EXPIRE_AT_BROWSER_CLOSE = True
        firefox = signed_in(grace, ada)
        cookie = firefox.post("/log-out-and-delete/").cookies[COOKIE]
        assert (cookie["max-age"], cookie["expires"]) == ("", "")
        assert cookie.value == firefox.cookie

    @pytest.mark.parametrize("url", ["/delete-only/", "/delete-every-cookie/"])
    def test_deleting_the_cookie_without_a_logout_signs_out_of_the_active_account(
        self, ada, grace, url, then
    ):
        firefox = signed_in(grace, ada)
        assert silent(firefox.post(url))
        assert statuses(ada) == ["ended"]
        assert (firefox.who(), firefox.accounts()) == (then("grace"), ["grace"])

    def test_what_was_said_is_shown_and_what_is_the_accounts_is_not(self, ada, grace):
        firefox = signed_in(grace, ada)
        firefox.put("secret")
        firefox.post("/messages/your-balance-is-low/")
        firefox.post("/delete-only/")
        assert told(firefox) == ["Bye."]
        assert firefox.page()["data"] == {}

    def test_deleting_the_cookie_while_nobody_is_active_changes_nothing(self, ada, grace):
        firefox = signed_in(grace, ada)
        firefox.sign_out()
        assert silent(firefox.post("/delete-every-cookie/"))
        assert firefox.accounts() == ["grace"]

    def test_a_sign_in_in_the_same_request_is_stronger(self, ada, grace):
        firefox = signed_in(ada)
        firefox.post(f"/delete-and-sign-in/{grace.pk}/")
        assert (firefox.who(), firefox.accounts()) == ("grace", ["ada", "grace"])

    def test_a_late_answer_deletes_no_newer_cookie(self, ada, grace):
        firefox = signed_in(ada)
        late = firefox.late()
        firefox.sign_in(grace)
        assert silent(late.post("/delete-only/"))
        assert (firefox.who(), firefox.accounts()) == ("grace", ["grace"])
        assert silent(late.post("/delete-every-cookie/"))

    def test_a_visitors_cookie_goes(self, db):
        firefox = Browser()
        firefox.put("cart")
        firefox.post("/delete-every-cookie/")
        assert (firefox.cookie, Session.objects.count()) == (None, 0)

    def test_a_view_can_delete_a_cookie_that_opens_nothing(self, db):
        firefox = Browser("0" * 32)
        firefox.post("/delete-every-cookie/")
        assert firefox.cookie is None


class TestSetByAView:
    @pytest.mark.parametrize("url", ["/shorten/", "/remember-me/"])
    def test_another_life_or_path_is_not_for_one_account_to_choose(self, ada, grace, url):
        firefox = signed_in(ada, grace)
        cookie = firefox.post(url).cookies[COOKIE]
        assert (cookie["max-age"], cookie["path"]) == (COOKIE_AGE, "/")
        assert (firefox.who(), firefox.accounts()) == ("grace", ["ada", "grace"])

    def test_a_late_answer_of_a_view_that_sets_the_cookie_brings_no_older_value_back(
        self, ada, grace
    ):
        firefox = signed_in(ada)
        late = firefox.late()
        firefox.sign_in(grace)
        assert silent(late.post("/shorten/"))

    def test_another_value_is_left_out_and_logged(self, ada, grace, caplog):
        firefox = signed_in(ada, grace)
        with caplog.at_level(logging.WARNING, logger="multisession"):
            assert silent(firefox.post("/another-session/"))
        assert firefox.accounts() == ["ada", "grace"]
        assert "was left out" in caplog.text
        assert NEIGHBOUR not in caplog.text

    def test_a_browser_without_anything_to_lose_gets_what_the_view_set(self, db):
        assert Browser().post("/another-session/").cookies[COOKIE].value == NEIGHBOUR

    def test_a_deletion_in_another_domain_is_sent_beside_ours(self, ada):
        firefox = signed_in(ada)
        sent = [morsel.OutputString() for morsel in _sent(firefox, "/delete-the-old-domain/")]
        assert len(sent) == 2
        assert any("Domain=old.example.com" in header for header in sent)
        assert firefox.who() == "ada"


def _sent(browser: Browser, url: str) -> list:
    """Every Set-Cookie of our name in the answer."""
    response = browser.post(url)
    return [morsel for morsel in response.cookies.values() if morsel.key == COOKIE]


class TestLifetime:
    def test_a_visitors_lives_as_long_as_djangos_and_half_as_long_again(self, db):
        assert Browser().put("cart").cookies[COOKIE]["max-age"] == TWO_WEEKS * 3 // 2

    def test_the_cookie_is_sent_again_before_it_is_too_old(self, db):
        firefox = Browser()
        firefox.put("cart")
        with later(days=6):
            assert silent(firefox.put("cart", "2"))
        with later(days=8):
            assert firefox.put("cart", "3").cookies[COOKIE].value == firefox.cookie
            assert silent(firefox.get("/who/"))

    def test_an_accounts_is_sent_again_in_the_second_half_of_its_life(self, ada):
        firefox = Browser()
        firefox.sign_in(ada, expiry=COOKIE_AGE)
        with later(days=199):
            assert silent(firefox.put("theirs", "1"))
        with later(days=201):
            assert firefox.put("theirs", "2").cookies[COOKIE]["max-age"] >= COOKIE_AGE

    def test_a_remembered_account_keeps_the_cookie(self, ada):
        firefox = Browser()
        assert firefox.sign_in(ada).cookies[COOKIE]["max-age"] == COOKIE_AGE
        assert silent(firefox.sign_out())

    def test_the_cookie_goes_when_the_last_account_is_forgotten(self, ada, grace):
        firefox = signed_in(ada, grace)
        sids = [firefox.id_of(ada), firefox.id_of(grace)]
        firefox.sign_out()
        assert silent(firefox.verb("forget", sids[1]))
        assert firefox.verb("forget", sids[0]).cookies[COOKIE]["max-age"] == 0
        assert firefox.cookie is None

    def test_the_cookie_becomes_a_visitors_when_the_last_account_is_forgotten(self, ada):
        firefox = signed_in(ada)
        sid = firefox.id_of(ada)
        firefox.sign_out()
        firefox.put("cart")
        cookie = firefox.verb("forget", sid).cookies[COOKIE]
        assert cookie["max-age"] == TWO_WEEKS * 3 // 2
        assert firefox.page()["data"] == {"cart": "1"}

    def test_a_message_after_signing_out_of_all_does_not_make_the_cookie_old(self, ada):
        firefox = signed_in(ada)
        response = firefox.client.post("/multisession/sign-out-all/")
        assert response.cookies[COOKIE]["max-age"] in (0, TWO_WEEKS * 3 // 2)


class TestExpirySetLater:
    def test_until_the_browser_closes_and_back(self, ada):
        firefox = signed_in(ada)
        cookie = firefox.post("/set-expiry/0/").cookies[COOKIE]
        assert (cookie.value, cookie["max-age"], cookie["expires"]) == (firefox.cookie, "", "")
        assert silent(firefox.put("theirs"))
        assert firefox.post("/set-expiry/600/").cookies[COOKIE]["max-age"] == COOKIE_AGE
        assert silent(firefox.post("/set-expiry/900/"))

    def test_longer_than_the_cookie_would_live(self, ada):
        firefox = signed_in(ada)
        cookie = firefox.post(f"/set-expiry/{2 * COOKIE_AGE}/").cookies[COOKIE]
        assert cookie["max-age"] == 2 * COOKIE_AGE

    def test_a_visitors(self, db):
        firefox = Browser()
        firefox.put("cart")
        assert firefox.post("/set-expiry/600/").cookies[COOKIE]["max-age"] == 900
        assert firefox.post("/set-expiry/0/").cookies[COOKIE]["max-age"] == ""

    def test_one_account_cannot_make_the_cookie_of_another_outlive_the_browser(self, ada, grace):
        firefox = Browser()
        firefox.sign_in(ada, expiry=0)
        firefox.sign_in(grace)
        assert silent(firefox.post("/set-expiry/600/"))
        firefox.post("/set-expiry/0/")
        assert firefox.post("/set-expiry/600/").cookies[COOKIE]["max-age"] == ""

    def test_a_late_answer_with_a_new_expiry_sends_no_cookie(self, ada, grace):
        firefox = signed_in(ada)
        late = firefox.late()
        firefox.sign_in(grace)
        assert silent(late.post("/set-expiry/0/"))


def header(*values: str) -> dict[str, str]:
    return {"cookie": "; ".join(f"{COOKIE}={value}" for value in values)}


def page(*values: str) -> str:
    return Client().get("/who/", headers=header(*values)).json()["user"]


def both_ways(one: str, other: str) -> set[str]:
    """Whose page it is, whichever of the two the browser sends first."""
    return {page(one, other), page(other, one)}


class TestTwoCookies:
    """Of the same name, as from a neighbour on the parent domain or an earlier domain or path."""

    @pytest.mark.parametrize("other", [NEIGHBOUR, "", "x", "a.b:c", "0" * 33])
    def test_of_two_cookies_ours_counts(self, ada, other):
        assert both_ways(signed_in(ada).cookie, other) == {"ada"}

    def test_a_neighbours_cookie_is_left_alone_and_not_logged(self, ada, caplog):
        firefox = signed_in(ada)
        with caplog.at_level(logging.DEBUG, logger="multisession"):
            response = Client().get("/who/", headers=header(NEIGHBOUR, firefox.cookie))
        assert silent(response)
        assert not [record for record in caplog.records if record.name == "multisession"]

    def test_the_database_is_asked_once_for_several_cookies(self, ada, django_assert_num_queries):
        cookie = signed_in(ada).cookie
        many = [f"{number:032}" for number in range(9)]
        with django_assert_num_queries(2):
            assert page(*many, cookie) == "ada"
        with django_assert_num_queries(0):
            assert page("x", "y") == NOBODY

    def test_after_the_domain_was_changed_the_newer_cookie_counts(self, ada, grace, settings):
        """The old cookie is host-only, the new one is the domain's; both are sent."""
        firefox = signed_in(ada)
        before = firefox.cookie
        settings.SESSION_COOKIE_DOMAIN = "testserver"
        firefox.sign_in(grace)
        assert both_ways(before, firefox.cookie) == {"grace"}
        assert firefox.accounts() == ["ada", "grace"]

    def test_an_answer_to_two_cookies_deletes_the_one_of_the_other_scope(
        self, ada, grace, settings, caplog
    ):
        firefox = signed_in(ada)
        before = firefox.cookie
        settings.ALLOWED_HOSTS = ["www.example.com"]
        settings.SESSION_COOKIE_DOMAIN = "example.com"
        firefox.sign_in(grace)
        headers = header(before, firefox.cookie) | {"host": "www.example.com"}
        with caplog.at_level(logging.WARNING, logger="multisession"):
            response = Client().get("/who/", headers=headers)
        sent = [morsel for morsel in response.cookies.values() if morsel.key == COOKIE]
        gone = {morsel["domain"] for morsel in sent if morsel["max-age"] == 0}
        (kept,) = [morsel for morsel in sent if morsel.value]
        assert gone == {"", "www.example.com"}
        assert (kept.value, kept["domain"]) == (firefox.cookie, "example.com")
        assert "Several cookies" in caplog.text
        assert firefox.cookie not in caplog.text

    def test_after_a_domain_was_given_up_its_cookies_are_deleted(self, ada, grace, settings):
        settings.ALLOWED_HOSTS = ["www.example.com"]
        firefox = signed_in(ada)
        before = firefox.cookie
        firefox.sign_in(grace)
        headers = header(before, firefox.cookie) | {"host": "www.example.com:8000"}
        response = Client().get("/who/", headers=headers)
        sent = [morsel for morsel in response.cookies.values() if morsel.key == COOKIE]
        gone = {morsel["domain"] for morsel in sent if morsel["max-age"] == 0}
        assert gone == {"www.example.com", "example.com"}

    def test_after_a_path_was_set_the_cookie_of_the_root_path_is_deleted(
        self, ada, grace, settings
    ):
        settings.SESSION_COOKIE_PATH = "/who/"
        firefox = signed_in(ada)
        before = firefox.cookie
        firefox.sign_in(grace)
        response = Client().get("/who/", headers=header(before, firefox.cookie))
        sent = [morsel for morsel in response.cookies.values() if morsel.key == COOKIE]
        assert [morsel["path"] for morsel in sent if morsel["max-age"] == 0] == ["/"]

    def test_a_planted_cookie_of_the_attackers_account_signs_nobody_in(self, ada, grace, caplog):
        """A subdomain has set it beside the victim's own: nobody, rather than the wrong one."""
        victim, attacker = signed_in(ada), signed_in(grace)
        with caplog.at_level(logging.WARNING, logger="multisession"):
            assert both_ways(victim.cookie, attacker.cookie) == {NOBODY}
        assert "went on with none" in caplog.text
        assert (victim.who(), attacker.who()) == ("ada", "grace")

    @pytest.mark.parametrize("planted", ["an account's", "a visitor's", "unknown"])
    def test_a_sign_in_helps_even_if_the_other_cookie_cannot_be_deleted(
        self, ada, grace, alan, planted
    ):
        victim, attacker = signed_in(ada), Browser()
        if planted == "an account's":
            attacker.sign_in(grace)
        elif planted == "a visitor's":
            attacker.put("cart")
        other = attacker.cookie or NEIGHBOUR
        answer = Client().post(f"/sign-in/{alan.pk}/", headers=header(victim.cookie, other))
        new = answer.cookies[COOKIE].value
        assert both_ways(new, other) == {"alan"}
        switching = Client()
        switching.get("/who/", headers=header(new, other))
        assert both_ways(new, other) == {"alan"}

    def test_a_cookie_planted_twice_does_not_help_the_attacker(self, ada, grace, alan):
        """The attacker's second cookie was made beside the first, but not beside the victim's."""
        victim, attacker = signed_in(ada), signed_in(grace)
        other = Browser()
        other.put("cart")
        made = Client().post(f"/sign-in/{alan.pk}/", headers=header(attacker.cookie, other.cookie))
        second = made.cookies[COOKIE].value
        assert page(second, attacker.cookie) == "alan"
        assert page(second, victim.cookie, attacker.cookie) == NOBODY

    def test_a_superseded_cookie_beside_the_current_one_is_ignored(self, ada, grace):
        firefox = signed_in(ada)
        before = firefox.cookie
        firefox.sign_in(grace)
        assert firefox.who() == "grace"
        assert both_ways(before, firefox.cookie) == {"grace"}

    def test_signing_out_of_all_is_heard(self, ada):
        firefox = signed_in(ada)
        answer = Client().post("/verb/sign_out_all/", headers=header(NEIGHBOUR, firefox.cookie))
        assert answer.cookies[COOKIE]["max-age"] == 0
        assert page(NEIGHBOUR, firefox.cookie) == NOBODY

    def test_unicode_white_space_around_the_name_is_not_ours(self, ada):
        planted = signed_in(ada).cookie
        raw = f"\u2000{COOKIE}={planted}".encode().decode("latin-1")
        assert Client().get("/who/", headers={"cookie": raw}).json()["user"] == NOBODY


class TestAdoption:
    """While a project moves, the sessions of its old engine may have a neighbour, too."""

    def test_of_two_cookies_the_one_of_the_old_engine_is_adopted(self, ada, settings):
        from django.contrib.sessions.backends.db import SessionStore as Old

        old = Old()
        old["_auth_user_id"] = str(ada.pk)
        old["_auth_user_backend"] = BACKEND
        old["_auth_user_hash"] = ada.get_session_auth_hash()
        old.save()
        settings.MULTISESSION = {"ADOPT_FROM": "django.contrib.sessions.backends.db"}
        settings.SESSION_ENGINE = "multisession.backends.adopting"
        assert page(NEIGHBOUR, old.session_key) == "ada"


def test_the_rows_of_a_visitor_go_when_the_visit_expires(db):
    from django.core.management import call_command

    from multisession.models import Client as BrowserRow

    firefox = Browser()
    firefox.put("cart")
    with later(days=13):
        call_command("clearsessions", verbosity=0)
        assert firefox.page()["data"] == {"cart": "1"}
    with later(days=15):
        call_command("clearsessions", verbosity=0)
        assert (BrowserRow.objects.count(), Session.objects.count(), Token.objects.count()) == (
            0,
            0,
            0,
        )
        firefox.put("cart")
        assert firefox.page()["data"] == {"cart": "1"}


def test_a_cookie_beside_another_is_written_as_its_own_header(ada):
    """What the tests read from the response is what the server sends."""
    firefox = signed_in(ada)
    response = firefox.post("/delete-the-old-domain/")
    lines = response.cookies.output(header="").splitlines()
    ours = [line for line in lines if line.strip().startswith(f"{COOKIE}=")]
    assert len(ours) == 2
    assert len(SimpleCookie("; ".join(line.split(";")[0] for line in ours))) == 1
    assert session_of(ada).status == "active"
