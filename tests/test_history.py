"""*Sign-in history*: what a person reads of the audit trail, and what nobody else may."""

import re

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from multisession import actions
from multisession.ground.origin import Origin
from multisession.models import Event
from multisession.pages import history
from tests.stories import Browser, later, session_of, signed_in, with_engine_urls

pytestmark = with_engine_urls

PAGE = "/multisession/sessions/history/"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:131.0) Gecko/20100101 Firefox/131.0"
EDGE = "Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0.0.0 Edg/130.0"
HOME = {"REMOTE_ADDR": "198.51.100.77", "HTTP_USER_AGENT": FIREFOX}
OFFICE = {"REMOTE_ADDR": "203.0.113.9", "HTTP_USER_AGENT": EDGE}


def text_of(browser: Browser, path: str = PAGE) -> str:
    response = browser.get(path)
    assert response.status_code == 200
    main = response.content.decode().partition("<main")[2].partition("</main>")[0]
    return " ".join(re.sub(r"<[^>]*>", " ", main).split())


def add(user: User, number: int, **fields) -> None:
    common = {"kind": "signed-in", "session_id": "sess_x", "client_id": "client_x"}
    values = {**common, "user_id": str(user.pk), "account": user.email, **fields}
    Event.objects.bulk_create([Event(**values) for _ in range(number)])


class TestPage:
    def test_it_tells_of_sign_ins_and_ends_on_every_browser_the_newest_first(self, ada):
        with later(hours=-2):
            signed_in(ada, **HOME).sign_out()
        text = text_of(signed_in(ada, **OFFICE))
        ends = ["Signed in Edge on Linux · 203.0.113.9", "Signed out Firefox on Windows"]
        found = [text.index(words) for words in [*ends, "Signed in Firefox on Windows"]]
        assert found == sorted(found)
        assert "198.51.100.77" in text

    @pytest.mark.parametrize("kind", history.WORDS)
    def test_each_kind_of_end_and_each_suspect_cookie_is_told(self, ada, kind):
        browser = signed_in(ada)
        Event.objects.all().delete()
        add(ada, 1, kind=kind)
        assert str(history.WORDS[kind]) in text_of(browser)

    def test_switches_are_left_out(self, ada, grace):
        browser = signed_in(grace, ada)
        browser.switch(grace)
        browser.switch(ada)
        assert Event.objects.filter(kind="switched", user_id=ada.pk).exists()
        assert text_of(browser).count("Signed") == 1

    def test_an_old_cookie_that_was_used_stands_out(self, ada):
        browser = signed_in(ada)
        add(ada, 1, kind="reused", ip_address="203.0.113.66", user_agent="curl/8")
        page = browser.get(PAGE).content.decode()
        assert page.count("ms-warning") == 1
        assert "203.0.113.66" in page

    def test_devices_leads_there_and_back(self, ada):
        browser = signed_in(ada)
        assert f'href="{PAGE}"' in browser.get("/multisession/sessions/").content.decode()
        assert 'href="/accounts/sessions/"' in browser.get(PAGE).content.decode()

    def test_without_an_active_account_it_leads_to_the_sign_in_page_and_to_devices(self, client):
        response = client.get(PAGE)
        assert response["Location"] == "/accounts/sign-in/?next=/accounts/sessions/"

    def test_no_cache_keeps_the_page(self, ada):
        assert "no-store" in signed_in(ada).get(PAGE)["Cache-Control"]

    def test_it_costs_the_same_for_one_event_and_for_many(self, ada):
        browser = signed_in(ada)
        browser.get(PAGE)
        costs = []
        for _ in range(2):
            with CaptureQueriesContext(connection) as queries:
                browser.get(PAGE)
            costs.append(len(queries))
            add(ada, 70, kind="ended", ip_address="203.0.113.66", user_agent=FIREFOX)
        assert costs[0] == costs[1] <= 3


class TestPages:
    def test_older_events_follow_on_the_next_page_and_new_ones_move_nothing(self, ada, grace):
        browser = signed_in(ada)
        Event.objects.all().delete()
        for number in range(history.PAGE + 3):
            add(ada, 1, user_agent=f"program-{number}/1")
            add(grace, 1, user_agent="Firefox")
        page = browser.get(PAGE).content.decode()
        shown = re.findall(r"program-\d+", page)
        assert shown == [f"program-{number}" for number in range(history.PAGE + 2, 2, -1)]
        (older,) = re.findall(r'href="(\?before=\d+)"', page)
        add(ada, 5, user_agent="newer/1")
        page = browser.get(PAGE + older).content.decode()
        assert re.findall(r"program-\d+", page) == ["program-2", "program-1", "program-0"]
        assert 'rel="next"' not in page

    @pytest.mark.parametrize("wrong", ["0", "-1", "x", "\x00", "1' OR 1=1", "9" * 19, "9" * 5000])
    def test_a_wrong_page_does_not_exist(self, ada, wrong):
        assert signed_in(ada).get(PAGE, {"before": wrong}).status_code == 404


class TestKeepingLess:
    def test_without_an_audit_trail_there_is_no_history_and_no_link(self, ada, settings):
        browser = signed_in(ada)
        settings.MULTISESSION = {"AUDIT": False}
        assert "Nothing is recorded." in text_of(browser)
        assert PAGE not in browser.get("/multisession/sessions/").content.decode()

    def test_what_is_not_kept_is_not_shown(self, ada, settings):
        settings.MULTISESSION = {"KEEP_ADDRESSES": False, "KEEP_USER_AGENTS": False}
        text = text_of(signed_in(ada, **HOME))
        assert "Signed in" in text
        assert "198.51" not in text
        assert "Firefox" not in text

    def test_an_erased_history_is_empty(self, ada):
        signed_in(ada, **HOME).sign_out()
        call_command("erasesessions", "--user", str(ada.pk), "--no-input", verbosity=0)
        text = text_of(signed_in(ada, **OFFICE))
        assert text.count("Signed") == 1
        assert "198.51" not in text


class TestVillain:
    def test_nobody_reads_the_history_of_another_account_of_the_browser(self, ada, grace):
        signed_in(grace, **OFFICE)
        browser = signed_in(grace, ada, **HOME)
        theirs = Event.objects.filter(user_id=grace.pk).latest("pk").pk
        for query in ("", f"?before={theirs + 1}", f"?user={grace.pk}", f"?session={grace.pk}"):
            text = text_of(browser, PAGE + query)
            assert "203.0.113.9" not in text, query
            assert "grace" not in text.lower(), query

    def test_who_acted_for_somebody_else_is_not_named_and_not_located(self, ada, grace):
        """An administrator revokes Ada's session, from an office that is none of her business."""
        signed_in(ada, **HOME)
        actions.revoke(session_of(ada), by=grace, origin=Origin("203.0.113.9", EDGE))
        text = text_of(signed_in(ada, **HOME))
        assert "Signed out by an administrator" in text
        for secret in ("grace", "203.0.113.9", "Edge"):
            assert secret not in text.lower() + text, secret

    def test_an_administrator_who_acted_as_the_person_is_not_located_either(self, ada, grace):
        browser = signed_in(ada, **HOME)
        about = {"ip_address": "203.0.113.9", "user_agent": EDGE, "session_id": "sess_acted"}
        add(ada, 1, **about, actor_id=str(grace.pk), actor=grace.email)
        add(ada, 1, **about, kind="browser")
        add(ada, 1, **about, kind="ended", actor_id=str(ada.pk), actor=ada.email)
        text = text_of(browser)
        assert "Signed in by an administrator" in text
        assert "203.0.113.9" not in text
        assert "Edge" not in text

    def test_that_an_administrator_acted_stays_when_the_administrator_is_erased(self, ada, grace):
        signed_in(ada)
        actions.revoke(session_of(ada), by=grace, origin=Origin("203.0.113.9", EDGE))
        actions.erase(grace)
        assert "Signed out by an administrator" in text_of(signed_in(ada))

    def test_another_account_that_signs_out_of_all_is_not_called_an_administrator(self, ada, grace):
        browser = signed_in(ada, grace, **HOME)
        browser.post("/multisession/sign-out-all/")
        text = text_of(signed_in(ada, **HOME))
        assert "Signed out" in text
        assert "administrator" not in text
        assert "grace" not in text.lower()

    def test_markup_in_a_user_agent_is_text(self, ada):
        browser = signed_in(ada)
        add(ada, 1, user_agent="<script>alert(1)</script>")
        assert "<script>alert" not in browser.get(PAGE).content.decode()
