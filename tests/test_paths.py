"""Accounts side by side: /u/N/ is the site as account N of this browser."""

import json
import re
import threading
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest
from asgiref.sync import async_to_sync
from django.contrib.staticfiles import finders
from django.core.cache import cache
from django.core.checks import run_checks
from django.http import HttpResponse, HttpResponseRedirect, StreamingHttpResponse, parse_cookie
from django.middleware.csrf import get_token
from django.template import engines
from django.test import AsyncClient, Client
from django.urls import include, path, re_path, reverse, set_script_prefix
from django.utils import timezone

from accounts.models import User
from multisession.backends.db import SessionStore
from multisession.ground import colours
from multisession.models import Session
from multisession.models.clients import clients_changed
from multisession.models.tokens import SETTLING, Token
from multisession.paths import AccountPathASGI, share_url
from tests import engine_urls
from tests.engine_urls import name_of
from tests.stories import NOBODY, session_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


def stream(request):
    return StreamingHttpResponse(f"{reverse('stream')} " for _ in range(2))


def whose(request):
    page = (
        "{% load multisession %}<title>{% tab_title %}Notes</title>{% tab_icon %}{% user_button %}"
    )
    return HttpResponse(engines["django"].from_string(page).render({}, request))


def email(request):
    text = '{% load multisession %}{% url "email" as here %}{% share_url here %}'
    return HttpResponse(engines["django"].from_string(text).render())


def hard_coded(request):
    return HttpResponseRedirect("/who/")


def elsewhere(request):
    return HttpResponseRedirect("https://example.com/who/")


def form(request):
    if request.method == "POST":
        request.session["sent"] = name_of(request.user)
    return HttpResponse(f'value="{get_token(request)}" sent={request.session.get("sent", "")}')


def located(request):
    return HttpResponse(headers={"HX-Location": '{"path": "/who/", "target": "#here"}'})


def by_htmx(request):
    return HttpResponse(headers={"HX-Redirect": "/who/", "HX-Push-Url": "false"})


urlpatterns = [
    path("stream/", stream, name="stream"),
    path("hard-coded/", hard_coded),
    path("elsewhere/", elsewhere),
    path("whose/", whose),
    path("email/", email, name="email"),
    path("located/", located),
    path("form/", form),
    path("by-htmx/", by_htmx),
    *engine_urls.urlpatterns,
]


@pytest.fixture(autouse=True)
def account_paths(settings):
    settings.MULTISESSION = {**settings.MULTISESSION, "ACCOUNT_PATHS": True}


@pytest.fixture
def client(ada, grace) -> Client:
    """Ada is account 1 and Grace account 2, who is the active one."""
    client = Client()
    for user in (ada, grace):
        client.post(f"/sign-in/{user.pk}/")
    return client


def who(client, prefix=""):
    return client.get(f"{prefix}/who/").json()["user"]


def settle(client):
    """Let the browser have stored its cookie: a minute later it is presented again."""
    Token.objects.update(created_at=timezone.now() - 2 * SETTLING)
    client.get("/who/")


class TestTabs:
    def test_each_tab_is_its_own_account(self, client):
        assert [who(client, prefix) for prefix in ("/u/1", "/u/2", "/u/1", "")] == [
            "ada",
            "grace",
            "ada",
            "grace",
        ]

    def test_each_tab_writes_to_its_own_session(self, client):
        client.post("/u/1/put/color/blue/")
        client.post("/u/2/put/color/red/")
        told = [client.get(f"/u/{n}/who/").json()["data"]["color"] for n in (1, 2)]
        assert told == ["blue", "red"]

    def test_a_coroutine_is_as_the_tab_says(self, ada, grace, client):
        browser = AsyncClient()
        browser.cookies = client.cookies
        for number, name in ((1, "ada"), (2, "grace")):
            answer = async_to_sync(browser.get)(f"/u/{number}/async/who/")
            assert answer.json()["user"] == name

    def test_urls_stay_in_the_tab(self, client):
        assert client.get("/u/1/stream/").getvalue().decode() == "/u/1/stream/ /u/1/stream/ "
        assert client.get("/u/1/hard-coded/")["Location"] == "/u/1/who/"
        assert client.get("/u/1/by-htmx/")["HX-Redirect"] == "/u/1/who/"
        assert client.get("/u/1/by-htmx/")["HX-Push-Url"] == "false"
        located = client.get("/u/1/located/")["HX-Location"]
        assert located == '{"path": "/u/1/who/", "target": "#here"}'
        assert client.get("/u/1/elsewhere/")["Location"] == "https://example.com/who/"
        assert client.get("/hard-coded/")["Location"] == "/who/"
        assert client.get("/stream/").getvalue().decode() == "/stream/ /stream/ "

    def test_the_admin_stays_in_the_tab(self, client, ada):
        ada.is_staff = ada.is_superuser = True
        ada.save()
        assert client.get("/u/1/admin")["Location"] == "/u/1/admin/"
        page = client.get("/u/1/admin/").content.decode()
        assert 'href="/u/1/admin/multisession/session/"' in page
        offered = client.get("/u/2/admin/")  # Grace may not open it, but Ada may.
        assert offered.status_code == 403
        assert 'href="/u/1/admin/"' in offered.text

    def test_a_page_of_any_account_costs_one_statement(self, client, django_assert_num_queries):
        settle(client)
        for prefix in ("", "/u/1", "/u/2"):
            with django_assert_num_queries(1):
                client.get(f"{prefix}/who/")

    def test_a_minute_after_a_sign_in_the_other_tab_costs_one_more(
        self, client, alan, django_assert_num_queries
    ):
        client.post(f"/sign-in/{alan.pk}/")
        client.get("/who/")
        with django_assert_num_queries(2):  # may this cookie see what the one before it added?
            client.get("/u/2/who/")

    def test_a_cookie_from_before_a_sign_in_does_not_see_that_account(self, ada, grace):
        browser = Client()
        browser.post(f"/sign-in/{ada.pk}/")
        old = browser.cookies["sessionid"].value
        browser.post(f"/sign-in/{grace.pk}/")
        villain = Client()
        villain.cookies["sessionid"] = old
        assert [who(villain, prefix) for prefix in ("/u/1", "")] == ["ada", "ada"]
        assert villain.get("/u/2/who/")["Location"] == "/who/"


class TestComingAndGoing:
    def test_a_sign_in_goes_on_as_the_new_account(self, client, alan):
        answer = client.post(f"/u/1/sign-in/{alan.pk}/?next=/who/")
        assert session_of(alan).number == 3
        assert who(client, "/u/1") == "ada"
        assert who(client, "/u/3") == who(client) == "alan"
        assert answer.status_code in (200, 302)

    def test_adding_an_account_leaves_the_tab_as_it_is(self, client, alan):
        added = client.post("/u/1/multisession/add-account/", {"next": "/u/1/who/"})
        assert added["Location"] == "/u/0/accounts/sign-in/?next=/u/1/who/"
        assert client.get(added["Location"]).status_code == 200
        alan.set_password("x")
        alan.save()
        form = {"username": alan.email, "password": "x", "next": "/u/1/who/"}
        assert client.post("/u/0/accounts/sign-in/", form)["Location"] == "/u/3/who/"
        assert [who(client, f"/u/{n}") for n in (1, 2, 3)] == ["ada", "grace", "alan"]

    @pytest.mark.parametrize("number", [1, 2])
    def test_stepping_aside_in_a_tab_changes_no_other_page(self, client, number):
        """By a view of the project: ours opens the tab of nobody, which is number 0."""
        answer = client.post(f"/u/{number}/verb/step_aside/")
        assert answer.json()["user"] == NOBODY
        assert who(client) == "grace"
        assert [who(client, f"/u/{n}") for n in (0, 1, 2)] == [NOBODY, "ada", "grace"]

    def test_nobody_is_active_at_number_0(self, client):
        assert who(client, "/u/0") == NOBODY
        assert Client().get("/u/0/who/").json()["user"] == NOBODY

    @pytest.mark.parametrize("prefix", ["/u/0", "/u/1"])
    def test_what_is_kept_before_a_sign_in_is_for_nobody_else(self, client, ada, alan, prefix):
        client.post("/u/1/sign-out/")
        client.post(f"{prefix}/put/step/one/")
        told = [client.get(f"{tab}/who/").json() for tab in ("/u/0", "/u/1", "/u/2", "")]
        kept = {"user": NOBODY, "data": {"step": "one"}}
        assert told == [kept, kept, *[{"user": "grace", "data": {}}] * 2]
        assert client.get("/u/7/who/")["Location"] == "/who/"
        another = Client()
        another.post(f"/sign-in/{alan.pk}/")
        assert another.get("/u/0/who/").json() == {"user": NOBODY, "data": {}}
        client.post(f"{prefix}/sign-in/{ada.pk}/")  # Django's login() takes it over.
        assert client.get("/u/1/who/").json() == {"user": "ada", "data": {"step": "one"}}
        assert client.get("/u/0/who/").json() == {"user": NOBODY, "data": {}}
        assert not Session.objects.visitors().exists()

    @pytest.mark.parametrize("prefix", ["", "/u/1", "/u/2"])
    def test_signing_in_again_gives_the_old_number(self, prefix, client, ada):
        client.post("/u/1/sign-out/")
        client.post(f"{prefix}/sign-in/{ada.pk}/")
        assert who(client, "/u/1") == "ada"
        assert who(client, "/u/2") == "grace"

    def test_an_expired_account_s_tab_stays_its_own(self, client, ada):
        Session.objects.filter(user=ada).update(expire_at=session_of(ada).created_at)
        assert who(client, "/u/1") == NOBODY
        assert who(client) == "grace"

    def test_the_tab_of_a_removed_account_is_the_active_account_s(self, client, ada):
        client.post("/verb/forget/", {"session": session_of(ada).public_id})
        assert client.get("/u/1/who/")["Location"] == "/who/"

    def test_sign_out_of_all_in_one_tab_ends_every_tab(self, client):
        client.post("/u/1/verb/sign_out_all/")
        assert client.get("/u/1/who/")["Location"] == "/who/"
        assert client.get("/u/2/who/")["Location"] == "/who/"
        assert who(client) == NOBODY

    def test_a_sign_out_in_one_tab_leaves_the_other(self, client, ada):
        client.post("/u/1/sign-out/")
        assert session_of(ada).status == "ended"
        assert who(client, "/u/2") == who(client) == "grace"
        assert who(client, "/u/1") == NOBODY

    def test_the_account_of_pages_without_a_number_may_be_deleted_meanwhile(self, client, grace):
        Session.objects.filter(user=grace).delete()
        assert client.post("/u/1/put/color/blue/").status_code == 200
        assert client.post("/u/1/sign-out/").status_code == 200
        assert [who(client, prefix) for prefix in ("/u/1", "")] == [NOBODY, NOBODY]

    def test_a_form_of_an_account_that_is_gone_is_refused(self, ada, grace):
        client = Client(enforce_csrf_checks=True)
        client.force_login(ada)
        page = client.get("/u/1/form/").content.decode()
        token = re.search('value="([A-Za-z0-9]{64})"', page)[1]
        client.force_login(grace)
        Session.objects.filter(user=ada).close(Session.Status.REVOKED)
        answer = client.post("/u/1/form/", {"csrfmiddlewaretoken": token})
        assert answer.status_code == 409

    def test_a_number_that_never_was_is_the_same_page_without_it(self, client):
        assert client.get("/u/7/who/")["Location"] == "/who/"
        assert Client().get("/u/1/who/")["Location"] == "/who/"

    def test_a_forged_path_leads_to_no_other_site(self, client):
        answer = client.get("/u/7//example.com/who/")
        assert answer.status_code == 404 or answer["Location"] == "/%2Fexample.com/who/"

    def test_htmx_is_told_so_in_its_own_way(self, client):
        answer = client.get("/u/7/who/", headers={"HX-Request": "true"})
        assert answer["HX-Redirect"] == "/who/"

    def test_inertia_loads_the_whole_page(self, client):
        answer = client.get("/u/7/who/", headers={"X-Inertia": "true"})
        assert (answer.status_code, answer["X-Inertia-Location"]) == (409, "/who/")

    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec-Fetch-Mode": "cors"},
            {"Sec-Fetch-Mode": "no-cors"},  # a picture
            {"X-Requested-With": "XMLHttpRequest"},
            {"Accept": "application/json"},
            {"HX-Request": "true", "X-Multisession-Background": "true"},
        ],
    )
    def test_a_script_of_a_tab_that_is_gone_gets_nothing_of_another_account(
        self, client, ada, headers
    ):
        client.post("/verb/forget/", {"session": session_of(ada).public_id})
        assert client.get("/u/1/who/", headers=headers).json() == {"user": NOBODY, "data": {}}
        assert client.get("/u/1/who/")["Location"] == "/who/"

    @pytest.mark.parametrize("prefix", ["/u/01", "/u/-1", "/u/1x", "/u/9999999999", "/u/"])
    def test_what_is_no_number_is_a_path_of_the_site(self, client, prefix):
        assert client.get(f"{prefix}/who/").status_code == 404

    def test_another_browser_has_its_own_numbers(self, client, alan):
        other = Client()
        other.post(f"/sign-in/{alan.pk}/")
        assert who(other, "/u/1") == "alan"
        assert who(client, "/u/1") == "ada"


class TestAlways:
    @pytest.fixture(autouse=True)
    def always(self, account_paths, settings):
        settings.MULTISESSION = {**settings.MULTISESSION, "ACCOUNT_PATHS": "always"}

    def test_a_page_of_the_active_account_goes_to_its_prefix(self, client):
        assert client.get("/who/?a=b")["Location"] == "/u/2/who/?a=b"
        assert who(client, "/u/1") == "ada"

    def test_scripts_posts_and_visitors_stay_where_they_are(self, client):
        fetched = client.get("/who/", headers={"Sec-Fetch-Mode": "cors"})
        assert fetched.json()["user"] == "grace"
        assert client.post("/put/a/b/").status_code == 200
        assert Client().get("/who/").json()["user"] == NOBODY


class TestSharing:
    @pytest.mark.parametrize(
        ("url", "shared"),
        [
            ("/u/1/who/?a=b#c", "/who/?a=b#c"),
            ("/u/1", ""),
            ("/who/", "/who/"),
            ("http://testserver/u/3/who/", "http://testserver/who/"),
            ("https://example.com/u/3/who/", "https://example.com/u/3/who/"),
            ("http://TESTSERVER/u/3/who/", "http://TESTSERVER/who/"),
            ("/u/3//example.com/", "/%2Fexample.com/"),
        ],
    )
    def test_a_shared_url_has_no_number(self, rf, url, shared):
        assert share_url(rf.get("/u/1/"), url) == shared

    def test_a_link_in_an_email_has_no_number(self, client):
        """Its template has no request."""
        for prefix in ("/u/1", ""):
            assert client.get(f"{prefix}/email/").content.decode() == "/email/"
        assert share_url(None, "https://example.com/u/3/who/") == "https://example.com/u/3/who/"

    def test_a_site_below_a_path_keeps_that(self, client):
        set_script_prefix("/site/")  # as Django's handlers do
        try:
            answer = client.get("/u/1/stream/", SCRIPT_NAME="/site")
            assert answer.getvalue().decode() == "/site/u/1/stream/ /site/u/1/stream/ "
            unknown = client.get("/u/7/who/", SCRIPT_NAME="/site", PATH_INFO="/u/7/who/")
            assert unknown["Location"] == "/site/who/"
        finally:
            set_script_prefix("/")


class TestWebsockets:
    def test_a_socket_below_a_prefix_is_the_account_s(self, client, ada, grace):
        seen = []

        async def application(scope, receive, send):
            cookies = SimpleCookie(dict(scope["headers"])[b"cookie"].decode())
            store = SessionStore(cookies["sessionid"].value)
            user = await store.aget("_auth_user_id")
            seen.append((scope["path"], scope.get("account_number"), user))

        cookie = f"a=b; sessionid={client.cookies['sessionid'].value}; xsessionid=1"
        for root in ("", "/app"):
            for path_ in ("/u/1/ws/", "/u/2/ws/", "/ws/", "/u/7/ws/"):
                scope = {"type": "websocket", "path": root + path_, "root_path": root}
                scope["headers"] = [(b"cookie", cookie.encode())]
                async_to_sync(AccountPathASGI(application))(scope, None, None)
            assert seen == [
                (f"{root}/ws/", 1, str(ada.pk)),
                (f"{root}/ws/", 2, str(grace.pk)),
                (f"{root}/ws/", None, str(grace.pk)),
                (f"{root}/ws/", 7, None),
            ]
            seen.clear()

    @pytest.mark.parametrize("cookie", ["sessionid={}.2", 'sessionid="{}"', "sessionid ={} "])
    def test_a_cookie_in_another_form_opens_no_other_account(self, client, ada, cookie):
        seen = []

        async def application(scope, receive, send):
            cookies = parse_cookie(dict(scope["headers"])[b"cookie"].decode())
            seen.append(await SessionStore(cookies["sessionid"]).aget("_auth_user_id"))

        sent = cookie.format(client.cookies["sessionid"].value)
        scope = {"type": "websocket", "path": "/u/1/ws/", "headers": [(b"cookie", sent.encode())]}
        async_to_sync(AccountPathASGI(application))(scope, None, None)
        assert seen[0] in (None, str(ada.pk))


class TestMenu:
    def test_the_other_accounts_are_links_to_this_page(self, client, ada):
        headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/u/2/notes/?q=1"}
        menu = client.get("/u/2/multisession/menu/", headers=headers).content.decode()
        assert 'href="/u/1/notes/?q=1"' in menu
        assert 'action="/u/2/multisession/sign-out/"' in menu

    def test_without_the_setting_they_are_buttons(self, client, settings):
        settings.MULTISESSION = {**settings.MULTISESSION, "ACCOUNT_PATHS": False}
        menu = client.get("/multisession/menu/").content.decode()
        assert "/u/" not in menu

    def test_the_tab_says_whose_it_is(self, client, rf):
        page = client.get("/u/1/whose/").content.decode()
        assert "<title>Ada Lovelace · Notes</title>" in page
        icon = re.search('<link rel="icon" type="image/svg\\+xml" href="([^"]+)">', page)[1]
        assert icon.startswith("/u/1/multisession/icon.svg?")
        drawn = client.get(icon)
        assert drawn["Content-Type"] == "image/svg+xml"
        assert ">AL</text>" in drawn.content.decode()
        assert re.search(r'class="ms-user-button ms-bottom-end ms-tab ms-hue-\d+"', page)

    def test_a_page_without_a_number_says_nothing_more_than_before(self, client):
        page = client.get("/whose/").content.decode()
        assert "<title>Notes</title>" in page
        assert "icon.svg" not in page
        assert "ms-tab" not in page

    def test_nobody_has_no_icon(self):
        assert Client().get("/multisession/icon.svg").status_code == 204

    def test_the_icon_s_colours_are_the_stylesheet_s(self):
        css = finders.find("multisession/user_button.css")
        told = re.findall(r"--ms-hue: (#\w+);", Path(css).read_text())
        assert tuple(told) == colours.COLOURS


def found(id_):
    return [each for each in run_checks() if each.id == id_]


class TestChecks:
    @pytest.mark.parametrize(
        ("middleware", "wrong"), [("first", False), ("last", True), ("missing", True)]
    )
    def test_the_middleware_has_to_be_first(self, middleware, wrong, settings):
        [paths, *rest] = settings.MIDDLEWARE
        settings.MIDDLEWARE = {
            "first": [paths, *rest],
            "last": [*rest, paths],
            "missing": rest,
        }[middleware]
        assert bool(found("multisession.E005")) == wrong

    @pytest.mark.parametrize("first", [True, False])
    def test_another_middleware_before_it_sees_the_prefix(self, first, settings):
        [paths, security, *rest] = settings.MIDDLEWARE
        settings.MIDDLEWARE = [paths, security, *rest] if first else [security, paths, *rest]
        assert bool(found("multisession.W018")) != first

    @pytest.mark.parametrize(
        ("cookie", "path_", "script", "wrong"),
        [
            ("SESSION_COOKIE_PATH", "/", None, False),
            ("SESSION_COOKIE_PATH", "/shop/", None, True),
            ("CSRF_COOKIE_PATH", "/shop", None, True),
            ("LANGUAGE_COOKIE_PATH", "/shop", None, True),
            ("CSRF_COOKIE_PATH", "/shop", "/shop/", False),
            ("CSRF_COOKIE_PATH", "/u/1/", "/shop/", True),
        ],
    )
    def test_a_cookie_has_to_reach_every_tab(self, settings, cookie, path_, script, wrong):
        setattr(settings, cookie, path_)
        settings.FORCE_SCRIPT_NAME = script
        told = found("multisession.W019")
        assert [each.msg.split()[0] for each in told] == ([cookie] if wrong else [])
        settings.MULTISESSION = {**settings.MULTISESSION, "ACCOUNT_PATHS": False}
        assert found("multisession.W019") == []

    @pytest.mark.parametrize(
        ("pattern", "hidden"),
        [
            (path("u/<int:pk>/", hard_coded), True),
            (path("u/<slug:name>", hard_coded), True),
            (path("u/", include([path("<int:pk>/", hard_coded)])), True),
            (re_path(r"^u/(\d+)/$", hard_coded), True),
            (path("u/me/", hard_coded), False),
            (path("<path:anything>", hard_coded), False),
            (path("users/<int:pk>/", hard_coded), False),
        ],
    )
    def test_a_page_of_the_project_below_u_is_hidden(self, settings, pattern, hidden):
        settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [pattern, *urlpatterns]})
        assert bool(found("multisession.W020")) == hidden
        settings.MULTISESSION = {**settings.MULTISESSION, "ACCOUNT_PATHS": False}
        assert found("multisession.W020") == []

    def test_without_the_setting_the_middleware_does_nothing(self, settings, client):
        settings.MULTISESSION = {**settings.MULTISESSION, "ACCOUNT_PATHS": False}
        assert Client().get("/u/1/who/").status_code == 404

    def test_another_value_of_the_setting_is_an_error(self, settings):
        settings.MULTISESSION = {**settings.MULTISESSION, "ACCOUNT_PATHS": "sometimes"}
        assert "multisession.E004" in {each.id for each in run_checks()}


class TestCache:
    @pytest.fixture(autouse=True)
    def cached(self, settings):
        settings.SESSION_ENGINE = "multisession.backends.cached_db"
        cache.clear()

    def test_the_cache_answers_for_no_other_account(self, client):
        for _ in range(3):
            told = [who(client, prefix) for prefix in ("/u/1", "/u/2", "", "/u/1")]
            assert told == ["ada", "grace", "grace", "ada"]
        client.post("/u/1/sign-out/")
        assert [who(client, prefix) for prefix in ("/u/1", "/u/2")] == [NOBODY, "grace"]

    def test_each_tab_is_answered_from_the_cache(self, client, django_assert_num_queries):
        settle(client)
        cache.clear()  # of the tombstones
        prefixes = ("", "/u/1", "/u/2")
        for prefix in prefixes:
            client.get(f"{prefix}/who/")
        for prefix in prefixes:
            with django_assert_num_queries(1) as captured:
                client.get(f"{prefix}/who/")
            assert "multisession_token" not in captured[0]["sql"]

    @pytest.mark.parametrize("change", ["revoke", "sign out of all", "sign in again", "expire"])
    def test_a_change_reaches_the_entry_of_every_tab(self, change, client, ada, grace):
        settle(client)
        cache.clear()
        assert [who(client, f"/u/{n}") for n in (1, 2, 1, 2)] == ["ada", "grace"] * 2
        session = session_of(ada)
        if change == "revoke":
            session.revoke()
        elif change == "sign out of all":
            client.post("/verb/sign_out_all/")
        elif change == "sign in again":
            client.post("/u/1/sign-out/")
            assert who(client, "/u/1") == NOBODY
            client.post(f"/u/1/sign-in/{ada.pk}/")
            assert who(client, "/u/1") == "ada"
            assert session_of(ada).pk != session.pk
            session_of(ada).revoke()
        else:
            session.expire_at = timezone.now()
            session.save()
            clients_changed([session.client_id], None)
        told = client.get("/u/1/who/")
        assert told.status_code == 302 or told.json()["user"] == NOBODY

    def test_an_account_beyond_the_first_nine_is_read_from_the_database(self, client, grace):
        Session.objects.filter(user=grace).update(number=10)
        for _ in range(2):
            assert [who(client, prefix) for prefix in ("/u/10", "/u/1")] == ["grace", "ada"]


class Jar:
    """The cookies of one browser, whose tabs send and receive side by side."""

    def __init__(self, url: str) -> None:
        self._url, self._cookies, self._lock = url, {}, threading.Lock()

    def open(self, path: str, form: dict[str, str] | None = None) -> tuple[int, str]:
        with self._lock:
            cookie = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        body = None if form is None else urlencode(form)
        connection = HTTPConnection(self._url.removeprefix("http://"), timeout=60)
        headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("GET" if form is None else "POST", path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        with self._lock:
            for sent in answer.headers.get_all("Set-Cookie", []):
                for name, morsel in SimpleCookie(sent).items():
                    self._cookies[name] = morsel.value
        connection.close()
        return answer.status, text

    def token(self, prefix: str) -> str:
        return re.search('value="([^"]+)"', self.open(f"{prefix}/form/")[1])[1]


@pytest.mark.django_db(transaction=True)
def test_three_tabs_and_a_fourth_account_that_comes_and_goes_never_mix(
    live_server, ada, grace, alan
):
    jar = Jar(live_server.url)
    mary = User.objects.create_user("mary@example.com")
    for user in (ada, grace, alan):
        jar.open(f"/sign-in/{user.pk}/", {"csrfmiddlewaretoken": jar.token("")})
    seen: list[tuple[str, int, str]] = []
    over = threading.Event()

    def tab(name: str, prefix: str) -> None:
        token = jar.token(prefix)
        while not over.is_set():
            status, text = jar.open(f"{prefix}/who/")
            seen.append((name, status, json.loads(text)["user"] if status == 200 else text))
            status, text = jar.open(f"{prefix}/form/", {"csrfmiddlewaretoken": token})
            sent = re.search("sent=(\\w*)", text)
            seen.append((name, status, sent[1] if sent else text))

    names = ("ada", "grace", "alan")
    tabs = [
        threading.Thread(target=tab, args=(name, f"/u/{number}"))
        for number, name in enumerate(names, 1)
    ]
    for thread in tabs:
        thread.start()
    for _ in range(8):
        jar.open(f"/sign-in/{mary.pk}/", {"csrfmiddlewaretoken": jar.token("")})
        jar.open("/u/4/sign-out/", {"csrfmiddlewaretoken": jar.token("/u/4")})
    over.set()
    for thread in tabs:
        thread.join()
    assert {name for name, _status, _who in seen} == set(names)
    assert [each for each in seen if each[1:] != (200, each[0])] == []
