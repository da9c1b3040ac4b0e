"""Changes of a user end sessions on every browser, also where the account is not active."""

from collections.abc import Iterator

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db.models.signals import post_delete, post_save, pre_delete
from django.test.utils import isolate_apps

from accounts.models import User
from multisession.models import Event, Session
from tests.conftest import PASSWORD
from tests.stories import NOBODY, Browser, later, signed_in, statuses, with_engine_urls

pytestmark = with_engine_urls

ADMIN = "/admin/"
LIST = "/admin/multisession/session/"


@pytest.fixture
def firefox(ada, grace) -> Browser:
    """Ada's other account is the active one here."""
    return signed_in(ada, grace)


@pytest.fixture
def konqueror(ada) -> Browser:
    """Ada is active here."""
    return signed_in(ada)


class TestDeactivated:
    def test_a_deactivated_user_is_signed_out_everywhere_at_once(self, firefox, konqueror, ada):
        ada.is_active = False
        ada.save()
        assert statuses(ada) == ["revoked", "revoked"]
        assert (konqueror.who(), firefox.who(), firefox.accounts()) == (NOBODY, "grace", ["grace"])

    def test_a_reactivated_user_has_to_sign_in_again(self, firefox, konqueror, ada):
        for is_active in (False, True):
            ada.is_active = is_active
            ada.save(update_fields=["is_active"])
        assert (konqueror.who(), firefox.accounts()) == (NOBODY, ["grace"])
        konqueror.sign_in(ada)
        assert konqueror.who() == "ada"

    def test_a_deactivation_is_on_record(self, konqueror, ada):
        ada.is_active = False
        ada.save()
        assert Event.objects.latest("pk").kind == "revoked"

    def test_the_backend_has_the_say(self, settings, ada):
        """Django has one that lets in whoever is not active."""
        backend = "django.contrib.auth.backends.AllowAllUsersModelBackend"
        settings.AUTHENTICATION_BACKENDS = [backend]
        konqueror = Browser()
        konqueror.client.force_login(ada, backend=backend)
        ada.is_active = False
        ada.save()
        assert statuses(ada) == ["active"]
        assert konqueror.who() == "ada"

    def test_after_an_update_by_hand_a_deactivated_user_is_signed_out(
        self, firefox, konqueror, ada
    ):
        """Of ``QuerySet.update`` Django tells nobody."""
        User.objects.filter(pk=ada.pk).update(is_active=False)
        assert (konqueror.who(), firefox.accounts()) == (NOBODY, ["grace"])

    def test_an_ordinary_save_costs_nothing(self, konqueror, ada, django_assert_num_queries):
        ada.name = "Ada King"
        with django_assert_num_queries(1):
            ada.save()
        assert konqueror.who() == "ada"


class TestThroughAProxy:
    """Admins often have one for each kind of people."""

    @pytest.fixture
    def proxy(self) -> Iterator[type[User]]:
        with isolate_apps("accounts"):

            class Member(User):
                class Meta:
                    proxy = True
                    app_label = "accounts"

            yield Member

    def test_a_user_deactivated_through_a_proxy_is_signed_out(self, proxy, konqueror, ada):
        member = proxy.objects.get(pk=ada.pk)
        member.is_active = False
        member.save()
        assert statuses(ada) == ["revoked"]

    def test_a_password_changed_through_a_proxy_ends_all_sessions(self, proxy, konqueror, ada):
        member = proxy.objects.get(pk=ada.pk)
        member.set_password("another")
        member.save()
        assert konqueror.who() == NOBODY
        call_command("clearsessions", verbosity=0)
        assert statuses(ada) == ["revoked"]

    @pytest.mark.parametrize("way", ["instance", "queryset"])
    def test_a_user_deleted_through_a_proxy_loses_all_sessions(self, proxy, konqueror, ada, way):
        key, found = ada.pk, proxy.objects.filter(pk=ada.pk)
        (found.get() if way == "instance" else found).delete()
        assert not Session.objects.filter(user_id=key).exists()
        assert Event.objects.latest("pk").kind == "revoked"

    def test_nobody_listens_to_other_models(self):
        """Django deletes their rows one by one where somebody does."""
        for signal in (post_save, pre_delete, post_delete):
            assert signal.has_listeners(User)
            assert not signal.has_listeners(Group)


class TestPassword:
    def test_a_password_change_ends_all_other_sessions(self, firefox, konqueror, ada):
        """Also where the account was not the active one, and before anybody looks there."""
        konqueror.post("/change-password/")
        assert statuses(ada) == ["revoked", "active"]
        assert (konqueror.who(), firefox.accounts()) == ("ada", ["grace"])
        event = Event.objects.get(kind="revoked")
        assert (event.actor, event.account) == (ada.email, ada.email)

    def test_a_password_change_leaves_other_users_sessions_alone(self, firefox, konqueror, grace):
        konqueror.post("/change-password/")
        assert statuses(grace) == ["active"]

    def test_a_new_secret_key_is_no_new_password(self, settings, konqueror, ada):
        """Django then renews the hash in the session, as after a change of the password."""
        signed_in(ada)
        settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "new"
        assert konqueror.who() == "ada"
        assert statuses(ada) == ["active", "active"]


class TestRights:
    """They are read from the database at each request: nothing of before stays in a session."""

    @pytest.fixture
    def office(self, ada) -> Browser:
        User.objects.filter(pk=ada.pk).update(is_staff=True)
        ada.user_permissions.set(Permission.objects.filter(codename="view_session"))
        return signed_in(ada)

    def test_a_permission_that_was_taken_away_is_gone_at_the_next_request(self, office, ada):
        assert office.get(LIST).status_code == 200
        ada.user_permissions.clear()
        assert office.get(LIST).status_code == 403
        ada.refresh_from_db()
        ada.is_staff = False
        ada.save()
        assert office.get(ADMIN).status_code == 302
        assert office.who() == "ada"

    def test_a_permission_of_a_deleted_group_is_gone_at_the_next_request(self, office, ada):
        ada.user_permissions.clear()
        readers = Group.objects.create(name="readers")
        readers.permissions.set(Permission.objects.filter(codename="view_session"))
        ada.groups.add(readers)
        assert office.get(LIST).status_code == 200
        readers.delete()
        assert office.get(LIST).status_code == 403

    def test_a_permission_taken_from_an_inactive_account_is_gone_after_the_switch(
        self, office, ada, grace
    ):
        office.sign_in(grace)
        ada.user_permissions.clear()
        office.switch(ada)
        assert office.get(LIST).status_code == 403

    def test_a_promotion_signs_nobody_out(self, konqueror, ada):
        ada.is_staff = True
        ada.save()
        assert konqueror.get(ADMIN).status_code == 200


class TestDeleted:
    @pytest.mark.parametrize("way", ["instance", "queryset"])
    def test_the_sessions_go_along_and_the_fact_stays(self, firefox, konqueror, ada, way):
        key = ada.pk
        (ada if way == "instance" else User.objects.filter(pk=key)).delete()
        assert (konqueror.who(), firefox.who(), firefox.accounts()) == (NOBODY, "grace", ["grace"])
        assert not Session.objects.filter(user_id=key).exists()
        kinds = Event.objects.filter(user_id="").order_by("pk").values_list("kind", flat=True)
        assert list(kinds) == ["signed-in", "signed-in", "revoked", "revoked"]

    def test_deleting_a_user_who_never_signed_in_records_nothing(self, ada):
        ada.delete()
        assert not Event.objects.exists()
        assert authenticate(username="ada@example.com", password=PASSWORD) is None

    def test_deleting_a_user_does_not_revoke_expired_sessions(self, ada):
        with later(days=-40):
            signed_in(ada)
        ada.delete()
        assert Event.objects.latest("pk").kind == "abandoned"
