"""The address and user agent of a request: behind proxies, on every database, with any header."""

import re
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from multisession.conf import settings as ours
from multisession.ground.origin import ip_address
from multisession.models import Client, Event, Session

from .stories import Browser, later, session_of, signed_in, with_engine_urls

pytestmark = with_engine_urls

PROXY = "10.0.0.2"


def from_a_header(request):
    return request.headers.get("X-Real-Ip")


def without_the_last_part(request):
    """Keep the network, not the person."""
    return request.META["REMOTE_ADDR"].rpartition(".")[0] + ".0"


def broken(request):
    raise OSError("The list of proxies can't be read.")


#: The recipes of the documentation, as they stand there.
PAGE = Path(__file__).parent.parent.joinpath("docs", "howto", "proxies.md").read_text()
RECIPES = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def address_of(ada, **meta):
    Browser(**meta).sign_in(ada)
    return session_of(ada).ip_address


class TestOneSpelling:
    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:5678", "192.0.2.7"),
            (" 192.0.2.7 ", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("[::ffff:192.0.2.7]:443", "192.0.2.7"),
            ("2001:DB8::0:7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:80", "2001:db8::7"),
            ('"[2001:db8::7]:80"', "2001:db8::7"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:80", "fe80::1"),
            ("fe80::7c4b:1aff:fe2b:3c4d%enp0s31f6-long-name", "fe80::7c4b:1aff:fe2b:3c4d"),
        ],
    )
    def test_an_address_has_one_spelling(self, ada, given, kept):
        assert address_of(ada, REMOTE_ADDR=given) == kept
        assert Event.objects.get().ip_address == kept

    @pytest.mark.parametrize(
        "garbage",
        ["", "unknown", "_hidden", "unix:/run/site.sock", "1.2.3", "1.2.3.4.5", "[::1", ":", "%",
         "::ffff:", "'; DROP TABLE", "1" * 5000, "\x00", "\xff\xfe", "١٢٧.٠.٠.١", "999.1.1.1"],
    )  # fmt: skip
    def test_what_is_no_address_is_kept_as_unknown(self, ada, settings, garbage):
        assert ip_address(garbage) in (None, "::1")
        settings.MULTISESSION = {"CLIENT_ADDRESS": 1}
        browser = Browser(REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_FOR=garbage)
        browser.sign_in(ada)
        assert browser.who() == "ada"


class TestBehindProxies:
    def test_without_the_setting_a_header_is_not_believed(self, ada):
        forged = {"HTTP_X_FORWARDED_FOR": "203.0.113.9", "HTTP_FORWARDED": "for=203.0.113.9"}
        assert address_of(ada, REMOTE_ADDR="198.51.100.1", **forged) == "198.51.100.1"

    @pytest.mark.parametrize(
        ("hops", "forwarded", "kept"),
        [
            (1, "198.51.100.1", "198.51.100.1"),
            (1, "203.0.113.9, 198.51.100.1", "198.51.100.1"),
            (1, "203.0.113.9,198.51.100.1:4711", "198.51.100.1"),
            (2, "198.51.100.1, 10.0.0.1", "198.51.100.1"),
            (2, "203.0.113.9, 192.0.2.66, 198.51.100.1, 10.0.0.1", "198.51.100.1"),
            (1, "203.0.113.9, [2001:db8::7]:4711", "2001:db8::7"),
        ],
    )
    def test_the_address_is_counted_from_the_right(self, ada, settings, hops, forwarded, kept):
        settings.MULTISESSION = {"CLIENT_ADDRESS": hops}
        meta = {"REMOTE_ADDR": PROXY, "HTTP_X_FORWARDED_FOR": forwarded}
        assert address_of(ada, **meta) == kept

    @pytest.mark.parametrize("header", [{}, {"HTTP_X_FORWARDED_FOR": ""},
                                        {"HTTP_X_FORWARDED_FOR": "203.0.113.9"}])  # fmt: skip
    def test_who_came_past_the_proxies_cannot_choose_an_address(self, ada, settings, header):
        settings.MULTISESSION = {"CLIENT_ADDRESS": 2}
        assert address_of(ada, REMOTE_ADDR="198.51.100.1", **header) == "198.51.100.1"

    def test_a_function_may_find_the_address_anywhere(self, ada, settings):
        settings.MULTISESSION = {"CLIENT_ADDRESS": f"{__name__}.from_a_header"}
        assert address_of(ada, HTTP_X_REAL_IP="198.51.100.1") == "198.51.100.1"

    def test_a_function_that_fails_costs_the_address_and_no_page(self, ada, settings, caplog):
        settings.MULTISESSION = {"CLIENT_ADDRESS": f"{__name__}.broken"}
        assert address_of(ada) is None
        assert "CLIENT_ADDRESS" in caplog.text

    @pytest.mark.parametrize("value", [-1, True, None, 1.5, "REMOTE_ADDR", ["192.0.2.1"]])
    def test_any_other_value_is_refused(self, settings, value):
        settings.MULTISESSION = {"CLIENT_ADDRESS": value}
        with pytest.raises(ImproperlyConfigured, match="CLIENT_ADDRESS"):
            ours.CLIENT_ADDRESS  # noqa: B018


class TestKeepingLess:
    def test_a_project_may_keep_no_addresses(self, ada, settings):
        settings.MULTISESSION = {"KEEP_ADDRESSES": False}
        browser = signed_in(ada, REMOTE_ADDR="198.51.100.1")
        with later(minutes=5):
            browser.get("/who/")
        assert list(Session.objects.values_list("ip_address", flat=True)) == [None]
        assert set(Event.objects.values_list("ip_address", flat=True)) == {None}

    def test_addresses_are_erased_at_the_next_activity_if_the_project_keeps_none(
        self, ada, settings
    ):
        browser = signed_in(ada, REMOTE_ADDR="198.51.100.1")
        assert session_of(ada).ip_address == "198.51.100.1"
        settings.MULTISESSION = {"KEEP_ADDRESSES": False}
        with later(minutes=5):
            browser.get("/who/")
        assert session_of(ada).ip_address is None

    def test_a_project_may_keep_a_part_of_each_address(self, ada, settings):
        settings.MULTISESSION = {"CLIENT_ADDRESS": f"{__name__}.without_the_last_part"}
        assert address_of(ada, REMOTE_ADDR="198.51.100.77") == "198.51.100.0"


class TestTheNameOfTheBrowser:
    OLD, NEW = "Firefox/140.0", "Firefox/141.0"

    def test_the_browsers_name_is_kept_up_to_date(self, ada):
        browser = signed_in(ada, HTTP_USER_AGENT=self.OLD)
        with later(hours=2):
            browser.get("/who/", HTTP_USER_AGENT=self.NEW)
        assert Client.objects.get().user_agent == self.NEW

    def test_the_browsers_name_is_updated_when_the_session_is_written(self, ada):
        browser = signed_in(ada, HTTP_USER_AGENT=self.OLD)
        updated = Browser(browser.cookie, HTTP_USER_AGENT=self.NEW)
        with later(hours=2):
            updated.put("colour")
        assert Client.objects.get().user_agent == self.NEW

    def test_the_browsers_name_is_updated_when_somebody_signs_in(self, ada, grace):
        browser = signed_in(ada, HTTP_USER_AGENT=self.OLD)
        Browser(browser.cookie, HTTP_USER_AGENT=self.NEW).sign_in(grace)
        assert Client.objects.get().user_agent == self.NEW

    def test_the_browsers_name_costs_one_statement_when_somebody_comes_back(
        self, ada, django_assert_num_queries
    ):
        browser = signed_in(ada, HTTP_USER_AGENT=self.OLD)
        with django_assert_num_queries(1):
            browser.get("/who/", HTTP_USER_AGENT=self.NEW)
        with later(minutes=5), django_assert_num_queries(2):  # the page, the activity
            browser.get("/who/", HTTP_USER_AGENT=self.NEW)
        with later(hours=2):
            with django_assert_num_queries(3):  # the page, the browser, the activity
                browser.get("/who/", HTTP_USER_AGENT=self.NEW)
            with django_assert_num_queries(1):
                browser.get("/who/", HTTP_USER_AGENT=self.NEW)

    def test_the_browsers_name_is_not_lost_to_a_program_that_sends_none(self, ada):
        browser = signed_in(ada, HTTP_USER_AGENT=self.OLD)
        with later(minutes=5):
            browser.get("/who/", HTTP_USER_AGENT="")
        assert Client.objects.get().user_agent == self.OLD


class TestAPageFetchedInAdvance:
    @pytest.mark.parametrize(
        "header",
        [
            {"HTTP_SEC_PURPOSE": "prefetch"},
            {"HTTP_SEC_PURPOSE": "prefetch;prerender"},
            {"HTTP_PURPOSE": "prefetch"},
            {"HTTP_X_PURPOSE": "preview"},
            {"HTTP_X_MOZ": "prefetch"},
        ],
    )
    def test_a_prefetched_page_is_no_activity(self, ada, header, django_assert_num_queries):
        browser = signed_in(ada)
        before = session_of(ada).last_active_at
        with later(minutes=5):
            with django_assert_num_queries(1):
                assert browser.get("/who/", **header).json()["user"] == "ada"
            assert session_of(ada).last_active_at == before
            browser.get("/who/", HTTP_X_MOZ="anything else")
            assert session_of(ada).last_active_at > before

    def test_a_prefetched_page_that_writes_is_no_activity(self, ada):
        browser = signed_in(ada)
        before = session_of(ada).last_active_at
        ahead = Browser(browser.cookie, HTTP_SEC_PURPOSE="prefetch")
        with later(minutes=5):
            ahead.put("seen")
        assert session_of(ada).last_active_at == before
        assert browser.page()["data"] == {"seen": "1"}


class TestTheRecipes:
    """What docs/howto/proxies.md says, run."""

    @staticmethod
    def names_in(recipe):
        found = {}
        exec(recipe, found)  # noqa: S102
        return found

    def test_the_recipes_of_the_settings_work(self, ada, settings):
        forwarded = {"REMOTE_ADDR": PROXY, "HTTP_X_FORWARDED_FOR": "203.0.113.9, 198.51.100.1"}
        kept = []
        for recipe in (RECIPES[0], RECIPES[2]):
            settings.MULTISESSION = self.names_in(recipe)["MULTISESSION"]
            kept.append(address_of(ada, **forwarded))
        assert kept == ["198.51.100.1", None]

    def test_the_recipes_of_the_functions_work(self, rf):
        client_address = self.names_in(RECIPES[1])["client_address"]
        request = rf.get("/", headers={"CF-Connecting-IP": "198.51.100.1"})
        assert client_address(request) == "198.51.100.1"
