"""A request that ends its own account is answered, and its data reaches no other account.

The account ends during its own request: the view deletes or deactivates its user, an administrator
revokes their own session, or somebody else changes the password.
"""

from collections.abc import Callable
from unittest import mock

import pytest
from django.contrib import auth, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.test import Client
from django.urls import include, path

from accounts.models import User
from multisession.models import Session
from tests.stories import (
    COOKIE,
    NOBODY,
    Browser,
    EitherSetting,
    confirmed,
    session_of,
    shown_by,
    signed_in,
    silent,
    statuses,
)

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


def delete_me(request: HttpRequest) -> HttpResponse:
    request.session["secret"] = "of the account"
    request.user.delete()
    messages.success(request, "Your account has been deleted.")
    return redirect("/messages/")


def delete_me_and_log_out(request: HttpRequest) -> HttpResponse:
    request.user.delete()
    auth.logout(request)
    messages.success(request, "Your account has been deleted.")
    return redirect("/messages/")


def deactivate_me(request: HttpRequest) -> HttpResponse:
    request.session["secret"] = "of the account"
    request.user.is_active = False
    request.user.save()
    request.session.save()
    messages.success(request, "Your account has been closed.")
    return redirect("/messages/")


def change_key(request: HttpRequest) -> HttpResponse:
    request.user.delete()
    request.session.cycle_key()
    return HttpResponse("deleted")


def clear(request: HttpRequest) -> HttpResponse:
    request.session.clear()
    return HttpResponse("cleared")


def clear_and_say(request: HttpRequest) -> HttpResponse:
    len(messages.get_messages(request))
    request.session.clear()
    request.session["cart"] = "book"
    messages.success(request, "Bye.")
    return HttpResponse("cleared")


def clear_and_sign_in(request: HttpRequest, pk: int) -> HttpResponse:
    request.session.clear()
    auth.login(request, User.objects.get(pk=pk), "django.contrib.auth.backends.ModelBackend")
    return HttpResponse("signed in")


def pop(request: HttpRequest) -> HttpResponse:
    request.session.pop("_auth_user_id")
    return HttpResponse("popped")


def pop_and_put(request: HttpRequest) -> HttpResponse:
    del request.session["_auth_user_id"]
    request.session["cart"] = "book"
    return HttpResponse("popped")


urlpatterns = [
    path("delete-me/", delete_me),
    path("delete-me-and-log-out/", delete_me_and_log_out),
    path("deactivate-me/", deactivate_me),
    path("change-key/", change_key),
    path("clear/", clear),
    path("clear-and-say/", clear_and_say),
    path("clear-and-sign-in/<int:pk>/", clear_and_sign_in),
    path("pop/", pop),
    path("pop-and-put/", pop_and_put),
    path("", include("tests.engine_urls")),
]

WAYS = ["/delete-me/", "/delete-me-and-log-out/", "/deactivate-me/"]


def told(browser: Browser) -> list[str]:
    return browser.get("/messages/").json()["messages"]


class TestOwnAccount(EitherSetting):
    @pytest.mark.parametrize("url", WAYS)
    def test_the_answer_is_kept_and_the_next_page_shows_the_message(self, ada, grace, url, then):
        firefox = signed_in(grace, ada)
        assert firefox.post(url).status_code == 302
        (message,) = told(firefox)
        assert message.startswith("Your account has been")
        assert firefox.page() == {"user": then("grace"), "data": {}}
        assert firefox.accounts() == ["grace"]

    @pytest.mark.parametrize("url", WAYS)
    def test_a_request_that_ends_the_only_account_is_answered(self, ada, url):
        firefox = signed_in(ada)
        assert firefox.post(url).status_code == 302
        assert len(told(firefox)) == 1
        assert (firefox.page(), firefox.accounts()) == ({"user": NOBODY, "data": {}}, [])

    @pytest.mark.parametrize("url", WAYS)
    def test_one_can_sign_in_after_a_request_ended_its_own_account(self, ada, grace, alan, url):
        firefox = signed_in(grace, ada)
        firefox.post(url)
        firefox.sign_in(alan)
        assert firefox.page() == {"user": "alan", "data": {}}
        assert firefox.accounts() == ["alan", "grace"]

    def test_unread_messages_of_the_account_go_with_it(self, ada, grace):
        firefox = signed_in(grace, ada)
        firefox.post("/messages/your-balance-is-low/")
        firefox.post("/delete-me/")
        assert told(firefox) == ["Your account has been deleted."]

    def test_an_account_that_has_nothing_to_say_leaves_the_cookie_alone(self, ada, grace):
        firefox = signed_in(grace, ada)

        def revoke(request):
            session_of(ada).revoke()

        with mock.patch("tests.engine_urls.meanwhile", revoke):
            response = firefox.post("/slow-put/late/1/")
        assert (response.status_code, silent(response)) == (200, True)
        assert firefox.accounts() == ["grace"]

    def test_a_new_key_for_an_account_that_has_gone_opens_nothing(self, ada, grace):
        firefox = signed_in(grace, ada)
        assert firefox.post("/change-key/").status_code == 200
        assert firefox.accounts() == ["grace"]


def revoked(user: User) -> None:
    session_of(user).revoke()


def signed_out_elsewhere(user: User) -> None:
    session_of(user).end()


def password_changed_elsewhere(user: User) -> None:
    safari = Browser()
    safari.sign_in(user)
    safari.post("/change-password/")


def deactivated(user: User) -> None:
    user.is_active = False
    user.save()


def deleted(user: User) -> None:
    user.delete()


def deleted_by_the_database(user: User) -> None:
    Session.objects.filter(user=user)._raw_delete("default")


@pytest.mark.parametrize(
    "end",
    [
        revoked,
        signed_out_elsewhere,
        password_changed_elsewhere,
        deactivated,
        deleted,
        deleted_by_the_database,
    ],
)
def test_a_request_during_which_its_account_ends_keeps_its_answer(
    ada, grace, end: Callable[[User], None]
):
    firefox = signed_in(grace, ada)

    def meanwhile(request):
        messages.info(request, "Ordered.")
        end(ada)

    with mock.patch("tests.engine_urls.meanwhile", meanwhile):
        assert firefox.post("/slow-put/late/1/").status_code == 200
    assert told(firefox) == ["Ordered."]
    assert firefox.page() == {"user": NOBODY, "data": {}}
    assert firefox.accounts() == ["grace"]


def test_an_order_that_a_switch_in_another_tab_overtakes_is_answered(ada, grace):
    """Its message is for Ada: she sees it when she is active again."""
    firefox = signed_in(grace, ada)
    other_tab = firefox.late()

    def switch(request):
        messages.info(request, "Ordered.")
        other_tab.switch(grace)
        assert other_tab.who() == "grace"

    with mock.patch("tests.engine_urls.meanwhile", switch):
        response = firefox.post("/slow-put/late/1/")
    assert (response.status_code, silent(response)) == (200, True)
    assert told(other_tab) == []
    other_tab.switch(ada)
    assert other_tab.page()["data"] == {"late": "1"}
    assert told(other_tab) == ["Ordered."]


def test_a_write_of_nobody_during_a_switch_is_answered_and_dropped(ada, grace):
    """Nobody is active; while a page notes something, another tab makes Grace active."""
    firefox = signed_in(grace, ada)
    firefox.sign_out()
    other_tab = firefox.late()

    def switch(request):
        other_tab.switch(grace)
        assert other_tab.who() == "grace"

    with mock.patch("tests.engine_urls.meanwhile", switch):
        response = firefox.post("/slow-put/late/1/")
    assert (response.status_code, silent(response)) == (200, True)
    assert other_tab.page() == {"user": "grace", "data": {}}


def test_a_visitor_whose_data_has_gone_is_told_as_by_django(ada):
    """As Django's own test_session_update_error_redirect wants it."""
    firefox = Browser()
    firefox.put("cart")

    def delete(request):
        Session.objects.all().delete()

    with mock.patch("tests.engine_urls.meanwhile", delete):
        assert firefox.post("/slow-put/late/1/").status_code == 400


@pytest.mark.parametrize("way", ["one", "selected"])
def test_an_administrator_who_revokes_themselves_is_told_that_it_is_done(django_user_model, way):
    office = Client()
    root = django_user_model.objects.create_superuser("root@example.com", "p")
    office.force_login(root)
    own, url = session_of(root), "/admin/multisession/session/"
    if way == "one":
        response = office.post(f"{url}{own.pk}/revoke/")
    else:
        form = {"action": "revoke_selected", "_selected_action": [str(own.pk)]}
        asked = office.post(url, form)
        response = confirmed(office, asked["Location"])
    assert (response.status_code, statuses(root)) == (302, ["revoked"])
    assert len(office.get("/messages/").json()["messages"]) == 1


class TestSignOutByHand(EitherSetting):
    """``session.clear()`` and its like sign out, also where the view touches nothing else."""

    @pytest.mark.parametrize("url", ["/clear/", "/pop/", "/pop-and-put/", "/flush/"])
    def test_no_cookie_opens_the_account_afterwards(self, ada, grace, url, then):
        firefox = signed_in(grace, ada)
        late, key = firefox.late(), firefox.cookie
        assert firefox.post(url).status_code == 200
        assert statuses(ada) == ["removed"]
        assert shown_by(key) == NOBODY
        assert late.who() == then("grace")  # (it is the same cookie)
        assert (firefox.who(), firefox.accounts()) == (then("grace"), ["grace"])

    @pytest.mark.parametrize("url", ["/clear/", "/pop/", "/flush/"])
    def test_after_the_last_account_the_cookie_goes(self, ada, url):
        firefox = signed_in(ada)
        assert firefox.post(url).cookies[COOKIE]["max-age"] == 0
        assert (firefox.cookie, firefox.accounts()) == (None, [])

    @pytest.mark.parametrize("url", ["/clear/", "/pop/", "/pop-and-put/"])
    def test_nothing_of_the_account_reaches_the_next(self, ada, grace, url):
        firefox = signed_in(ada)
        firefox.put("secret")
        firefox.post("/messages/your-balance-is-low/")
        firefox.post(url)
        assert told(firefox) == []
        assert "secret" not in firefox.page()["data"]
        firefox.sign_in(grace)
        assert (firefox.page(), told(firefox)) == ({"user": "grace", "data": {}}, [])


def test_what_is_written_after_clear_is_the_visitors(ada, grace):
    firefox = signed_in(grace, ada)
    firefox.post("/messages/your-balance-is-low/")
    firefox.post("/clear-and-say/")
    assert told(firefox) == ["Bye."]
    assert firefox.page() == {"user": NOBODY, "data": {"cart": "book"}}


def test_clear_and_a_sign_in_leaves_the_others(ada, grace, alan):
    firefox = signed_in(grace, ada)
    firefox.post(f"/clear-and-sign-in/{alan.pk}/")
    assert (firefox.who(), firefox.accounts()) == ("alan", ["alan", "grace"])


@pytest.mark.parametrize("cookie", [None, "0" * 32, "x"])
def test_clear_without_an_account_does_nothing(db, cookie):
    firefox = Browser(cookie)
    response = firefox.post("/clear/")
    assert (response.status_code, silent(response)) == (200, True)
    assert Session.objects.count() == 0


def test_clear_through_an_old_cookie_ends_its_own_account_only(ada, grace):
    firefox = signed_in(ada)
    late = firefox.late()
    firefox.sign_in(grace)
    assert silent(late.post("/clear/"))
    assert (firefox.who(), firefox.accounts()) == ("grace", ["grace"])
