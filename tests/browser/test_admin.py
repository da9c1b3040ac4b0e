"""The admin's pages in a real browser: how they look, and large revocations."""

import datetime
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import OperationalError
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import User
from multisession.admin.sessions import SessionAdmin
from multisession.models import Client, Session
from tests.browser.test_devices import FIREFOX, sign_in
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LIST = "/admin/multisession/session/"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
#: Where Django's own parts of these pages stand. Their links are too small and too close.
DJANGOS = ["#changelist-filter", "#nav-sidebar", "#header", ".breadcrumbs"]
LONG = "wolfeschlegelsteinhausenbergerdorff.the.younger@department.of.names.example.com"


@pytest.fixture
def boss(db) -> User:
    return User.objects.create_superuser("boss@example.com", PASSWORD, name="Adele Goldberg")


def many(user: User, count: int) -> None:
    now = timezone.now()
    times = {"expire_at": now + datetime.timedelta(days=7), "ip_address": "2001:db8:85a3::8a2e"}
    clients = Client.objects.bulk_create(Client(user_agent=FIREFOX) for _ in range(count))
    Session.objects.bulk_create(
        Session(user=user, client=client, abandon_at=now + datetime.timedelta(days=30), **times)
        for client in clients
    )


def problems(page: Page) -> list[str]:
    # Without "preload", for which axe writes inline styles that our policy refuses.
    options = {"runOnly": RULES, "preload": False}
    found = Axe().run(page, context={"exclude": DJANGOS}, options=options)
    return [
        f"{broken['id']}: {node['html'][:200]}"
        for broken in found.response["violations"]
        for node in broken["nodes"]
    ]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("locale", ["en", "ar"])
def test_the_pages_fit_in_light_and_dark(new_browser, ada, boss, width, locale):
    User.objects.filter(pk=ada.pk).update(email=LONG)
    many(ada, 3)
    page = sign_in(new_browser(), boss)
    page.set_viewport_size({"width": width, "height": 800})
    page.set_extra_http_headers({"Accept-Language": locale})
    session = Session.objects.filter(user=ada).latest("pk")
    for path in (
        LIST,
        f"{LIST}overview/",
        f"{LIST}{session.pk}/change/",
        f"{LIST}revoke/?user={ada.pk}",
        f"/admin/multisession/event/timeline/?user={boss.pk}",
    ):
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.goto(path)
            assert problems(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        results = page.locator(".results")
        if results.count():
            assert results.evaluate("it => it.scrollWidth <= it.clientWidth"), path


def test_the_domain_of_a_long_address_stays_in_sight(new_browser, ada, boss):
    User.objects.filter(pk=ada.pk).update(email=f"{'a' * 80}@example.com")
    many(ada, 1)
    page = sign_in(new_browser(), boss)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{LIST}?user={ada.pk}")
    domain = page.locator(".ms-last").first
    assert domain.evaluate("it => it.scrollWidth <= it.clientWidth")
    assert page.locator(".ms-first").first.evaluate("it => it.scrollWidth > it.clientWidth")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_a_large_revocation_runs_to_its_end(new_browser, ada, boss, monkeypatch, scripts):
    monkeypatch.setattr("multisession.actions.BATCH", 2)
    many(ada, 20)
    page = sign_in(new_browser(java_script_enabled=scripts), boss)
    page.goto(f"{LIST}revoke/?user={ada.pk}")
    page.get_by_role("button", name="Revoke 20 sessions").click()
    if not scripts:
        for done in (8, 16):
            expect(page.get_by_role("status")).to_have_text(f"{done} of 20 sessions revoked.")
            page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("status")).to_have_text("20 sessions revoked.")
    assert not Session.objects.filter(user=ada).live().exists()
    page.get_by_role("link", name="Back").click()
    expect(page).to_have_url(re.compile(re.escape(f"{LIST}?user={ada.pk}") + "$"))


@pytest.mark.parametrize(("scripts", "batch"), [(True, 6), (False, 2)], ids=["script", "no-script"])
def test_a_revocation_that_lost_its_database_says_how_far_it_came_and_goes_on(
    new_browser, complaints, ada, boss, monkeypatch, scripts, batch
):
    noted = []

    def note(self, request, ended):
        noted.append(ended)
        if len(noted) == batch:
            raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr("multisession.actions.BATCH", 2)
    monkeypatch.setattr(SessionAdmin, "_note", note)
    complaints.allow("503 (Service Unavailable)")
    many(ada, 20)
    page = sign_in(new_browser(java_script_enabled=scripts), boss)
    page.goto(f"{LIST}revoke/?user={ada.pk}")
    page.get_by_role("button", name="Revoke 20 sessions").click()
    expect(page.get_by_text("The database stopped answering.")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text(f"{2 * batch} of 20 sessions revoked.")
    page.get_by_role("button", name="Continue").click()
    if not scripts:
        expect(page.get_by_role("status")).to_have_text("12 of 20 sessions revoked.")
        page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("status")).to_have_text("20 sessions revoked.")
    assert not Session.objects.filter(user=ada).live().exists()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_every_page_is_reached_and_used_by_its_links_and_buttons(new_browser, ada, boss, scripts):
    many(ada, 2)
    page = sign_in(new_browser(java_script_enabled=scripts), boss)
    page.goto("/admin/")
    content = page.locator("#content")
    content.get_by_role("link", name="Sessions", exact=True).last.click()
    page.get_by_role("link", name="Oldest first").click()
    page.locator("#searchbar").fill("ada@")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    page.locator("#result_list tbody input[type=checkbox]").first.check()
    page.get_by_role("combobox", name="Action").select_option("revoke_selected")
    page.get_by_role("button", name=re.compile("^(Go|Run)")).click()
    page.get_by_role("button", name="Revoke 1 session").click()
    expect(page.get_by_text("1 session revoked.")).to_be_visible()
    page.get_by_role("link", name="Overview").click()
    page.locator("svg a").first.click()
    page.goto(f"{LIST}?q=ada@&status=active")
    page.locator("#result_list tbody th a").click()
    page.get_by_role("link", name="Timeline of this person").click()
    page.get_by_role("link", name="What this person did to others").click()
    page.get_by_role("link", name="Audit trail").last.click()
    page.go_back()
    page.get_by_role("link", name="Timeline of this person").click()
    page.get_by_role("link", name="Sessions").last.click()
    page.locator("#result_list tbody th a").last.click()
    page.get_by_role("link", name="Revoke…", exact=True).or_(
        page.get_by_role("link", name="Revoke all of this user…")
    ).first.click()
    page.get_by_role("button", name=re.compile("^Revoke")).click()
    expect(page.get_by_text("1 session revoked.")).to_be_visible()
    page.goto("/admin/multisession/apikey/add/")
    page.get_by_label("Name").fill("report")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("input[value^=sk_]")).to_be_visible()
    page.goto("/admin/multisession/apikey/")
    page.get_by_role("link", name="report").click()
    page.get_by_role("link", name="Revoke…").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("report is revoked")).to_be_visible()
