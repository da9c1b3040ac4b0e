"""Sign-ins that the engine must ignore: signals without ``login()``, and users of another model.

Packages for tokens (django-rest-knox, djoser) send ``user_logged_in`` and ``user_logged_out``
without ``login()`` and ``logout()``: nobody has signed in or out on the browser.
"""

from typing import Any

import pytest
from django.contrib import auth
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.test.utils import isolate_apps
from django.urls import include, path

from accounts.models import User
from multisession import signals
from multisession.models import Event
from tests.engine_urls import name_of
from tests.stories import NOBODY, Browser, listening, session_of, signed_in

with isolate_apps("accounts"):

    class Customer(AbstractBaseUser):
        """A user of another model than AUTH_USER_MODEL."""

        USERNAME_FIELD = "email"
        is_active = True
        email = models.EmailField()

        class Meta:
            app_label = "accounts"

        def save(self, *args: Any, **kwargs: Any) -> None:
            """There is no table: Django notes the time of the sign-in."""


class CustomerBackend(ModelBackend):
    def get_user(self, user_id: Any) -> Any:
        return Customer(pk=int(user_id), email="customer@example.com", password="x")


def token_for(request: HttpRequest, pk: int) -> HttpResponse:
    """As a package does that makes a token for whoever sent a password."""
    user = User.objects.get(pk=pk)
    if "seen" in request.GET:
        request.session["seen"] = "1"
    user_logged_in.send(sender=User, request=request, user=user)
    return HttpResponse("token")


def token_gone(request: HttpRequest, pk: int) -> HttpResponse:
    user_logged_out.send(sender=User, request=request, user=User.objects.get(pk=pk))
    return HttpResponse("gone")


def customer_in(request: HttpRequest, pk: int) -> HttpResponse:
    customer = Customer(pk=pk, email="customer@example.com", password="x")
    auth.login(request, customer, backend=f"{__name__}.CustomerBackend")
    return HttpResponse(str(request.multisession.session is None))


urlpatterns = [
    path("token/<int:pk>/", token_for),
    path("token/<int:pk>/gone/", token_gone),
    path("customer/<int:pk>/", customer_in),
    path("", include("tests.engine_urls")),
]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.mark.parametrize(
    "setting",
    [{}, {"MAX_ACCOUNTS": 1}, {"MAX_ACCOUNTS": 1, "AT_LIMIT": "refuse"}],
    ids=["as it is", "one account", "refused"],
)
class TestATokenIsNoSignIn:
    @pytest.fixture(autouse=True)
    def _setting(self, settings, setting):
        settings.MULTISESSION = setting

    @pytest.mark.parametrize("query", ["", "?seen"])
    def test_a_token_for_somebody_else_is_no_sign_in(self, ada, grace, query):
        browser = signed_in(ada)
        cookie, events = browser.cookie, Event.objects.count()
        assert browser.post(f"/token/{grace.pk}/{query}").content == b"token"
        assert (browser.cookie, browser.who(), browser.accounts()) == (cookie, "ada", ["ada"])
        assert Event.objects.count() == events

    def test_a_token_for_the_active_account_is_no_sign_in(self, ada):
        browser = signed_in(ada)
        browser.post(f"/token/{ada.pk}/")
        assert browser.who() == "ada"
        assert [event.kind for event in Event.objects.all()] == ["signed-in"]

    def test_a_visitors_token_is_no_sign_in(self, grace):
        browser = Browser()
        browser.put("basket")
        cookie = browser.cookie
        browser.post(f"/token/{grace.pk}/")
        assert (browser.cookie, browser.page()) == (
            cookie,
            {"user": NOBODY, "data": {"basket": "1"}},
        )

    def test_nobody_is_asked_whether_the_account_may_change(self, ada, grace):
        browser, asked = signed_in(ada), []

        def note(sender, **kwargs):
            asked.append(kwargs)

        with listening(signals.active_session_changing, note):
            browser.post(f"/token/{grace.pk}/")
        assert asked == []

    def test_the_end_of_a_token_is_no_sign_out(self, ada, grace):
        browser = signed_in(ada)
        browser.post(f"/token/{grace.pk}/gone/")
        browser.post(f"/token/{ada.pk}/gone/")
        assert browser.who() == "ada"

    def test_a_sign_in_after_a_token_is_recorded(self, ada, grace):
        browser = signed_in(ada)
        browser.post(f"/token/{ada.pk}/")
        browser.sign_in(ada)
        assert [event.kind for event in Event.objects.filter(account=ada.email)] == [
            "signed-in"
        ] * 2


class TestAnotherUserModel:
    @pytest.fixture(autouse=True)
    def _backends(self, settings):
        settings.AUTHENTICATION_BACKENDS = [
            f"{__name__}.CustomerBackend",
            "django.contrib.auth.backends.ModelBackend",
        ]

    @pytest.mark.parametrize("before", [False, True], ids=["nobody", "ada"])
    def test_a_user_of_another_model_signs_in_with_a_key_that_one_of_ours_has(self, ada, before):
        browser = signed_in(ada) if before else Browser()
        for _time in range(2):
            assert browser.post(f"/customer/{ada.pk}/").status_code == 200
            assert browser.get("/who-by-sid/").status_code == 200
            assert browser.who() == "customer"

    def test_a_user_of_another_model_signs_in_with_a_key_that_none_of_ours_has(self, ada):
        browser = signed_in(ada)
        assert browser.post("/customer/999999/").status_code == 200
        assert browser.who() == "customer"
        assert name_of(session_of(ada).user) == "ada"
