"""The rows by themselves: what each door lets through, and what none of them shows."""

import pytest
from django.contrib.sessions.serializers import JSONSerializer
from django.db import IntegrityError, transaction
from django.test import override_settings
from django.utils import timezone

from multisession import serialization, tokens
from multisession.backends.db import SessionStore
from multisession.models import Client, Session, Token
from multisession.purge import purge
from tests.stories import Browser, later, session_of, signed_in, statuses, with_engine_urls

pytestmark = with_engine_urls

Status = Session.Status
ENDS = [status for status in Status if status != Status.ACTIVE]


class TestEnding:
    @pytest.mark.parametrize("status", ENDS)
    def test_close_ends_once_and_forgets_the_data(self, ada, status):
        signed_in(ada)
        session = session_of(ada)
        assert session.close(status) is True
        assert (session.status, session.session_data) == (status, "")
        stored = session_of(ada)
        assert (stored.status, stored.session_data, stored.is_live) == (status, "", False)
        assert stored.updated_at == session.updated_at

    @pytest.mark.parametrize("status", ENDS)
    def test_what_has_ended_does_not_end_again_otherwise(self, ada, status):
        signed_in(ada)
        session_of(ada).close(status)
        assert session_of(ada).revoke() is False
        assert statuses(ada) == [status]

    def test_active_is_not_an_end(self, ada):
        with pytest.raises(ValueError, match="not an end"):
            Session.objects.close(Status.ACTIVE)

    @pytest.mark.parametrize(("verb", "status"), [("end", "ended"), ("revoke", "revoked")])
    def test_each_verb_has_its_status(self, ada, verb, status):
        signed_in(ada)
        assert getattr(session_of(ada), verb)() is True
        assert statuses(ada) == [status]

    def test_remove_takes_live_and_remembered_off_the_list_and_nothing_else(self, ada):
        for end in ("end", "revoke", None):
            signed_in(ada)
            if end:
                getattr(session_of(ada), end)()
        assert len(Session.objects.filter(user=ada).remove_all()) == 1
        assert statuses(ada) == ["removed", "revoked", "removed"]

    def test_what_was_revoked_stays_so_in_memory_too(self, ada):
        signed_in(ada)
        session = session_of(ada)
        session.revoke()
        session.remove()
        assert session.status == session_of(ada).status == "revoked"

    def test_deleting_a_user_takes_the_sessions_along(self, ada, grace):
        firefox = signed_in(ada, grace)
        ada.delete()
        assert [session.user for session in Session.objects.all()] == [grace]
        assert firefox.who() == "grace"


class TestQuestions:
    def test_a_session_whose_time_is_over_has_expired_though_no_job_has_said_so(self, ada):
        signed_in(ada)
        session = session_of(ada)
        assert (session.is_live, session.current_status) == (True, "active")
        with later(days=15):
            assert (session.is_live, session.current_status) == (False, "expired")
            assert session.status == "active"
            found = {s: Session.objects.with_current_status(s).count() for s in Status}
        assert found == {status: int(status == "expired") for status in Status}

    @pytest.mark.parametrize("status", Status)
    def test_each_status_finds_its_own(self, ada, status):
        signed_in(ada)
        Session.objects.update(status=status)
        found = [s for s in Status if Session.objects.with_current_status(s).exists()]
        assert found == [status]

    def test_visitors_are_not_accounts(self, ada):
        signed_in(ada)
        Browser().put("cart")
        assert [s.user for s in Session.objects.accounts()] == [ada]
        assert [s.user for s in Session.objects.visitors()] == [None]

    def test_remembered_are_the_live_and_those_to_sign_in_again(self, ada):
        for status in Status:
            signed_in(ada)
            Session.objects.filter(pk=session_of(ada).pk).update(status=status)
        remembered = Session.objects.remembered().values_list("status", flat=True)
        assert sorted(remembered) == ["abandoned", "active", "ended", "expired", "revoked"]


class TestTokens:
    @pytest.fixture
    def chain(self, ada):
        """A token, its child that the browser has not shown, and a child of that."""
        signed_in(ada)
        first = Token.objects.latest("pk")
        first.client.presented_token = first
        first.client.save()
        made = [first]
        for _ in range(2):
            made.append(
                Token.objects.create(
                    digest=tokens.digest(tokens.new_token()), client=first.client, parent=made[-1]
                )
            )
        return made

    def valid(self, chain: list[Token]) -> list[bool]:
        asked = [Token.objects.get(pk=token.pk).is_valid for token in chain]
        found = set(Token.objects.valid())
        assert asked == [token in found for token in chain], "the two questions disagree"
        return asked

    def test_valid_are_the_presented_one_and_its_children(self, chain):
        assert self.valid(chain) == [True, True, False]
        assert Token.objects.get(pk=chain[1].pk).present() is True
        assert self.valid(chain) == [False, True, True]

    def test_of_two_children_the_first_to_be_presented_wins(self, chain):
        twin = Token.objects.create(
            digest=tokens.digest("twin"), client=chain[0].client, parent=chain[0]
        )
        assert chain[1].present() is True
        assert twin.present() is False
        assert self.valid([*chain, twin]) == [False, True, True, False]

    def test_presenting_is_one_query(self, chain, django_assert_num_queries):
        with django_assert_num_queries(1):
            chain[1].present()

    def test_no_two_rows_share_a_value(self, chain):
        with pytest.raises(IntegrityError), transaction.atomic():
            Token.objects.create(digest=chain[0].digest, client=chain[0].client)

    def test_superseded_ones_are_deleted_in_time(self, ada, grace):
        firefox = signed_in(ada, grace)
        for hours in range(1, 6):
            with later(hours=hours):
                firefox.switch((ada, grace)[hours % 2])
                firefox.who()
                Token.objects.update(created_at=timezone.now())
        assert Token.objects.filter(client=session_of(ada).client).count() <= 4


class TestSecrets:
    """Neither a secret nor its hash where people look: only public ids."""

    def test_no_row_shows_one(self, ada, grace):
        firefox = signed_in(ada, grace)
        Browser().put("cart")
        digests = list(Token.objects.values_list("digest", flat=True))
        for row in [*Client.objects.all(), *Session.objects.all(), *Token.objects.all()]:
            for text in (repr(row), str(row)):
                assert firefox.cookie not in text
                assert not any(digest in text for digest in digests)

    def test_no_column_holds_the_cookie(self, ada):
        firefox = signed_in(ada)
        for model in (Client, Session, Token):
            for values in model.objects.values():
                assert firefox.cookie not in str(values)

    def test_no_store_shows_one(self, ada):
        firefox = signed_in(ada)
        store = SessionStore(firefox.cookie)
        store["loaded"] = True
        for text in (repr(store), str(store), repr(store.token), repr(store.row)):
            assert firefox.cookie not in text
            assert tokens.digest(firefox.cookie) not in text


class TestData:
    def test_it_comes_back_as_it_went(self):
        data = {"number": 1, "text": "é\x00\ud83d", "list": [1, None], "empty": {}}
        assert serialization.loads(serialization.dumps(data)) == data

    @pytest.mark.parametrize("text", ["", "[]", "1", '{"cut', "{}x", "null", "a:b:c", ":::"])
    def test_unreadable_data_is_no_data(self, text):
        assert serialization.loads(text) == {}

    def test_what_json_cannot_express_is_refused(self):
        with pytest.raises(TypeError):
            serialization.dumps({"set": {1}})

    def test_another_serializer_is_signed_and_what_is_not_signed_is_not_read(self):
        path = f"{__name__}.OtherSerializer"
        with override_settings(SESSION_SERIALIZER=path):
            text = serialization.dumps({"a": 1})
            assert serialization.loads(text) == {"a": 1}
            assert serialization.loads(text[:-1] + ("A" if text[-1] != "A" else "B")) == {}
            with override_settings(SECRET_KEY="another"):
                assert serialization.loads(text) == {}

    def test_a_corrupted_session_is_logged_without_its_data(self, caplog):
        serialization.loads('{"secret": "cut')
        assert caplog.messages == ["Session data corrupted"]


class OtherSerializer(JSONSerializer):
    """Stands for one that could run code, such as pickle."""


class TestPurge:
    def test_it_deletes_expired_visitors_and_what_ended_long_ago_and_nothing_else(self, ada, grace):
        signed_in(ada)
        firefox = signed_in(grace)
        firefox.sign_out()
        Browser().put("cart")
        purge()
        assert Session.objects.count() == 3
        with later(days=15):
            purge()
            assert Session.objects.visitors().count() == 0
            assert Session.objects.accounts().count() == 2
        with later(days=15 + 90):
            SessionStore.clear_expired()
            assert [Session.objects.count(), Client.objects.count()] == [0, 0]
            assert Token.objects.count() == 0


def test_a_browser_that_signs_in_and_out_all_day_is_as_quick_as_any_other(ada, grace):
    """Each sign-in is remembered; the lists show one for each account, and read no more."""
    firefox = signed_in(grace)
    for _ in range(5):
        firefox.sign_in(ada)
        firefox.sign_out()
    remembered = Session.objects.remembered()
    assert remembered.count() == 6
    assert remembered.newest_of_each_user().count() == 2
    listed = firefox.listed()
    assert (listed["sessions"], listed["signed_out"]) == (["grace"], ["ada"])
