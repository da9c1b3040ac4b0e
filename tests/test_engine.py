"""Several accounts behind one cookie, with Django's own ``login()`` and ``logout()``.

Every story runs with both values of ``AFTER_SIGN_OUT``, and also with the async functions.
test_token_rules has the attacks with kept, planted and replayed cookies.
"""

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.contrib.auth import SESSION_KEY, login
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.http import HttpResponse
from django.test import AsyncClient, Client

from accounts.models import User
from multisession.backends.db import SessionStore
from multisession.middleware import SessionMiddleware
from multisession.models import Client as ClientRow
from multisession.models import Session
from multisession.models.tokens import Token
from tests.conftest import PASSWORD
from tests.engine_urls import BACKEND
from tests.stories import (
    NOBODY,
    Browser,
    EitherSetting,
    EveryWay,
    count_rows,
    listening,
    session_of,
    settled,
    shown_by,
    signed_in,
    statuses,
    with_engine_urls,
)

pytestmark = with_engine_urls


def change_password(user: User) -> None:
    user.set_password("changed elsewhere")
    user.save()


class TestSigningInAndOut(EveryWay):
    def test_a_second_sign_in_adds_an_account_with_data_of_its_own(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.put("theirs", "of Ada")
        browser.sign_in(grace)
        assert browser.page() == {"user": "grace", "data": {}}
        assert browser.accounts() == ["ada", "grace"]

    def test_signing_out_ends_one_account_and_leaves_the_other_its_data(
        self, browser, then, ada, grace
    ):
        browser.sign_in(ada)
        browser.put("theirs", "of Ada")
        browser.sign_in(grace)
        browser.sign_out()
        assert browser.who() == then("ada")
        assert (statuses(ada), statuses(grace)) == (["active"], ["ended"])
        assert browser.accounts() == ["ada"]
        assert session_of(ada).get_decoded()["theirs"] == "of Ada"
        assert session_of(grace).session_data == ""

    def test_the_last_one_to_sign_out_leaves_nobody(self, browser, ada):
        browser.sign_in(ada)
        browser.sign_out()
        assert (browser.who(), browser.accounts()) == (NOBODY, [])
        assert browser.listed()["signed_out"] == ["ada"]

    def test_a_sign_out_answered_500_has_signed_out(self, browser, then, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        assert browser.sign_out(status=500).status_code == 500
        assert browser.who() == then("ada")
        assert browser.accounts() == ["ada"]

    def test_a_sign_in_answered_500_loses_no_account(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace, status=500)
        assert browser.who() in ("ada", "grace")
        assert "ada" in browser.accounts()

    def test_a_first_sign_in_answered_500_leaves_a_working_browser(self, browser, ada):
        browser.put("cart")
        browser.sign_in(ada, status=500)
        assert browser.page()["data"] == {"cart": "1"}
        browser.sign_in(ada)
        assert browser.page() == {"user": "ada", "data": {"cart": "1"}}

    def test_a_bare_flush_is_a_sign_out_even_if_answered_500(self, browser, ada):
        browser.sign_in(ada)
        browser.flush(status=500)
        assert browser.who() == NOBODY
        assert statuses(ada) == ["removed"]

    @pytest.mark.parametrize("first", ["flush", "logout"])
    def test_who_was_signed_out_on_purpose_does_not_come_back_with_the_next_sign_in(
        self, browser, ada, grace, first
    ):
        browser.sign_in(ada)
        browser.sign_in(grace, first=first)
        assert (browser.who(), browser.accounts()) == ("grace", ["grace"])
        browser.sign_out()
        assert browser.who() == NOBODY

    def test_signing_in_again_activates_the_session_that_is_there(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.put("theirs", "of Ada")
        browser.sign_in(grace)
        browser.sign_in(ada)
        assert browser.page() == {"user": "ada", "data": {"theirs": "of Ada"}}
        assert statuses(ada) == ["active"]
        browser.sign_out()
        assert browser.accounts() == ["grace"]

    def test_signing_in_as_the_active_account_changes_nothing(self, browser, ada):
        browser.sign_in(ada)
        browser.put("theirs")
        browser.sign_in(ada)
        assert browser.page() == {"user": "ada", "data": {"theirs": "1"}}
        assert statuses(ada) == ["active"]

    def test_replace_mode_leaves_no_account_below_the_new_one(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace, mode="replace")
        assert browser.accounts() == ["grace"]
        browser.sign_out()
        assert browser.who() == NOBODY
        assert statuses(ada) == ["replaced"]

    def test_a_password_changed_elsewhere_signs_the_active_account_out(
        self, browser, then, ada, grace
    ):
        browser.sign_in(grace)
        browser.sign_in(ada)
        change_password(ada)
        assert browser.who() in (NOBODY, then("grace"))
        assert browser.who() == then("grace")
        assert browser.accounts() == ["grace"]

    def test_a_password_changed_elsewhere_does_not_show_the_account_after_a_sign_out(
        self, browser, ada, grace
    ):
        browser.sign_in(ada)
        browser.sign_in(grace)
        change_password(ada)
        browser.sign_out()
        assert [browser.who(), browser.who()] == [NOBODY, NOBODY]
        assert browser.accounts() == []
        assert browser.listed()["signed_out"] == ["grace", "ada"]

    def test_a_sign_in_with_the_new_password_replaces_the_session_of_the_old(self, browser, ada):
        browser.sign_in(ada)
        change_password(ada)
        browser.sign_in(ada)
        assert (browser.who(), browser.accounts()) == ("ada", ["ada"])
        # "removed" if something had asked for the user before login() did.
        assert statuses(ada) in (["replaced", "active"], ["removed", "active"])
        browser.sign_out()
        assert browser.who() == NOBODY

    def test_a_new_password_replaces_the_session_below_another_account(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        change_password(ada)
        browser.sign_in(ada)
        assert browser.accounts() == ["ada", "grace"]
        assert statuses(ada) == ["replaced", "active"]

    def test_the_active_user_deleted_breaks_nothing(self, browser, then, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        grace.delete()
        assert browser.who() == then("ada")
        assert browser.accounts() == ["ada"]

    def test_another_user_deleted_breaks_nothing(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        ada.delete()
        assert (browser.who(), browser.accounts()) == ("grace", ["grace"])

    def test_a_deactivated_account_shows_nobody_and_costs_the_other_nothing(
        self, browser, ada, grace
    ):
        browser.sign_in(ada)
        browser.sign_in(grace)
        User.objects.filter(pk=grace.pk).update(is_active=False)
        assert (browser.who(), browser.accounts()) == (NOBODY, ["ada"])

    def test_an_expired_account_shows_nobody_and_costs_the_other_nothing(
        self, browser, then, ada, grace
    ):
        browser.sign_in(ada)
        browser.sign_in(grace)
        Session.objects.filter(user=grace).update(expire_at="2000-01-01T00:00Z")
        assert browser.who() == then("ada")
        assert browser.accounts() == ["ada"]


class TestData(EveryWay):
    def test_the_first_sign_in_keeps_what_the_visitor_had_and_the_second_does_not(
        self, browser, ada, grace
    ):
        browser.put("cart")
        browser.sign_in(ada)
        assert browser.page() == {"user": "ada", "data": {"cart": "1"}}
        browser.sign_in(grace)
        assert browser.page() == {"user": "grace", "data": {}}

    def test_what_is_written_after_a_sign_out_reaches_no_account(self, browser, then, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        assert browser.sign_out(put="leak").status_code == 200
        assert browser.page()["user"] == then("ada")
        browser.sign_in(ada)
        assert browser.page() == {"user": "ada", "data": {}}
        browser.sign_in(grace)
        assert browser.page() == {"user": "grace", "data": {}}

    def test_what_is_written_after_a_sign_out_is_the_visitors(self, browser, then, ada, grace):
        """A view that signs out and goes on (a link to reset a password) finds what it wrote."""
        browser.sign_in(ada)
        browser.sign_in(grace)
        browser.sign_out(put="key")
        page = browser.page()
        page["data"].pop("_multisession_left", None)
        assert page["data"] == ({} if then("ada") else {"key": "written after the sign-out"})

    def test_a_sign_out_of_the_last_account_carries_none_of_its_data_over(self, browser, ada):
        browser.sign_in(ada)
        browser.put("theirs")
        browser.sign_out(put="more")
        assert "theirs" not in browser.page()["data"]


class TestCookieValue(EveryWay):
    def test_the_cookie_value_fits_the_columns_in_which_others_keep_a_session_key(
        self, browser, ada
    ):
        browser.sign_in(ada)
        assert len(browser.cookie) == 32
        assert browser.cookie.isalnum()
        assert browser.cookie == browser.cookie.lower()

    def test_the_cookie_value_changes_with_every_sign_in(self, browser, ada, grace):
        browser.put("cart")
        seen = [browser.cookie]
        for user in (ada, grace, ada):
            browser.sign_in(user)
            browser.who()
            seen.append(browser.cookie)
        assert len(set(seen)) == len(seen)

    def test_the_cookie_value_stays_the_same_at_a_switch_and_at_a_sign_out(
        self, browser, ada, grace
    ):
        browser.sign_in(ada)
        browser.sign_in(grace)
        before = browser.cookie
        for act in (
            lambda: browser.switch(ada),
            lambda: browser.verb("step_aside"),
            lambda: browser.switch(grace),
            browser.sign_out,
            browser.who,
            lambda: browser.switch(ada),
            browser.sign_out,
        ):
            act()
            assert browser.cookie == before
        assert browser.who() == NOBODY

    def test_the_cookie_value_stays_the_same_on_ordinary_requests(self, browser, ada):
        browser.sign_in(ada)
        before = browser.cookie
        browser.put("theirs")
        browser.who()
        assert browser.cookie == before

    def test_a_new_key_for_the_same_account_keeps_account_and_data(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        browser.put("theirs")
        before = browser.cookie
        browser.post("/cycle-key/")
        assert browser.cookie != before
        assert browser.page() == {"user": "grace", "data": {"theirs": "1"}}
        assert browser.accounts() == ["ada", "grace"]


class TestTrouble(EitherSetting):
    def test_a_sign_in_rolled_back_loses_no_account(self, ada, grace):
        firefox = signed_in(ada)
        firefox.sign_in(grace, trouble="boom")
        assert (firefox.who(), firefox.accounts()) == ("ada", ["ada"])

    def test_a_sign_out_rolled_back_has_not_signed_out(self, ada, grace):
        firefox = signed_in(ada, grace)
        firefox.sign_out(trouble="boom")
        assert (firefox.who(), firefox.accounts()) == ("grace", ["ada", "grace"])

    def test_a_switch_rolled_back_loses_no_account(self, ada, grace):
        firefox = signed_in(ada, grace)
        firefox.switch(ada, trouble="boom")
        assert (firefox.who(), firefox.accounts()) == ("grace", ["ada", "grace"])

    def test_a_switch_rolled_back_but_answered_200_loses_no_account(self, ada, grace):
        """A view that catches the error outside its transaction, and shows the form again."""
        firefox = signed_in(ada, grace)
        firefox.switch(ada, trouble="undone")
        assert (firefox.who(), firefox.accounts()) == ("grace", ["ada", "grace"])

    def test_a_sign_in_rolled_back_but_answered_200_loses_no_account(self, ada, grace):
        firefox = signed_in(ada)
        firefox.sign_in(grace, trouble="undone")
        assert "ada" in firefox.accounts()

    def test_a_new_key_rolled_back_but_answered_200_loses_no_account(self, ada, grace):
        firefox = signed_in(ada, grace)
        firefox.post("/cycle-key/", query={"trouble": "undone"})
        assert (firefox.who(), firefox.accounts()) == ("grace", ["ada", "grace"])

    def test_a_password_change_keeps_this_browser_signed_in_and_ends_the_others(self, ada, grace):
        firefox, safari = signed_in(ada, grace), signed_in(grace)
        firefox.post("/change-password/")
        assert (firefox.who(), firefox.accounts()) == ("grace", ["ada", "grace"])
        assert safari.who() == NOBODY

    def test_a_rotated_secret_key_signs_nobody_out(self, ada, grace, settings):
        firefox = signed_in(ada, grace)
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "a newer one"
        assert firefox.who() == "grace"
        assert (firefox.who(), firefox.accounts()) == ("grace", ["ada", "grace"])


class TestStore:
    """``SessionStore`` by itself, as jobs, websockets and other packages use it."""

    def test_a_store_loaded_under_ada_never_writes_into_the_session_of_grace(self, ada, grace):
        firefox = signed_in(ada)
        kept = SessionStore(firefox.cookie)
        kept["leak"] = 1
        firefox.sign_in(grace)
        kept.save()  # the answer may have been lost: this key still is Ada's
        assert firefox.page() == {"user": "grace", "data": {}}
        assert session_of(ada).get_decoded()["leak"] == 1

    def test_a_store_loaded_under_ada_writes_into_her_session_after_a_switch(self, ada, grace):
        firefox = signed_in(ada, grace)
        firefox.switch(ada)
        kept = SessionStore(firefox.cookie)
        kept["theirs"] = 1
        firefox.switch(grace)
        kept.save()
        assert firefox.page() == {"user": "grace", "data": {}}
        assert session_of(ada).get_decoded()["theirs"] == 1

    def test_a_store_whose_key_ends_meanwhile_may_finish(self, ada, grace):
        """What was loaded is written to where it came from, and nowhere else."""
        firefox = signed_in(ada)
        kept = SessionStore(firefox.cookie)
        kept["late"] = 1
        firefox.sign_in(grace)
        settled(firefox)
        kept.save()
        assert session_of(ada).get_decoded()["late"] == 1
        assert firefox.page() == {"user": "grace", "data": {}}
        assert SessionStore(kept.cookie_value).load() == {}

    def test_a_store_whose_key_has_ended_is_nobodys(self, ada, grace):
        firefox = signed_in(ada)
        key = SessionStore(firefox.cookie).session_key
        firefox.sign_in(grace)
        settled(firefox)
        store = SessionStore(key)
        assert (store.load(), store.session_key) == ({}, None)
        store["of nobody"] = 1
        store.save()
        assert "of nobody" not in session_of(ada).get_decoded()
        assert firefox.page() == {"user": "grace", "data": {}}
        assert firefox.accounts() == ["ada", "grace"]

    @pytest.mark.parametrize("end", ["end", "revoke", "remove"])
    def test_an_ended_session_is_not_written_back_and_that_is_no_error(self, ada, end):
        """Whoever does something that ends their own account is answered, not refused."""
        firefox = signed_in(ada)
        kept = SessionStore(firefox.cookie)
        kept["late"] = 1
        getattr(session_of(ada), end)()
        kept.save()
        assert session_of(ada).session_data == ""
        assert kept.session_key is None
        assert "late" not in kept
        assert firefox.who() == NOBODY

    def test_a_deleted_visitors_session_is_not_written_back_and_that_is_an_error(self, db):
        """As in Django: the data would be lost without a word."""
        firefox = Browser()
        firefox.put("cart")
        kept = SessionStore(firefox.cookie)
        kept["late"] = 1
        Session.objects.all().delete()
        with pytest.raises(UpdateError):
            kept.save()
        assert not Session.objects.exists()

    @pytest.mark.parametrize(
        "leave",
        [lambda store: store.clear(), lambda store: store.pop(SESSION_KEY)],
        ids=["clear", "pop"],
    )
    def test_data_that_names_nobody_signs_out_also_as_the_first_touch(self, ada, grace, leave):
        firefox = signed_in(ada, grace)
        store = SessionStore(firefox.cookie)
        leave(store)
        store.save()
        assert statuses(grace) == ["removed"]
        assert (firefox.who(), firefox.accounts()) == (NOBODY, ["ada"])

    def test_saving_a_new_session_that_nobody_touched_makes_one(self, db):
        store = SessionStore()
        store.save()
        assert store.modified
        assert SessionStore().exists(store.session_key)


class TestKeys:
    """``session_key``, as it is kept: the token, and the number of the account."""

    @staticmethod
    def key(browser: Browser) -> str:
        return str(SessionStore(browser.cookie).session_key)

    def test_asking_for_the_key_loads_the_session_and_asking_again_costs_nothing(
        self, ada, grace, django_assert_num_queries
    ):
        firefox = signed_in(ada, grace)
        store = SessionStore(firefox.cookie)
        with django_assert_num_queries(1):
            assert store.session_key == f"{firefox.cookie}.2"
            assert store[SESSION_KEY] == str(grace.pk)
        with django_assert_num_queries(0):
            assert store.session_key == f"{firefox.cookie}.2"
            assert store.cookie_value == firefox.cookie

    def test_a_key_opens_its_own_account_whoever_is_active(self, ada, grace):
        firefox = signed_in(ada, grace)
        for number, user in ((1, ada), (2, grace)):
            store = SessionStore(f"{firefox.cookie}.{number}")
            assert store[SESSION_KEY] == str(user.pk)
            assert store.session_key == f"{firefox.cookie}.{number}"
            store["theirs"] = number
            store.save()
            assert session_of(user).get_decoded()["theirs"] == number
        assert firefox.who() == "grace"

    def test_a_visitors_is_bare_only_where_nobody_ever_signed_in(self, ada):
        firefox = Browser()
        firefox.put("cart")
        assert self.key(firefox) == firefox.cookie
        firefox.sign_in(ada)
        firefox.sign_out(put="more")
        assert self.key(firefox) == f"{firefox.cookie}.0"

    def test_there_is_no_key_while_nobody_is_active(self, ada, grace):
        firefox = signed_in(ada, grace)
        firefox.verb("set_active")
        for value in (firefox.cookie, "0" * 32, "", None):
            assert SessionStore(value).session_key is None

    def test_the_key_of_an_ended_account_opens_no_other_account(self, ada, grace):
        firefox = signed_in(ada, grace)
        key = self.key(firefox)
        firefox.sign_out()
        firefox.switch(ada)
        store = SessionStore(key)
        assert (store.load(), store.session_key) == ({}, None)
        assert not SessionStore().exists(key)

    def test_asking_for_the_key_during_a_sign_in_adds_the_account(self, rf, ada):
        """A package notes the key of a sign-in in a receiver of ``user_logged_in``."""
        request = rf.get("/")
        noted = []

        def note(request, **kwargs):
            noted.append(request.session.session_key)

        def answer(request):
            login(request, ada, backend=BACKEND)
            return HttpResponse(request.session.session_key)

        with listening(user_logged_in, note):
            response = SessionMiddleware(answer)(request)
        cookie = response.cookies[django_settings.SESSION_COOKIE_NAME].value
        assert [*noted, response.content.decode()] == [f"{cookie}.1"] * 2
        assert shown_by(noted[0]) == "ada"

    @pytest.mark.parametrize("number", [0, 1, 2])
    def test_what_exists_is_what_loads_now(self, ada, grace, number):
        firefox = signed_in(ada, grace)
        old = firefox.late()
        firefox.sign_in(ada)  # again: a new value, and the same accounts
        exists = SessionStore().exists
        assert exists(firefox.cookie)
        assert exists(old.cookie)
        for value in (firefox.cookie, old.cookie):
            key = f"{value}.{number}"
            assert exists(key) == bool(SessionStore(key).load()) == (number > 0)
        settled(firefox)
        assert exists(f"{firefox.cookie}.{number}") == (number > 0)
        assert not exists(f"{old.cookie}.{number}")
        assert not any(exists(key) for key in (old.cookie, "0" * 32, f"{'0' * 32}.1", "", None))

    def test_deleting_a_key_ends_the_account_that_it_names_and_no_other(self, ada, grace):
        firefox, safari = signed_in(ada, grace), signed_in(ada)
        key = f"{firefox.cookie}.1"
        SessionStore().delete(key)
        assert not SessionStore().exists(key)
        assert (firefox.who(), firefox.accounts()) == ("grace", ["grace"])
        assert safari.who() == "ada"

    def test_deleting_a_kept_key_works_after_a_switch_and_after_its_token_has_ended(
        self, ada, grace
    ):
        """An administrator ends what a package has listed, whatever the browser did since."""
        firefox = signed_in(ada)
        key = self.key(firefox)
        firefox.sign_in(grace)
        settled(firefox)
        SessionStore().delete(key)
        assert statuses(ada) == ["revoked"]
        assert (firefox.who(), firefox.accounts()) == ("grace", ["grace"])

    def test_deleting_a_key_from_before_a_password_change_ends_the_account(self, ada):
        firefox = signed_in(ada)
        key = self.key(firefox)
        firefox.post("/change-password/")
        SessionStore().delete(key)
        assert firefox.who() == NOBODY

    def test_deleting_the_bare_value_signs_that_browser_out_of_everything(self, ada, grace):
        firefox, safari = signed_in(ada, grace), signed_in(ada)
        SessionStore().delete(firefox.cookie)
        assert not SessionStore().exists(firefox.cookie)
        assert (firefox.who(), firefox.accounts()) == (NOBODY, [])
        assert safari.who() == "ada"

    def test_deleting_a_living_old_value_signs_its_browser_out(self, ada, grace):
        firefox = signed_in(ada)
        old = firefox.cookie
        firefox.sign_in(grace)
        SessionStore().delete(old)
        assert (firefox.who(), firefox.accounts()) == (NOBODY, [])

    def test_deleting_an_ended_or_unknown_value_ends_nobody(self, ada, grace):
        firefox = signed_in(ada)
        old = firefox.cookie
        firefox.sign_in(grace)
        settled(firefox)
        for key in (old, "0" * 32, f"{'0' * 32}.1", f"{firefox.cookie}.3", "", None):
            SessionStore().delete(key)
        assert firefox.accounts() == ["ada", "grace"]

    def test_a_store_deletes_what_it_has_open(self, ada, grace):
        firefox = signed_in(ada, grace)
        SessionStore(firefox.cookie).delete()
        assert (statuses(ada), statuses(grace)) == (["active"], ["revoked"])


class TestStoreWithoutARequest:
    """What else other code may do to a store."""

    def test_a_key_that_is_taken_is_refused(self, ada):
        firefox = signed_in(ada)
        with pytest.raises(CreateError):
            SessionStore(firefox.cookie).save(must_create=True)

    def test_neither_none_nor_the_empty_key_is_looked_up(self, django_assert_num_queries, db):
        with django_assert_num_queries(0):
            for key in (None, "", "abc", "A" * 32, "é" * 32, "0" * 31 + "\n", "0" * 32 + ".x"):
                store = SessionStore(key)
                assert (store.load(), store.session_key) == ({}, None)

    def test_a_session_rewritten_by_hand_never_changes_hands(self, ada, grace):
        """Code that puts another user into the session, without Django's ``login()``."""
        firefox = signed_in(ada)
        store = SessionStore(firefox.cookie)
        store[SESSION_KEY] = str(grace.pk)
        store.save()
        assert statuses(ada) == ["removed"]
        assert session_of(ada).user_id == ada.pk
        assert shown_by(firefox.cookie) in (NOBODY, "ada")

    def test_unreadable_data_signs_out_and_breaks_nothing(self, ada, grace):
        firefox = signed_in(ada, grace)
        Session.objects.filter(user=grace).update(session_data='{"cut off')
        assert (firefox.who(), firefox.accounts()) == (NOBODY, ["ada"])


class TestDjangosTestClient:
    """What every project's own tests do goes on working, and means what it meant."""

    def test_login_adds_and_logout_ends(self, client, ada, grace):
        assert client.login(username=ada.email, password=PASSWORD)
        assert client.login(username=grace.email, password=PASSWORD)
        browser = Browser()
        browser.client = client
        assert (browser.who(), browser.accounts()) == ("grace", ["ada", "grace"])
        client.logout()
        assert client.get("/who/").json()["user"] == NOBODY
        assert (statuses(ada), statuses(grace)) == (["active"], ["ended"])

    def test_force_login_signs_in(self, client, ada, grace):
        client.force_login(ada)
        assert client.get("/who/").json()["user"] == "ada"
        client.force_login(grace)
        assert client.get("/who/").json()["user"] == "grace"

    def test_a_cookie_with_a_number_means_the_browser(self, client, ada, grace):
        """``force_login`` and ``login`` put the key of the account there."""
        for user in (ada, grace):
            client.force_login(user)
        browser = Browser()
        browser.client = client
        key = browser.cookie
        assert key.endswith(".2")
        assert browser.accounts() == ["ada", "grace"]
        assert browser.who() == "grace"
        browser.put("theirs")
        assert browser.cookie == key
        browser.switch(ada)
        assert browser.cookie == key.partition(".")[0]
        assert browser.who() == "ada"
        assert client.session[SESSION_KEY] == str(ada.pk)

    def test_a_sign_out_through_a_cookie_with_a_number_sends_the_bare_one(self, client, ada, grace):
        for user in (ada, grace):
            client.force_login(user)
        browser = Browser()
        browser.client = client
        bare = browser.cookie.partition(".")[0]
        browser.sign_out()
        assert (browser.cookie, browser.who(), browser.accounts()) == (bare, NOBODY, ["ada"])

    def test_session_reads_and_writes_the_data_of_the_active_account(self, client, ada):
        client.force_login(ada)
        session = client.session
        session["theirs"] = "set by a test"
        session.save()
        assert client.get("/who/").json() == {"user": "ada", "data": {"theirs": "set by a test"}}
        client.post("/put/more/1/")
        assert client.session["more"] == "1"

    def test_session_of_a_visitor_can_be_written(self, client):
        session = client.session
        session["cart"] = 1
        session.save()
        assert client.get("/who/").json() == {"user": NOBODY, "data": {"cart": 1}}

    async def _story(self, client: AsyncClient, ada: User, grace: User) -> list[str]:
        seen = []
        for user in (ada, grace):
            await client.aforce_login(user)
            seen.append((await client.get("/async/who/")).json()["user"])
        assert await client.alogin(username=ada.email, password=PASSWORD)
        session = await client.asession()
        await session.aset("theirs", 1)
        await session.asave()
        seen.append((await client.get("/async/who/")).json()["data"])
        await client.alogout()
        seen.append((await client.get("/async/who/")).json()["user"])
        return seen

    def test_the_async_client_does_the_same(self, async_client, settings, ada, grace):
        # The demo's throttle has no async authenticate().
        settings.AUTHENTICATION_BACKENDS = [BACKEND]
        story = async_to_sync(self._story)(async_client, ada, grace)
        assert story == ["ada", "grace", {"theirs": 1}, NOBODY]


class TestVisitors:
    def test_an_anonymous_page_writes_no_row_and_sets_no_cookie(self, db):
        before = count_rows()
        browser = Browser()
        for response in (browser.get("/who/"), browser.get("/list/"), browser.sign_out()):
            assert response.status_code == 200
            assert not response.cookies
        assert count_rows() == before

    def test_a_visitor_who_writes_gets_a_cookie_and_one_session_without_a_user(self, db):
        browser = Browser()
        browser.put("cart")
        assert browser.page() == {"user": NOBODY, "data": {"cart": "1"}}
        assert [ClientRow.objects.count(), Token.objects.count()] == [1, 1]
        assert Session.objects.get().user is None

    def test_a_visitor_is_on_no_list_of_accounts(self, db):
        browser = Browser()
        browser.put("cart")
        listed = browser.listed()
        assert listed.pop("client").startswith("client_")
        assert listed == {
            "active": None,
            "sessions": [],
            "others": [],
            "signed_out": [],
            "stepped_aside": [],
            "ids": {},
        }

    def test_a_flush_that_leaves_nothing_deletes_the_cookie(self, db):
        browser = Browser()
        browser.put("cart")
        response = browser.flush()
        assert response.cookies[django_settings.SESSION_COOKIE_NAME]["max-age"] == 0
        assert Session.objects.count() == 0


def test_two_browsers_of_one_user_are_two_clients(ada):
    firefox, safari = signed_in(ada), signed_in(ada)
    assert firefox.listed()["client"] != safari.listed()["client"]
    firefox.sign_out()
    assert (firefox.who(), safari.who()) == (NOBODY, "ada")


def test_the_client_knows_its_browser_and_the_session_its_address(ada):
    client = Client(headers={"user-agent": "Firefox \x00" + "x" * 300})
    client.post(f"/sign-in/{ada.pk}/", REMOTE_ADDR="192.0.2.7")
    session = session_of(ada)
    assert session.client.user_agent.startswith("Firefox x")
    assert len(session.client.user_agent) == 256
    assert session.ip_address == "192.0.2.7"


def test_an_address_that_is_none_is_not_stored(ada):
    """A server behind a Unix socket knows no address."""
    Client().post(f"/sign-in/{ada.pk}/", REMOTE_ADDR="unix:/run/site.sock")
    assert session_of(ada).ip_address is None
