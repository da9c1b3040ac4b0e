"""Accounts side by side (``/u/N/``) with Django's own parts: admin, languages, caches."""

import re

import pytest
from asgiref.sync import async_to_sync
from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin, auth
from django.core.cache import cache
from django.core.handlers.wsgi import get_script_name
from django.db import connection
from django.http import HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.template import engines
from django.test import AsyncClient, Client
from django.test.client import ClientHandler
from django.urls import get_script_prefix, path, reverse, set_script_prefix
from django.views.decorators.cache import cache_page
from django.views.decorators.vary import vary_on_cookie
from django.views.i18n import set_language

from accounts.models import Note, User
from multisession.models import Session
from tests import engine_urls
from tests.conftest import PASSWORD
from tests.engine_urls import name_of
from tests.stories import NOBODY

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


def page(request):
    """A page in the language of its URL, with links of each kind."""
    text = (
        "{% load i18n static %}{% get_current_language as now %}{{ now }} {{ user.email }} "
        '{% url "page" %} {% static "a.css" %} {% csrf_token %}'
    )
    return HttpResponse(engines["django"].from_string(text).render({}, request))


def to(request):
    return HttpResponseRedirect(request.GET["url"])


def by_htmx(request):
    return HttpResponse(headers={"HX-Location": request.GET["url"]})


def sign_in_here(request, pk):
    auth.login(request, User.objects.get(pk=pk), backend=engine_urls.BACKEND)
    return HttpResponseRedirect("?done")


def my_language(request):
    """A project's own view around Django's."""
    return set_language(request)


async def astream(request):
    async def parts():
        for _ in range(2):
            yield f"{reverse('astream')} "

    return StreamingHttpResponse(parts())


def site_cached(request):
    return HttpResponse(f"{name_of(request.user)} {reverse('cached')} {get_script_prefix()}")


@cache_page(60)
@vary_on_cookie
def cached(request):
    return site_cached(request)


def unlucky(request):
    """Writes, and fails after it."""
    Note.objects.create(user=request.user, text="never")
    request.session["note"] = "never"
    request.session.save()
    raise RuntimeError("boom")


urlpatterns = [
    *i18n_patterns(path("page/", page, name="page"), prefix_default_language=True),
    path("to/", to),
    path("by-htmx/", by_htmx),
    path("my-language/", my_language),
    path("astream/", astream, name="astream"),
    path("cached/", cached, name="cached"),
    path("site-cached/", site_cached),
    path("moved/", lambda request: HttpResponse(headers={"Location": "/who/"})),
    path("unlucky/", unlucky),
    path("form/", lambda request: HttpResponse(get_token(request))),
    path("sign-in-here/<int:pk>/", sign_in_here),
    *engine_urls.urlpatterns,
]


@pytest.fixture(autouse=True)
def account_paths(settings):
    settings.MULTISESSION = {**settings.MULTISESSION, "ACCOUNT_PATHS": True}


def signed_in(client: Client, *users: User) -> Client:
    for user in users:
        client.post(f"/sign-in/{user.pk}/")
    return client


@pytest.fixture
def client(ada, grace) -> Client:
    """Ada is account 1 and Grace account 2, who is the active one."""
    return signed_in(Client(), ada, grace)


def who(client: Client, prefix: str = "") -> str:
    return client.get(f"{prefix}/who/").json()["user"]


class TestLanguages:
    @pytest.mark.parametrize("view", ["/language/", "/my-language/"])
    @pytest.mark.parametrize(
        ("next_url", "there"),
        [
            ("/u/1/en/page/?a=b#c", "/u/1/de/page/?a=b#c"),
            ("/en/page/", "/u/1/de/page/"),
            ("/u/1/who/", "/u/1/who/"),
            ("/u/2/en/page/", "/u/2/de/page/"),
            ("http://testserver/u/1/en/page/", "http://testserver/u/1/de/page/"),
            ("https://example.com/u/1/en/page/", "/u/1/"),
        ],
    )
    def test_another_language_is_the_same_page_of_the_same_tab(self, client, view, next_url, there):
        answer = client.post(f"/u/1{view}", {"language": "de", "next": next_url})
        assert answer["Location"] == there
        assert answer.cookies["django_language"].value == "de"

    def test_without_next_it_is_the_page_that_sent_the_form(self, client):
        headers = {"Referer": "http://testserver/u/1/en/page/"}
        answer = client.post("/u/1/language/", {"language": "de"}, headers=headers)
        assert answer["Location"] == "http://testserver/u/1/de/page/"
        shown = client.get("/u/1/de/page/").content.decode()
        assert shown.startswith("de ada@example.com /u/1/de/page/")

    def test_a_page_without_language_goes_to_that_of_the_tab(self, client):
        answer = client.get("/u/1/page/", headers={"Accept-Language": "de"})
        assert answer["Location"] == "/u/1/de/page/"

    def test_an_unknown_language_changes_nothing(self, client):
        answer = client.post("/u/1/language/", {"language": "xx", "next": "/u/1/en/page/"})
        assert answer["Location"] == "/u/1/en/page/"


class TestRedirects:
    @pytest.mark.parametrize(
        ("url", "there"),
        [
            ("/who/", "/u/1/who/"),
            ("http://testserver/who/?a=b#c", "http://testserver/u/1/who/?a=b#c"),
            ("//testserver/who/", "//testserver/u/1/who/"),
            ("http://TESTSERVER/who/", "http://TESTSERVER/u/1/who/"),
            ("/u/2/who/", "/u/2/who/"),
            ("?a=b", "?a=b"),
            ("../who/", "../who/"),
            ("https://example.com/who/", "https://example.com/who/"),
            ("//example.com/who/", "//example.com/who/"),
            ("http://testserver:81/who/", "http://testserver:81/who/"),
            ("/static/a.pdf", "/static/a.pdf"),
            ("/files/a.pdf", "/files/a.pdf"),
            ("http://testserver/files/a.pdf", "http://testserver/files/a.pdf"),
        ],
    )
    def test_a_redirect_stays_in_the_tab_and_on_its_host(self, client, settings, url, there):
        settings.MEDIA_URL = "/files/"
        assert client.get("/u/1/to/", {"url": url})["Location"] == there
        assert client.get("/u/1/by-htmx/", {"url": url})["HX-Location"] == there
        assert client.get("/to/", {"url": url})["Location"] == url

    def test_a_missing_slash_is_added_in_the_tab(self, client):
        assert client.get("/u/1/who?a=b")["Location"] == "/u/1/who/?a=b"
        assert client.get("/u/1/admin/auth")["Location"] == "/u/1/admin/login/?next=/u/1/admin/auth"

    def test_https_is_that_of_the_tab(self, ada, settings):
        client = signed_in(Client(), ada)
        settings.SECURE_SSL_REDIRECT = True
        again = Client()  # Its middleware reads the setting once.
        again.cookies = client.cookies
        assert again.get("/u/1/who/")["Location"] == "https://testserver/u/1/who/"

    def test_a_relative_redirect_after_a_sign_in_leads_to_the_new_account(self, client, alan):
        answer = client.post(f"/u/1/sign-in-here/{alan.pk}/")
        assert answer["Location"] == f"/u/3/sign-in-here/{alan.pk}/?done"


class TestStaticFiles:
    def test_a_relative_url_of_static_files_is_never_a_tab_s(self, ada, settings):
        settings.STATIC_URL = "static/"
        client = signed_in(Client(), ada)
        for prefix in ("/u/1", "", "/u/1"):
            assert " /static/a.css " in client.get(f"{prefix}/en/page/").content.decode()


class TestAdmin:
    @pytest.fixture
    def client(self, ada, grace):
        """Ada, who is an administrator, is account 1; Grace, who is none, is the active one."""
        ada.is_staff = ada.is_superuser = True
        ada.save()
        return signed_in(Client(), ada, grace)

    def test_the_login_page_leads_back_to_the_page(self, client, alan):
        alan.is_staff = alan.is_superuser = True
        alan.save()
        users = "/u/2/admin/accounts/user/"
        login = f"/u/2/admin/login/?next={users}"
        form = {"username": alan.email, "password": PASSWORD, "next": users}
        assert client.post(login, form)["Location"] == "/u/3/admin/accounts/user/"
        assert [who(client, f"/u/{number}") for number in (1, 2, 3)] == ["ada", "grace", "alan"]

    def test_every_link_is_of_the_tab(self, client):
        shown = client.get("/u/1/admin/").content.decode()
        links = set(re.findall('(?:href|action)="([^"]+)"', shown))
        astray = {
            link
            for link in links
            if not link.startswith(("#", "/static/", "/u/1/")) and link != "/u/1"
        }
        assert astray == set()
        assert '<a href="/u/1">View site</a>' in shown
        assert client.get("/u/1").status_code == 200

    def test_a_round_trip(self, client, ada):
        users = "/u/1/admin/accounts/user/"
        added = client.post(
            f"{users}add/",
            {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD},
        )
        new = User.objects.get(email="new@example.com")
        assert added["Location"] == f"{users}{new.pk}/change/"
        data = {"email": new.email, "name": "New", "_continue": "1"}
        changed = client.post(f"{users}{new.pk}/change/", data)
        assert changed["Location"] == f"{users}{new.pk}/change/"
        gone = client.post(f"{users}{new.pk}/delete/", {"post": "yes"})
        assert gone["Location"] == users
        told = client.get(users).content.decode()
        assert "was deleted successfully" in told
        assert not User.objects.filter(pk=new.pk).exists()
        log = admin.models.LogEntry.objects.values_list("user", flat=True)
        assert set(log) == {ada.pk}
        assert len(log) == 3

    def test_its_catalogue_of_words(self, client):
        assert client.get("/u/1/admin/jsi18n/")["Content-Type"].startswith("text/javascript")

    def test_changing_the_password_keeps_every_tab(self, client, ada):
        form = {"old_password": PASSWORD}
        url = "/u/1/admin/password_change/"
        form |= dict.fromkeys(("new_password1", "new_password2"), "an entirely new one")
        assert client.post(url, form)["Location"] == "/u/1/admin/password_change/done/"
        ada.refresh_from_db()
        assert ada.check_password("an entirely new one")
        assert [who(client, prefix) for prefix in ("/u/1", "/u/2", "")] == ["ada", "grace", "grace"]

    def test_a_cookie_copied_before_does_not_go_on_with_the_new_password(self, client, ada):
        copied = Client()
        copied.cookies["sessionid"] = client.cookies["sessionid"].value
        form = dict.fromkeys(("new_password1", "new_password2"), "an entirely new one")
        client.post("/u/1/admin/password_change/", {**form, "old_password": PASSWORD})
        assert copied.get("/u/1/who/")["Location"] == "/who/"
        assert who(copied) == "grace"
        assert who(client, "/u/1") == "ada"

    def test_another_key_in_one_tab_moves_no_other(self, client):
        before = client.cookies["sessionid"].value
        client.post("/u/1/put/color/blue/")
        client.post("/u/1/cycle-key/")
        assert client.cookies["sessionid"].value != before
        assert client.get("/u/1/who/").json() == {"user": "ada", "data": {"color": "blue"}}
        assert [who(client, prefix) for prefix in ("/u/2", "")] == ["grace", "grace"]

    def test_logging_out_is_of_the_tab(self, client, ada):
        left = client.post("/u/1/admin/logout/")["Location"]
        assert left == "/u/1/accounts/choose/?next=/u/1/admin/"
        assert [who(client, prefix) for prefix in ("/u/1", "/u/2", "")] == [
            NOBODY,
            "grace",
            "grace",
        ]
        assert Session.objects.get(user=ada).status == "ended"


class MountedHandler(ClientHandler):
    """Set the script prefix, as Django's real handlers do."""

    def __call__(self, environ):
        set_script_prefix(get_script_name(environ))
        return super().__call__(environ)


class TestBelowAPath:
    """The site is mounted at /app/."""

    @pytest.fixture(params=["by the server", "by the setting"])
    def client(self, request, client, settings):
        if request.param == "by the setting":
            settings.FORCE_SCRIPT_NAME = "/app"
        else:
            client.defaults["SCRIPT_NAME"] = "/app"
        settings.STATIC_URL = "static/"
        client.handler = MountedHandler(client.handler.enforce_csrf_checks)
        yield client
        set_script_prefix("/")

    def test_every_url_has_both(self, client):
        told = client.get("/u/1/en/page/").content.decode()
        assert told.startswith("en ada@example.com /app/u/1/en/page/ /app/static/a.css")
        told = client.get("/en/page/").content.decode()
        assert told.startswith("en grace@example.com /app/en/page/ /app/static/a.css")

    @pytest.mark.parametrize(
        ("url", "there"),
        [
            ("/app/who/", "/app/u/1/who/"),
            ("/app/u/2/who/", "/app/u/2/who/"),
            ("http://testserver/app/who/", "http://testserver/app/u/1/who/"),
            ("/another/", "/another/"),
            ("/app/static/a.pdf", "/app/static/a.pdf"),
        ],
    )
    def test_redirects(self, client, url, there):
        assert client.get(f"/u/1/to/?url={url}")["Location"] == there

    def test_a_number_that_is_not_there(self, client):
        assert client.get("/u/7/who/?a=b")["Location"] == "/app/who/?a=b"

    def test_the_language(self, client):
        form = {"language": "de", "next": "/app/u/1/en/page/"}
        assert client.post("/u/1/language/", form)["Location"] == "/app/u/1/de/page/"

    def test_the_admin(self, client):
        asked = client.get("/u/1/admin/accounts/user/")["Location"]
        assert asked == "/app/u/1/admin/login/?next=/app/u/1/admin/accounts/user/"


class TestCaches:
    @pytest.fixture(autouse=True)
    def empty(self):
        cache.clear()

    @pytest.fixture
    def another(self, ada, grace):
        """In another browser Grace is account 1 and Ada account 2, who is the active one."""
        return signed_in(Client(), grace, ada)

    def test_a_cached_page_is_the_account_s_and_the_tab_s(self, client, another):
        for _ in range(2):
            self.look(client, another)

    @pytest.mark.parametrize("place", [0, 1])
    def test_of_a_cached_site(self, ada, grace, settings, place):
        [*rest] = settings.MIDDLEWARE
        rest.insert(place, "django.middleware.cache.UpdateCacheMiddleware")
        settings.MIDDLEWARE = [*rest, "django.middleware.cache.FetchFromCacheMiddleware"]
        client, another = signed_in(Client(), ada, grace), signed_in(Client(), grace, ada)
        for _ in range(2):
            self.look(client, another, "/site-cached/")
        assert client.get("/u/1/moved/")["Location"] == "/u/1/who/"
        assert client.get("/u/2/moved/")["Location"] == "/u/2/who/"

    def look(self, client, another, page="/cached/"):
        seen = {
            (name, prefix): browser.get(f"{prefix}{page}").content.decode()
            for name, browser in {"client": client, "another": another}.items()
            for prefix in ("/u/1", "/u/2", "", "/u/0")
        }
        assert seen == {
            ("client", "/u/1"): "ada /u/1/cached/ /u/1/",
            ("client", "/u/2"): "grace /u/2/cached/ /u/2/",
            ("client", ""): "grace /cached/ /",
            ("client", "/u/0"): " /u/0/cached/ /u/0/",
            ("another", "/u/1"): "grace /u/1/cached/ /u/1/",
            ("another", "/u/2"): "ada /u/2/cached/ /u/2/",
            ("another", ""): "ada /cached/ /",
            ("another", "/u/0"): " /u/0/cached/ /u/0/",
        }

    def test_that_a_number_is_not_there_is_stored_nowhere(self, client):
        for headers in ({}, {"HX-Request": "true"}):
            answer = client.get("/u/7/who/", headers=headers)
            assert "no-store" in answer["Cache-Control"]


class TestTransactions:
    def test_a_view_that_fails_leaves_every_tab_as_it_was(self, client):
        connection.settings_dict["ATOMIC_REQUESTS"] = True
        try:
            client.raise_request_exception = False
            assert client.post("/u/1/unlucky/").status_code == 500
        finally:
            connection.settings_dict["ATOMIC_REQUESTS"] = False
        assert not Note.objects.exists()
        assert client.get("/u/1/who/").json() == {"user": "ada", "data": {}}
        assert who(client, "/u/2") == "grace"


class TestCoroutines:
    def test_a_stream_of_a_coroutine_stays_in_the_tab(self, client):
        browser = AsyncClient()
        browser.cookies = client.cookies

        async def read():
            answer = await browser.get("/u/1/astream/")
            return b"".join([part async for part in answer.streaming_content])

        assert async_to_sync(read)() == b"/u/1/astream/ /u/1/astream/ "
