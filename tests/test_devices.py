"""Devices: the page, its buttons, and what they must not do."""

import re

import pytest
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from multisession import passwords, signals
from multisession.ground import browsers
from multisession.models import Event, Session
from multisession.pages.browsers import browser_name
from multisession.pages.places import place_of
from tests.conftest import PASSWORD
from tests.stories import (
    NOBODY,
    Browser,
    later,
    listening,
    session_of,
    signed_in,
    statuses,
    with_engine_urls,
)

pytestmark = with_engine_urls

PAGE = "/multisession/sessions/"
SIGN_OUT = "/multisession/sessions/sign-out/"
SIGN_OUT_OTHERS = "/multisession/sessions/sign-out-others/"
HTMX = {"HX-Request": "true"}

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:131.0) Gecko/20100101 Firefox/131.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)


def on(user_agent: str, *users: User, **options) -> Browser:
    return signed_in(*users, headers={"user-agent": user_agent}, **options)


@pytest.fixture
def chrome(ada) -> Browser:
    """The browser at hand."""
    return on(CHROME, ada)


@pytest.fixture
def iphone(ada) -> Browser:
    """Ada's other browser."""
    return on(IPHONE, ada)


def text_of(browser: Browser, path: str = PAGE) -> str:
    response = browser.get(path)
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).split())


def token_in(page: str) -> str:
    return re.search('name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]


def without_tokens(response) -> str:
    """The page but for what is random in it every time."""
    return re.sub('value="[A-Za-z0-9]{64}"|ms-button-[0-9a-f]+', "", response.content.decode())


def cost(browser: Browser, method: str, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        getattr(browser, method)(path)
    return len(queries)


class TestPage:
    def test_this_browser_comes_first_then_the_others_the_last_used_first(self, ada):
        with later(hours=-30):
            on(FIREFOX, ada)
        with later(hours=-3):
            on(IPHONE, ada)
        text = text_of(on(CHROME, ada))
        text = text.replace("\N{NO-BREAK SPACE}", " ")
        places = ["Chrome on Linux", "This browser", "Safari on iOS", "active 3 hours ago"]
        places += ["Firefox on Windows", "active 1 day ago"]
        found = [text.index(place) for place in places]
        assert found == sorted(found)
        assert "127.0.0.1" in text

    def test_the_exact_time_is_one_hover_away(self, ada, chrome):
        with later(days=-1):
            on(FIREFOX, ada)
        page = chrome.get(PAGE).content.decode()
        moment = Session.objects.filter(user=ada).earliest("last_active_at").last_active_at
        assert f'datetime="{moment.strftime("%Y-%m-%dT%H:%M")}' in page
        assert re.search(r'<time [^>]*title="[^"]+ UTC"', page)

    def test_other_accounts_of_this_browser_are_named_but_not_their_other_browsers(
        self, ada, grace, iphone
    ):
        firefox = on(FIREFOX, grace)
        text = text_of(on(CHROME, grace, ada))
        assert "Also signed in on this browser" in text
        assert "Grace Hopper" in text
        assert "Firefox" not in text
        assert firefox.who() == "grace"

    def test_the_page_for_one_browser_offers_no_sign_out_elsewhere(self, chrome):
        text = text_of(chrome)
        assert "This account isn't signed in anywhere else." in text
        assert "Sign out of all other browsers" not in text

    def test_ended_and_expired_sessions_are_not_on_the_page(self, ada, chrome):
        for status in ("ended", "revoked"):
            on(FIREFOX, ada)
            Session.objects.filter(pk=session_of(ada).pk).update(status=status)
        on(FIREFOX, ada)
        Session.objects.filter(pk=session_of(ada).pk).update(expire_at="2000-01-01T00:00Z")
        assert "Firefox" not in text_of(chrome)

    def test_a_session_from_before_a_password_change_is_not_on_the_page(self, ada, chrome, iphone):
        chrome.post("/change-password/")
        assert "Safari" not in text_of(chrome)

    def test_without_an_active_account_the_page_leads_to_the_sign_in_page_and_back(self, client):
        response = client.get(PAGE)
        assert response.status_code == 302
        assert response["Location"] == "/accounts/sign-in/?next=/accounts/sessions/"

    def test_no_cache_keeps_the_page(self, chrome):
        response = chrome.get(PAGE)
        assert "no-store" in response["Cache-Control"]
        assert "private" in response["Cache-Control"]
        assert {"Cookie", "HX-Request"} <= set(response["Vary"].split(", "))

    def test_it_costs_the_same_for_many_browsers(self, ada, chrome):
        on(FIREFOX, ada)
        one = cost(chrome, "get", PAGE)
        for _ in range(5):
            on(FIREFOX, ada)
        assert cost(chrome, "get", PAGE) == one <= 5

    def test_the_demo_has_the_page_at_its_own_address_and_links_there(self, ada, client):
        client.force_login(ada)
        page = reverse("accounts:sessions")
        assert page == "/accounts/sessions/"
        assert client.get(page).status_code == 200
        for path in ("/accounts/profile/", "/accounts/choose/"):
            assert f'href="{page}"' in client.get(path).content.decode()


def no_place(address: str) -> str:
    raise LookupError(address)


def place(address: str) -> str | None:
    return {"203.0.113.9": "Paris,\n<b>France</b>", "203.0.113.8": "x" * 500}.get(address)


class TestPlace:
    @pytest.fixture(autouse=True)
    def _places(self, settings):
        ours = {**settings.MULTISESSION, "PLACE_OF": f"{__name__}.place"}
        settings.MULTISESSION = ours

    def test_the_place_of_an_address_stands_before_it(self, ada, chrome):
        on(FIREFOX, ada, REMOTE_ADDR="203.0.113.9")
        page = " ".join(chrome.get(PAGE).content.decode().split())
        assert "Paris, &lt;b&gt;France&lt;/b&gt;</bdi> · <bdi>203.0.113.9" in page

    def test_an_unknown_place_and_an_endless_one_break_nothing(self, ada, chrome):
        on(FIREFOX, ada, REMOTE_ADDR="203.0.113.8")
        text = text_of(chrome)
        assert "x" * 60 + " ·" in text
        assert "127.0.0.1" in text

    def test_it_costs_no_query(self, ada, chrome, settings):
        on(FIREFOX, ada, REMOTE_ADDR="203.0.113.9")
        with_places = cost(chrome, "get", PAGE)
        settings.MULTISESSION = {**settings.MULTISESSION, "PLACE_OF": None}
        assert cost(chrome, "get", PAGE) == with_places

    @pytest.mark.parametrize("wrong", [f"{__name__}.no_place", "shop.no_such_module.place_of"])
    def test_a_function_that_fails_is_logged_and_the_address_is_shown(
        self, ada, chrome, settings, caplog, wrong
    ):
        settings.MULTISESSION = {**settings.MULTISESSION, "PLACE_OF": wrong}
        assert "127.0.0.1" in text_of(chrome)
        [record] = [row for row in caplog.records if row.name == "multisession"]
        assert (record.levelname, record.getMessage()) == ("WARNING", f"{wrong} failed.")

    def test_where_no_address_is_kept_no_place_is_asked_for(self, ada, settings):
        settings.MULTISESSION = {
            **settings.MULTISESSION,
            "PLACE_OF": f"{__name__}.no_place",
            "KEEP_ADDRESSES": False,
        }
        assert "This browser" in text_of(on(CHROME, ada, REMOTE_ADDR="203.0.113.9"))
        assert place_of("") == place_of(None) == ""

    def test_the_admin_s_lists_and_pages_name_it_too(self, ada, client):
        User.objects.filter(pk=ada.pk).update(is_staff=True, is_superuser=True)
        client.force_login(ada)
        on(FIREFOX, ada, REMOTE_ADDR="203.0.113.9")
        session = session_of(ada)
        event = Event.objects.get(session_id=session.public_id)
        for model, pk in (("session", session.pk), ("event", event.pk)):
            base = f"/admin/multisession/{model}/"
            for url in (base, f"{base}{pk}/change/"):
                response = client.get(url)
                assert "(Paris, &lt;b&gt;France&lt;/b&gt;)" in response.content.decode(), url


class TestKindOfDevice:
    @pytest.mark.parametrize(
        ("user_agent", "kind"),
        [
            (CHROME, "computer"),
            (FIREFOX, "computer"),
            (IPHONE, "phone"),
            ("Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/130.0 Mobile Safari/537.36", "phone"),
            ("Mozilla/5.0 (Linux; Android 14; SM-X710) Chrome/130.0 Safari/537.36", "tablet"),
            ("Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) Mobile/15E148 Safari", "tablet"),
            ("Mozilla/5.0 (Android 14; Tablet; rv:131.0) Gecko/131.0 Firefox/131.0", "tablet"),
            ("curl/8.5.0", "program"),
            ("python-requests/2.32 Linux", "program"),
            ("Mozilla/5.0", ""),
            ("", ""),
        ],
    )
    def test_the_picture_follows_the_user_agent(self, user_agent, kind):
        assert browsers.device_kind(user_agent) == kind

    def test_the_page_says_the_kind_to_those_who_don_t_see_the_picture(self, ada, chrome, iphone):
        text = text_of(chrome)
        assert "Computer: Chrome on Linux" in text
        assert "Phone: Safari on iOS" in text


class TestSameDevice:
    def test_browsers_of_one_system_and_address_stand_together(self, ada, chrome):
        for browser in (FIREFOX, FIREFOX.replace("Firefox", "Edg"), FIREFOX):
            on(browser, ada, REMOTE_ADDR="203.0.113.9")
        text = text_of(chrome)
        assert text.count("203.0.113.9") == text.count("Computer · Windows") == 1
        assert text.count("on Windows signed") + text.count("on Windows active") == 3
        assert chrome.get(PAGE).content.decode().count("ms-same-device") == 1

    def test_another_address_or_system_is_another_device(self, ada, chrome):
        on(FIREFOX, ada, REMOTE_ADDR="203.0.113.9")
        on(FIREFOX, ada, REMOTE_ADDR="203.0.113.10")
        on(CHROME, ada, REMOTE_ADDR="203.0.113.9")
        assert "ms-same-device" not in chrome.get(PAGE).content.decode()

    def test_what_is_not_known_is_not_the_same(self, ada, settings):
        settings.MULTISESSION = {**settings.MULTISESSION, "KEEP_USER_AGENTS": False}
        for _ in range(2):
            on(FIREFOX, ada, REMOTE_ADDR="203.0.113.9")
        assert "ms-same-device" not in on(CHROME, ada).get(PAGE).content.decode()

    def test_each_browser_of_a_device_can_be_signed_out(self, ada, chrome):
        first, second = (on(FIREFOX, ada, REMOTE_ADDR="203.0.113.9") for _ in range(2))
        chrome.post(SIGN_OUT, {"session": session_of(ada).public_id})
        assert (first.who(), second.who()) == ("ada", NOBODY)


class TestSignOutOfOne:
    def test_signing_out_another_browser_revokes_its_session(self, ada, chrome, iphone):
        response = chrome.post(SIGN_OUT, {"session": session_of(ada).public_id})
        assert response.status_code == 302
        assert response["Location"] == "/accounts/sessions/"
        assert (iphone.who(), chrome.who()) == (NOBODY, "ada")
        assert statuses(ada) == ["active", "revoked"]
        assert "Signed out of Safari on iOS." in text_of(chrome)

    def test_signing_out_this_browser_is_an_ordinary_sign_out(self, ada, iphone):
        chrome = on(CHROME, ada)
        response = chrome.post(SIGN_OUT, {"session": session_of(ada).public_id})
        assert response["Location"] == "/accounts/choose/"
        assert (chrome.who(), iphone.who()) == (NOBODY, "ada")
        assert statuses(ada) == ["active", "ended"]

    def test_with_htmx_the_list_alone_comes_back(self, ada, chrome, iphone):
        form = {"session": session_of(ada).public_id}
        response = chrome.client.post(SIGN_OUT, form, headers=HTMX)
        page = response.content.decode()
        assert response.status_code == 200
        assert "<html" not in page
        assert 'role="status"' in page
        assert "Signed out of Safari on iOS." in page

    def test_with_htmx_one_s_own_sign_out_is_a_page_load(self, ada, chrome):
        form = {"session": session_of(ada).public_id}
        response = chrome.client.post(SIGN_OUT, form, headers=HTMX)
        assert response["HX-Redirect"] == "/accounts/choose/"

    def test_reading_signs_nobody_out(self, ada, chrome, iphone):
        assert chrome.get(SIGN_OUT, {"session": session_of(ada).public_id}).status_code == 405
        assert chrome.get(SIGN_OUT_OTHERS).status_code == 405
        assert iphone.who() == "ada"


class TestSignOutOfOthers:
    def confirm(self, browser: Browser, password: str = PASSWORD, **headers):
        form = {"password": password}
        return browser.client.post(SIGN_OUT_OTHERS, form, headers=headers or None)

    def test_signing_out_all_others_asks_for_the_password_first(self, chrome, iphone):
        page = chrome.post(SIGN_OUT_OTHERS).content.decode()
        assert 'autocomplete="current-password"' in page
        assert "ada@example.com" in page
        assert iphone.who() == "ada"

    def test_with_the_password_every_other_browser_is_signed_out(self, ada, chrome, iphone):
        firefox = on(FIREFOX, ada)
        response = self.confirm(chrome)
        assert response["Location"] == "/accounts/sessions/"
        assert (firefox.who(), iphone.who(), chrome.who()) == (NOBODY, NOBODY, "ada")
        assert sorted(statuses(ada)) == ["active", "revoked", "revoked"]
        assert "Signed out of 2 other browsers." in text_of(chrome)

    def test_any_number_of_browsers_is_signed_out_a_batch_at_a_time(
        self, ada, chrome, iphone, monkeypatch
    ):
        monkeypatch.setattr("multisession.actions.BATCH", 2)
        others = [on(FIREFOX, ada) for _ in range(4)]
        self.confirm(chrome)
        assert {other.who() for other in others} == {NOBODY}
        assert "Signed out of 5 other browsers." in text_of(chrome)

    @pytest.mark.django_db(transaction=True)
    def test_atomic_requests_do_not_hold_the_locks_of_all_batches(self, ada, monkeypatch):
        monkeypatch.setattr("multisession.actions.BATCH", 2)
        monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
        chrome, _others = on(CHROME, ada), [on(FIREFOX, ada) for _ in range(4)]
        left = []

        def receive(session, **kwargs):
            left.append(statuses(ada).count("active"))

        with listening(signals.session_ended, receive):
            self.confirm(chrome)
        assert left == [3, 3, 1, 1]  # Each batch was committed before the next one began.

    def test_other_accounts_are_left_alone_here_and_there(self, ada, grace):
        elsewhere = on(IPHONE, ada, grace)
        chrome = on(CHROME, grace, ada)
        self.confirm(chrome)
        assert elsewhere.accounts() == ["grace"]
        assert chrome.accounts() == ["ada", "grace"]

    def test_the_password_is_not_asked_again_for_ten_minutes(self, ada, chrome, iphone):
        self.confirm(chrome)
        firefox = on(FIREFOX, ada)
        with later(minutes=9):
            assert chrome.post(SIGN_OUT_OTHERS).status_code == 302
            assert firefox.who() == NOBODY
        again = on(FIREFOX, ada)
        with later(minutes=11):
            assert chrome.post(SIGN_OUT_OTHERS).status_code == 200
            assert again.who() == "ada"

    @pytest.mark.parametrize("password", ["", "wrong", "\x00", "x" * 5000])
    def test_a_wrong_password_changes_nothing_and_says_so(self, chrome, iphone, password):
        response = self.confirm(chrome, password)
        assert response.status_code == 422
        assert "Wrong password." in response.content.decode()
        assert iphone.who() == "ada"

    def test_with_htmx_the_question_and_the_answer_take_the_list_s_place(self, chrome, iphone):
        for password, expected in (("wrong", "Wrong password"), (PASSWORD, "1 other browser.")):
            response = self.confirm(chrome, password, **HTMX)
            page = response.content.decode()
            assert response.status_code == 200
            assert "<html" not in page
            assert "autofocus" not in page
            assert expected in page
        assert iphone.who() == NOBODY

    def test_a_user_without_a_password_is_not_asked_for_it(self, ada, chrome, iphone):
        ada.set_unusable_password()
        User.objects.filter(pk=ada.pk).update(password=ada.password)
        chrome, firefox = on(CHROME, ada), on(FIREFOX, ada)
        assert chrome.post(SIGN_OUT_OTHERS).status_code == 302
        assert (chrome.who(), firefox.who()) == ("ada", NOBODY)

    def test_it_costs_the_same_for_many_browsers(self, ada, chrome):
        self.confirm(chrome)
        on(FIREFOX, ada)
        one = cost(chrome, "post", SIGN_OUT_OTHERS)
        for _ in range(5):
            on(FIREFOX, ada)
        assert cost(chrome, "post", SIGN_OUT_OTHERS) == one


class TestPasswordChange:
    def test_the_profile_offers_to_sign_out_elsewhere_after_a_password_change_without_asking_again(
        self, ada
    ):
        client = Client()
        client.force_login(ada)
        assert "Sign out everywhere else" not in client.get("/accounts/profile/").content.decode()
        new = "a quite different phrase"
        form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
        response = client.post("/accounts/profile/password/", form, follow=True)
        assert "Sign out everywhere else" in response.content.decode()
        ada.refresh_from_db()
        firefox = on(FIREFOX, ada)
        response = client.post(SIGN_OUT_OTHERS, {"next": "/accounts/profile/"})
        assert response["Location"] == "/accounts/profile/"
        assert firefox.who() == NOBODY


class TestVillain:
    @pytest.mark.parametrize(
        "session_id", ["", "sess_none", "sess_\x00", "' OR 1=1 --", "sess_" + "a" * 10_000, "ä"]
    )
    def test_guessed_ids_do_not_exist(self, ada, chrome, iphone, session_id):
        assert chrome.post(SIGN_OUT, {"session": session_id}).status_code == 404
        assert statuses(ada) == ["active", "active"]

    def test_another_user_s_session_does_not_exist(self, chrome, grace):
        firefox = on(FIREFOX, grace)
        theirs = chrome.post(SIGN_OUT, {"session": session_of(grace).public_id})
        random = chrome.post(SIGN_OUT, {"session": "sess_" + "a" * 27})
        assert theirs.status_code == random.status_code == 404
        assert without_tokens(theirs) == without_tokens(random)
        assert firefox.who() == "grace"

    def test_the_session_of_another_account_of_this_browser_cannot_be_ended_here(self, ada, grace):
        chrome = on(CHROME, grace, ada)
        assert chrome.post(SIGN_OUT, {"session": session_of(grace).public_id}).status_code == 404
        assert chrome.accounts() == ["ada", "grace"]

    def test_a_session_that_has_ended_cannot_be_ended_again(self, ada, chrome, iphone):
        session_of(ada).end()
        assert chrome.post(SIGN_OUT, {"session": session_of(ada).public_id}).status_code == 404
        assert statuses(ada) == ["active", "ended"]

    def test_with_htmx_a_stale_page_is_loaded_again(self, chrome):
        response = chrome.client.post(SIGN_OUT, {"session": "sess_none"}, headers=HTMX)
        assert (response.status_code, response["HX-Redirect"]) == (404, "/accounts/sessions/")

    def test_a_page_of_ada_signs_grace_out_of_nothing(self, ada, grace):
        """Another tab has switched meanwhile: what arrives is refused, not done as Grace."""
        elsewhere = on(IPHONE, grace)
        chrome = signed_in(grace, ada)
        form = {"csrfmiddlewaretoken": token_in(chrome.get(PAGE).content.decode())}
        form["password"] = PASSWORD
        chrome.switch(grace)
        response = chrome.post(SIGN_OUT_OTHERS, form)
        assert response.status_code == 409
        assert elsewhere.who() == "grace"
        assert statuses(ada)[-1] == "active"

    def test_a_page_of_another_site_does_nothing(self, ada, chrome, iphone):
        forger = Client(enforce_csrf_checks=True)
        forger.cookies["sessionid"] = chrome.cookie
        for path in (SIGN_OUT, SIGN_OUT_OTHERS):
            form = {"session": session_of(ada).public_id, "password": PASSWORD}
            assert forger.post(path, form).status_code == 403
        assert statuses(ada) == ["active", "active"]

    def test_the_password_of_another_account_is_not_this_one_s(self, ada, grace, iphone):
        """Whoever sits at a shared browser knows one password, not all."""
        User.objects.filter(pk=grace.pk).update(password="!")
        grace.set_password("only Grace knows")
        grace.save()
        chrome = on(CHROME, grace, ada)
        form = {"password": "only Grace knows", "username": "grace@example.com"}
        assert chrome.post(SIGN_OUT_OTHERS, form).status_code == 422
        assert iphone.who() == "ada"

    def test_a_password_typed_for_one_account_is_not_fresh_for_another(self, ada, grace):
        chrome, elsewhere = on(CHROME, grace, ada), on(IPHONE, grace)
        assert chrome.post(SIGN_OUT_OTHERS, {"password": PASSWORD}).status_code == 302
        chrome.switch(grace)
        assert chrome.post(SIGN_OUT_OTHERS).status_code == 200  # the question
        assert elsewhere.who() == "grace"

    def test_a_password_typed_before_a_sign_out_is_not_fresh_after_it(self, ada, chrome):
        chrome.post(SIGN_OUT_OTHERS, {"password": PASSWORD})
        chrome.sign_out()
        chrome.sign_in(ada)
        iphone = on(IPHONE, ada)
        assert chrome.post(SIGN_OUT_OTHERS).status_code == 200
        assert iphone.who() == "ada"

    def test_a_time_in_the_future_is_not_fresh(self, rf, ada):
        request = rf.get("/")
        request.user, request.session = ada, {passwords.KEY: 10**12}
        assert passwords.is_needed(request)

    def test_guessing_the_password_is_throttled(self, ada, chrome, settings):
        settings.AXES_ENABLED = True
        client = Client()
        client.cookies["sessionid"] = chrome.cookie
        guesses = [client.post(SIGN_OUT_OTHERS, {"password": f"guess {n}"}) for n in range(7)]
        assert [guess.status_code for guess in guesses][-1] == 429
        late = client.post(SIGN_OUT_OTHERS, {"password": PASSWORD})
        assert late.status_code == 429

    def test_the_page_sends_nobody_to_another_site(self, chrome, iphone):
        form = {"password": PASSWORD, "next": "https://evil.example/"}
        assert chrome.post(SIGN_OUT_OTHERS, form)["Location"] == "/accounts/sessions/"

    def test_a_browser_that_calls_itself_markup_is_shown_as_text(self, ada, chrome):
        on("<script>alert(1)</script>/1 \u202e" + "x" * 7000, ada)
        page = chrome.get(PAGE).content.decode()
        assert "<script>alert" not in page
        assert "\u202e" not in page

    def test_the_page_holds_no_secret(self, ada, chrome, iphone):
        page = chrome.get(PAGE).content.decode()
        assert chrome.cookie not in page
        assert iphone.cookie not in page
        assert "client_" not in page


class TestBrowserNames:
    @pytest.fixture(params=["ua-parser", "fallback"], autouse=True)
    def parser(self, request, monkeypatch):
        if request.param == "fallback":
            monkeypatch.setattr(browsers, "_parser", lambda: None)
        else:
            pytest.importorskip("ua_parser")
        browsers._read.cache_clear()
        yield
        browsers._read.cache_clear()

    @pytest.mark.parametrize(
        ("user_agent", "expected"),
        [
            (CHROME, "Chrome on Linux"),
            (FIREFOX, "Firefox on Windows"),
            (IPHONE, "Safari on iOS"),
            ("curl/8.5.0", "curl"),
            ("", "Unknown browser"),
            ("Firefox on Linux", "Firefox on Linux"),
        ],
    )
    def test_browser_names_are_those_that_people_know(self, user_agent, expected):
        assert browser_name(user_agent) == expected

    @pytest.mark.parametrize(
        "user_agent", ["\x00\x1b[31m", "\u202e" * 9, "a" * 10**6, "/" * 300, "(((((", "🦊/1"]
    )
    def test_nonsense_is_tidied_and_short(self, user_agent):
        name = browser_name(user_agent)
        assert 0 < len(name) < 100
        assert name.isprintable()
