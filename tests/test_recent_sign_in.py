"""``recent_sign_in``: sensitive pages ask again who it is, in their own place."""

import re
from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse, JsonResponse
from django.test import Client
from django.urls import path
from django.utils import timezone
from django.views import View

from config.urls import urlpatterns as demo_urls
from multisession.decorators import recent_sign_in
from multisession.mixins import RecentSignInMixin
from multisession.models import Session
from tests.conftest import PASSWORD
from tests.stories import later, session_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@recent_sign_in(minutes=5)
def sensitive(request):
    data = {"method": request.method, "user": request.user.email, **request.POST.dict()}
    data.pop("csrfmiddlewaretoken", None)
    return JsonResponse(data)


@recent_sign_in(minutes=5)
async def asensitive(request):
    user = await request.auser()
    return JsonResponse({"method": request.method, "user": user.email})


class Sensitive(RecentSignInMixin, View):
    recent_minutes = 5

    def get(self, request):
        return HttpResponse("sensitive")


def confirmed_at(request):
    return request.session.get("passkey_at")


def with_a_passkey(request):
    request.session["passkey_at"] = timezone.now().timestamp()
    return HttpResponse()


urlpatterns = [
    path("sensitive/", sensitive),
    path("async-sensitive/", asensitive),
    path("class/", Sensitive.as_view()),
    path("passkey/", with_a_passkey, name="passkey"),
    *demo_urls,
]
FORM = {"to": "grace", "amount": "3", "note": '<b>"thanks"</b>'}


@pytest.fixture
def browser(ada) -> Client:
    browser = Client(enforce_csrf_checks=True)
    token = browser.get("/accounts/sign-in/").context["csrf_token"]
    form = {"username": ada.email, "password": PASSWORD, "csrfmiddlewaretoken": str(token)}
    assert browser.post("/accounts/sign-in/", form).status_code == 302
    return browser


def fields_of(response) -> dict[str, str]:
    """The fields of the form that asks."""
    [form] = re.findall(
        r"<form class=\"ms-form ms-confirm\".*?</form>", response.content.decode(), re.DOTALL
    )
    fields = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name = re.search(r'name="([^"]*)"', tag)
        value = re.search(r'value="([^"]*)"', tag)
        if name:
            fields[name[1]] = unescape(value[1]) if value else ""
    return fields


def answered(response, password: str = PASSWORD) -> dict[str, str]:
    return {**fields_of(response), "multisession-password": password}


class TestAsking:
    def test_soon_after_the_sign_in_nobody_is_asked(self, browser):
        assert browser.get("/sensitive/").json()["method"] == "GET"

    def test_later_the_page_asks_and_comes_back(self, browser):
        with later(minutes=6):
            asked = browser.get("/sensitive/?page=2")
            assert "ada@example.com" in asked.content.decode()
            assert "no-store" in asked["Cache-Control"]
            back = browser.post("/sensitive/?page=2", answered(asked))
            assert (back.status_code, back["Location"]) == (302, "/sensitive/?page=2")
            assert browser.get("/sensitive/?page=2").json()["method"] == "GET"
        with later(minutes=12):
            assert "Is it still you?" in browser.get("/sensitive/").content.decode()

    def test_a_form_is_sent_with_the_password_and_nothing_typed_is_lost(self, browser):
        token = str(browser.get("/accounts/profile/").context["csrf_token"])
        with later(minutes=6):
            asked = browser.post("/sensitive/", {**FORM, "csrfmiddlewaretoken": token})
            assert FORM.items() <= fields_of(asked).items()
            done = browser.post("/sensitive/", answered(asked))
        assert done.json() == {"method": "POST", "user": "ada@example.com", **FORM}

    def test_a_file_cannot_be_kept_and_the_page_says_so(self, browser):
        token = str(browser.get("/accounts/profile/").context["csrf_token"])
        form = {"csrfmiddlewaretoken": token, "file": SimpleUploadedFile("a.txt", b"a")}
        with later(minutes=6):
            asked = browser.post("/sensitive/", form)
            assert "could not be kept" in asked.content.decode()
            assert browser.post("/sensitive/", answered(asked)).status_code == 302

    def test_secrets_of_the_form_are_typed_again_and_not_in_the_page(self, browser):
        token = str(browser.get("/accounts/profile/").context["csrf_token"])
        with later(minutes=6):
            form = {"csrfmiddlewaretoken": token, "new_password": "hunter2"}
            asked = browser.post("/sensitive/", form)
            assert "hunter2" not in asked.content.decode()
            assert fields_of(asked)["new_password"] == ""

    def test_the_class_based_view(self, browser):
        with later(minutes=6):
            assert "Is it still you?" in browser.get("/class/").content.decode()

    def test_a_coroutine(self, browser):
        assert browser.get("/async-sensitive/").json()["user"] == "ada@example.com"
        with later(minutes=6):
            asked = browser.get("/async-sensitive/")
            assert browser.post("/async-sensitive/", answered(asked)).status_code == 302
            assert browser.get("/async-sensitive/").json()["user"] == "ada@example.com"

    def test_htmx_gets_the_form_into_the_page(self, browser):
        with later(minutes=6):
            asked = browser.get("/sensitive/", headers={"HX-Request": "true"})
        assert asked.status_code == 200
        assert "<html" not in asked.content.decode()
        assert 'hx-post="/sensitive/"' in asked.content.decode()

    def test_a_script_gets_json(self, browser):
        with later(minutes=6):
            asked = browser.get("/sensitive/", headers={"accept": "application/json"})
        assert (asked.status_code, asked.json()) == (403, {"error": "confirmation_needed"})

    def test_an_anonymous_visitor_signs_in(self):
        response = Client().get("/sensitive/")
        assert (response.status_code, response["Location"]) == (
            302,
            "/accounts/sign-in/?next=/sensitive/",
        )

    def test_signing_in_again_is_a_proof(self, browser, ada):
        with later(minutes=6):
            browser.force_login(ada)
            assert browser.get("/sensitive/").json()["method"] == "GET"


class TestVillains:
    @pytest.mark.parametrize("password", ["", "wrong", PASSWORD.upper()])
    def test_a_wrong_password_opens_nothing(self, browser, password):
        with later(minutes=6):
            asked = browser.get("/sensitive/")
            answer = browser.post("/sensitive/", answered(asked, password))
            assert answer.status_code in (200, 422)
            assert "Is it still you?" in answer.content.decode()
            assert "Is it still you?" in browser.get("/sensitive/").content.decode()

    def test_the_password_of_another_account_opens_nothing(self, browser, grace):
        grace.set_password("hers alone")
        grace.save()
        with later(minutes=6):
            asked = browser.get("/sensitive/")
            form = {**answered(asked, "hers alone"), "username": grace.email}
            assert browser.post("/sensitive/", form).status_code == 422

    def test_a_proof_counts_for_one_account_only(self, browser, ada, grace):
        with later(minutes=6):
            browser.force_login(grace)
            token = str(browser.get("/accounts/profile/").context["csrf_token"])
            form = {"session": session_of(ada).public_id, "csrfmiddlewaretoken": token}
            assert browser.post("/multisession/set-active/", form).status_code == 302
            assert "Is it still you?" in browser.get("/sensitive/").content.decode()

    def test_it_needs_a_csrf_token(self, browser):
        with later(minutes=6):
            asked = answered(browser.get("/sensitive/"))
            del asked["csrfmiddlewaretoken"]
            assert browser.post("/sensitive/", asked).status_code == 403

    def test_an_administrator_who_acts_as_the_user_is_asked(self, browser, ada):
        Session.objects.filter(user=ada).update(actor_id="7")
        assert "Is it still you?" in browser.get("/sensitive/").content.decode()

    def test_a_clock_that_goes_back_makes_nothing_recent(self, browser):
        with later(minutes=-60):
            assert "Is it still you?" in browser.get("/sensitive/").content.decode()

    def test_guesses_are_throttled_as_at_the_sign_in(self, browser, settings):
        settings.AXES_ENABLED = True
        with later(minutes=6):
            form = answered(browser.get("/sensitive/"), "wrong")
            answers = [browser.post("/sensitive/", form).status_code for _ in range(6)]
            assert answers[-1] == 429
            right = answered(browser.get("/sensitive/"))
            assert browser.post("/sensitive/", right).status_code == 429


class TestPasskeys:
    def test_the_projects_own_way_counts(self, browser, settings):
        settings.MULTISESSION = {
            "CONFIRM_URL": "passkey",
            "CONFIRMED_AT": f"{__name__}.confirmed_at",
        }
        with later(minutes=6):
            assert "/passkey/?next=/sensitive/" in browser.get("/sensitive/").content.decode()
            browser.get("/passkey/")
            assert browser.get("/sensitive/").json()["method"] == "GET"
        with later(minutes=12):
            assert "Is it still you?" in browser.get("/sensitive/").content.decode()

    def test_whoever_has_no_password_goes_there(self, browser, settings, ada):
        settings.MULTISESSION = {"CONFIRM_URL": "passkey"}
        ada.set_unusable_password()
        ada.save()
        browser.force_login(ada)
        with later(minutes=6):
            page = browser.get("/sensitive/").content.decode()
        assert "/passkey/?next=/sensitive/" in page
        assert "multisession-password" not in page
