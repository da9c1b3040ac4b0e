"""``AT_LIMIT = "refuse"``: after any sign-in page, a page says what to do."""

import pytest
from django.contrib.auth.views import LoginView
from django.test import Client
from django.urls import include, path
from django.utils import translation

from tests.conftest import PASSWORD
from tests.stories import Browser, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

SENTENCE = "This browser is signed in to 2 accounts already."

urlpatterns = [
    path("log-in/", LoginView.as_view(template_name="accounts/sign_in.html")),
    path("", include("tests.engine_urls")),
]


@pytest.fixture(autouse=True)
def _two_at_most(settings):
    settings.MULTISESSION = {"MAX_ACCOUNTS": 2, "AT_LIMIT": "refuse"}


@pytest.fixture
def client(ada, grace) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(grace)
    client.force_login(ada)
    return client


def log_in(client, user, url="/log-in/", **headers):
    return client.post(url, {"username": user.email, "password": PASSWORD}, headers=headers)


@pytest.mark.parametrize("url", ["/log-in/", "/admin/login/"])
def test_any_sign_in_page_at_the_limit_shows_the_accounts(client, ada, alan, url):
    if url.startswith("/admin"):
        alan.is_staff = True
        alan.save()
    response = log_in(client, alan, url)
    assert response.status_code == 403
    assert SENTENCE in response.text
    assert "ada@example.com" in response.text
    assert "grace@example.com" in response.text
    assert f'name="next" value="{url}"' in response.text
    assert "no-store" in response["Cache-Control"]
    assert client.get("/who/").json()["user"] == "ada"


def test_after_signing_out_of_an_account_another_can_sign_in(client, grace, alan):
    response = log_in(client, alan)
    sid = next(s for s in response.context["sessions"] if s.user == grace).public_id
    signed_out = client.post("/multisession/sign-out/", {"session": sid, "next": "/log-in/"})
    assert signed_out["Location"] == "/log-in/"
    assert log_in(client, alan).status_code == 302
    assert client.get("/who/").json()["user"] == "alan"


def test_the_forms_on_the_page_pass_the_csrf_check(client, ada, grace, alan):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    token = strict.get("/form/").text
    form = {"username": alan.email, "password": PASSWORD, "csrfmiddlewaretoken": token}
    page = strict.post("/log-in/", form)
    assert page.status_code == 403
    assert SENTENCE in page.text
    sid = next(s for s in page.context["sessions"] if s.user == grace).public_id
    form = {"session": sid, "csrfmiddlewaretoken": str(page.context["csrf_token"])}
    assert strict.post("/multisession/set-active/", form).status_code == 302
    assert strict.get("/who/").json()["user"] == "grace"


def test_htmx_is_led_to_the_chooser_which_names_the_limit(client, alan):
    response = log_in(client, alan, **{"HX-Request": "true"})
    assert response.status_code == 403
    assert SENTENCE in client.get(response["HX-Redirect"]).text
    assert client.get("/who/").json()["user"] == "ada"


def test_a_script_is_told_in_json(client, alan):
    response = log_in(client, alan, accept="application/json")
    assert response.status_code == 403
    assert response.json() == {"error": "account_limit", "detail": SENTENCE}


def test_the_limits_page_is_in_the_persons_language(client, alan):
    with translation.override("en"):  # and back, whatever the request has set
        response = log_in(client, alan, **{"accept-language": "de"})
    assert "Dieser Browser ist bereits bei 2 Konten angemeldet." in response.text


def test_a_coroutine_answers_the_same(ada, grace, alan):
    firefox = signed_in(ada, grace, asynchronous=True)
    response = firefox.sign_in(alan)
    assert response.status_code == 403
    assert SENTENCE in response.content.decode()
    assert (firefox.who(), firefox.accounts()) == ("grace", ["ada", "grace"])


def test_nobody_is_told_who_is_signed_in_elsewhere(client, alan, ada):
    safari = Browser()
    safari.sign_in(alan)
    assert "ada@example.com" not in safari.get("/list/").content.decode()


def test_the_limits_page_says_one_account_in_the_singular(settings, ada, grace):
    settings.MULTISESSION = {"MAX_ACCOUNTS": 1, "AT_LIMIT": "refuse"}
    firefox = signed_in(ada)
    assert "signed in to 1 account already." in firefox.sign_in(grace).content.decode()
