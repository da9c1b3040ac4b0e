"""*Switch to Ada and send*: the form is sent to its original URL, as Ada, and once."""

import re
from html import unescape

import pytest
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.test import Client
from django.urls import include, path

from accounts.models import Note, User
from multisession.models import Client as Browser
from multisession.models import Session
from multisession.models.sent_forms import SentForm
from multisession.pages.kept_fields import is_never_kept
from multisession.upkeep.purge import purge
from tests.conftest import PASSWORD
from tests.test_guard import NOTES, Forms, Tab, follow_form, switch_to, whoami

FAILING: list[int] = []


def sometimes(request):
    """Fail as often as FAILING says."""
    if FAILING:
        return HttpResponse("no", status=FAILING.pop())
    Note.objects.create(user=request.user, text=request.POST["text"])
    return HttpResponse("yes")


def saying(request):
    """Say something of its own."""
    messages.success(request, "Kept: " + request.POST["text"])
    return redirect("/")


urlpatterns = [
    path("sometimes/", sometimes),
    path("saying/", saying),
    path("", include("config.urls")),
]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture
def client() -> Client:
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def sign_in(client):
    def sign_in(user: User) -> None:
        tab = Tab(client, "/accounts/sign-in/")
        form = {"username": user.email, "password": PASSWORD}
        assert tab.send("/accounts/sign-in/", form).status_code == 302
        client.get("/whoami")

    return sign_in


@pytest.fixture
def adas_tab(client, sign_in, ada, grace) -> Tab:
    """Ada's page is open; Grace is active by now."""
    sign_in(ada)
    tab = Tab(client)
    sign_in(grace)
    return tab


def the_form(refused: HttpResponse, words: str) -> tuple[str, dict[str, list[str]]]:
    """Return the address and the fields of the form with these words on its button."""
    found = re.findall(r"<form.*?</form>", refused.text, re.DOTALL)
    form = next(form for form in found if words in unescape(re.sub(r"<[^>]+>", " ", form)))
    [(action, fields)] = Forms(form).forms
    return unescape(action), fields


class TestOnce:
    def test_a_second_press_of_the_button_sends_nothing(self, adas_tab, client, ada):
        refused = adas_tab.send(NOTES, {"text": "typed"})
        assert follow_form(client, refused, "and send").status_code == 302
        again = follow_form(client, refused, "and send")
        assert again.status_code == 409
        assert "Check the page before you send it again" in again.text
        assert list(Note.objects.values_list("user", "text")) == [(ada.pk, "typed")]

    def test_a_press_whose_answer_was_lost_on_the_way_can_be_repeated(self, adas_tab, client, ada):
        """The first press has switched; the browser went away before it sent the rest."""
        refused = adas_tab.send(NOTES, {"text": "typed"})
        address, fields = the_form(refused, "and send")
        assert client.post(address, fields).status_code == 307
        assert Note.objects.count() == 0
        assert follow_form(client, refused, "and send").status_code == 302
        assert Note.objects.get().user == ada

    @pytest.mark.parametrize("status", [400, 403, 500])
    def test_a_press_of_which_nothing_came_can_be_repeated(self, adas_tab, client, ada, status):
        FAILING[:] = [status]
        refused = adas_tab.send("/sometimes/", {"text": "typed"})
        client.raise_request_exception = False
        assert follow_form(client, refused, "and send").status_code == status
        assert follow_form(client, refused, "and send").status_code == 200
        assert follow_form(client, refused, "and send").status_code == 409
        assert Note.objects.get().user == ada

    def test_the_next_page_says_once_as_whom_it_was_sent(self, adas_tab, client, ada):
        refused = adas_tab.send("/saying/", {"text": "typed"})
        assert follow_form(client, refused, "and send").status_code == 302
        page = client.get("/").text
        assert page.count(f"Sent as {ada.name}.") == 1
        assert page.count("Kept: typed") == 1
        assert "Sent as" not in client.get("/").text

    def test_a_form_that_the_view_did_not_take_is_not_said_to_be_sent(self, adas_tab, client):
        refused = adas_tab.send(NOTES, {"text": ""})
        follow_form(client, refused, "and send")
        assert "Sent as" not in client.get("/").text

    def test_a_form_that_was_not_refused_says_nothing_more(self, sign_in, client, ada):
        sign_in(ada)
        assert Tab(client).send(NOTES, {"text": "typed"}).status_code == 302
        assert "Sent as" not in client.get("/").text

    def test_another_browsers_numbers_mean_nothing_here(self, adas_tab, client):
        refused = adas_tab.send(NOTES, {"text": "typed"})
        _address, fields = the_form(refused, "and send")
        [number] = fields["multisession-send"]
        SentForm.claim(Browser.objects.create().pk, number)
        assert follow_form(client, refused, "and send").status_code == 302

    def test_the_purge_deletes_claims_after_a_day(self, adas_tab, client, monkeypatch):
        refused = adas_tab.send(NOTES, {"text": "typed"})
        follow_form(client, refused, "and send")
        assert purge().forms == 0
        SentForm.objects.update(created_at="2020-01-01T00:00Z")
        assert purge().forms == 1


class TestWhereItGoes:
    def test_an_address_of_three_thousand_characters(self, adas_tab, client, ada):
        address = f"{NOTES}?q={'%C3%A4' * 500}"
        refused = adas_tab.send(address, {"text": "typed"})
        assert the_form(refused, "and send")[0] == address
        assert follow_form(client, refused, "and send").status_code == 302
        assert Note.objects.get().user == ada

    def test_a_form_of_another_page_can_not_switch(self, adas_tab, client, grace):
        """A token that is nobody's, and one of another browser's account."""
        other = Client(enforce_csrf_checks=True)
        foreign = Tab(other, "/accounts/sign-in/").token
        fields = {"text": "x", "multisession-send": "a" * 22}
        for token in (foreign, "x" * 64, ""):
            answer = client.post(NOTES, fields | {"csrfmiddlewaretoken": token})
            assert answer.status_code in (403, 409)
        assert whoami(client) == grace.email
        assert Note.objects.count() == 0

    def test_a_form_of_another_site_with_the_token_can_not_switch(self, adas_tab, client, grace):
        refused = adas_tab.send(NOTES, {"text": "typed"})
        address, fields = the_form(refused, "and send")
        answer = client.post(address, fields, headers={"Origin": "https://evil.example"})
        assert answer.status_code == 409
        assert whoami(client) == grace.email


class TestWhatIsKept:
    @pytest.mark.parametrize(
        "name",
        [
            *("password", "old_password", "new_password1", "userPassword", "passwd", "pwd"),
            *("pin", "card-pin", "otp", "totp_token", "cvc", "cardCvc", "CVV", "client_secret"),
            *("api_token", "stripeToken", "iban", "mfa-code"),
        ],
    )
    def test_fields_named_as_secrets_are_not_kept(self, name):
        assert is_never_kept(name)

    @pytest.mark.parametrize(
        "name", ["pinned", "spin", "secretary", "compass", "postcode", "country_code", "author"]
    )
    def test_fields_with_names_like_secrets_are_kept(self, name):
        assert not is_never_kept(name)

    def test_a_project_has_words_of_its_own(self, adas_tab, settings):
        settings.MULTISESSION = {**settings.MULTISESSION, "NEVER_KEPT": ["diagnosis"]}
        refused = adas_tab.send(NOTES, {"text": "kept", "main_diagnosis": "left out"})
        assert "left out" not in refused.text
        assert 'value="kept"' in refused.text

    def test_a_secret_is_typed_again_and_the_rest_is_still_there(self, adas_tab, client, ada):
        refused = adas_tab.send(NOTES, {"text": "an hour's work", "card_pin": "1234", "cvc": ""})
        assert "1234" not in refused.text
        address, fields = the_form(refused, "and send")
        assert fields["text"] == ["an hour's work"]
        assert fields["card_pin"] == [""]
        assert 'type="password" name="card_pin"' in refused.text
        assert 'type="password" name="cvc"' not in refused.text
        assert client.post(address, fields | {"card_pin": "1234"}).status_code == 307
        assert client.post(address, fields | {"card_pin": "1234"}).status_code == 302
        assert Note.objects.get().text == "an hour's work"


class TestWithoutTheSessionCookie:
    """The browser was closed and brought its tabs back; or cookies were cleared."""

    @pytest.fixture
    def refused(self, client, sign_in, ada) -> HttpResponse:
        sign_in(ada)
        tab = Tab(client)
        del client.cookies["sessionid"]
        return tab.send(NOTES, {"text": "an hour's work"}, Origin="http://testserver")

    def test_what_was_typed_is_kept_and_sent_after_a_sign_in(self, client, sign_in, ada, refused):
        assert refused.status_code == 409
        assert "Ada" not in refused.text
        early = follow_form(client, refused, "Send")
        assert "You are not signed in yet." in early.text
        sign_in(ada)
        named = follow_form(client, early, "Send")
        assert named.status_code == 409
        assert Note.objects.count() == 0
        assert follow_form(client, named, "Send as Ada").status_code == 302
        assert list(Note.objects.values_list("user", "text")) == [(ada.pk, "an hour's work")]

    def test_a_form_of_another_site_is_not_kept_for_anybody(self, client, sign_in, ada, grace):
        """The villain has an account here, and so a token that looks like an account's."""
        villain = Client(enforce_csrf_checks=True)
        Tab(villain, "/accounts/sign-in/").send(
            "/accounts/sign-in/", {"username": grace.email, "password": PASSWORD}
        )
        token = Tab(villain).token
        fields = {"text": "buy it", "csrfmiddlewaretoken": token}
        for origin in ({"Origin": "https://evil.example"}, {"Origin": "null"}):
            answer = client.post(NOTES, fields, headers=origin)
            assert answer.status_code in (403, 409)
            assert "buy it" not in answer.text


class TestAForgottenAccount:
    @pytest.fixture
    def forgotten(self, adas_tab, client, ada) -> Tab:
        session = Session.objects.get(user=ada).public_id
        Tab(client, "/accounts/choose/").send("/multisession/forget/", {"session": session})
        return adas_tab

    def test_a_forgotten_account_is_named_nowhere(self, forgotten, client, ada):
        session = Session.objects.get(user=ada).public_id
        answers = [
            forgotten.send(NOTES, {"text": "typed"}),
            forgotten.send(NOTES, {"text": "typed"}, **{"HX-Request": "true"}),
            forgotten.send(NOTES, {"text": "typed"}, Accept="application/json"),
            client.get("/multisession/notice/", {"session": session}),
            client.get("/multisession/notice/", {"session": session, "refused": 1}),
            client.get("/multisession/menu/", {"session": session}),
        ]
        for answer in answers:
            assert "Ada" not in answer.text
            assert ada.email not in answer.text

    def test_what_was_typed_on_a_forgotten_accounts_page_is_sent_after_a_sign_in(
        self, forgotten, client, sign_in, ada
    ):
        refused = forgotten.send(NOTES, {"text": "typed"}, Origin="http://testserver")
        sign_in(ada)
        named = follow_form(client, refused, "Send")
        assert "You are now using Ada" in named.text
        assert follow_form(client, named, "Send as Ada").status_code == 302
        assert Note.objects.get().user == ada

    def test_the_page_of_a_forgotten_account_is_good_after_signing_in_again(
        self, forgotten, sign_in, ada
    ):
        sign_in(ada)
        assert forgotten.send(NOTES, {"text": "typed"}).status_code == 302

    def test_a_forgotten_account_is_named_again_after_signing_in_again(
        self, forgotten, client, sign_in, ada, grace
    ):
        sign_in(ada)
        switch_to(client, grace)
        refused = forgotten.send(NOTES, {"text": "typed"})
        assert follow_form(client, refused, "Switch to Ada").status_code == 302
        assert Note.objects.get().user == ada


class TestWhatCanNotBeKept:
    @pytest.mark.parametrize(
        "limits",
        [
            {"DATA_UPLOAD_MAX_NUMBER_FIELDS": 11},
            {"DATA_UPLOAD_MAX_MEMORY_SIZE": 600},
        ],
    )
    def test_what_django_would_not_read_again(self, adas_tab, client, settings, limits):
        for name, value in limits.items():
            setattr(settings, name, value)
        fields = {f"field{number}": "ä" * 20 for number in range(10)}
        boundary = "x" * 8
        fields["csrfmiddlewaretoken"] = adas_tab.token
        body = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        answer = client.post(
            NOTES,
            f"{body}--{boundary}--\r\n".encode(),
            content_type=f"multipart/form-data; boundary={boundary}",
        )
        assert answer.status_code in (400, 409)
        assert "and send" not in answer.text

    def test_a_long_text_is_no_secret_whatever_its_field_is_called(self, adas_tab):
        refused = adas_tab.send(NOTES, {"secret_santa_wishes": "a book\na pen"})
        assert "a pen" in refused.text

    def test_a_page_that_was_sent_too_early_has_the_same_number(self, adas_tab, client, ada):
        Session.objects.filter(user=ada).update(expire_at="2020-01-01T00:00Z")
        refused = adas_tab.send(NOTES, {"text": "typed"})
        _address, fields = the_form(refused, "Send as Ada")
        early = follow_form(client, refused, "Send as Ada")
        assert the_form(early, "Send as Ada")[1]["multisession-send"] == fields["multisession-send"]
