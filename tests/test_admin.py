"""The sessions in the admin: view and revoke them."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission

from accounts.models import User
from multisession.models import Client, Session
from multisession.models.tokens import Token
from tests.conftest import PASSWORD
from tests.stories import (
    NOBODY,
    Browser,
    confirmed,
    digests,
    session_of,
    signed_in,
    statuses,
    with_engine_urls,
)

pytestmark = with_engine_urls

LIST = "/admin/multisession/session/"


@pytest.fixture
def staff(db) -> User:
    """May look at sessions and revoke them, and delete users; nothing else."""
    user = User.objects.create_user("staff@example.com", is_staff=True)
    codenames = ["view_session", "revoke_session", "view_user", "delete_user"]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


@pytest.fixture
def office(staff) -> Browser:
    """The browser of the staff account."""
    return signed_in(staff)


@pytest.fixture
def firefox(ada, grace) -> Browser:
    return signed_in(ada, grace, headers={"user-agent": "Firefox on Linux"})


def page(browser: Browser, path: str = LIST, **query: str) -> str:
    response = browser.get(path, query)
    assert response.status_code == 200
    return response.content.decode()


def listed(browser: Browser, **query: str) -> list[str]:
    """Whose sessions the list shows."""
    sessions = browser.get(LIST, query).context["cl"].queryset
    return [session.user.email.partition("@")[0] for session in sessions]


def revoke(browser: Browser, *users: User):
    form = {
        "action": "revoke_selected",
        "_selected_action": [str(session_of(user).pk) for user in users],
    }
    response = browser.post(LIST, form)
    return confirmed(browser, response["Location"]) if response.status_code == 302 else response


class TestList:
    def test_the_list_says_who_on_which_browser_since_when_until_when(self, office, firefox):
        text = page(office)
        for expected in ("ada@example.com", "grace@example.com", "Firefox on Linux", "active"):
            assert expected in text
        assert listed(office) == ["grace", "ada", "staff"]

    def test_visitors_are_not_on_the_list(self, office):
        Browser().put("cart")
        assert listed(office) == ["staff"]

    @pytest.mark.parametrize("status", Session.Status)
    def test_the_list_can_be_filtered_by_status(self, office, firefox, ada, status):
        Session.objects.filter(user=ada).update(status=status)
        others = ["grace", "staff"] if status == "active" else []
        assert sorted(listed(office, status=status)) == sorted(["ada", *others])

    def test_expired_are_those_whose_time_is_over_though_no_job_has_said_so(
        self, office, firefox, ada
    ):
        Session.objects.filter(user=ada).update(expire_at="2000-01-01T00:00Z")
        assert listed(office, status="expired") == ["ada"]
        assert listed(office, status="active") == ["grace", "staff"]
        assert ">expired<" in page(office, status="expired")

    def test_a_status_that_does_not_exist_filters_nothing(self, office, firefox):
        assert len(listed(office, status="x' OR 1=1")) == 3

    def test_the_list_can_be_searched(self, office, firefox, ada):
        session = session_of(ada)
        for query in ("ada@", session.public_id, "ADA@EXAMPLE"):
            assert listed(office, q=query) == ["ada"]
        assert listed(office, q=session.client.public_id) == ["grace", "ada"]
        for query in (session.public_id[:-1], session.client.public_id[:-1], firefox.cookie):
            assert listed(office, q=query) == []

    def test_the_list_does_not_cost_more_for_more_sessions(
        self, office, ada, django_assert_max_num_queries
    ):
        for _ in range(5):
            signed_in(ada)
        with django_assert_max_num_queries(9):
            page(office)

    def test_a_session_has_a_page(self, office, firefox, ada):
        session = session_of(ada)
        text = page(office, f"{LIST}{session.pk}/change/")
        assert session.public_id in text
        assert session.client.public_id in text


class TestRevoke:
    def test_revoking_ends_the_session_on_its_very_next_request(self, office, firefox, ada, grace):
        revoke(office, ada, grace)
        assert (firefox.who(), firefox.accounts()) == (NOBODY, [])
        assert (statuses(ada), statuses(grace)) == (["revoked"], ["revoked"])
        assert "2 sessions revoked." in page(office)

    def test_revoking_keeps_the_status_of_an_ended_session(self, office, firefox, ada):
        session_of(ada).end()
        response = revoke(office, ada)
        assert "None of these sessions is signed in now." in response.content.decode()
        assert statuses(ada) == ["ended"]

    def test_one_s_own_session_can_be_revoked(self, office, staff):
        revoke(office, staff)
        assert office.who() == NOBODY

    def test_revoking_is_neither_offered_nor_done_without_the_permission(
        self, office, firefox, staff, ada
    ):
        staff.user_permissions.remove(Permission.objects.get(codename="revoke_session"))
        assert "revoke_selected" not in page(office)
        revoke(office, ada)
        assert statuses(ada) == ["active"]


class TestWhoMayNot:
    @pytest.mark.parametrize("is_staff", [False, True])
    def test_others_do_not_see_the_list(self, firefox, grace, is_staff):
        User.objects.filter(pk=grace.pk).update(is_staff=is_staff)
        assert firefox.get(LIST).status_code == (403 if is_staff else 302)

    def test_a_superuser_can_add_change_or_delete_no_session(self, ada):
        User.objects.filter(pk=ada.pk).update(is_staff=True, is_superuser=True)
        office, session = signed_in(ada), session_of(ada)
        assert office.get(f"{LIST}add/").status_code == 403
        assert office.get(f"{LIST}{session.pk}/delete/").status_code == 403
        assert office.post(f"{LIST}{session.pk}/change/", {}).status_code == 403
        form = {"action": "delete_selected", "_selected_action": [str(session.pk)], "post": "yes"}
        office.post(LIST, form)
        assert statuses(ada) == ["active"]
        assert "delete_selected" not in page(office)


class TestDeletingUsers:
    """Without a permission on sessions, which go along."""

    def test_deleting_a_user_ends_the_users_sessions(self, office, firefox, grace, ada):
        path = f"/admin/accounts/user/{ada.pk}/delete/"
        assert "permission" not in page(office, path)
        assert office.post(path, {"post": "yes"}).status_code == 302
        assert not User.objects.filter(pk=ada.pk).exists()
        assert (firefox.who(), firefox.accounts()) == ("grace", ["grace"])

    def test_deleting_several_users_ends_their_sessions(self, office, firefox, ada, grace):
        form = {
            "action": "delete_selected",
            "_selected_action": [str(ada.pk), str(grace.pk)],
            "post": "yes",
        }
        assert office.post("/admin/accounts/user/", form).status_code == 302
        assert not User.objects.filter(pk__in=[ada.pk, grace.pk]).exists()
        assert firefox.who() == NOBODY


def test_no_page_shows_a_secret(office, firefox, ada):
    session = session_of(ada)
    Session.objects.filter(pk=session.pk).update(session_data='{"private": "of Ada"}')
    secrets = [firefox.cookie, office.cookie, *digests(), "of Ada"]
    paths = [
        LIST,
        f"{LIST}?status=active&q=ada",
        f"{LIST}{session.pk}/change/",
        f"/admin/accounts/user/{ada.pk}/delete/",
        "/admin/",
    ]
    for path in paths:
        text = page(office, path)
        assert not any(secret in text for secret in secrets), path


def test_neither_clients_nor_tokens_are_in_the_admin(office):
    assert not admin.site.is_registered(Token)
    assert not admin.site.is_registered(Client)


def test_the_admin_s_own_sign_in_adds_an_account_and_its_sign_out_ends_one(ada, grace):
    """Django's own pages, which know nothing of all this."""
    grace.is_staff = True
    grace.save()
    firefox = signed_in(ada)
    form = {"username": grace.email, "password": PASSWORD, "next": LIST}
    assert firefox.post("/admin/login/", form).status_code == 302
    assert (firefox.who(), firefox.accounts()) == ("grace", ["ada", "grace"])
    assert firefox.post("/admin/logout/").status_code == 302
    assert firefox.accounts() == ["ada"]
