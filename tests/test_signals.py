"""The signals: before a change, which a receiver may refuse, and after it."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import transaction

from multisession import actions, signals
from multisession.models import Session
from tests.engine_urls import name_of
from tests.stories import NOBODY, Browser, listening, session_of, signed_in, with_engine_urls

pytestmark = with_engine_urls

AFTERWARDS = ("session_created", "session_activated", "session_ended")


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """One line for each signal, such as "ended ada: revoked by grace"."""
    lines: list[str] = []

    def receiver(name: str) -> Any:
        def hear(sender, session, status=None, by=None, **kwargs):
            assert sender is Session
            assert status is None or session.status == status
            end = f": {status} by {name_of(by) if by else 'nobody'}" if status else ""
            lines.append(f"{name.removeprefix('session_')} {name_of(session.user)}{end}")

        return hear

    with ExitStack() as stack:
        for name in AFTERWARDS:
            stack.enter_context(listening(getattr(signals, name), receiver(name)))
        yield lines


@pytest.fixture
def changes() -> Iterator[list[tuple[str, str]]]:
    """Who was left and who was entered, for each change that was announced."""
    lines: list[tuple[str, str]] = []

    def hear(sender, request, leaving, entering, **kwargs):
        assert sender is Session
        assert request is not None
        lines.append(tuple(name_of(s.user) if s else NOBODY for s in (leaving, entering)))

    with listening(signals.active_session_changing, hear):
        yield lines


class TestBefore:
    """``active_session_changing``; its refusals are told in test_actions."""

    def test_every_change_of_the_active_account_is_announced_once(self, changes, ada, grace):
        firefox = signed_in(ada, grace)
        firefox.switch(ada)
        firefox.sign_out()
        firefox.switch(grace)
        firefox.verb("sign_out_all")
        assert changes == [
            ("", "ada"), ("ada", "grace"), ("grace", "ada"), ("ada", ""), ("", "grace"),
            ("grace", ""),
        ]  # fmt: skip

    def test_a_call_that_changes_nothing_is_not_announced(self, changes, ada, grace):
        firefox = signed_in(ada, grace)
        changes.clear()
        firefox.sign_in(grace)
        firefox.switch(grace)
        firefox.put("theirs")
        firefox.verb("sign_out", firefox.id_of(ada))
        firefox.post("/cycle-key/")
        Browser().sign_out()
        assert changes == []

    def test_the_next_account_is_announced_before_it_becomes_active(
        self, changes, settings, ada, grace
    ):
        settings.MULTISESSION = {"AFTER_SIGN_OUT": "next"}
        firefox = signed_in(ada, grace)
        firefox.sign_out()
        changes.clear()
        assert firefox.who() == "ada"
        assert changes == [("", "ada")]

    @pytest.mark.parametrize("after_sign_out", ["choose", "next"])
    def test_a_receiver_may_look_at_the_request(self, settings, after_sign_out, ada, grace):
        """An audit trail asks whose request it is, and notes something in the session."""
        settings.MULTISESSION = {"AFTER_SIGN_OUT": after_sign_out}
        looking, seen = [], []

        def look(request, **kwargs):
            assert not looking, "asking the session asked the receiver again"
            looking.append(request)
            seen.append((name_of(request.user), request.session.get("theirs")))
            seen.append(request.multisession.sessions)
            looking.remove(request)

        with listening(signals.active_session_changing, look):
            firefox = signed_in(ada, grace)
            firefox.switch(ada)
            firefox.sign_out()
            assert firefox.get("/who/").status_code == 200
        assert seen

    def test_a_refusal_of_next_is_no_error_page_for_ever(self, settings, ada, grace):
        """Nobody asked for that account: the page is shown to nobody, and works."""
        settings.MULTISESSION = {"AFTER_SIGN_OUT": "next"}
        firefox = signed_in(ada, grace)
        firefox.sign_out()

        def refuse(**kwargs):
            raise PermissionDenied("not now")

        with listening(signals.active_session_changing, refuse):
            response = firefox.get("/who/")
            assert response.status_code == 200
            assert response.json()["user"] == NOBODY
        assert firefox.accounts() == ["ada"]


@pytest.mark.django_db(transaction=True)
class TestAfter:
    """The three that follow the commit."""

    def test_signing_in_creates_and_activates(self, heard, ada, grace):
        firefox = Browser()
        firefox.put("cart")
        firefox.sign_in(ada)
        assert heard == ["created ada", "activated ada"]
        heard.clear()
        firefox.sign_in(grace)
        assert heard == ["created grace", "activated grace"]

    def test_signing_in_again_activates(self, heard, ada, grace):
        firefox = signed_in(ada, grace)
        heard.clear()
        firefox.sign_in(ada)
        assert heard == ["activated ada"]

    def test_session_activated_is_sent_after_a_switch(self, heard, ada, grace):
        firefox = signed_in(ada, grace)
        heard.clear()
        firefox.switch(ada)
        assert heard == ["activated ada"]

    def test_signing_out_ends_by_the_person(self, heard, ada, grace):
        firefox = signed_in(ada, grace)
        heard.clear()
        firefox.verb("sign_out", firefox.id_of(ada))
        firefox.sign_out()
        assert heard == ["ended ada: ended by grace", "ended grace: ended by grace"]

    def test_signing_out_of_all_ends_each(self, heard, ada, grace):
        firefox = signed_in(ada, grace)
        heard.clear()
        firefox.verb("sign_out_all")
        assert sorted(heard) == ["ended ada: removed by grace", "ended grace: removed by grace"]

    def test_session_ended_is_sent_after_removing(self, heard, ada, grace):
        firefox = signed_in(ada, grace)
        heard.clear()
        firefox.verb("forget", firefox.id_of(ada))
        firefox.verb("set_active")
        assert heard == ["ended ada: removed by grace", "ended grace: removed by grace"]

    def test_forgetting_a_remembered_account_ends_nothing_more(self, heard, ada, grace):
        firefox = signed_in(ada, grace)
        firefox.verb("sign_out", firefox.id_of(ada))
        heard.clear()
        firefox.verb("forget", firefox.id_of(ada))
        assert heard == []

    def test_session_ended_names_who_revoked(self, heard, ada, grace):
        signed_in(ada)
        signed_in(ada)
        heard.clear()
        actions.revoke(session_of(ada), by=grace)
        actions.revoke_all(Session.objects.filter(user=ada), by=None)
        assert heard == ["ended ada: revoked by grace", "ended ada: revoked by nobody"]

    def test_a_password_changed_elsewhere_ends_by_nobody(self, heard, ada):
        firefox = signed_in(ada)
        ada.set_password("changed elsewhere")
        ada.save()
        heard.clear()
        assert firefox.who() == NOBODY
        call_command("clearsessions", verbosity=0)
        assert heard == ["ended ada: revoked by nobody"]

    def test_session_ended_says_that_a_session_was_replaced(self, heard, ada, grace):
        firefox = signed_in(ada, grace)
        ada.set_password("changed elsewhere")
        ada.save()
        heard.clear()
        firefox.sign_in(ada)
        assert heard == ["ended ada: replaced by ada", "created ada", "activated ada"]

    def test_session_ended_says_replaced_in_replace_mode(self, heard, ada, grace):
        firefox = signed_in(ada)
        heard.clear()
        firefox.sign_in(grace, mode="replace")
        assert [line.split(" by ")[0] for line in heard] == [
            "ended ada: replaced", "created grace", "activated grace"
        ]  # fmt: skip

    def test_no_signal_is_sent_for_a_rolled_back_change(self, heard, ada, grace):
        firefox = signed_in(ada)
        heard.clear()
        firefox.sign_in(grace, trouble="boom")
        assert heard == []

    def test_a_sign_out_counts_although_the_view_is_rolled_back(self, heard, ada):
        firefox = signed_in(ada)
        heard.clear()
        firefox.sign_out(trouble="boom")
        assert heard == ["ended ada: ended by ada"]

    def test_a_receiver_that_fails_breaks_nothing(self, ada, caplog):
        def fail(**kwargs):
            raise RuntimeError("boom")

        with listening(signals.session_created, fail):
            assert signed_in(ada).who() == "ada"
        assert "boom" in caplog.text

    def test_signals_are_sent_after_the_commit(self, ada):
        seen = []

        def look(session, **kwargs):
            seen.append((transaction.get_connection().in_atomic_block, session.status))

        with listening(signals.session_created, look), listening(signals.session_ended, look):
            signed_in(ada).sign_out()
        assert seen == [(False, "active"), (False, "ended")]


class TestBetweenFlushAndSignIn:
    """``login()`` as a second user ends the first for a moment, before it is taken back."""

    def test_what_is_revoked_in_that_moment_does_not_come_back(self, ada, grace):
        def revoke(request):
            actions.revoke(session_of(ada))

        firefox = signed_in(ada)
        with mock.patch("django.contrib.auth.rotate_token", side_effect=revoke):
            firefox.sign_in(grace)
        assert firefox.accounts() == ["grace"]

    def test_a_later_receiver_that_fails_costs_no_account(self, ada, grace):
        firefox = signed_in(ada)

        def fail(**kwargs):
            raise RuntimeError("boom")

        with listening(user_logged_in, fail):
            firefox.sign_in(grace)
        assert (firefox.who(), firefox.accounts()) == ("ada", ["ada"])
