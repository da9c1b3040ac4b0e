"""The whole table of ``decide``, which says what a save does, with a line for each case."""

import itertools

import pytest

from multisession.engine.placing import (
    CARRIED_OVER,
    LEFT,
    NEXT,
    Step,
    after_sign_out,
    decide,
    for_sign_in,
    said_since,
)

ANY = None

#: is_known, had_accounts, was, account, data, cycled -> the step. The first line that fits counts.
TABLE = [
    # A browser that we do not know, or whose cookie has ended.
    ((False, ANY, ANY, ANY, True, ANY), Step.BEGIN),
    ((False, ANY, ANY, ANY, ANY, True), Step.BEGIN),
    ((False, ANY, ANY, ANY, False, False), Step.NOTHING),
    # The active account's own data; after cycle_key() under a new value of the cookie.
    ((True, ANY, "same", ANY, ANY, False), Step.WRITE),
    ((True, ANY, "same", ANY, ANY, True), Step.REISSUE),
    # Somebody signs in: beside accounts, or as the first, which begins a client of its own.
    ((True, True, ANY, True, ANY, ANY), Step.SIGN_IN),
    ((True, False, ANY, True, ANY, ANY), Step.BEGIN),
    # A visitor's data goes where it was.
    ((True, ANY, "visitor", False, ANY, False), Step.WRITE),
    # Nobody is active, and there is nothing to keep.
    ((True, ANY, None, False, False, False), Step.STEP_DOWN),
    # Nobody is active, and something was said; cycle_key() of a visitor alone begins anew.
    ((True, False, ANY, False, ANY, True), Step.BEGIN),
    ((True, ANY, ANY, False, ANY, ANY), Step.VISIT),
]
NAMES = ("is_known", "had_accounts", "was", "account", "data", "cycled")
CASES = [
    case
    for case in itertools.product(
        [True, False],
        [True, False],
        ["same", "visitor", None],
        [True, False],
        [True, False],
        [True, False],
    )
    # What names an account is data; and whose row is here has a client that is known.
    if (case[4] or not case[3]) and (case[0] or (not case[1] and case[2] is None))
]


def by_the_table(case: tuple) -> Step:
    for line, step in TABLE:
        if all(said is ANY or said == value for said, value in zip(line, case, strict=True)):
            return step
    raise AssertionError(f"no line for {case}")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_case_is_decided_as_the_table_says(case):
    if case[2] == "same" and not case[3]:
        return  # The account's own data name the account.
    assert decide(**dict(zip(NAMES, case, strict=True))) is by_the_table(case)


def test_no_line_of_the_table_is_idle():
    used = {
        next(
            number
            for number, (line, _step) in enumerate(TABLE)
            if all(s is ANY or s == v for s, v in zip(line, case, strict=True))
        )
        for case in CASES
    }
    assert used == set(range(len(TABLE)))


class TestAfterASignOut:
    def test_words_to_the_person_are_kept_as_they_are(self):
        assert after_sign_out({"_messages": "[]"}, CARRIED_OVER, follows=False) == {
            "_messages": "[]"
        }

    def test_what_is_more_is_marked(self):
        kept = after_sign_out({"cart": 1}, CARRIED_OVER, follows=False)
        assert kept == {"cart": 1, LEFT: True}

    def test_after_a_sign_out_it_is_noted_if_an_account_is_to_follow(self):
        kept = after_sign_out({"_language": "de"}, CARRIED_OVER, follows=True)
        assert kept == {"_language": "de", NEXT: True}

    def test_after_signing_out_of_all_nothing_is_kept(self):
        assert after_sign_out({"cart": 1}, (), follows=True) == {}

    def test_the_next_sign_in_gets_what_this_request_wrote_alone(self):
        before = {"cart": "of the account that left", LEFT: True, "_language": "de"}
        assert for_sign_in({**before, "coupon": 1}, before) == {"_language": "de", "coupon": 1}

    def test_a_visitors_own_data_goes_along(self):
        assert for_sign_in({"cart": 1}, {"cart": 1}) == {"cart": 1}

    def test_only_new_messages_are_carried_over(self):
        before, now = {"_messages": '["old"]'}, {"_messages": '["old", "new"]', "secret": 1}
        assert said_since(before, now) == {"_messages": '["new"]'}
