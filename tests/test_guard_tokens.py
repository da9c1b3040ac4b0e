"""CSRF tokens: only those of the active account pass, whatever the cookie holds."""

import re

import pytest
from django.contrib.auth import login
from django.http import HttpResponse
from django.middleware import csrf
from django.template import RequestContext, Template
from django.test import Client
from django.urls import include, path

from accounts.models import User
from multisession.guard import any_account
from multisession.middleware import SessionMiddleware
from multisession.models import Session
from tests import guarded_urls
from tests.conftest import PASSWORD
from tests.guarded_urls import WRITTEN
from tests.test_guard import Tab, switch_to

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


def drawn_again(request):
    """Draw the form again, as a view does that finds something wrong in it."""
    html = Template("{{ user.email }} {% csrf_token %}").render(RequestContext(request))
    return HttpResponse(html)


urlpatterns = [
    path("again/", any_account(drawn_again)),
    path("shop/cart/", guarded_urls.public),
    path("", include("tests.guarded_urls")),
]

PLANTED = "p" * csrf.CSRF_SECRET_LENGTH
HERE = {"Origin": "http://testserver"}


@pytest.fixture(autouse=True)
def nothing_is_written():
    WRITTEN.clear()


@pytest.fixture
def client() -> Client:
    return Client(enforce_csrf_checks=True)


def sign_in(client: Client, user: User) -> None:
    tab = Tab(client, "/accounts/sign-in/")
    form = {"username": user.email, "password": PASSWORD}
    assert tab.send("/accounts/sign-in/", form).status_code == 302
    client.get("/whoami")


class TestAMiddlewareThatSignsIn:
    """``RemoteUserMiddleware`` does, by a header, before the view of the very first form."""

    @pytest.fixture(autouse=True)
    def by_a_header(self, settings):
        by_header = "django.contrib.auth.middleware.RemoteUserMiddleware"
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, by_header]
        settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]

    def form(self, client, url, **extra):
        page = client.get(url, **extra).text
        (token, *_more) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        return {"csrfmiddlewaretoken": token, "text": "mine"}

    def test_a_form_from_before_is_written_as_the_person_of_the_header(self, client, ada):
        form = self.form(client, "/accounts/sign-in/")
        answer = client.post("/write/", form, REMOTE_USER=ada.email)
        assert (answer.status_code, WRITTEN[-1][0]) == (200, ada.email)
        later = self.form(client, "/accounts/profile/", REMOTE_USER=ada.email)
        assert client.post("/write/", later, REMOTE_USER=ada.email).status_code == 200

    def test_a_wrong_token_is_refused_where_a_middleware_signs_in(self, client, ada):
        self.form(client, "/accounts/sign-in/")
        form = {"csrfmiddlewaretoken": PLANTED, "text": "x"}
        assert client.post("/write/", form, REMOTE_USER=ada.email).status_code == 403
        assert WRITTEN == []

    def test_a_page_of_another_account_is_refused_where_a_middleware_signs_in(
        self, client, ada, grace
    ):
        client.get("/", REMOTE_USER=grace.email)
        form = self.form(client, "/accounts/profile/", REMOTE_USER=grace.email)
        assert client.post("/write/", form, REMOTE_USER=ada.email).status_code == 409
        assert WRITTEN == []


def test_the_cookie_changes_at_a_sign_in_also_where_djangos_middleware_alone_sends_it(rf, ada):
    """As where a project calls the parts of the chain by hand."""
    request = rf.post("/enter/")
    request.COOKIES["csrftoken"] = PLANTED
    answer = HttpResponse()
    SessionMiddleware(lambda request: answer).process_request(request)
    by_django = csrf.CsrfViewMiddleware(lambda request: answer)
    by_django.process_request(request)
    login(request, ada, "django.contrib.auth.backends.ModelBackend")
    by_django.process_response(request, answer)
    assert answer.cookies["csrftoken"].value not in ("", PLANTED)


class TestANeighbourWhoPlantsTheCookie:
    """A page of another subdomain can set cookies for this one, and send forms here."""

    @pytest.mark.parametrize(
        "address", ["/public/", "/about-the-browser/", "/enter/", "/multisession/sign-out-all/"]
    )
    def test_a_planted_csrf_cookie_writes_nothing_as_the_active_account(self, client, ada, address):
        sign_in(client, ada)
        client.cookies["csrftoken"] = PLANTED
        form = {"text": "x", "username": ada.email, "password": PASSWORD}
        answer = client.post(address, form | {"csrfmiddlewaretoken": PLANTED}, headers=HERE)
        assert answer.status_code == 403
        assert WRITTEN == []
        assert Session.objects.live().count() == 1

    def test_a_planted_csrf_cookie_passes_no_view_that_asks_for_the_check_itself(self, client, ada):
        sign_in(client, ada)
        client.cookies["csrftoken"] = PLANTED
        for where in ({"headers": HERE | {"X-CSRFToken": PLANTED}}, {"headers": HERE}):
            answer = client.post("/own-check/", {"csrfmiddlewaretoken": PLANTED}, **where)
            assert answer.status_code == 403
        assert WRITTEN == []

    def test_a_planted_csrf_cookie_spoils_no_form_of_the_active_account(self, client, ada):
        sign_in(client, ada)
        tab = Tab(client)
        client.cookies["csrftoken"] = PLANTED
        assert tab.send("/public/", {"text": "mine"}).status_code == 200

    def test_the_answer_brings_the_right_cookie(self, client, ada):
        """So a script that reads it may try again."""
        sign_in(client, ada)
        client.cookies["csrftoken"] = PLANTED
        refused = client.post("/public/", {}, headers=HERE | {"X-CSRFToken": PLANTED})
        assert refused.status_code == 403
        right = client.cookies["csrftoken"].value
        assert right != PLANTED
        answer = client.post("/public/", {}, headers=HERE | {"X-CSRFToken": right})
        assert answer.status_code == 200
        assert WRITTEN[-1][0] == ada.email

    @pytest.mark.parametrize("space", [" ", "\u2000", "\u00a0", "\u3000"])
    def test_a_cookie_name_with_unicode_spaces_plants_no_csrf_cookie(self, settings, space):
        """Django's parser strips Unicode spaces from a cookie's name, __Host- included."""
        settings.CSRF_COOKIE_NAME = "__Host-csrftoken"
        client = Client(enforce_csrf_checks=True)
        header = f"{space}__Host-csrftoken={PLANTED}".encode().decode("latin-1")
        exact = space == " "
        answer = client.post(
            "/public/", {"csrfmiddlewaretoken": PLANTED}, headers=HERE, HTTP_COOKIE=header
        )
        assert answer.status_code == (200 if exact else 403)


class TestAPageDrawnAgain:
    """It carries the token of the account that it shows, not of the one that sent the form."""

    def test_a_sign_in_page_drawn_again_for_another_accounts_page_opens_no_other_view(
        self, client, ada, grace
    ):
        sign_in(client, ada)
        tab = Tab(client)
        sign_in(client, grace)
        answer = tab.send("/accounts/sign-in/", {"username": "nobody", "password": "wrong"})
        assert answer.status_code in (200, 422)
        again = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', answer.text)[1]
        form = {"username": ada.email, "password": PASSWORD, "csrfmiddlewaretoken": again}
        assert client.post("/public/", form).status_code == 403
        assert client.post("/accounts/sign-in/", form).status_code == 302

    def test_a_page_drawn_again_by_a_view_of_any_page_is_the_active_accounts(
        self, client, ada, grace
    ):
        sign_in(client, ada)
        tab = Tab(client)
        sign_in(client, grace)
        answer = tab.send("/again/", {"text": "x"})
        assert grace.email in answer.text
        again = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', answer.text)[1]
        form = {"text": "corrected", "csrfmiddlewaretoken": again}
        assert client.post("/public/", form, headers=HERE).status_code == 200
        assert [(grace.email, {"text": "corrected"})] == WRITTEN
        switch_to(client, ada)
        assert client.post("/public/", form, headers=HERE).status_code == 409

    def test_a_page_drawn_after_a_form_of_any_page_is_the_active_accounts(self, client, ada, grace):
        sign_in(client, ada)
        tab = Tab(client, "/accounts/choose/")
        sign_in(client, grace)
        tab.send("/language/", {"language": "de", "next": "/"})
        page = Tab(client)
        assert page.send("/public/", {"text": "hers"}).status_code == 200
        assert [(grace.email, {"text": "hers"})] == WRITTEN


class TestPublicForms:
    """A contact form, a cart, a newsletter: the view decides for whom it is."""

    @pytest.fixture
    def tab(self, client, ada, grace) -> Tab:
        sign_in(client, ada)
        tab = Tab(client)
        sign_in(client, grace)
        return tab

    def test_public_forms_are_guarded_by_default(self, tab):
        assert tab.send("/shop/cart/", {"text": "x"}).status_code == 409

    @pytest.mark.parametrize("named", ["/shop/", "/shop/cart/", "tests.guarded_urls", "tests"])
    def test_a_project_names_the_part_of_its_site(self, tab, settings, grace, named):
        settings.MULTISESSION = {**settings.MULTISESSION, "ANY_ACCOUNT": [named]}
        assert tab.send("/shop/cart/", {"text": "x"}).status_code == 200
        assert [(grace.email, {"text": "x"})] == WRITTEN

    @pytest.mark.parametrize("named", ["/sho/", "tests.guarded", "test", "/multisession/"])
    def test_any_account_exempts_no_other_part_of_the_site(self, tab, settings, named):
        settings.MULTISESSION = {**settings.MULTISESSION, "ANY_ACCOUNT": [named]}
        assert tab.send("/shop/cart/", {"text": "x"}).status_code == 409

    def test_the_token_is_still_asked_for(self, client, tab, settings):
        settings.MULTISESSION = {**settings.MULTISESSION, "ANY_ACCOUNT": ["/shop/"]}
        assert client.post("/shop/cart/", {"text": "x"}).status_code == 403


class TestAnExemptView:
    """REST framework's are exempt, and its SessionAuthentication asks for the check itself."""

    def own(self, client: Client, token: str, **headers: str):
        return client.post("/own-check/", {}, headers=HERE | {"X-CSRFToken": token, **headers})

    def test_an_exempt_view_that_checks_itself_takes_the_token_of_its_page_only(
        self, client, ada, grace
    ):
        sign_in(client, ada)
        tab = Tab(client)
        assert self.own(client, tab.token).status_code == 200
        sign_in(client, grace)
        assert self.own(client, tab.token).status_code == 403
        switch_to(client, ada)
        assert self.own(client, tab.token).status_code == 200
        assert [who for who, _said in WRITTEN] == [ada.email, ada.email]

    def test_an_exempt_view_takes_the_cookies_token_only_for_the_page_of_the_active_account(
        self, client, ada, grace
    ):
        """A single-page application reads the cookie when it sends; notice.js says whose page."""
        sign_in(client, ada)
        adas = Session.objects.get(user=ada).public_id
        sign_in(client, grace)
        graces = Session.objects.get(user=grace).public_id
        newest = client.cookies["csrftoken"].value
        refused = self.own(client, newest, **{"X-Multisession-Page": adas})
        assert (refused.status_code, refused["X-Multisession"]) == (403, "wrong-account")
        assert refused.json() == {"detail": "CSRF Failed"}
        assert self.own(client, newest, **{"X-Multisession-Page": graces}).status_code == 200
        assert [(grace.email, {})] == WRITTEN

    def test_an_exempt_view_that_asks_for_no_check_is_left_alone(self, client, ada, grace):
        """A webhook, or an API with keys of its own: called from Ada's stale page even."""
        sign_in(client, ada)
        tab = Tab(client)
        adas = Session.objects.get(user=ada).public_id
        sign_in(client, grace)
        headers = {"X-CSRFToken": tab.token, "X-Multisession-Page": adas}
        assert client.post("/exempt/", {}, headers=headers).status_code == 200

    def test_an_exempt_view_costs_a_program_without_cookies_no_query(
        self, client, django_assert_num_queries
    ):
        with django_assert_num_queries(0):
            client.post("/exempt/", {}, headers={"X-CSRFToken": PLANTED})


class TestWhereARequestComesFrom:
    """A trusted neighbour that planted a session of its own before Ada signed in."""

    NEIGHBOUR = "http://neighbour.testserver"

    @pytest.fixture
    def token(self, client, ada, grace, settings) -> str:
        """Grace is the villain: her session was in the browser first, and she knows its token."""
        settings.CSRF_TRUSTED_ORIGINS = [self.NEIGHBOUR]
        sign_in(client, grace)
        token = Tab(client).token
        sign_in(client, ada)
        return token

    @pytest.mark.parametrize(
        "address", ["/about-the-browser/", "/multisession/sign-out-all/", "/language/", "/enter/"]
    )
    def test_a_neighbours_token_opens_no_view_about_the_browser(self, client, token, address):
        form = {"text": "x", "csrfmiddlewaretoken": token, "username": "x", "password": "x"}
        answer = client.post(address, form, headers={"Origin": self.NEIGHBOUR})
        assert answer.status_code == 403
        assert WRITTEN == []
        assert Session.objects.live().count() == 2

    @pytest.mark.parametrize("origin", [NEIGHBOUR, "http://[", "null", "ftp://testserver"])
    def test_a_neighbours_form_switches_nobody_and_is_not_kept(self, client, ada, token, origin):
        form = {"text": "its words", "multisession-send": "a" * 22, "csrfmiddlewaretoken": token}
        answer = client.post("/public/", form, headers={"Origin": origin})
        assert answer.status_code == 409
        if origin != "ftp://testserver":
            assert "its words" not in answer.text
        assert client.get("/whoami").json()["user"] == ada.email

    def test_a_page_of_plain_http_is_none_of_the_https_site(self, client, token):
        form = {"text": "its words", "csrfmiddlewaretoken": token}
        answer = client.post("/public/", form, headers=HERE, secure=True)
        assert answer.status_code == 409
        assert "its words" not in answer.text

    def test_a_path_of_two_slashes_leads_to_no_other_site(self, client, token):
        form = {"text": "x", "csrfmiddlewaretoken": token}
        answer = client.post("//evil.example/public/", form, headers=HERE)
        assert 'action="//evil' not in answer.text

    def test_markup_that_names_an_unknown_page_stops_no_form_of_the_page(self, client, ada):
        sign_in(client, ada)
        marked = {"X-Multisession-Page": "sess_of_a_comment"}
        assert Tab(client).send("/public/", {"text": "x"}, **marked).status_code == 200
        cookie = client.cookies["csrftoken"].value
        answer = client.post("/public/", {}, headers=HERE | {"X-CSRFToken": cookie} | marked)
        assert answer.status_code == 409
