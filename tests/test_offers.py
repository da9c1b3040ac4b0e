"""Offers of another account: which accounts are offered, and what a refusal must not reveal."""

import datetime
import re
from urllib.parse import quote

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django.utils import timezone
from django.views import View

from accounts.models import Note, User
from multisession import offers
from multisession.decorators import permission_required, user_passes_test
from multisession.mixins import PermissionRequiredMixin
from multisession.models import Session
from multisession.test import asign_in
from tests.conftest import PASSWORD
from tests.stories import settled

OFFER = "Open this page with another account?"
MAY = "accounts.view_note"


@permission_required(MAY, raise_exception=True)
def forbidden(request):
    return HttpResponse(f"open to {request.user}")


@permission_required(MAY)
def redirected(request):
    return HttpResponse(f"open to {request.user}")


@permission_required([MAY], raise_exception=True)
async def forbidden_async(request):
    user = await request.auser()
    return HttpResponse(f"open to {user}")


@user_passes_test(lambda user: user.is_authenticated and user.email.startswith("ada"))
def for_ada(request):
    return HttpResponse(f"open to {request.user}")


async def is_ada(user):
    return user.is_authenticated and user.email.startswith("ada")


@user_passes_test(is_ada)
async def for_ada_async(request):
    return HttpResponse("open")


class Forbidden(PermissionRequiredMixin, View):
    permission_required = MAY
    raise_exception = True

    def get(self, request):
        return HttpResponse(f"open to {request.user}")

    post = get


class Redirected(Forbidden):
    raise_exception = False


def raised(request):
    """A check of the view's own: Ada's page, if there is one."""
    if getattr(request.user, "email", "") == "ada@example.com":
        return HttpResponse("open")
    raise offers.ForbiddenForThisAccount(lambda user: user.email == "ada@example.com")


def caught(request):
    """A framework with its own error pages."""
    try:
        return raised(request)
    except PermissionDenied:
        return HttpResponse("refused in its own way", status=403)


async def note_async(request, pk):
    found = await offers.aget_object_or_offer(
        request, lambda user: Note.objects.filter(user_id=user.pk), pk=pk
    )
    able = await offers.aaccounts_that_can(request, lambda user: True)
    return HttpResponse(f"{found} {len(able)}")


urlpatterns = [
    path("forbidden/", forbidden),
    path("redirected/", redirected),
    path("forbidden-async/", forbidden_async),
    path("for-ada/", for_ada),
    path("for-ada-async/", for_ada_async),
    path("forbidden-class/", Forbidden.as_view()),
    path("redirected-class/", Redirected.as_view()),
    path("raised/", raised),
    path("caught/", caught),
    path("note-async/<int:pk>/", note_async),
    path("", include("config.urls")),
]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture
def browser(client: Client, ada: User, grace: User) -> Client:
    """Ada and Grace are signed in; Grace is active."""
    return with_accounts(client, ada, grace)


@pytest.fixture
def note(ada: User) -> Note:
    return Note.objects.create(user=ada, text="Ada's own")


@pytest.fixture
def privileged(ada: User) -> User:
    """Ada has the permission that the views above ask for."""
    ada.user_permissions.add(Permission.objects.get(codename="view_note"))
    return ada


def with_accounts(browser: Client, *users: User) -> Client:
    for user in users:
        form = {"username": user.email, "password": PASSWORD}
        assert browser.post("/accounts/sign-in/", form).status_code == 302
    browser.get("/whoami")  # the browser has shown its new cookie, and read its messages
    browser.get("/")
    return browser


def session_of(user: User) -> Session:
    return Session.objects.filter(user=user).latest("pk")


def active(browser: Client) -> str | None:
    return browser.get("/whoami").json()["user"]


def offered(response: HttpResponse) -> list[str]:
    """The accounts that the page offers, by the names of its buttons."""
    names = re.findall(r"Switch to ([^<]+) and open</span>", response.content.decode())
    return [name.split(", ")[-1] for name in names]


def press(browser: Client, response: HttpResponse) -> HttpResponse:
    """Send the form of the first account that the page offers, as it stands there."""
    form = re.search(
        r'<form[^>]*action="(/multisession/set-active/)".*?</form>', response.text, re.DOTALL
    )
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form[0]))
    return browser.post(form[1], fields, follow=True)


class TestANoteOfAnotherAccount:
    def test_a_note_of_another_account_offers_to_switch_and_opens(self, browser, ada, note):
        response = browser.get(f"/notes/{note.pk}/?from=mail")
        assert response.status_code == 404
        assert OFFER in response.text
        assert offered(response) == [ada.email]
        assert "Ada&#x27;s own" not in response.text
        opened = press(browser, response)
        assert opened.redirect_chain == [(f"/notes/{note.pk}/?from=mail", 302)]
        assert "Ada&#x27;s own" in opened.text
        assert "Now Ada Lovelace" in opened.text

    def test_changes_nothing_by_being_looked_at(self, browser, grace, note):
        cookie = browser.cookies["sessionid"].value
        browser.get(f"/notes/{note.pk}/")
        assert browser.cookies["sessionid"].value == cookie
        assert active(browser) == grace.email

    def test_a_note_of_another_account_is_offered_by_a_real_form(self, ada, grace, note):
        """As a browser sends it, under Django's CSRF check."""
        browser = Client(enforce_csrf_checks=True)
        for user in (ada, grace):
            browser.force_login(user)
            browser.get("/whoami")
        assert "Ada&#x27;s own" in press(browser, browser.get(f"/notes/{note.pk}/")).text

    def test_a_note_opens_for_its_owner_without_a_question(self, browser, grace):
        own = Note.objects.create(user=grace, text="Grace's own")
        assert browser.get(f"/notes/{own.pk}/").status_code == 200

    def test_head_answers_as_get_does(self, browser, note):
        assert browser.head(f"/notes/{note.pk}/").status_code == 404

    def test_an_offer_leads_to_the_chooser_and_back_from_it(self, browser, note):
        response = browser.get(f"/notes/{note.pk}/")
        assert f'href="/accounts/choose/?next=/notes/{note.pk}/"' in response.text

    def test_an_offer_stays_out_of_caches(self, browser, note):
        response = browser.get(f"/notes/{note.pk}/")
        assert {"private", "no-store"} <= set(response["Cache-Control"].split(", "))
        assert "Cookie" in response["Vary"]

    def test_after_signing_out_the_sign_in_page_knows_the_way(self, browser, grace, note):
        """Nobody is active: login_required leads to the sign-in page, which lists Ada."""
        browser.post("/multisession/sign-out/", {"session": session_of(grace).public_id})
        response = browser.get(f"/notes/{note.pk}/", follow=True)
        assert response.redirect_chain == [(f"/accounts/sign-in/?next=/notes/{note.pk}/", 302)]
        assert "Ada&#x27;s own" in press(browser, response).text

    def test_the_offer_works_without_a_base_template_of_the_project(self, browser, ada, settings):
        settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]
        assert offered(browser.get("/raised/")) == [ada.email]


class TestWhoCan:
    def test_the_predicate_is_called_for_the_other_accounts_only(self, browser, ada, alan):
        request = browser.get("/whoami").wsgi_request
        asked = []
        able = offers.accounts_that_can(request, lambda user: asked.append(user) or True)
        assert asked == [ada]
        assert [session.user for session in able] == [ada]

    def test_accounts_that_can_are_all_for_whom_the_predicate_is_true(
        self, client, ada, alan, grace
    ):
        with_accounts(client, ada, alan, grace)
        request = client.get("/whoami").wsgi_request
        able = offers.accounts_that_can(request, lambda user: True)
        assert {session.user for session in able} == {ada, alan}

    def test_accounts_that_can_are_none_under_another_engine(self, rf):
        assert offers.accounts_that_can(rf.get("/"), lambda user: True) == []
        refused = offers.ForbiddenForThisAccount(lambda user: True)
        assert offers.answer(rf.get("/"), refused) is None


class TestPermissions:
    @pytest.mark.parametrize(
        "url", ["/forbidden/", "/redirected/", "/forbidden-class/", "/redirected-class/"]
    )
    def test_permission_checks_offer_the_account_that_has_the_permission(
        self, url, browser, privileged
    ):
        response = browser.get(url)
        assert response.status_code == 403
        assert offered(response) == [privileged.email]
        assert press(browser, response).text == f"open to {privileged}"

    @pytest.mark.parametrize("url", ["/forbidden/", "/forbidden-class/"])
    def test_without_such_an_account_the_403_is_the_ordinary_one(self, url, browser):
        response = browser.get(url)
        assert response.status_code == 403
        assert [template.name for template in response.templates][0] == "403.html"

    @pytest.mark.parametrize("url", ["/redirected/", "/for-ada/"])
    def test_without_such_an_account_the_redirect_is_the_ordinary_one(self, url, alan, grace):
        response = with_accounts(Client(), alan, grace).get(url)
        assert response["Location"] == f"/accounts/sign-in/?next={url}"

    def test_without_such_an_account_the_mixin_is_the_ordinary_one(self, browser):
        assert browser.get("/redirected-class/").status_code == 403  # Django's, when signed in

    def test_any_test_of_a_user_will_do(self, browser, ada):
        assert offered(browser.get("/for-ada/")) == [ada.email]

    def test_nobody_is_active(self, browser, grace, privileged):
        browser.post("/multisession/sign-out/", {"session": session_of(grace).public_id})
        response = browser.get("/forbidden/")
        assert "Open this page with one of your accounts?" in response.text
        assert offered(response) == [privileged.email]

    def test_the_decorators_say_what_django_looks_for(self):
        assert forbidden.__name__ == "forbidden"
        assert for_ada.login_url is None
        assert for_ada.redirect_field_name == "next"


class TestAsync:
    def ask(self, url, *users):
        async def talk():
            browser = AsyncClient()
            await asign_in(browser, *users)
            return await browser.get(url)

        return async_to_sync(talk)()

    def test_permission_checks_work_in_coroutines(self, privileged, grace):
        response = self.ask("/forbidden-async/", privileged, grace)
        assert (response.status_code, offered(response)) == (403, [privileged.email])
        response = self.ask("/forbidden-async/", grace, privileged)
        assert response.text == f"open to {privileged}"
        assert self.ask("/forbidden-async/", grace).status_code == 403

    def test_a_coroutine_as_the_test(self, ada, grace):
        response = self.ask("/for-ada-async/", ada, grace)
        assert (response.status_code, offered(response)) == (403, [ada.email])
        assert self.ask("/for-ada-async/", grace, ada).text == "open"
        assert self.ask("/for-ada-async/", grace).status_code == 302

    def test_get_object_or_offer_works_in_coroutines(self, ada, grace, note):
        url = f"/note-async/{note.pk}/"
        response = self.ask(url, ada, grace)
        assert (response.status_code, offered(response)) == (404, [ada.email])
        assert self.ask(url, grace, ada).text == "Ada's own 1"


class TestVillains:
    """Somebody who wants to know what is there, or to act as somebody else."""

    def answers(self, browser: Client, *urls: str, **extra):
        """Status, headers and body of each, and the statements that it took."""
        found = []
        for url in urls:
            with CaptureQueriesContext(connection) as queries:
                response = browser.get(url, **extra)
            # What differs from one page to the next, and what repeats the question.
            body = re.sub(r"ms-button-[0-9a-f]{8}", "", response.text)
            body = re.sub(r'name="csrfmiddlewaretoken" value="[A-Za-z0-9]{64}"', "", body)
            body = body.replace(url, "").replace(quote(url, safe=""), "")
            headers = dict(response.headers)
            headers["Location"] = headers.get("Location", "").replace(url, "")
            cookies = {name: morsel.value for name, morsel in response.cookies.items()}
            found.append((response.status_code, headers, cookies, body, len(queries)))
        return found

    @pytest.mark.parametrize("others", [[], ["alan"]], ids=["alone", "with another"])
    def test_existing_and_missing_cannot_be_told_apart(self, others, request, grace, note):
        users = [request.getfixturevalue(name) for name in others]
        browser = with_accounts(Client(), *users, grace)
        missing, foreign = self.answers(browser, f"/notes/{note.pk + 1}/", f"/notes/{note.pk}/")
        assert missing == foreign
        assert missing[0] == 404

    def test_the_refusal_is_that_of_a_page_that_does_not_exist_at_all(self, grace, note):
        browser = with_accounts(Client(), grace)
        none, foreign = self.answers(browser, f"/noted/{note.pk}/", f"/notes/{note.pk}/")
        assert none[:4] == foreign[:4]

    def test_a_stranger_is_asked_to_sign_in_whatever_the_number(self, client, note):
        missing, foreign = self.answers(client, f"/notes/{note.pk + 1}/", f"/notes/{note.pk}/")
        assert missing == foreign
        assert (missing[0], missing[4]) == (302, 0)

    def test_ada_in_another_browser_is_offered_to_nobody(self, ada, grace, note):
        with_accounts(Client(), ada)
        missing, foreign = self.answers(
            with_accounts(Client(), grace), f"/notes/{note.pk + 1}/", f"/notes/{note.pk}/"
        )
        assert missing == foreign

    @pytest.mark.parametrize("how", ["sign out", "forget", "revoke", "expire", "deactivate", "new"])
    def test_an_account_that_cannot_act_is_not_offered(self, how, browser, ada, note):
        session = session_of(ada)
        if how in ("sign out", "forget"):
            url = f"/multisession/{how.replace(' ', '-')}/"
            browser.post(url, {"session": session.public_id})
        elif how == "revoke":
            session.revoke()
        elif how == "expire":
            past = timezone.now() - datetime.timedelta(seconds=1)
            Session.objects.filter(pk=session.pk).update(expire_at=past)
        elif how == "deactivate":
            User.objects.filter(pk=ada.pk).update(is_active=False)
        else:
            ada.set_password("a new password of hers")
            ada.save()
        missing, foreign = self.answers(browser, f"/notes/{note.pk + 1}/", f"/notes/{note.pk}/")
        assert missing == foreign

    @pytest.mark.parametrize("url", ["/forbidden-class/", "/redirected-class/", "/raised/"])
    @pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
    def test_a_request_that_changes_something_is_refused_without_an_offer(
        self, method, url, browser, privileged
    ):
        response = getattr(browser, method)(url)
        assert response.status_code == 403
        assert "Switch to Ada" not in response.text

    def test_a_form_is_sent_to_the_sign_in_page_as_ever(self, browser, privileged):
        assert browser.post("/redirected/")["Location"] == "/accounts/sign-in/?next=/redirected/"

    def test_nothing_is_deleted_as_somebody_else(self, browser, grace, note):
        response = browser.post(f"/notes/{note.pk}/delete/")
        assert response.status_code == 404
        assert "Switch to Ada" not in response.text
        assert Note.objects.filter(pk=note.pk).exists()
        assert active(browser) == grace.email

    @pytest.mark.parametrize(
        "headers",
        [
            {"Accept": "application/json"},
            {"Accept": "image/*"},
            {"Sec-Fetch-Mode": "cors"},
            {"HX-Request": "true", "X-Multisession-Background": "true"},
        ],
    )
    def test_scripts_get_the_plain_refusal(self, headers, browser, note):
        missing, foreign = self.answers(
            browser, f"/notes/{note.pk + 1}/", f"/notes/{note.pk}/", headers=headers
        )
        assert missing == foreign

    def test_a_page_is_one_whatever_runserver_says_of_its_body(self, browser, note):
        """The wsgiref module calls the body of a GET text/plain."""
        answer = browser.get(f"/notes/{note.pk}/", CONTENT_TYPE="text/plain")
        assert OFFER in answer.text

    def test_code_that_catches_refusals_catches_ours(self, browser):
        assert browser.get("/caught/").text == "refused in its own way"

    def test_the_way_back_is_this_page_whatever_its_query_says(self, browser, note):
        response = browser.get(f"/notes/{note.pk}/", {"next": "https://evil.example/"})
        (going,) = set(re.findall(r'name="next" value="([^"]*)"', response.text))
        assert going.startswith(f"/notes/{note.pk}/?next=https")

    def test_a_name_is_only_a_name(self, browser, ada, note):
        User.objects.filter(pk=ada.pk).update(name="<script>alert(1)</script>")
        assert "<script>alert" not in browser.get(f"/notes/{note.pk}/").text


class TestUnderHtmx:
    PAGE = {"HX-Request": "true", "HX-Current-URL": "http://testserver/notes/?page=2"}

    def test_a_boosted_link_loads_the_page_that_offers(self, browser, note):
        url = f"/notes/{note.pk}/?a=1"
        answer = browser.get(url, headers=self.PAGE | {"HX-Boosted": "true"})
        assert (answer.status_code, answer["HX-Redirect"]) == (404, url)
        assert OFFER in browser.get(answer["HX-Redirect"]).text

    def test_a_fragment_is_offered_in_a_sheet_that_leads_back_to_the_page(self, browser, ada, note):
        answer = browser.get(f"/notes/{note.pk}/", headers=self.PAGE)
        assert (answer.status_code, answer["X-Multisession"]) == (404, "other-account")
        assert (answer["HX-Retarget"], answer["HX-Reswap"]) == ("body", "afterbegin")
        assert answer.text.strip().startswith("<dialog")
        assert "Switch to Ada" in answer.text
        (going,) = set(re.findall(r'name="next" value="([^"]*)"', answer.text))
        assert going == "/notes/?page=2"

    @pytest.mark.parametrize("headers", [{}, {"HX-Boosted": "true"}])
    def test_without_anybody_to_offer_it_is_the_plain_refusal(self, grace, note, headers):
        browser = with_accounts(Client(), grace)
        answer = browser.get(f"/notes/{note.pk}/", headers=self.PAGE | headers)
        assert answer.status_code == 404
        assert not {"HX-Redirect", "HX-Retarget", "X-Multisession"} & set(answer.headers)


class TestCosts:
    def count(self, browser: Client, url: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            browser.get(url)
        return len(queries)

    def test_an_ordinary_page_costs_nothing_more(self, browser, grace):
        own = Note.objects.create(user=grace, text="Grace's own")
        assert self.count(browser, f"/notes/{own.pk}/") == 2  # session and user, note

    def test_a_refusal_costs_the_list_and_the_question(self, browser, note):
        settled(browser, "/whoami")
        # session and user, note; the list; is it Ada's?
        assert self.count(browser, f"/notes/{note.pk}/") == 4

    def test_a_permission_costs_what_it_costs_with_django(self, client, privileged):
        with_accounts(client, privileged)
        assert self.count(client, "/forbidden/") == 3  # session and user, hers, her groups'

    def test_a_refusal_without_other_accounts_costs_the_list(self, grace, note):
        assert self.count(with_accounts(Client(), grace), f"/notes/{note.pk}/") == 3
