"""What is kept of people, how little of it a project may keep, and how it is erased."""

import datetime
import io

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.core.management.commands.check import Command as Check
from django.test import Client as Http
from django.utils import timezone

from accounts.models import User
from multisession import actions
from multisession.conf import settings as ours
from multisession.ground.origin import shortened
from multisession.models import Client, Event, Session
from multisession.upkeep import purge
from tests.conftest import PASSWORD
from tests.stories import (
    NOBODY,
    Browser,
    later,
    session_of,
    signed_in,
    statuses,
    with_engine_urls,
)

pytestmark = with_engine_urls

HOME = {"REMOTE_ADDR": "198.51.100.77", "HTTP_USER_AGENT": "Mozilla/5.0 Firefox/140.0"}


def everything_kept() -> str:
    """All that the tables hold, as a dump of them would show it."""
    rows = [
        row for model in (Client, Session, Event) for row in model.objects.order_by("pk").values()
    ]
    return repr(rows)


class TestKeepingLess:
    def test_by_default_a_session_says_where_it_was_used(self, ada):
        signed_in(ada, **HOME)
        assert session_of(ada).ip_address == "198.51.100.77"
        assert "Firefox" in session_of(ada).client.user_agent

    @pytest.mark.parametrize(
        ("address", "kept"),
        [
            ("198.51.100.77", "198.51.100.0"),
            ("::ffff:198.51.100.77", "198.51.100.0"),
            ("2001:db8:1234:5678::9", "2001:db8:1234::"),
            ("unknown", None),
        ],
    )
    def test_of_an_address_only_its_network_is_kept(self, settings, ada, address, kept):
        settings.MULTISESSION = {"KEEP_ADDRESSES": "shortened"}
        browser = signed_in(ada, REMOTE_ADDR=address)
        with later(minutes=5):
            browser.get("/who/")
        assert session_of(ada).ip_address == kept
        assert set(Event.objects.values_list("ip_address", flat=True)) == {kept}

    def test_no_address_and_no_browser_is_kept_anywhere(self, settings, ada, grace):
        settings.MULTISESSION = {"KEEP_ADDRESSES": False, "KEEP_USER_AGENTS": False}
        browser = signed_in(ada, grace, **HOME)
        with later(hours=2):
            browser.switch(ada)
            browser.put("something")
        browser.sign_out()
        assert "198.51" not in everything_kept()
        assert "Firefox" not in everything_kept()

    @pytest.mark.parametrize("value", ["none", "short", None, 24])
    def test_a_misspelt_value_is_refused(self, settings, value):
        settings.MULTISESSION = {"KEEP_ADDRESSES": value}
        with pytest.raises(ImproperlyConfigured, match="KEEP_ADDRESSES"):
            ours.KEEP_ADDRESSES  # noqa: B018

    def test_nothing_has_no_network(self):
        assert shortened(None) is None


class TestNoListOfSignedOutAccounts:
    @pytest.fixture(autouse=True)
    def forgetful(self, settings):
        settings.MULTISESSION = {"REMEMBER_ACCOUNTS": False}

    def test_an_account_that_signed_out_is_off_the_list(self, ada, grace):
        browser = signed_in(ada, grace)
        browser.sign_out()
        assert (browser.accounts(), browser.listed()["signed_out"]) == (["ada"], [])
        browser.switch(ada)
        assert browser.who() == "ada"

    def test_the_last_sign_out_takes_the_cookie_along(self, ada):
        browser = signed_in(ada)
        browser.sign_out()
        assert browser.cookie is None

    def test_the_next_person_cannot_ask_for_the_name(self, ada, grace):
        """The villain kept the id of the account from before the sign-out."""
        browser = signed_in(grace, ada)
        kept = browser.id_of(ada)
        browser.sign_out()
        assert browser.verb("set_active", kept).status_code == 404
        assert kept not in str(browser.listed())

    @pytest.mark.parametrize("end", ["revoked", "expired", "deactivated", "another password"])
    def test_however_the_session_ended_its_account_is_not_listed(self, ada, grace, end):
        browser = signed_in(ada, grace)
        match end:
            case "revoked":
                session_of(ada).revoke()
            case "expired":
                Session.objects.filter(user=ada).update(expire_at=timezone.now())
            case "deactivated":
                User.objects.filter(pk=ada.pk).update(is_active=False)
            case "another password":
                ada.set_password("another")
                ada.save()
        assert (browser.accounts(), browser.listed()["signed_out"]) == (["grace"], [])

    def test_what_was_listed_before_is_hidden_too(self, settings, ada, grace):
        settings.MULTISESSION = {}
        browser = signed_in(ada, grace)
        browser.sign_out()
        assert browser.listed()["signed_out"] == ["grace"]
        settings.MULTISESSION = {"REMEMBER_ACCOUNTS": False}
        assert browser.listed()["signed_out"] == []


class TestErasing:
    def test_nothing_of_the_person_is_left_but_the_bare_facts(self, ada, grace):
        signed_in(ada, **HOME).sign_out()
        signed_in(ada, **HOME).put("diary", "secret-thought")
        signed_in(grace, REMOTE_ADDR="203.0.113.5")
        erased = actions.erase(ada)
        assert (erased.sessions, erased.browsers, erased.events) == (2, 2, 4)
        kept = everything_kept()
        for trace in ("ada@", "198.51", "Firefox", "secret-thought"):
            assert trace not in kept
        kinds = Event.objects.filter(account="").order_by("pk").values_list("kind", flat=True)
        assert list(kinds) == ["signed-in", "ended", "signed-in", "revoked"]
        assert Event.objects.filter(account="grace@example.com").count() == 1
        assert session_of(grace).ip_address == "203.0.113.5"

    def test_the_erased_person_is_signed_out_everywhere(self, ada, grace):
        firefox, konqueror = signed_in(grace, ada), signed_in(ada)
        actions.erase(ada, by="a request by letter")
        assert (firefox.who(), firefox.accounts()) == (NOBODY, ["grace"])
        assert (konqueror.who(), konqueror.listed()["signed_out"]) == (NOBODY, [])
        konqueror.sign_in(ada)
        assert konqueror.who() == "ada"

    def test_a_browser_that_others_use_keeps_its_name(self, ada, grace):
        signed_in(ada, grace, **HOME)
        assert actions.erase(ada).browsers == 0
        assert "Firefox" in session_of(grace).client.user_agent

    def test_no_event_leads_from_the_erased_person_to_the_browser_of_another(self, ada, grace):
        signed_in(ada, grace)
        client = session_of(grace).client.public_id
        actions.erase(ada)
        accounts = Event.objects.filter(client_id=client).values_list("account", flat=True)
        assert set(accounts) == {"grace@example.com"}

    def test_deleting_the_user_erases_as_much(self, ada, grace):
        firefox = signed_in(ada, grace, **HOME)
        signed_in(ada, **HOME)
        key = ada.pk
        ada.delete()
        assert "ada@" not in everything_kept()
        assert not Session.objects.filter(user_id=key).exists()
        assert not Event.objects.filter(user_id=str(key)).exists()
        assert firefox.accounts() == ["grace"]

    @pytest.mark.urls("config.urls")
    def test_the_admin_shows_the_anonymous_rows(self, ada, grace, client):
        User.objects.filter(pk=grace.pk).update(is_staff=True, is_superuser=True)
        client.force_login(grace)
        Http().force_login(ada)
        actions.erase(ada)
        keys = Event.objects.filter(account="").values_list("pk", flat=True)
        assert len(keys) == 2
        for page in ["", *(f"{key}/change/" for key in keys)]:
            response = client.get(f"/admin/multisession/event/{page}")
            assert response.status_code == 200
            assert "ada@" not in response.content.decode()

    def test_what_an_administrator_did_to_others_stays_without_the_name(self, ada, grace):
        signed_in(grace)
        session_of(grace).revoke(by=ada)
        actions.erase(ada)
        event = Event.objects.get(kind="revoked")
        assert (event.account, event.actor, event.actor_id) == (
            "grace@example.com",
            "erased",
            "",
        )

    def test_sessions_that_an_erased_administrator_opened_as_others_end(self, ada, grace):
        signed_in(grace)
        Session.objects.filter(user=grace).update(actor_id=str(ada.pk))
        actions.erase(ada)
        assert statuses(grace) == ["revoked"]
        assert session_of(grace).actor == "erased"  # It still was not Grace herself.

    def test_erasing_one_person_leaves_similar_keys_alone(self, ada, grace):
        """The villain's key begins like another's."""
        twin = User.objects.create_user("twin@example.com", PASSWORD, pk=int(f"{ada.pk}0"))
        signed_in(twin)
        signed_in(ada)
        actions.erase(ada)
        assert statuses(twin) == ["active"]
        assert Event.objects.get(user_id=str(twin.pk)).account == "twin@example.com"

    def test_a_late_page_of_the_erased_person_is_nobodys(self, ada):
        browser = signed_in(ada)
        late = browser.late()
        ada.delete()
        late.put("again")
        assert late.who() == NOBODY
        assert not Session.objects.accounts().exists()


class TestTheCommand:
    def run(self, *arguments: str) -> str:
        out = io.StringIO()
        call_command("erasesessions", *arguments, stdout=out)
        return out.getvalue()

    def test_it_erases_one_person(self, ada, grace):
        signed_in(ada, **HOME)
        signed_in(grace)
        said = self.run("--user", str(ada.pk), "--noinput")
        assert "1 sessions, 1 browsers, 2 events" in said
        assert "ada@" not in everything_kept()
        assert statuses(grace) == ["active"]

    def test_a_dry_run_changes_nothing(self, ada):
        signed_in(ada, **HOME)
        before = everything_kept()
        assert "1 sessions, 1 browsers, 1 events" in self.run("--user", str(ada.pk), "--dry-run")
        assert everything_kept() == before

    def test_it_erases_what_a_deletion_by_hand_has_left(self, ada):
        signed_in(ada)
        key = ada.pk
        User.objects.filter(pk=key)._raw_delete("default")
        self.run("--user", f"user_{key}", "--noinput")
        assert "ada@" not in everything_kept()

    @pytest.mark.parametrize("user", ["", "all", "0x1", "1 OR 1=1", "-"])
    def test_what_is_no_user_is_refused(self, ada, user):
        signed_in(ada)
        with pytest.raises(CommandError, match="--user"):
            self.run(f"--user={user}", "--noinput")
        assert statuses(ada) == ["active"]

    def test_without_an_answer_nothing_is_erased(self, ada, monkeypatch):
        signed_in(ada)
        monkeypatch.setattr("builtins.input", lambda question: "")
        with pytest.raises(CommandError, match="Nothing was erased"):
            self.run("--user", str(ada.pk))
        assert statuses(ada) == ["active"]


class TestTheCheck:
    @staticmethod
    def check(**options: object) -> str:
        out = io.StringIO()
        call_command(Check(), stderr=out, stdout=out, **options)
        return out.getvalue()

    def test_it_notices_that_no_purge_runs(self, monkeypatch, ada):
        monkeypatch.setattr(purge, "MANY", 3)
        for days in (200, 150, 120):
            with later(days=-days):
                Browser().put("cart")
        assert "multisession.W017" in self.check(databases=["default"])
        purge.purge()
        assert "multisession.W017" not in self.check(databases=["default"])

    def test_rows_that_became_due_this_week_are_no_reason(self, monkeypatch):
        monkeypatch.setattr(purge, "MANY", 1)
        with later(days=-15):  # a visitor's two weeks ended yesterday
            Browser().put("cart")
        assert "multisession.W017" not in self.check(databases=["default"])
        Session.objects.update(expire_at=timezone.now() - datetime.timedelta(days=8))
        assert "multisession.W017" in self.check(databases=["default"])

    def test_an_ordinary_check_asks_no_database(self, django_assert_num_queries):
        with django_assert_num_queries(0):
            self.check()
