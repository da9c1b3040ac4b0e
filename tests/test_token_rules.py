"""What old, superseded, planted, lost, late and made-up cookies can do: as little as possible.

A cookie is *current* until its client gets a new one, its successor. The *old* one goes on showing
what it showed until the successor is first presented; from then on it is *superseded*. Each test
is named after what it prevents.
"""

from unittest import mock

import pytest
from django.contrib.auth import SESSION_KEY

from multisession import signals
from multisession.backends.db import SessionStore
from multisession.models import SUPERSEDED_MEMORY, Session, Token
from tests.stories import (
    COOKIE,
    NOBODY,
    Browser,
    EitherSetting,
    EveryWay,
    count_rows,
    later,
    listening,
    session_of,
    shown_by,
    signed_in,
    silent,
    statuses,
    with_engine_urls,
)

pytestmark = with_engine_urls

UNKNOWN = "0123456789abcdefghijklmnopqrstuv"


@pytest.fixture
def mallory(django_user_model):
    return django_user_model.objects.create_user("mallory@example.com", "p")


@pytest.fixture
def eve(django_user_model):
    return django_user_model.objects.create_user("eve@example.com", "p")


@pytest.fixture
def current(ada, grace):
    """Ada and Grace are signed in, Grace is active, and the browser has shown that it knows."""
    return signed_in(ada, grace)


@pytest.fixture
def old(current, alan):
    """A request with the cookie from before Alan was added; that answer is still on its way."""
    late = current.late()
    current.sign_in(alan)
    return late


@pytest.fixture
def superseded(current, old):
    """The same, but the browser has shown its new cookie already."""
    assert current.who() == "alan"
    return old


@pytest.fixture
def unknown(current):
    return Browser(UNKNOWN)


class TestCurrentCookie(EitherSetting):
    """The first column of the table: everything."""

    def test_it_reads_the_active_account_and_lists_all(self, current):
        assert current.who() == "grace"
        assert current.accounts() == ["ada", "grace"]

    def test_it_writes_into_the_active_account_and_is_not_sent_again(self, current, grace):
        assert silent(current.put("theirs"))
        assert session_of(grace).get_decoded()["theirs"] == "1"

    def test_a_sign_in_adds_and_rotates(self, current, alan):
        before = current.cookie
        assert not silent(current.sign_in(alan))
        assert current.cookie != before
        assert current.accounts() == ["ada", "alan", "grace"]

    def test_a_sign_out_ends_the_active_account_and_rotates(self, current, then):
        before = current.cookie
        current.sign_out()
        assert current.who() == then("ada")
        assert current.cookie != before

    def test_a_switch_rotates(self, current, ada):
        before = current.cookie
        assert not silent(current.switch(ada))
        assert current.cookie != before
        assert current.who() == "ada"


class TestOldCookie(EitherSetting):
    """The second column: what it always could, and nothing of what came after."""

    def test_it_goes_on_showing_the_account_it_showed(self, old):
        response = old.get("/who/")
        assert response.json()["user"] == "grace"
        assert silent(response)

    def test_it_lists_what_it_could_see_and_nothing_added_since(self, old):
        assert old.accounts() == ["ada", "grace"]

    def test_it_writes_into_the_account_it_showed_and_no_other(self, old, current, grace):
        assert silent(old.put("late"))
        assert session_of(grace).get_decoded()["late"] == "1"
        assert current.page() == {"user": "alan", "data": {}}

    def test_after_a_sign_in_through_it_both_cookies_have_all_accounts_of_before(
        self, old, current, eve
    ):
        response = old.sign_in(eve)
        assert not silent(response)
        assert old.accounts() == ["ada", "eve", "grace"]
        assert (current.who(), current.accounts()) == ("alan", ["ada", "alan", "grace"])
        assert old.listed()["client"] != current.listed()["client"]

    @pytest.mark.parametrize("end", ["sign_out", "sign_out_all", "revoke", "delete"])
    def test_a_copy_that_was_made_through_it_ends_with_the_session_that_it_is_a_copy_of(
        self, old, current, eve, ada, end
    ):
        """Who holds a stolen old cookie keeps nobody's account by signing in through it."""
        old.sign_in(eve)
        if end == "revoke":
            Session.objects.filter(user=ada).earliest("pk").revoke()
        elif end == "delete":
            SessionStore().delete(current.cookie)
        else:
            current.verb(end, current.id_of(ada) if end == "sign_out" else None)
        assert "ada" not in old.accounts()
        assert "ada" not in Browser(old.cookie).accounts()

    def test_what_one_of_the_two_signs_out_is_signed_out_for_the_other(
        self, old, current, eve, ada
    ):
        old.sign_in(eve)
        old.verb("sign_out", old.id_of(ada))
        assert old.accounts() == ["eve", "grace"]
        assert current.accounts() == ["alan", "grace"]

    def test_a_sign_out_through_it_ends_its_own_account_and_lands_in_no_other(
        self, old, current, then, grace
    ):
        assert silent(old.sign_out())
        assert statuses(grace) == ["ended"]
        assert Browser(old.cookie).who() == NOBODY
        assert (current.who(), current.accounts()) == ("alan", ["ada", "alan"])

    def test_a_switch_through_it_takes_copies_of_its_own_accounts_along(self, old, current, ada):
        assert not silent(old.switch(ada))
        assert (old.who(), old.accounts()) == ("ada", ["ada", "grace"])
        assert (current.who(), current.accounts()) == ("alan", ["ada", "alan", "grace"])

    def test_it_cannot_name_an_account_added_since(self, old, current, alan):
        listed = session_of(alan).public_id
        for verb in ("set_active", "sign_out", "forget"):
            assert old.verb(verb, listed).status_code == 404
        assert statuses(alan) == ["active"]

    def test_a_sign_out_of_all_through_it_spares_what_it_cannot_see(self, old, current):
        assert silent(old.verb("sign_out_all"))
        assert (current.who(), current.accounts()) == ("alan", ["alan"])
        assert Browser(old.cookie).who() == NOBODY


class TestSupersededCookie(EitherSetting):
    """The third column: nothing, and no answer touches the newer cookie."""

    def test_it_shows_nobody(self, superseded):
        response = superseded.get("/who/")
        assert response.json() == {"user": NOBODY, "data": {}}
        assert silent(response)

    def test_it_lists_nothing(self, superseded):
        listed = superseded.listed()
        assert (listed["client"], listed["sessions"], listed["signed_out"]) == (None, [], [])

    def test_it_writes_nothing(self, superseded, current):
        before = count_rows()
        response = superseded.put("late")
        assert (response.status_code, silent(response)) == (400, True)
        assert count_rows() == before
        assert current.page() == {"user": "alan", "data": {}}

    def test_a_sign_in_through_it_begins_a_new_client(self, superseded, current, eve):
        """As after a crash that rolled the browser's cookies back: signing in has to help."""
        assert superseded.sign_in(eve).status_code == 200
        assert (superseded.who(), superseded.accounts()) == ("eve", ["eve"])
        assert current.accounts() == ["ada", "alan", "grace"]

    @pytest.mark.parametrize("way_out", ["sign-out", "flush", "verb/sign_out_all"])
    def test_a_sign_out_through_it_signs_nobody_out(self, superseded, current, way_out):
        assert silent(superseded.post(f"/{way_out}/"))
        assert current.accounts() == ["ada", "alan", "grace"]

    def test_what_a_late_sign_out_writes_does_not_start_a_new_client(self, superseded):
        before = count_rows()
        assert silent(superseded.sign_out(put="late"))
        assert count_rows() == before

    def test_a_verb_through_it_is_refused(self, superseded, current, ada):
        listed = current.id_of(ada)
        for verb in ("set_active", "sign_out", "forget"):
            response = superseded.verb(verb, listed)
            assert (response.status_code, silent(response)) == (404, True)
        assert current.accounts() == ["ada", "alan", "grace"]

    def test_two_changes_back_is_no_different(self, current, alan, eve):
        late = current.late()
        current.sign_in(alan)
        current.sign_in(eve)
        current.who()
        response = late.get("/who/")
        assert (response.json()["user"], silent(response)) == (NOBODY, True)
        assert current.who() == "eve"

    def test_the_database_does_not_remember_it_for_ever(self, superseded, current, ada):
        with later(seconds=2 * SUPERSEDED_MEMORY.total_seconds()):
            current.switch(ada)
            current.who()
            assert silent(superseded.put("cart"))
        with later(seconds=4 * SUPERSEDED_MEMORY.total_seconds()):
            assert not silent(superseded.put("cart"))
            assert superseded.page() == {"user": NOBODY, "data": {"cart": "1"}}
            assert current.who() == "ada"

    @pytest.mark.parametrize("presented", [False, True])
    def test_a_slow_request_finishes_and_does_not_bring_the_cookie_back(
        self, current, grace, alan, presented
    ):
        def add_alan(request):
            current.sign_in(alan)
            if presented:
                current.who()

        slow = current.late()
        with mock.patch("tests.engine_urls.meanwhile", add_alan):
            response = slow.post("/slow-put/late/1/")
        assert (response.status_code, silent(response)) == (200, True)
        assert session_of(grace).get_decoded()["late"] == "1"
        assert current.page() == {"user": "alan", "data": {}}


class TestUnknownCookie(EitherSetting):
    """The last column: a visitor, who is given a value of ours and never the one presented."""

    def test_it_shows_nobody_lists_nothing_and_is_left_alone(self, unknown):
        before = count_rows()
        assert unknown.listed()["sessions"] == []
        response = unknown.get("/who/")
        assert (response.json()["user"], silent(response)) == (NOBODY, True)
        assert count_rows() == before

    def test_a_chosen_value_is_not_adopted(self, unknown):
        unknown.put("cart")
        assert unknown.cookie != UNKNOWN
        assert unknown.page()["data"] == {"cart": "1"}
        assert Browser(UNKNOWN).page() == {"user": NOBODY, "data": {}}

    def test_a_chosen_value_is_not_adopted_by_a_sign_in(self, unknown, alan):
        unknown.sign_in(alan)
        assert unknown.cookie != UNKNOWN
        assert (unknown.who(), Browser(UNKNOWN).who()) == ("alan", NOBODY)

    @pytest.mark.parametrize("way_out", ["sign-out", "flush", "verb/sign_out_all"])
    def test_a_sign_out_under_it_leaves_it_alone(self, unknown, way_out):
        before = count_rows()
        response = unknown.post(f"/{way_out}/")
        assert (response.status_code, silent(response)) == (200, True)
        assert count_rows() == before

    def test_it_opens_no_verb(self, unknown, current, ada):
        for verb in ("set_active", "sign_out", "forget"):
            assert unknown.verb(verb, current.id_of(ada)).status_code == 404
        assert current.accounts() == ["ada", "grace"]


class TestFixation:
    def test_by_a_planted_cookie_of_a_visitor(self, ada):
        mallory = Browser()
        mallory.put("bait")
        victim = mallory.late()
        victim.sign_in(ada)
        for _ in range(2):  # before and after the victim's next page
            assert mallory.who() == NOBODY
            assert mallory.accounts() == []
            assert victim.who() == "ada"

    def test_by_a_planted_cookie_of_the_attackers_account(self, mallory, ada):
        attacker = signed_in(mallory)
        victim = attacker.late()
        victim.sign_in(ada)
        assert (attacker.who(), attacker.accounts()) == ("mallory", ["mallory"])
        assert victim.who() == "ada"
        assert (attacker.who(), attacker.accounts()) == (NOBODY, [])

    def test_by_a_planted_cookie_of_somebody_who_signed_out(self, mallory, ada):
        attacker = signed_in(mallory)
        attacker.sign_out()
        attacker.who()
        victim = attacker.late()
        victim.sign_in(ada)
        assert (attacker.who(), attacker.accounts()) == (NOBODY, [])
        assert victim.who() == "ada"
        assert attacker.who() == NOBODY

    @pytest.mark.parametrize("planted", ["visitor", "account", "signed out"])
    @pytest.mark.parametrize("act", ["sign_in", "switch", "put", "cycle-key"])
    def test_through_the_grace_of_the_old_cookie(self, mallory, eve, ada, planted, act):
        """Before the victim's next request, the attacker uses the planted cookie again."""
        attacker = Browser() if planted == "visitor" else signed_in(mallory)
        attacker.put("bait")
        if planted == "signed out":
            attacker.sign_out()
            attacker.who()
        victim = attacker.late()
        victim.sign_in(ada)
        if act == "sign_in":
            attacker.sign_in(eve)
        elif act == "switch":
            attacker.verb("set_active", session_of(ada).public_id)
        elif act == "put":
            attacker.put("more")
        else:
            attacker.post("/cycle-key/")
        for _ in range(4):
            assert "ada" not in attacker.accounts()
            assert attacker.who() != "ada"
            attacker.sign_out()
        assert (victim.who(), "ada" in victim.accounts()) == ("ada", True)

    def test_by_signing_in_before_the_victim_and_keeping_the_new_cookie(self, mallory, eve, ada):
        """The attacker holds a successor of the planted cookie that nobody has presented yet."""
        attacker = signed_in(mallory)
        victim = attacker.late()
        attacker.sign_in(eve)
        victim.sign_in(ada)
        assert "ada" not in attacker.accounts()
        assert victim.who() == "ada"
        assert "ada" not in attacker.accounts()

    def test_by_a_switch_before_the_victim_and_keeping_the_new_cookie(self, mallory, eve, ada):
        attacker = signed_in(mallory, eve)
        victim = attacker.late()
        attacker.switch(mallory)
        victim.sign_in(ada)
        assert "ada" not in attacker.accounts()
        assert victim.who() == "ada"
        assert "ada" not in attacker.accounts()

    def test_the_planted_cookie_does_not_show_which_accounts_were_added(self, mallory, ada):
        attacker = signed_in(mallory)
        victim = attacker.late()
        victim.sign_in(ada)
        assert attacker.listed()["ids"].keys() == {"mallory"}
        victim.sign_out()
        assert attacker.listed()["ids"].keys() <= {"mallory"}


class TestLostAnswers(EveryWay):
    def test_a_sign_in_whose_answer_is_lost_leaves_the_accounts_there_were(
        self, browser, ada, grace
    ):
        browser.sign_in(ada)
        with browser.no_answer():
            browser.sign_in(grace)
        assert (browser.who(), browser.accounts()) == ("ada", ["ada"])

    @pytest.mark.parametrize("times", [1, 2, 3])
    def test_however_often_it_is_lost_the_next_try_has_them_all(self, browser, ada, grace, times):
        browser.sign_in(ada)
        browser.put("theirs")
        for _ in range(times):
            with browser.no_answer():
                browser.sign_in(grace)
        browser.sign_in(grace)
        assert (browser.who(), browser.accounts()) == ("grace", ["ada", "grace"])
        browser.switch(ada)
        assert browser.page() == {"user": "ada", "data": {"theirs": "1"}}

    def test_the_same_with_pages_in_between(self, browser, ada, grace):
        browser.sign_in(ada)
        for _ in range(2):
            with browser.no_answer():
                browser.sign_in(grace)
            assert browser.who() == "ada"
        browser.sign_in(grace)
        assert browser.accounts() == ["ada", "grace"]

    def test_a_first_sign_in_whose_answer_is_lost_can_be_tried_again(self, browser, ada):
        browser.put("cart")
        with browser.no_answer():
            browser.sign_in(ada)
        assert browser.who() == NOBODY
        browser.sign_in(ada)
        assert browser.who() == "ada"

    def test_a_sign_out_whose_answer_is_lost_has_signed_out_and_costs_no_other_account(
        self, browser, ada, grace, alan
    ):
        browser.sign_in(ada)
        browser.sign_in(grace)
        browser.who()
        with browser.no_answer():
            browser.sign_out()
        assert browser.who() == NOBODY
        browser.sign_in(alan)
        assert (browser.who(), browser.accounts()) == ("alan", ["ada", "alan"])

    def test_a_switch_whose_answer_is_lost_can_be_tried_again(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        with browser.no_answer():
            browser.switch(ada)
        assert (browser.who(), browser.accounts()) == ("grace", ["ada", "grace"])
        browser.switch(ada)
        assert (browser.who(), browser.accounts()) == ("ada", ["ada", "grace"])

    def test_a_new_key_whose_answer_is_lost_loses_nothing(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        with browser.no_answer():
            browser.post("/cycle-key/")
        assert (browser.who(), browser.accounts()) == ("grace", ["ada", "grace"])

    def test_a_sign_out_of_all_whose_answer_is_lost_has_signed_out_of_all(
        self, browser, ada, grace
    ):
        browser.sign_in(ada)
        browser.sign_in(grace)
        with browser.no_answer():
            browser.verb("sign_out_all")
        assert (browser.who(), browser.accounts()) == (NOBODY, [])


class TestLateAnswers(EitherSetting):
    @pytest.mark.parametrize("presented", [False, True])
    def test_a_double_clicked_switch_loses_no_account_in_either_order(
        self, ada, grace, alan, presented
    ):
        for order in (0, 1):
            firefox = signed_in(ada, grace, alan)
            clicks = [firefox.late(), firefox.late()]
            clicks[0].switch(ada)
            clicks[1].switch(grace)
            firefox.cookie = clicks[order].cookie
            if presented:
                firefox.who()
            assert (firefox.who(), firefox.accounts()) == (
                ["ada", "grace"][order], ["ada", "alan", "grace"]
            )  # fmt: skip

    def test_a_double_clicked_sign_in_has_the_account_once_in_either_order(self, ada, grace):
        for order in (0, 1):
            firefox = signed_in(ada)
            clicks = [firefox.late(), firefox.late()]
            for click in clicks:
                click.sign_in(grace)
            firefox.cookie = clicks[order].cookie
            assert firefox.who() == "grace"
            assert firefox.accounts().count("grace") == 1

    @pytest.mark.parametrize("act", ["put/late/1", "sign-out", "flush", "verb/sign_out_all"])
    @pytest.mark.parametrize("presented", [False, True])
    def test_a_late_request_of_the_visitor_does_not_undo_the_first_sign_in(
        self, ada, act, presented
    ):
        """Its answer comes after that of the sign-in, so a cookie in it would replace Ada's."""
        firefox = Browser()
        firefox.put("cart")
        late = firefox.late()
        firefox.sign_in(ada)
        if presented:
            firefox.who()
        assert silent(late.post(f"/{act}/"))
        assert firefox.who() == "ada"

    @pytest.mark.parametrize("act", ["put/late/1", "sign-out", "flush"])
    def test_a_late_request_from_between_two_accounts_does_not_undo_the_next_sign_in(
        self, ada, grace, act
    ):
        """The same where the visitor is a browser whose only account has signed out."""
        firefox = signed_in(ada)
        firefox.sign_out()
        firefox.who()
        late = firefox.late()
        firefox.sign_in(grace)
        assert silent(late.post(f"/{act}/"))
        assert firefox.who() == "grace"

    def test_two_pages_at_once_after_a_sign_out_set_one_cookie_at_the_most(
        self, after_sign_out, ada, grace
    ):
        """Under "next", both would make Ada active; the browser keeps the cookie that came last,
        which must still be good although the other one has been presented."""
        firefox = signed_in(ada, grace)
        firefox.sign_out()
        other = firefox.late()

        def another_page_meanwhile(**kwargs):
            signals.active_session_changing.disconnect(another_page_meanwhile)
            other.who()

        with listening(signals.active_session_changing, another_page_meanwhile):
            answer = firefox.get("/who/")
        if silent(answer):
            firefox.cookie = other.cookie  # of the two, only that one came
        elif other.cookie != firefox.cookie:
            other.who()  # presents it
        assert firefox.who() == (NOBODY if after_sign_out == "choose" else "ada")
        assert firefox.accounts() == ["ada"]


class TestOneKeyOneAccount(EitherSetting):
    def test_an_old_key_never_shows_another_account(self, ada, grace):
        """As a websocket, a job or another package's table keeps it."""
        firefox = Browser()
        keys = {}
        for user in (ada, grace):
            firefox.sign_in(user)
            keys[user.name] = firefox.cookie
        firefox.sign_out()
        firefox.who()
        assert shown_by(keys["Ada Lovelace"]) in (NOBODY, "ada")
        assert shown_by(keys["Grace Hopper"]) == NOBODY
        firefox.switch(ada)
        assert shown_by(keys["Grace Hopper"]) == NOBODY

    def test_the_key_of_a_deleted_user_does_not_become_another_users(self, current, then, grace):
        key = current.cookie
        grace.delete()
        assert shown_by(key) == NOBODY
        assert [current.who(), current.who()] == [then("ada")] * 2
        assert shown_by(key) == NOBODY

    @pytest.mark.parametrize("end", ["revoke", "end", "remove"])
    def test_the_key_of_an_ended_session_shows_nobody(self, current, then, grace, end):
        key = current.cookie
        getattr(session_of(grace), end)()
        assert shown_by(key) == NOBODY
        assert current.who() == then("ada")
        assert shown_by(key) == NOBODY

    def test_the_key_made_for_a_sign_in_is_not_known_before_it(self, current, alan):
        """``cycle_key()`` comes before the user is written: who knew the old key knows no more."""
        before = current.cookie
        current.sign_in(alan)
        assert shown_by(before) == "grace"
        assert shown_by(current.cookie) == "alan"

    def test_a_visitors_key_never_becomes_an_accounts(self, ada):
        firefox = Browser()
        firefox.put("cart")
        key = firefox.cookie
        firefox.sign_in(ada)
        assert SESSION_KEY not in SessionStore(key)
        firefox.who()
        assert SESSION_KEY not in SessionStore(key)


class TestMadeUpCookies:
    """Anonymous, no row, no 500, and never a Set-Cookie."""

    VALUES = (
        '""', "abc", "null", "0" * 31, "0" * 33, "A" * 32, "0123456789abcdefghijklmnopqrstu-",
        "x" * 8192, "%00", "a b", "\x00", "0" * 31 + "\x00", "\xe9" * 32, "'" * 32,
        f'"{UNKNOWN}"', f"{UNKNOWN}, {UNKNOWN}", "../../etc/passwd", "' OR 1=1 --",
        "٠١٢٣٤٥٦٧٨٩abcdefghijklmnopqrstuv".encode().decode("latin-1"),
    )  # fmt: skip

    @staticmethod
    def send(header: str):
        """``header`` octet for octet, as a server passes it on."""
        return Browser().get("/who/", headers={"cookie": header})

    @pytest.mark.parametrize("value", ["", *VALUES, UNKNOWN], ids=repr)
    def test_garbage_is_a_visitor(self, value, db):
        before = count_rows()
        response = self.send(f"{COOKIE}={value}")
        assert response.status_code == 200
        assert response.json() == {"user": NOBODY, "data": {}}
        assert silent(response)
        assert count_rows() == before

    def test_a_truncated_cookie_is_nobodys(self, ada):
        firefox = signed_in(ada)
        for value in (firefox.cookie[:-1], firefox.cookie[1:], firefox.cookie.upper()):
            assert Browser(value).who() == NOBODY
        assert firefox.who() == "ada"

    def test_neither_a_public_id_nor_a_digest_is_a_cookie(self, ada):
        session = signed_in(ada).listed()
        stored = Token.objects.values_list("digest", flat=True)
        for value in (session["client"], session["active"], *stored, *(d[:32] for d in stored)):
            assert Browser(value).who() == NOBODY

    def test_garbage_costs_no_query_and_an_unknown_value_one(self, db, django_assert_num_queries):
        with django_assert_num_queries(0):
            self.send(f"{COOKIE}=garbage")
        with django_assert_num_queries(1):
            self.send(f"{COOKIE}={UNKNOWN}")

    @pytest.mark.parametrize("answer", ["/sign-out/", "/verb/sign_out_all/"])
    def test_an_invalid_value_is_deleted_only_by_a_sign_out(self, db, answer):
        """It cannot be one of ours that was replaced; Django's own tests ask for the deletion."""
        browser = Browser("abc")
        assert silent(browser.get("/who/"))
        assert silent(browser.put("cart")) is False
        response = Browser("abc").post("/flush/")
        assert response.cookies[COOKIE]["max-age"] == 0


class TestSpelling:
    """The cookie is read by its exact octets."""

    @pytest.fixture
    def value(self, ada):
        return signed_in(ada).cookie

    @staticmethod
    def who(header: str) -> str:
        response = TestMadeUpCookies.send(header)
        assert response.status_code == 200
        assert silent(response)
        return response.json()["user"]

    @pytest.mark.parametrize(
        "template",
        [
            "{n}={v}",
            " {n}={v}",
            "\t{n} = {v}\t",
            "a=1; {n}={v}; b=2",
            "x;{n}={v};;",
            "={n}; {n}={v}",
        ],
    )
    def test_blanks_and_tabs_and_neighbours_do_not_matter(self, value, template):
        assert self.who(template.format(n=COOKIE, v=value)) == "ada"

    @pytest.mark.parametrize(
        "space", ["\u2000", "\xa0", "\x85", "\u3000", "\u2028", "\u1680", "\x1c", "\x0b", "\x0c"]
    )
    @pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
    def test_a_name_behind_unicode_white_space_is_another_cookie(self, value, space, encoding):
        """Django strips it, so a subdomain could plant what looks like a ``__Host-`` cookie."""
        try:
            octets = f"{space}{COOKIE}={value}".encode(encoding)
        except UnicodeEncodeError:
            octets = f"{space}{COOKIE}={value}".encode()
        planted = octets.decode("latin-1")
        assert self.who(planted) == NOBODY
        assert self.who(f"{planted}; {COOKIE}={value}") == "ada"
        assert self.who(f"{COOKIE}={value}; {planted}") == "ada"

    def test_two_cookies_of_the_same_name_are_none(self, value, grace):
        other = signed_in(grace).cookie
        assert self.who(f"{COOKIE}={value}; {COOKIE}={other}") == NOBODY
        assert self.who(f"{COOKIE}={other}; {COOKIE}={value}") == NOBODY

    @pytest.mark.parametrize("name", [COOKIE.upper(), f"{COOKIE}2", f"x{COOKIE}", f'"{COOKIE}"'])
    def test_a_similar_name_is_another_cookie(self, value, name):
        assert self.who(f"{name}={value}") == NOBODY

    def test_a_host_cookie_cannot_be_planted_by_a_subdomain(self, settings, value):
        settings.SESSION_COOKIE_NAME = "__Host-sessionid"
        assert self.who(f"__Host-sessionid={value}") == "ada"
        assert self.who(f"\xe2\x80\x80__Host-sessionid={value}") == NOBODY
        assert self.who(f"sessionid={value}") == NOBODY
