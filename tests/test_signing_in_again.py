"""Signing in again, on pages that Django and other packages render.

A page that is drawn while no account is active belongs to no account, whoever was signed in before.
A sign-in page accepts forms from every page of this browser.
"""

import datetime
import json
import re

import pytest
from django.contrib import auth
from django.contrib.auth import views as auth_views
from django.http import HttpResponse, JsonResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.template import engines
from django.test import Client
from django.urls import include, path
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt, csrf_protect, ensure_csrf_cookie

from accounts.models import User
from multisession.models import Client as Client_
from multisession.models import Session

from .conftest import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

FORM = '<form method="post">{% csrf_token %}</form>'


def drawn(request, text=FORM):
    return HttpResponse(engines["django"].from_string(text).render({}, request))


class Drawn:
    """Django's own view, with a template that is nothing but its form."""

    def render_to_response(self, context, **kwargs):
        return drawn(self.request)


class SignIn(Drawn, auth_views.LoginView):
    next_page = "/front/"


class Reset(Drawn, auth_views.PasswordResetView):
    def form_valid(self, form):
        return HttpResponse("sent")


def front(request):
    """The README's page: the button and nothing else."""
    return drawn(request, "{% load multisession %}{% user_button %}")


@csrf_protect
def contact(request):
    return HttpResponse("thanks") if request.method == "POST" else drawn(request)


@csrf_protect
def by_hand(request):
    """A sign-in view that is not Django's, at the address that LOGIN_URL names."""
    user = auth.authenticate(
        request, username=request.POST.get("username"), password=request.POST.get("password")
    )
    if user is None:
        return drawn(request)
    auth.login(request, user)
    return HttpResponse(status=302, headers={"Location": "/front/"})


@ensure_csrf_cookie
def give_cookie(request):
    return JsonResponse({})


def api_sign_in(request):
    given = json.loads(request.body)
    user = auth.authenticate(request, username=given["email"], password=given["password"])
    auth.login(request, user)
    return JsonResponse({"user": user.email})


def api_sign_out(request):
    auth.logout(request)
    return JsonResponse({})


def api_mine(request):
    status = 200 if request.user.is_authenticated else 401
    return JsonResponse({"user": request.user.get_username()}, status=status)


def checks_by_itself(request):
    middleware = CsrfViewMiddleware(lambda request: None)
    middleware.process_request(request)
    refused = middleware.process_view(request, None, (), {})
    return refused or HttpResponse(request.user.get_username())


def out_and_draw(request):
    auth.logout(request)
    return drawn(request)


own_admin = ([path("login/", contact, name="login")], "admin")

urlpatterns = [
    path("own-admin/", include(own_admin, namespace="own-admin")),
    path("exempt/", csrf_exempt(checks_by_itself)),
    path("out-and-draw/", out_and_draw),
    path("quiet/", lambda request: HttpResponse()),
    path("front/", front),
    path("in/", SignIn.as_view()),
    path("by-hand/", by_hand),
    path("out/", auth_views.LogoutView.as_view(next_page="/front/")),
    path("reset/", Reset.as_view()),
    path("contact/", contact),
    path("cookie/", give_cookie),
    path("api/in/", api_sign_in),
    path("api/out/", api_sign_out),
    path("api/mine/", api_mine),
    path("", include("config.urls")),
]

SIGN_IN_PAGES = ["/in/", "/admin/login/", "/by-hand/"]


@pytest.fixture(autouse=True)
def login_url(settings):
    settings.LOGIN_URL = "/by-hand/"
    settings.MULTISESSION = {}


class Surfer(Client):
    """A browser: it sends the tokens of the pages that it shows."""

    def __init__(self, **options):
        super().__init__(enforce_csrf_checks=True, raise_request_exception=False, **options)

    def token(self, url):
        html = self.get(url).content.decode()
        return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', html)[1]

    def send(self, url, form=None, *, token=None):
        token = token or self.token(url)
        return self.post(url, {**(form or {}), "csrfmiddlewaretoken": token})

    def sign_in(self, user, url, *, token=None):
        return self.send(url, {"username": user.email, "password": PASSWORD}, token=token)

    def by_script(self, url, data, *, token=None):
        """As single-page apps do it: the token is what the cookie says at this moment."""
        token = token or self.cookies["csrftoken"].value
        headers = {"x-csrftoken": token}
        return self.post(url, json.dumps(data), content_type="application/json", headers=headers)

    def who(self):
        return self.get("/api/mine/").json()["user"]

    def accounts(self):
        self.get("/front/")
        return sorted(row.user.email for row in Session.objects.filter(status="active"))


@pytest.fixture
def surfer():
    return Surfer()


@pytest.fixture
def root(db):
    return User.objects.create_superuser("root@example.com", PASSWORD, name="Root")


def lose(how, surfer):
    """The account goes, and no other page is looked at in between."""
    if how == "expired":
        Session.objects.update(expire_at=timezone.now())
    elif how == "revoked":
        Session.objects.get().revoke()
    elif how == "deactivated and let in again":
        for is_active in (False, True):
            for user in User.objects.all():
                user.is_active = is_active
                user.save()
    elif how == "deleted by hand":
        Session.objects.all().delete()
    elif how == "the cookie is gone":
        del surfer.cookies["sessionid"]
    else:
        answer = surfer.send("/out/", token=surfer.token("/contact/"))
        assert answer.status_code == 302


GONE = [
    "signed out",
    "expired",
    "revoked",
    "deactivated and let in again",
    "deleted by hand",
    "the cookie is gone",
]


@pytest.mark.parametrize("how", GONE)
@pytest.mark.parametrize("url", SIGN_IN_PAGES)
def test_whoever_was_signed_out_signs_in_again_on_the_same_page(surfer, root, url, how):
    assert surfer.sign_in(root, url).status_code == 302
    assert surfer.get("/admin/").status_code == 200
    lose(how, surfer)
    assert surfer.sign_in(root, url).status_code == 302
    assert surfer.who() == root.email


@pytest.mark.parametrize("how", GONE)
def test_after_a_wrong_password_the_form_is_still_good(surfer, root, how):
    surfer.sign_in(root, "/in/")
    surfer.get("/contact/")
    lose(how, surfer)
    page = surfer.send("/in/", {"username": root.email, "password": "wrong"})
    assert page.status_code == 200
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())[1]
    assert surfer.sign_in(root, "/in/", token=token).status_code == 302


@pytest.mark.parametrize("url", ["/reset/", "/contact/"])
@pytest.mark.parametrize("how", GONE)
def test_other_pages_that_are_drawn_for_nobody_take_their_own_forms(surfer, root, url, how):
    surfer.sign_in(root, "/in/")
    surfer.get("/contact/")
    lose(how, surfer)
    assert surfer.send(url, {"email": root.email}).status_code == 200


@pytest.mark.parametrize("asks_for_the_cookie_first", [False, True])
@pytest.mark.parametrize("how", [*GONE, "by the app"])
def test_a_single_page_app_signs_in_again(surfer, ada, how, asks_for_the_cookie_first):
    surfer.get("/cookie/")
    credentials = {"email": ada.email, "password": PASSWORD}
    assert surfer.by_script("/api/in/", credentials).status_code == 200
    if how == "by the app":
        assert surfer.by_script("/api/out/", {}).status_code == 200
    else:
        lose(how, surfer)
    if asks_for_the_cookie_first:
        surfer.get("/cookie/")
    assert surfer.by_script("/api/in/", credentials).status_code == 200
    assert surfer.who() == ada.email


def test_a_single_page_app_is_told_by_the_project_that_its_session_is_over(surfer, ada):
    """Its page still carries Ada's token; the answer is the project's 401, not ours."""
    surfer.sign_in(ada, "/in/")
    token = surfer.token("/contact/")
    lose("expired", surfer)
    assert surfer.by_script("/api/mine/", {}, token=token).status_code == 401


def test_the_csrf_cookie_stops_being_the_accounts_when_the_account_goes(surfer, ada):
    surfer.sign_in(ada, "/in/")
    surfer.get("/contact/")
    of_ada = surfer.cookies["csrftoken"].value
    lose("expired", surfer)
    surfer.get("/api/mine/")
    assert surfer.cookies["csrftoken"].value != of_ada
    kept = surfer.cookies["csrftoken"]
    assert (kept["path"], kept["samesite"], kept["max-age"]) == ("/", "Lax", 31449600)


def test_a_page_that_asks_nothing_of_the_session_renews_no_cookie(surfer, ada):
    surfer.sign_in(ada, "/in/")
    surfer.get("/contact/")
    lose("expired", surfer)
    assert not surfer.get("/quiet/").cookies


class TestPagesThatWereOpenBefore:
    @pytest.mark.parametrize("url", SIGN_IN_PAGES)
    def test_two_sign_in_pages_opened_as_nobody_both_sign_in(self, surfer, root, url, grace):
        grace.is_staff = True
        grace.save()
        first, second = surfer.token(url), surfer.token(url)
        assert surfer.sign_in(root, url, token=first).status_code == 302
        assert surfer.sign_in(grace, url, token=second).status_code == 302
        assert surfer.accounts() == [grace.email, root.email]

    def test_two_open_sign_in_pages_of_a_visitor_with_a_cart_both_sign_in(self, surfer, ada, grace):
        surfer.get("/in/")
        session = surfer.session
        session["cart"] = "book"
        session.save()
        first, second = surfer.token("/in/"), surfer.token("/in/")
        assert surfer.sign_in(ada, "/in/", token=first).status_code == 302
        assert surfer.sign_in(grace, "/in/", token=second).status_code == 302
        assert surfer.accounts() == [ada.email, grace.email]

    @pytest.mark.parametrize("url", SIGN_IN_PAGES)
    def test_a_page_opened_with_another_account_active_signs_in(
        self, surfer, root, url, grace, ada
    ):
        surfer.sign_in(ada, "/by-hand/")
        token = surfer.token("/contact/")
        surfer.sign_in(grace, "/by-hand/")
        assert surfer.sign_in(root, url, token=token).status_code == 302
        assert surfer.who() == root.email

    @pytest.mark.parametrize("how", ["signed out", "expired", "revoked"])
    def test_a_page_opened_as_an_account_that_is_gone_signs_in(self, surfer, root, how):
        surfer.sign_in(root, "/in/")
        token = surfer.token("/by-hand/")
        lose(how, surfer)
        assert surfer.sign_in(root, "/by-hand/", token=token).status_code == 302

    def test_a_page_opened_after_a_sign_out_signs_in_beside_the_next_account(
        self, surfer, ada, grace
    ):
        surfer.sign_in(ada, "/in/")
        lose("signed out", surfer)
        first, second = surfer.token("/in/"), surfer.token("/in/")
        assert surfer.sign_in(ada, "/in/", token=first).status_code == 302
        assert surfer.sign_in(grace, "/in/", token=second).status_code == 302

    def test_the_signed_out_chooser_in_two_tabs(self, surfer, ada, grace):
        surfer.sign_in(ada, "/in/")
        surfer.sign_in(grace, "/in/")
        lose("signed out", surfer)
        surfer.sign_in(grace, "/in/")
        lose("signed out", surfer)
        chooser = "/multisession/choose/"
        first, second = surfer.token(chooser), surfer.token(chooser)
        session = Session.objects.get(user=ada, status="active").public_id
        for token in (first, second):
            answer = surfer.send("/multisession/set-active/", {"session": session}, token=token)
            assert answer.status_code == 302
        assert surfer.who() == ada.email

    def test_an_open_sign_in_page_is_good_after_a_changed_secret_key(
        self, surfer, ada, grace, settings
    ):
        surfer.sign_in(ada, "/in/")
        lose("signed out", surfer)
        first, second = surfer.token("/in/"), surfer.token("/in/")
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another key altogether"
        assert surfer.sign_in(ada, "/in/", token=first).status_code == 302
        assert surfer.sign_in(grace, "/in/", token=second).status_code == 302

    def test_signing_out_twice_is_no_conflict(self, surfer, ada):
        surfer.sign_in(ada, "/in/")
        token = surfer.token("/contact/")
        lose("expired", surfer)
        assert surfer.send("/out/", token=token).status_code == 302

    def test_signing_out_on_adas_page_does_not_sign_out_grace(self, surfer, ada, grace):
        surfer.sign_in(ada, "/in/")
        token = surfer.token("/contact/")
        surfer.sign_in(grace, "/in/")
        assert surfer.send("/out/", token=token).status_code == 409
        assert surfer.who() == grace.email


class TestVillains:
    """Somebody wants this browser to sign in as an account of theirs (login CSRF)."""

    def test_a_page_drawn_for_nobody_on_another_browser_signs_nobody_in(self, surfer, ada, grace):
        evil = Surfer().token("/in/")
        surfer.sign_in(ada, "/in/")
        assert surfer.sign_in(grace, "/in/", token=evil).status_code == 403
        assert surfer.who() == ada.email

    def test_a_nobodys_page_of_another_known_browser_signs_nobody_in(self, surfer, ada, grace):
        other = Surfer()
        other.sign_in(grace, "/in/")
        lose("signed out", other)
        evil = other.token("/in/")
        surfer.sign_in(ada, "/in/")
        assert surfer.sign_in(grace, "/in/", token=evil).status_code == 403

    def test_a_page_of_an_account_that_this_browser_does_not_know_signs_nobody_in(
        self, surfer, ada, grace
    ):
        other = Surfer()
        other.sign_in(grace, "/in/")
        evil = other.token("/contact/")
        surfer.get("/in/")
        assert surfer.sign_in(grace, "/in/", token=evil).status_code == 403
        surfer.sign_in(ada, "/in/")
        assert surfer.sign_in(grace, "/in/", token=evil).status_code == 403

    def test_a_page_drawn_for_nobody_writes_nothing_as_the_account_that_is_active(
        self, surfer, ada
    ):
        before = surfer.token("/contact/")
        surfer.sign_in(ada, "/in/")
        assert surfer.send("/contact/", token=before).status_code == 403

    def test_the_form_of_an_account_that_is_gone_is_kept_and_not_sent_as_nobody(self, surfer, ada):
        surfer.sign_in(ada, "/in/")
        token = surfer.token("/contact/")
        lose("expired", surfer)
        assert surfer.send("/contact/", {"text": "an hour's work"}, token=token).status_code == 409

    @pytest.mark.parametrize("cookie", ["\u00fc" * 32, "x" * 31, "", "x" * 64])
    def test_a_csrf_cookie_that_is_none_breaks_no_sign_in(self, surfer, ada, cookie):
        surfer.cookies["csrftoken"] = cookie
        assert surfer.sign_in(ada, "/in/").status_code == 302
        surfer.get("/contact/")
        assert surfer.who() == ada.email

    @pytest.mark.parametrize("origin", ["https://evil.example", "http://blog.testserver", "null"])
    @pytest.mark.parametrize("in_session", [False, True])
    def test_a_cookie_planted_by_a_neighbour_before_the_first_sign_in_signs_nobody_in(
        self, surfer, ada, grace, settings, origin, in_session
    ):
        """The neighbour knows the secret, and the project trusts that origin."""
        settings.CSRF_USE_SESSIONS = in_session
        settings.CSRF_TRUSTED_ORIGINS = ["http://*.testserver"]
        neighbour = Surfer()
        known = neighbour.token("/in/")
        surfer.cookies.update(neighbour.cookies)
        surfer.sign_in(ada, "/in/")
        surfer.defaults["HTTP_ORIGIN"] = origin
        assert surfer.sign_in(grace, "/in/", token=known).status_code == 403
        assert surfer.send("/multisession/sign-out-all/", token=known).status_code == 403
        assert surfer.who() == ada.email

    def test_a_page_from_before_the_first_sign_in_is_good_for_an_hour(self, surfer, ada, grace):
        before = surfer.token("/in/")
        surfer.sign_in(ada, "/in/")
        Client_.objects.update(created_at=timezone.now() - datetime.timedelta(minutes=61))
        assert surfer.sign_in(grace, "/in/", token=before).status_code == 403

    def test_a_page_from_before_the_first_sign_in_is_good_for_sign_in_pages_only(self, surfer, ada):
        before = surfer.token("/in/")
        surfer.sign_in(ada, "/in/")
        assert surfer.send("/multisession/sign-out-all/", token=before).status_code == 403
        assert surfer.who() == ada.email

    def test_a_failed_sign_in_on_nobodys_page_leaves_the_cookie_the_active_accounts(
        self, surfer, ada
    ):
        surfer.sign_in(ada, "/in/")
        lose("signed out", surfer)
        of_nobody = surfer.token("/in/")
        surfer.sign_in(ada, "/in/")
        page = surfer.send("/in/", {"username": ada.email, "password": "x"}, token=of_nobody)
        assert page.status_code == 200
        assert surfer.send("/contact/", token=of_nobody).status_code == 403
        surfer.get("/contact/")
        assert surfer.who() == ada.email

    @pytest.mark.parametrize("url", ["/", "/?sign-in=1", "https://sso.example.org/contact/"])
    def test_a_login_url_that_is_no_page_of_its_own_opens_no_other_page(
        self, surfer, ada, grace, settings, url
    ):
        settings.LOGIN_URL = url
        surfer.sign_in(ada, "/in/")
        of_ada = surfer.token("/contact/")
        surfer.sign_in(grace, "/in/")
        for path_ in ("/", "/contact/"):
            assert surfer.send(path_, token=of_ada).status_code == 409

    def test_a_page_that_is_called_login_in_an_app_called_admin_is_no_sign_in_page(
        self, surfer, ada, grace
    ):
        surfer.sign_in(ada, "/in/")
        of_ada = surfer.token("/contact/")
        surfer.sign_in(grace, "/in/")
        assert surfer.send("/own-admin/login/", token=of_ada).status_code == 409

    def test_a_late_answers_cookie_opens_no_exempt_view_that_checks_by_itself(
        self, surfer, ada, grace
    ):
        """As REST framework's views do. A slow page of Ada's brings her cookie back."""
        surfer.sign_in(ada, "/in/")
        of_ada = surfer.token("/contact/")
        late = surfer.cookies["csrftoken"].value
        surfer.sign_in(grace, "/in/")
        surfer.get("/contact/")
        surfer.cookies["csrftoken"] = late
        headers = {"x-csrftoken": of_ada}
        assert surfer.post("/exempt/", headers=headers).status_code == 403
        surfer.get("/contact/")
        headers = {"x-csrftoken": surfer.cookies["csrftoken"].value}
        assert surfer.post("/exempt/", headers=headers).content.decode() == grace.email

    def test_a_script_of_adas_page_writes_nothing_while_nobody_is_active_and_she_is_signed_in(
        self, surfer, ada
    ):
        surfer.sign_in(ada, "/in/")
        of_ada = surfer.token("/contact/")
        assert surfer.send("/multisession/add-account/", token=of_ada).status_code == 302
        assert surfer.by_script("/api/mine/", {}, token=of_ada).status_code == 409

    def test_a_neighbours_csrf_cookie_with_other_letters_breaks_no_sign_out(self, surfer, ada):
        surfer.sign_in(ada, "/in/")
        token = surfer.token("/contact/")
        surfer.cookies["csrftoken"] = "-_" * 16
        assert surfer.send("/out-and-draw/", token=token).status_code == 200

    def test_another_sites_form_is_refused_even_with_a_good_token(self, ada, grace):
        surfer = Surfer(headers={"origin": "https://evil.example"})
        token = surfer.token("/in/")
        assert surfer.sign_in(ada, "/in/", token=token).status_code == 403


@pytest.mark.parametrize("how", ["signed out", "expired"])
def test_a_sign_in_under_csrf_in_the_session(surfer, ada, grace, settings, how):
    settings.CSRF_USE_SESSIONS = True
    first, second = surfer.token("/in/"), surfer.token("/in/")
    assert surfer.sign_in(ada, "/in/", token=first).status_code == 302
    assert surfer.sign_in(grace, "/in/", token=second).status_code == 302
    assert surfer.accounts() == [ada.email, grace.email]
    Session.objects.filter(user=ada).delete()
    lose(how, surfer)
    assert surfer.sign_in(grace, "/in/").status_code == 302
    assert surfer.who() == grace.email
