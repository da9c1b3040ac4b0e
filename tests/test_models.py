"""The models: changes of status, queries, tokens, secrets and the purge."""

import datetime

import pytest
from django.contrib.sessions.serializers import JSONSerializer
from django.db import IntegrityError, connection, transaction
from django.test import override_settings
from django.utils import timezone

from accounts.models import User
from multisession.backends.db import SessionStore
from multisession.ground import serialization, tokens
from multisession.models import Client, Session
from multisession.models.session_sets import MOST_LISTED
from multisession.models.tokens import GRACE, SETTLING, Token
from multisession.upkeep.purge import purge
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
        assert session.status == status
        assert session.get_decoded(), "what hears of the end may still read it"
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

    def test_a_revoked_session_stays_revoked_in_memory(self, ada):
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
    """The tree of a client's tokens; what becomes of it in a browser: test_token_rules."""

    @pytest.fixture
    def chain(self, ada):
        """The first token of a client, its successor, and that one's: nobody has shown those."""
        signed_in(ada)
        made = [Token.objects.latest("pk")]
        for _ in range(2):
            made.append(self.follow(made[-1]))
        return made

    @staticmethod
    def follow(token: Token) -> Token:
        return token.add(tokens.digest(tokens.new_token()), token.session)

    @staticmethod
    def row(client: Client, added_by: Token | None) -> Session:
        """A visitor's session, to be seen or not."""
        moment = timezone.now() + datetime.timedelta(days=1)
        return Session.objects.create(
            client=client, added_by=added_by, expire_at=moment, abandon_at=moment
        )

    @staticmethod
    def living(*chain: Token) -> list[bool]:
        asked = [Token.objects.get(pk=token.pk).is_living for token in chain]
        found = set(Token.objects.living())
        assert asked == [token in found for token in chain], "the two questions disagree"
        return asked

    @staticmethod
    def present(token: Token) -> Token:
        """Show it as the next request would, and return it as it is then."""
        read = Token.objects.get(pk=token.pk)
        if read.is_to_be_noted(timezone.now()):
            read.note_presentation(timezone.now())
        return Token.objects.get(pk=token.pk)

    def test_a_session_is_visible_to_the_token_that_added_it_and_to_those_that_follow(self, chain):
        sibling = self.follow(chain[0])
        rows = [self.row(chain[0].client, token) for token in [*chain, sibling]]
        everything = Session.objects.visitors().order_by("pk")
        for token, seen in (
            (chain[0], rows[:1]),
            (chain[1], rows[:2]),
            (chain[2], rows[:3]),
            (sibling, [rows[0], rows[3]]),
        ):
            found = Token.objects.get(pk=token.pk)
            assert list(everything.visible_to(found)) == seen

    def test_no_token_sees_a_session_of_another_client(self, chain, grace):
        signed_in(grace)
        assert list(Session.objects.visible_to(chain[2])) == [chain[0].session]

    def test_the_first_presentation_lets_all_before_it_end_in_a_day(self, chain):
        shown = self.present(chain[2])
        assert shown.presented_at is not None
        ends = list(Token.objects.exclude(pk=shown.pk).values_list("ends_at", flat=True))
        assert ends == [shown.presented_at + GRACE] * 2
        assert self.living(*chain) == [True, True, True]
        with later(days=1, seconds=1):
            assert self.living(*chain) == [False, False, True]

    def test_an_end_is_never_put_off(self, chain):
        self.present(chain[1])
        end = Token.objects.get(pk=chain[0].pk).ends_at
        with later(hours=5):
            self.present(self.follow(chain[1]))
        assert Token.objects.get(pk=chain[0].pk).ends_at == end

    def test_settling_a_token_ends_all_before_it_and_makes_it_the_first(self, chain):
        with later(seconds=SETTLING.total_seconds()):
            settled = self.present(chain[2])
            assert self.living(*chain) == [False, False, True]
        assert settled.parent is None
        assert Token.objects.count() == 3, "those that ended are known, to recognise their use"

    def test_a_token_presented_early_and_again_a_minute_later_is_settled(self, chain):
        self.present(chain[1])
        with later(seconds=59):
            self.present(chain[1])
            assert self.living(*chain) == [True, True, True]
        with later(seconds=61):
            self.present(chain[1])
            assert self.living(*chain) == [False, True, True]

    def test_settling_ends_no_sibling_and_keeps_the_line_while_one_lives(self, chain):
        sibling = self.follow(chain[0])
        rows = [self.row(chain[0].client, token) for token in [*chain[:2], sibling]]
        with later(seconds=61):
            settled = self.present(chain[1])
            assert self.living(*chain, sibling) == [False, True, True, True]
            assert settled.parent == chain[0]
            everything = Session.objects.visitors().order_by("pk")
            assert list(everything.visible_to(settled)) == rows[:2]
            found = Token.objects.get(pk=sibling.pk)
            assert list(everything.visible_to(found)) == [rows[0], rows[2]]

    def test_settling_the_last_of_a_line_changes_nothing_of_what_it_and_its_own_see(self, chain):
        rows = [self.row(chain[0].client, token) for token in chain]
        with later(seconds=61):
            settled = self.present(chain[1])
            everything = Session.objects.visitors().order_by("pk")
            assert list(everything.visible_to(settled)) == rows[:2]
            assert list(everything.visible_to(Token.objects.get(pk=chain[2].pk))) == rows

    def test_settling_shows_the_ended_ones_nothing_that_was_added_since(self, chain):
        """A request that began with one of them may still run."""
        rows = [self.row(chain[0].client, token) for token in chain[:2]]
        with later(seconds=61):
            self.present(chain[1])
            seen = set(Session.objects.visitors().visible_to(chain[0]))
            assert rows[1] not in seen

    def test_a_presentation_is_noted_twice_at_the_most(
        self, chain, django_assert_num_queries, django_assert_max_num_queries
    ):
        with django_assert_num_queries(0):
            assert not chain[0].is_to_be_noted(timezone.now())
        for seconds in (0, 61):
            with later(seconds=seconds):
                with django_assert_max_num_queries(14):
                    self.present(chain[1])
                assert not Token.objects.get(pk=chain[1].pk).is_to_be_noted(timezone.now())

    def test_what_has_ended_is_not_presented_and_points_to_nothing_new(self, chain):
        old = Token.objects.get(pk=chain[1].pk)
        Token.objects.filter(pk=old.pk).update(ends_at=timezone.now())
        old.note_presentation(timezone.now())
        assert self.living(*chain) == [True, False, True]
        assert old.point_to(None) is False
        assert Token.objects.get(pk=old.pk).session == chain[0].session

    def test_ending_a_token_ends_those_before_it_and_no_other(self, chain):
        sibling = self.follow(chain[0])
        Token.objects.get(pk=chain[1].pk).end()
        assert self.living(*chain, sibling) == [False, False, True, True]

    def test_no_two_rows_share_a_value(self, chain):
        with pytest.raises(IntegrityError), transaction.atomic():
            Token.objects.create(digest=chain[0].digest, client=chain[0].client)

    def test_no_tokens_pile_up_by_switching(self, ada, grace):
        firefox = signed_in(ada, grace)
        before = Token.objects.count()
        for hours in range(1, 6):
            with later(hours=hours):
                firefox.switch((ada, grace)[hours % 2])
                firefox.who()
        assert Token.objects.count() == before


class TestSecrets:
    """Neither a secret nor its hash where people look: only public ids."""

    def test_no_row_shows_a_secret(self, ada, grace):
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

    def test_no_store_shows_a_secret(self, ada):
        firefox = signed_in(ada)
        store = SessionStore(firefox.cookie)
        store["loaded"] = True
        for text in (repr(store), str(store), repr(store.token), repr(store.row)):
            assert firefox.cookie not in text
            assert tokens.digest(firefox.cookie) not in text


class TestData:
    def test_session_data_comes_back_as_written(self):
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
    def test_purge_deletes_expired_visitors_and_what_ended_long_ago_and_nothing_else(
        self, ada, grace
    ):
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
    """Each account is remembered once, by its newest session, and no more is read."""
    firefox = signed_in(grace)
    for _ in range(5):
        firefox.sign_in(ada)
        firefox.sign_out()
    assert statuses(ada) == ["ended"] * 5
    remembered = Session.objects.remembered()
    assert [row.user for row in remembered.order_by("pk")] == [grace, ada]
    assert remembered.latest("pk") == session_of(ada)
    assert set(Session.objects.filter(user=ada).values_list("number", flat=True)) == {2}
    listed = firefox.listed()
    assert (listed["sessions"], listed["signed_out"]) == (["grace"], ["ada"])


@pytest.mark.skipif(connection.vendor != "sqlite", reason="each database words its plans otherwise")
def test_a_list_reads_neither_what_is_over_nor_what_is_off_the_list(ada, grace):
    """A browser may have signed in and out ten thousand times: an index leads to what is shown."""
    firefox = signed_in(ada, grace)
    token = Token.objects.get(digest=tokens.digest(firefox.cookie))
    plan = Session.objects.visible_to(token).accounts().listed().explain()
    assert "SCAN multisession_session" not in plan
    assert "multisession_in_client (client_id=? AND status=?)" in plan
    assert "multisession_remembered (client_id=? AND forgotten=?)" in plan


@pytest.mark.skipif(connection.vendor == "mysql", reason="MySQL has no LIMIT in a subquery")
def test_of_the_accounts_that_are_signed_out_a_browser_lists_the_newest_fifty(ada):
    firefox = signed_in(ada)
    client, now = session_of(ada).client, timezone.now()
    users = User.objects.bulk_create(
        User(email=f"person{number}@example.com") for number in range(MOST_LISTED + 10)
    )
    Session.objects.bulk_create(
        Session(client=client, user=user, status="ended", expire_at=now, abandon_at=now)
        for user in users
    )
    token = Token.objects.get(digest=tokens.digest(firefox.cookie))
    listed = Session.objects.visible_to(token).listed()
    assert {row.user for row in listed} == {ada, *users[-MOST_LISTED:]}
    assert listed.count() == MOST_LISTED + 1
    assert firefox.accounts() == ["ada"]
