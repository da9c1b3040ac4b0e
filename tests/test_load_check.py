"""The checker of ``make load`` finds every kind of violation, and reports no false one."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tools.load import browser as browser_module
from tools.load.__main__ import MOST_ASTRAY
from tools.load.browser import Browser
from tools.load.check import SETTLED, Check, Kind, Outcome, Step
from tools.load.options import Misspelt, Options
from tools.load.side_by_side import SideBySide
from tools.load.tally import Tally
from tools.load.web import Jar, Seen, read_cookie

from .load_site import FAULTS, TAB_FAULTS, Site, TabSite


def shows(active="", *others):
    """What a page shows; the session of ada is sess_ada."""
    users = [name for name in (active, *others) if name]
    return Seen(active, active and f"sess_{active}", {f"sess_{name}": name for name in users})


class History:
    """An invented history of one browser. Every request takes a second."""

    def __init__(self):
        self.check = Check()
        self.now = 0.0
        self.value = None

    def send(self, kind, user="", session="", value=None):
        self.now += 1
        step = Step(kind, value or self.value, self.now, user, session)
        self.check.send(step)
        return step

    def take(self, step, outcome=Outcome.DONE, **answer):
        self.now += 1
        self.check.take(step, outcome, self.now, **answer)
        if new := answer.get("value"):
            self.move(new, "crossed")

    def move(self, value, why):
        old, self.value = self.value, value
        self.check.change_cookie(old, value, why, self.now)

    def sign_in(self, user, value):
        self.take(self.send(Kind.SIGN_IN, user), value=value)

    def look(self, seen, value=None):
        self.take(self.send(Kind.LOOK, value=value), seen=seen)

    @property
    def violations(self):
        return [violation.kind for violation in self.check.violations]


@pytest.fixture
def history():
    """Ada and Grace are signed in; Grace is active."""
    history = History()
    history.sign_in("ada", "v1")
    history.sign_in("grace", "v2")
    history.look(shows("grace", "ada"))
    assert history.violations == []
    return history


def test_an_account_that_nobody_ended_is_lost(history):
    history.look(shows("grace"))
    assert history.violations == ["lost"]


def test_an_account_that_no_page_has_shown_yet_is_lost(history):
    history.sign_in("linus", "v3")
    history.look(shows("grace", "ada"))
    assert history.violations == ["lost"]


def test_an_account_that_expires_while_its_page_is_open_is_not_lost(history):
    history.take(history.send(Kind.EXPIRE, "grace", "sess_grace"), done_as="grace")
    history.look(shows("grace", "ada"))
    history.look(shows("", "ada"))
    assert history.violations == []


def test_an_account_is_signed_out_while_another_tab_looks(history):
    looking, leaving = history.send(Kind.LOOK), history.send(Kind.SIGN_OUT, "ada", "sess_ada")
    history.take(leaving)
    history.take(looking, seen=shows("grace", "ada"))
    history.look(shows("grace"))
    assert history.violations == []


def test_a_session_that_was_signed_out_of_comes_back(history):
    history.take(history.send(Kind.SIGN_OUT, "ada", "sess_ada"))
    history.look(shows("grace", "ada"))
    assert history.violations == ["came back"]


def test_a_session_that_has_expired_comes_back(history):
    history.take(history.send(Kind.EXPIRE, "grace", "sess_grace"), done_as="grace")
    history.look(shows("", "ada"))
    history.look(shows("grace", "ada"))
    assert history.violations == ["came back"]


def test_a_session_comes_back_after_signing_out_of_all_with_an_old_cookie(history):
    history.take(history.send(Kind.SIGN_OUT_ALL))
    history.move(None, "signed out of all")
    history.move("v1", "rolled back")
    history.look(shows("ada"))
    assert history.violations == ["came back"]


def test_an_account_whose_sign_out_was_lost_may_be_there_or_not(history):
    history.check.lose(history.send(Kind.SIGN_OUT, "ada", "sess_ada"), history.now)
    assert history.check.live("v2") == ["sess_grace"]
    history.look(shows("grace", "ada"))
    assert sorted(history.check.live("v2")) == ["sess_ada", "sess_grace"]
    history.look(shows("grace"))
    assert history.violations == ["lost"]


def test_of_two_sign_ins_that_cross_one_may_be_left_behind(history):
    first, second = history.send(Kind.SIGN_IN, "linus"), history.send(Kind.SIGN_IN, "ken")
    history.take(first, value="v3")
    history.take(second, value="v4")
    history.look(shows("ken", "ada", "grace"))
    assert history.violations == []
    assert history.check.left_behind == {"crossed": 1}


def test_of_two_sign_ins_that_cross_one_takes_an_older_account_along(history):
    first, second = history.send(Kind.SIGN_IN, "linus"), history.send(Kind.SIGN_IN, "ken")
    history.take(first, value="v3")
    history.take(second, value="v4")
    history.look(shows("ken", "ada"))
    assert history.violations == ["lost"]


def test_a_killed_browser_may_leave_a_new_account_behind(history):
    history.move("v1", "rolled back")
    history.look(shows("ada"))
    assert history.violations == []
    assert history.check.left_behind == {"rolled back": 1}


def test_a_killed_browser_loses_an_account_of_before(history):
    history.move("v1", "rolled back")
    history.look(shows())
    assert history.violations == ["lost"]


def test_an_account_is_left_behind_that_had_arrived_for_good(history):
    history.now += SETTLED
    history.move("v1", "crossed")
    assert history.violations == ["left behind"]


def test_a_cookie_is_deleted_though_nobody_signed_out_of_all(history):
    history.move(None, "crossed")
    assert history.violations == ["cookie deleted"] * 2


def test_a_form_of_adas_page_is_done_as_grace(history):
    history.take(history.send(Kind.WRITE, "ada", "sess_ada"), done_as="grace")
    assert history.violations == ["wrong account"]


def test_a_form_of_adas_page_is_refused_or_done_as_ada(history):
    history.take(history.send(Kind.WRITE, "ada", "sess_ada"), Outcome.STALE)
    history.take(history.send(Kind.WRITE, "grace", "sess_grace"), done_as="grace")
    assert history.violations == []


def test_a_page_shows_a_note_of_another_account(history):
    seen = shows("grace", "ada")
    history.look(Seen(seen.user, seen.session, seen.accounts, note="ada 1"))
    assert history.violations == ["wrong account"]


def test_the_active_account_changes_by_itself(history):
    history.look(shows("ada", "grace"))
    assert history.violations == ["wrong active account"]


def test_nobody_is_active_after_two_switches_at_once(history):
    both = [history.send(Kind.SWITCH, name, f"sess_{name}") for name in ("ada", "grace")]
    for step in both:
        history.take(step)
    history.look(shows("ada", "grace"))
    history.look(shows("", "ada", "grace"))
    assert history.violations == ["wrong active account"]


def test_a_switch_to_an_account_that_is_signed_in_is_refused(history):
    history.take(history.send(Kind.SWITCH, "ada", "sess_ada"), Outcome.SIGN_IN_AGAIN)
    assert history.violations == ["refused"]


def test_a_switch_to_an_account_that_another_tab_signs_out_is_refused(history):
    switch = history.send(Kind.SWITCH, "ada", "sess_ada")
    leaving = history.send(Kind.SIGN_OUT, "ada", "sess_ada")
    history.take(leaving)
    history.take(switch, Outcome.SIGN_IN_AGAIN)
    history.look(shows("", "grace"))
    assert history.violations == []


def test_an_account_has_a_new_session_though_the_old_one_was_live(history):
    history.look(Seen("grace", "sess_grace", {"sess_grace": "grace", "sess_new": "ada"}))
    assert history.violations == ["another session"]


def test_one_user_has_two_sessions(history):
    accounts = {"sess_grace": "grace", "sess_ada": "ada", "sess_twin": "ada"}
    history.look(Seen("grace", "sess_grace", accounts))
    assert history.violations == ["two sessions"]


def test_accounts_are_shown_without_a_cookie():
    history = History()
    history.look(shows("ada"))
    assert history.violations == ["came back"]


# --- Whole browsers, on a site in memory --------------------------------------------------


def violations_on(site, *, seed, operations=500, kill=False, kind=Browser):
    """Let four browsers live on this site, quickly: seconds are a hundredth of themselves."""
    options = Options(
        latency=(0.0002, 0.004), rollback=0.15, operations=operations, kill=kill, seed=seed
    )
    tally = Tally(options.operations)
    browsers = [kind(f"{number}", site.ask, options, tally) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(browser.live, float("inf")) for browser in browsers]:
            done.result()
    return tally


def told(tally):
    return "\n".join(f"{each.violation} {each.last_steps[-12:]}" for each in tally.found[:3])


@pytest.mark.parametrize("seed", range(3))
def test_browsers_find_nothing_on_a_site_that_keeps_the_rules(seed):
    tally = violations_on(Site(soon=0.05), seed=seed)
    assert not tally.found, told(tally)
    assert sum(tally.left_behind.values()) > 0
    assert tally.killed_browsers > 0


def test_browsers_find_nothing_where_answers_are_lost(monkeypatch):
    monkeypatch.setattr(browser_module, "AFTERMATH", 0.001)
    tally = violations_on(Site(soon=0.05, loses=0.03), seed=1, kill=True)
    assert not tally.found, told(tally)
    assert tally.lost_answers > 0


def test_browsers_find_that_an_old_cookie_ends_too_early():
    tally = violations_on(Site(settle=0.0), seed=1)
    assert {each.violation.kind for each in tally.found} >= {"lost"}


@pytest.mark.parametrize("fault", FAULTS)
def test_browsers_find_what_a_site_does_wrong(fault):
    tally = violations_on(Site(soon=0.05, fault=fault), seed=1)
    kinds = {each.violation.kind for each in tally.found}
    assert kinds >= FAULTS[fault]


def test_tabs_with_an_account_each_find_nothing_on_a_site_that_keeps_the_rules():
    tally = violations_on(TabSite(), seed=1, kind=SideBySide)
    assert not tally.found, told(tally)
    assert not tally.astray
    assert tally.operations["come and go"]


@pytest.mark.parametrize("fault", TAB_FAULTS)
def test_tabs_with_an_account_each_find_what_a_site_does_wrong(fault):
    tally = violations_on(TabSite(fault), seed=1, kind=SideBySide)
    if TAB_FAULTS[fault]:
        assert TAB_FAULTS[fault] in {each.violation.kind for each in tally.found}
    else:
        assert tally.astray["409 at /u/N/note"] > MOST_ASTRAY * tally.requests


# --- The jar and the options --------------------------------------------------------------


def test_cookies_are_kept_as_answers_arrive_and_come_back_from_the_disk():
    jar = Jar()
    jar.take([("sessionid", "v1", None)], 1)
    jar.take([("sessionid", "v2", 10.0), ("csrftoken", "c", None)], 5)
    assert jar.header(6) == "sessionid=v2; csrftoken=c"
    assert jar.get("sessionid", 16) is None
    jar.roll_back(4)
    assert jar.header(6) == "sessionid=v1"
    jar.take([("sessionid", None, 0.0)], 7)
    assert jar.header(8) == ""
    jar.roll_back(6.5)
    assert jar.header(8) == "sessionid=v1"


def test_a_set_cookie_header_is_read():
    assert read_cookie("a=b; Path=/; Max-Age=3; HttpOnly") == ("a", "b", 3.0)
    assert read_cookie('a=""; expires=Thu, 01 Jan 1970; Max-Age=0') == ("a", None, 0.0)
    assert read_cookie("a=b; HttpOnly") == ("a", "b", None)


def test_options_are_read_strictly():
    found = Options.from_environment({"LATENCY": "5-10", "SERVER": "both", "SEED": "7"})
    assert (found.latency, len(found.servers), found.seed) == ((0.005, 0.010), 2, 7)
    assert Options.from_environment({"ONLY": "tabs"}).only == "tabs"
    for name, text in {
        "TABS": "0",
        "ONLY": "pages",
        "SERVER": "apache",
        "KILL": "yes",
        "LATENCY": "9-1",
    }.items():
        with pytest.raises(Misspelt, match=name):
            Options.from_environment({name: text})
