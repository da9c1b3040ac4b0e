"""The demo's teams: notes belong to a person, or to a team that they share it with."""

import pytest
from django.test import Client

from accounts.models import Membership, Note, Team
from multisession.test import set_active, sign_in
from tests.test_guard import Tab, follow_form

pytestmark = pytest.mark.django_db

NEW = "/accounts/teams/new/"


@pytest.fixture
def acme(ada, grace):
    team = Team.objects.create(name="Acme", slug="acme")
    team.memberships.create(user=ada, role=Membership.Role.OWNER)
    team.memberships.create(user=grace)
    return team


@pytest.fixture
def browser(acme, ada, grace):
    """Ada and Grace, both in Acme, are signed in; Ada is active."""
    client = Client(enforce_csrf_checks=True)
    sign_in(client, grace, ada)
    return client


def enter(browser, words):
    page = browser.get("/multisession/organizations/")
    assert follow_form(browser, page, words).status_code == 302


def write(browser, text):
    return Tab(browser).send("/notes/", {"text": text})


def notes(browser):
    return [note.text for note in browser.get("/").context["notes"]]


def test_a_team_shares_its_notes_and_a_person_keeps_their_own(browser, grace):
    write(browser, "Ada's own")
    enter(browser, "Switch to Acme")
    write(browser, "for Acme")
    assert notes(browser) == ["for Acme"]
    set_active(browser, grace)
    assert notes(browser) == []
    enter(browser, "Switch to Acme")
    assert notes(browser) == ["for Acme"]


def test_a_note_begun_for_the_team_is_never_written_as_ones_own(browser, acme):
    enter(browser, "Switch to Acme")
    tab = Tab(browser)
    enter(browser, "Switch to Personal account")
    refused = tab.send("/notes/", {"text": "for Acme"}, Origin="http://testserver")
    assert refused.status_code == 409
    assert not Note.objects.exists()
    assert follow_form(browser, refused, "Switch to Acme and send").status_code == 302
    assert Note.objects.get().team == acme


def test_a_person_makes_a_team_and_leaves_it(browser, ada):
    tab = Tab(browser, NEW)
    assert tab.send(NEW, {"name": "Globex", "slug": "acme"}).status_code == 422
    assert tab.send(NEW, {"name": "Globex", "slug": "new"}).status_code == 422
    made = tab.send(NEW, {"name": "Globex", "slug": "globex"})
    assert made["Location"] == "/accounts/teams/globex/"
    page = browser.get(made["Location"])
    assert "Open organization menu: Globex" in page.text
    assert follow_form(browser, page, "Leave this team").status_code == 302
    assert browser.get(made["Location"]).status_code == 404
    assert not ada.memberships.filter(team__slug="globex").exists()


def test_strangers_see_neither_the_team_nor_its_notes(browser, acme, alan):
    enter(browser, "Switch to Acme")
    write(browser, "for Acme")
    note = Note.objects.get()
    stranger = Client()
    sign_in(stranger, alan)
    assert stranger.get("/accounts/teams/acme/").status_code == 404
    assert stranger.get(f"/notes/{note.pk}/").status_code == 404
    assert stranger.post(f"/notes/{note.pk}/delete/").status_code == 404
    assert stranger.post("/accounts/teams/leave/").status_code == 302
    assert Note.objects.count() == 1
