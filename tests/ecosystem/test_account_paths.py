"""Accounts side by side (``/u/N/``) with other packages. Ada is account 1, Grace 2 and active."""

import json
import re
from datetime import timedelta
from unittest import mock

import pytest
from allauth.account.models import EmailAddress
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from channels.auth import AuthMiddlewareStack
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.contrib.flatpages.models import FlatPage
from django.contrib.redirects.models import Redirect
from django.contrib.sites.models import Site
from django.core import mail
from django.core.asgi import get_asgi_application
from django.test import Client
from django.urls import include, path
from django.utils import timezone
from rest_framework import routers, serializers, viewsets

from accounts.models import Note
from multisession.paths import AccountPathASGI
from tests.conftest import PASSWORD
from tests.ecosystem.conftest import Browser
from tests.ecosystem.urls import urlpatterns as packages

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

COOKIE = "sessionid"
#: How long to wait at most for an application to say something.
SECONDS = 10


class NoteSerializer(serializers.HyperlinkedModelSerializer):
    class Meta:
        model = Note
        fields = ("url", "text", "next_to")
        extra_kwargs = {"url": {"view_name": "note-detail"}}

    next_to = serializers.HyperlinkedRelatedField(
        view_name="note-detail", queryset=Note.objects.all(), write_only=True, required=False
    )

    def create(self, validated_data):
        validated_data.pop("next_to", None)
        return super().create(validated_data)


class NoteViewSet(viewsets.ModelViewSet):
    serializer_class = NoteSerializer

    def get_queryset(self):
        return Note.objects.filter(user=self.request.user)

    def perform_create(self, serializer):
        serializer.save(user=self.request.user)


router = routers.DefaultRouter()
router.register("notes", NoteViewSet, basename="note")

urlpatterns = [
    path("rest/", include(router.urls)),
    path("rest-auth/", include("rest_framework.urls")),
    *packages,
]


@pytest.fixture(autouse=True)
def account_paths(settings):
    settings.MULTISESSION = {**settings.MULTISESSION, "ACCOUNT_PATHS": True}


@pytest.fixture
def tabs(browser, ada, grace, sign_in) -> Browser:
    sign_in(browser, ada)
    sign_in(browser, grace)
    return browser


def who(browser: Client, prefix: str = "") -> str | None:
    return browser.get(f"{prefix}/whoami").json()["user"]


def all_of(browser: Client, *prefixes: str) -> list[str | None]:
    return [who(browser, prefix) for prefix in prefixes]


def add_account(browser: Client, prefix: str) -> str:
    """*Add account* in this tab: where it leads to."""
    return browser.post(f"{prefix}/multisession/add-account/")["Location"]


class TestAllauth:
    def test_a_sign_in_below_a_number_goes_on_as_the_new_account(self, tabs, ada, grace, alan):
        page = add_account(tabs, "/u/1")
        assert page == "/u/0/allauth/login/"
        assert tabs.get(page).status_code == 200
        form = {"login": alan.email, "password": PASSWORD}
        assert tabs.post(page, form)["Location"] == "/u/3/"
        assert all_of(tabs, "/u/1", "/u/2", "/u/3", "") == [
            ada.email,
            grace.email,
            alan.email,
            alan.email,
        ]

    def test_next_of_the_old_tab_is_that_of_the_new(self, tabs, alan):
        form = {"login": alan.email, "password": PASSWORD, "next": "/u/1/notes/?a=b"}
        assert tabs.post("/u/0/allauth/login/", form)["Location"] == "/u/3/notes/?a=b"

    def test_a_person_signs_up(self, tabs, ada, grace):
        form = {"email": "new@example.com", "password1": PASSWORD}
        assert tabs.post("/u/0/allauth/signup/", form)["Location"] == "/u/3/"
        assert all_of(tabs, "/u/1", "/u/2", "/u/3") == [ada.email, grace.email, "new@example.com"]

    def test_its_page_needs_no_one(self, tabs, settings):
        settings.ACCOUNT_AUTHENTICATED_LOGIN_REDIRECTS = True
        assert tabs.get("/u/0/allauth/login/").status_code == 200
        assert tabs.get("/u/1/allauth/login/")["Location"] == "/u/1/"

    def test_links_are_the_tab_s(self, tabs):
        page = tabs.get("/u/1/allauth/email/").content.decode()
        links = re.findall('(?:href|action)="(/allauth[^"]*|/u/[^"]*)"', page)
        assert links
        assert {link for link in links if not link.startswith("/u/1/")} == set()

    def test_a_sign_out_is_of_the_tab(self, tabs, ada, grace):
        left = tabs.post("/u/1/allauth/logout/")["Location"]
        assert left == "/u/1/accounts/choose/"
        assert all_of(tabs, "/u/1", "/u/2", "") == [None, grace.email, grace.email]
        form = {"login": ada.email, "password": PASSWORD}
        assert tabs.post("/u/1/allauth/login/", form)["Location"] == "/u/1/"
        assert all_of(tabs, "/u/1", "/u/2") == [ada.email, grace.email]

    def test_reauthentication_is_of_the_tab(self, tabs, settings):
        settings.ACCOUNT_REAUTHENTICATION_REQUIRED = True

        def add_address(prefix, address):
            form = {"action_add": "", "email": address}
            return tabs.post(f"{prefix}/allauth/email/", form)["Location"]

        later = timezone.now() + timedelta(hours=1)
        with mock.patch("time.time", return_value=later.timestamp()):
            prove = "/u/1/allauth/reauthenticate/"
            proven = tabs.post(prove, {"password": PASSWORD, "next": "/u/1/allauth/email/"})
            assert proven["Location"] == "/u/1/allauth/email/"
            assert add_address("/u/1", "a@example.org") == "/u/1/allauth/email/"
            assert add_address("/u/2", "b@example.org").startswith("/u/2/allauth/reauthenticate/")

    def ask_for_a_code(self, browser, prefix, user):
        browser.post(f"{prefix}/allauth/login/code/", {"email": user.email})
        return re.search(r"^[A-Z0-9]{3,5}-?[A-Z0-9]{3,5}$", mail.outbox[-1].body, re.MULTILINE)[0]

    def test_a_sign_in_in_steps(self, tabs, ada, grace, alan):
        assert add_account(tabs, "/u/1") == "/u/0/allauth/login/"
        code = self.ask_for_a_code(tabs, "/u/0", alan)
        answer = tabs.post("/u/0/allauth/login/code/confirm/", {"code": code})
        assert answer["Location"] == "/u/3/"
        assert all_of(tabs, "/u/1", "/u/2", "/u/3") == [ada.email, grace.email, alan.email]

    def test_a_sign_in_in_steps_in_the_tab_of_an_account_that_is_signed_out(self, tabs, ada, grace):
        tabs.post("/u/1/allauth/logout/")
        code = self.ask_for_a_code(tabs, "/u/1", ada)
        answer = tabs.post("/u/1/allauth/login/code/confirm/", {"code": code})
        assert answer["Location"] == "/u/1/"
        assert all_of(tabs, "/u/1", "/u/2") == [ada.email, grace.email]


class TestLinksInEmails:
    def test_a_confirmation_link_works_in_the_browser_and_in_others(
        self, tabs, another_browser, ada, grace
    ):
        tabs.post("/u/1/allauth/email/", {"action_send": "", "email": ada.email})
        link = re.search(r"http://testserver(\S*/confirm-email/\S+)", mail.outbox[-1].body)[1]
        assert link.startswith("/u/1/allauth/")
        assert another_browser.get(link)["Location"] == link.removeprefix("/u/1")
        assert tabs.post(link).status_code == 302
        assert EmailAddress.objects.get(email=ada.email).verified
        assert all_of(tabs, "/u/1", "/u/2") == [ada.email, grace.email]

    @pytest.mark.parametrize(
        ("page", "form"),
        [
            ("/allauth/email/", {"action_send": ""}),
            ("/allauth/password/reset/", {}),
        ],
    )
    def test_with_the_recipe_links_have_no_number(self, tabs, ada, settings, page, form):
        settings.ACCOUNT_ADAPTER = "tests.ecosystem.recipes.TidyLinksAdapter"
        tabs.post(f"/u/1{page}", {**form, "email": ada.email})
        assert re.search(r"http://testserver(\S+)", mail.outbox[-1].body)[1].startswith("/allauth/")


class TestRestFramework:
    def test_the_api_answers_for_the_tab(self, tabs, ada, grace):
        tabs.post("/u/1/api/notes/", {"text": "Ada's"})
        tabs.post("/u/2/api/notes/", {"text": "Grace's"})
        told = [tabs.get(f"/u/{number}/api/notes/").json() for number in (1, 2)]
        assert told == [
            {"user": ada.email, "notes": ["Ada's"]},
            {"user": grace.email, "notes": ["Grace's"]},
        ]

    def test_hyperlinks_are_the_tab_s_and_are_understood(self, tabs):
        made = tabs.post("/u/1/rest/notes/", {"text": "one"}).json()
        pk = Note.objects.get().pk
        assert made["url"] == f"http://testserver/u/1/rest/notes/{pk}/"
        assert tabs.get(made["url"]).json()["text"] == "one"
        for url in (made["url"], f"/rest/notes/{pk}/"):
            answer = tabs.post("/u/1/rest/notes/", {"text": "two", "next_to": url})
            assert answer.status_code == 201, answer.content
        assert tabs.get(f"/u/2/rest/notes/{pk}/").status_code == 404
        root = tabs.get("/u/1/rest/", headers={"Accept": "application/json"}).json()
        assert root == {"notes": "http://testserver/u/1/rest/notes/"}

    def test_the_browsable_api_stays_in_the_tab(self, tabs, ada):
        page = tabs.get("/u/1/rest/notes/", headers={"Accept": "text/html"}).content.decode()
        links = set(re.findall('(?:href|action)="(/[^"]*)"', page))
        astray = {link for link in links if not link.startswith(("/u/1/", "/static/"))}
        assert astray == set()
        assert any(link.startswith("/u/1/rest-auth/logout/") for link in links), links
        assert ada.email in page

    def test_its_own_login_and_logout(self, tabs, ada, grace, alan):
        page = tabs.get("/u/0/rest/notes/", headers={"Accept": "text/html"}).content.decode()
        assert "/u/0/rest-auth/login/?next=/u/0/rest/notes/" in page
        form = {"username": alan.email, "password": PASSWORD, "next": "/u/0/rest/notes/"}
        assert tabs.post("/u/0/rest-auth/login/", form)["Location"] == "/u/3/rest/notes/"
        tabs.post("/u/3/rest-auth/logout/")
        assert all_of(tabs, "/u/1", "/u/2", "/u/3") == [ada.email, grace.email, None]

    def test_a_page_of_one_tab_writes_nothing_in_another(self, ada, grace):
        strict = Browser(enforce_csrf_checks=True)
        for user in (ada, grace):
            token = strict.get("/allauth/login/").context["csrf_token"]
            form = {"login": user.email, "password": PASSWORD, "csrfmiddlewaretoken": str(token)}
            assert strict.post("/allauth/login/", form).status_code == 302
        token = str(strict.get("/u/1/allauth/email/").context["csrf_token"])

        def write(prefix):
            return strict.post(
                f"{prefix}/api/notes/",
                {"text": "Ada's"},
                content_type="application/json",
                headers={"X-CSRFToken": token},
            ).status_code

        assert write("/u/2") in (403, 409)
        assert write("") in (403, 409)
        assert write("/u/1") == 200
        assert [note.user for note in Note.objects.all()] == [ada]


class Consumer(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content):
        user = self.scope["user"]
        if content.get("note"):
            self.scope["session"]["note"] = content["note"]
            await self.scope["session"].asave()
        await self.send_json(
            {
                "user": user.email if user.is_authenticated else None,
                "number": self.scope.get("account_number"),
                "note": await self.scope["session"].aget("note"),
            }
        )


@pytest.mark.django_db(transaction=True)
class TestChannels:
    @pytest.fixture
    def application(self):
        sockets = AuthMiddlewareStack(URLRouter([path("ws/", Consumer.as_asgi())]))
        return ProtocolTypeRouter(
            {"http": get_asgi_application(), "websocket": AccountPathASGI(sockets)}
        )

    def headers(self, browser):
        return [(b"cookie", f"{COOKIE}={browser.cookies[COOKIE].value}".encode())]

    @pytest.mark.parametrize("root", ["", "/app"])
    def test_two_tabs_are_two_users_with_two_sessions(self, tabs, application, ada, grace, root):
        headers = self.headers(tabs)

        async def ask(prefix, **message):
            where = {"path": f"{root}{prefix}/ws/", "root_path": root, "headers": headers}
            socket = ApplicationCommunicator(application, {"type": "websocket", **where})
            await socket.send_input({"type": "websocket.connect"})
            assert (await socket.receive_output(SECONDS))["type"] == "websocket.accept"
            await socket.send_input({"type": "websocket.receive", "text": json.dumps(message)})
            told = json.loads((await socket.receive_output(SECONDS))["text"])
            await socket.send_input({"type": "websocket.disconnect", "code": 1000})
            await socket.wait(SECONDS)
            return told

        async def story():
            first, second = await ask("/u/1", note="Ada's"), await ask("/u/2", note="Grace's")
            assert (first["user"], first["number"]) == (ada.email, 1)
            assert (second["user"], second["number"]) == (grace.email, 2)
            again = [await ask(prefix) for prefix in ("/u/1", "/u/2", "", "/u/7")]
            assert [(told["user"], told["note"]) for told in again] == [
                (ada.email, "Ada's"),
                (grace.email, "Grace's"),
                (grace.email, "Grace's"),
                (None, None),
            ]

        async_to_sync(story)()

    @pytest.mark.parametrize("root", ["", "/app"])
    def test_pages_over_asgi_are_the_tab_s(self, tabs, application, ada, grace, root):
        async def get(where):
            scope = {"type": "http", "method": "GET", "query_string": b"", "root_path": root}
            headers = [*self.headers(tabs), (b"host", b"testserver")]
            scope |= {"path": f"{root}{where}", "headers": headers}
            page = ApplicationCommunicator(application, scope)
            await page.send_input({"type": "http.request", "body": b""})
            start = await page.receive_output(SECONDS)
            body = await page.receive_output(SECONDS)
            await page.wait(SECONDS)
            return dict(start["headers"]), body["body"].decode()

        async def story():
            for prefix, user in (("/u/1", ada), ("/u/2", grace), ("", grace)):
                _headers, body = await get(f"{prefix}/whoami")
                assert user.email in body
            headers, _body = await get("/u/1/admin")
            assert headers[b"Location"] == f"{root}/u/1/admin/".encode()

        async_to_sync(story)()


class TestFallbacks:
    """Pages and redirects that Django finds after a 404."""

    def test_a_flat_page_is_the_tab_s(self, tabs, ada):
        page = FlatPage.objects.create(url="/about/", title="About", template_name="404.html")
        page.sites.add(Site.objects.get_current())
        assert tabs.get("/u/1/about")["Location"] == "/u/1/about/"
        told = tabs.get("/u/1/about/")
        assert told.context["user"] == ada
        assert told.context["flatpage"] == page

    def test_an_old_address_leads_to_the_new_one(self, tabs, ada):
        site = Site.objects.get_current()
        Redirect.objects.create(site=site, old_path="/old/", new_path="/whoami")
        Redirect.objects.create(site=site, old_path="/u/1/old/", new_path="/whoami")
        assert tabs.get("/old/")["Location"] == "/whoami"
        assert tabs.get("/u/1/old/")["Location"] == "/u/1/whoami"
        assert tabs.get("/u/2/old/").status_code == 404
