"""What an account is told of: a sign-in on a new browser, and a cookie on another one."""

import pytest

from multisession import signals
from multisession.ground.browsers import kind_of
from multisession.models import Event, Session
from tests.stories import Browser, later, listening, session_of, signed_in, with_engine_urls

pytestmark = with_engine_urls

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
NEWER_FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:152.0) Gecko/20100101 Firefox/152.0"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36"
)


def stolen(browser: Browser, user_agent: str) -> Browser:
    """Somebody else presents the same cookie."""
    return Browser(browser.cookie, headers={"user-agent": user_agent})


def events() -> list[tuple[str, str]]:
    kinds = Event.objects.filter(kind="browser").order_by("pk")
    return list(kinds.values_list("account", "user_agent"))


class TestAnotherKindOfBrowser:
    @pytest.fixture
    def firefox(self, ada) -> Browser:
        return signed_in(ada, headers={"user-agent": FIREFOX})

    def test_the_same_browser_is_on_no_record(self, firefox):
        firefox.get("/who/")
        assert events() == []

    def test_a_new_version_is_the_same_browser(self, firefox):
        assert stolen(firefox, NEWER_FIREFOX).who() == "ada"
        assert events() == []

    @pytest.mark.parametrize("agent", [CHROME, FIREFOX.replace("X11; Linux", "Windows"), "curl/8"])
    def test_a_stolen_cookie_is_noticed_once(self, firefox, agent, ada):
        thief = stolen(firefox, agent)
        for _ in range(3):
            assert thief.who() == "ada"  # A header proves nothing: nobody is signed out.
            assert firefox.who() == "ada"
        assert events() == [("ada@example.com", agent)]

    def test_a_thief_without_a_name_is_noticed_too(self, firefox):
        Browser(firefox.cookie).get("/who/")
        assert events() == [("ada@example.com", "")]

    def test_a_thief_with_many_names_does_not_fill_the_trail(self, firefox):
        for number in range(20):
            stolen(firefox, f"Tool{number}/1.0").get("/who/")
        assert len(events()) == 4

    def test_a_name_of_any_length_fits(self, firefox):
        for letter in "abcdef":
            assert stolen(firefox, letter * 500 + "/1").get("/who/").status_code == 200
        assert len(session_browsers()) <= 255

    def test_a_page_costs_one_statement(self, firefox, django_assert_num_queries):
        with django_assert_num_queries(1):
            firefox.get("/who/")
        thief = stolen(firefox, CHROME)
        thief.get("/who/")
        with django_assert_num_queries(1):
            thief.get("/who/")

    def test_a_project_that_keeps_no_browsers_compares_none(self, settings, ada):
        settings.MULTISESSION = {"KEEP_USER_AGENTS": False}
        firefox = signed_in(ada, headers={"user-agent": FIREFOX})
        stolen(firefox, CHROME).get("/who/")
        assert (events(), session_browsers()) == ([], "")

    def test_a_sign_in_without_a_name_compares_none(self, ada):
        stolen(signed_in(ada), CHROME).get("/who/")
        assert events() == []

    def test_in_a_coroutine_too(self, firefox):
        thief = Browser(firefox.cookie, asynchronous=True, headers={"user-agent": CHROME})
        assert thief.who() == "ada"
        assert len(events()) == 1


def session_browsers() -> str:
    return Session.objects.latest("pk").browsers


def test_receivers_hear_of_another_browser(ada, django_capture_on_commit_callbacks):
    said = []

    def receive(session, browser, before, **kwargs):
        said.append((session.user.email, browser, before))

    firefox = signed_in(ada, headers={"user-agent": FIREFOX})
    with (
        listening(signals.browser_changed, receive),
        django_capture_on_commit_callbacks(execute=True),
    ):
        stolen(firefox, CHROME).get("/who/")
    assert said == [("ada@example.com", "Chrome on Windows", ["Firefox on Linux"])]


class TestNewBrowser:
    @pytest.fixture
    def sign_in(self, django_capture_on_commit_callbacks):
        """Sign in, and return what receivers hear."""

        def sign_in(browser, user, **query):
            said = []

            def receive(session, is_first, **kwargs):
                said.append((session.user.email, is_first))

            with (
                listening(signals.signed_in_on_new_browser, receive),
                django_capture_on_commit_callbacks(execute=True),
            ):
                browser.sign_in(user, **query)
            return said

        return sign_in

    def test_the_first_sign_in_is_told_apart(self, sign_in, ada):
        assert sign_in(Browser(), ada) == [("ada@example.com", True)]

    def test_a_second_browser_is_new(self, sign_in, ada):
        sign_in(Browser(), ada)
        assert sign_in(Browser(), ada) == [("ada@example.com", False)]

    def test_the_same_browser_is_not(self, sign_in, ada):
        firefox = signed_in(ada)
        firefox.sign_out()
        assert sign_in(firefox, ada) == []
        assert sign_in(firefox, ada) == []  # as the account that is active
        session_of(ada).revoke()
        with later(days=20):
            assert sign_in(firefox, ada) == []

    def test_a_browser_that_another_account_uses_is_new_to_this_one(self, sign_in, ada, grace):
        sign_in(Browser(), ada)
        assert sign_in(signed_in(grace), ada) == [("ada@example.com", False)]

    def test_after_signing_out_of_all_it_is_new(self, sign_in, ada):
        firefox = signed_in(ada)
        firefox.verb("sign_out_all")
        assert sign_in(firefox, ada) == [("ada@example.com", False)]

    def test_a_sign_in_that_was_rolled_back_is_none(self, sign_in, ada):
        assert sign_in(Browser(), ada, trouble="boom") == []


@pytest.mark.parametrize(
    ("user_agent", "kind"),
    [
        (FIREFOX, "Firefox on Linux"),
        (NEWER_FIREFOX, "Firefox on Linux"),
        (CHROME, "Chrome on Windows"),
        ("curl/8.5.0", "curl on ?"),
        ("", "? on ?"),
        ("\x1b[2J\n\nFirefox", "Firefox on ?"),
    ],
)
def test_kinds_have_no_version(user_agent, kind):
    assert kind_of(user_agent) == kind
