"""django-organizations: its organizations are those of the switcher."""

import pytest
from organizations.models import Organization

from multisession.models import Session

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def provider(settings):
    path = "tests.ecosystem.organization_recipe.Organizations"
    settings.MULTISESSION = {**settings.MULTISESSION, "ORGANIZATIONS": path}


@pytest.fixture
def acme(ada, grace):
    made = Organization.objects.create(name="Acme", slug="acme")
    made.add_user(ada)  # the first is an admin, and the owner
    made.add_user(grace)
    return made


def in_organization(browser):
    return browser.get("/whoami").wsgi_request.multisession.organization


def enter(browser, user, id):
    session = Session.objects.filter(user=user).latest("pk").public_id
    form = {"session": session, "organization": id}
    return browser.post("/multisession/set-organization/", form)


def test_members_enter_with_their_role(browser, sign_in, acme, ada, grace):
    for user, role in ((ada, "admin"), (grace, "member")):
        sign_in(browser, user)
        assert enter(browser, user, acme.pk).status_code == 302
        found = in_organization(browser)
        assert (found.name, found.role, found.object) == ("Acme", role, acme)


def test_whoever_is_removed_is_in_none(browser, sign_in, acme, grace):
    sign_in(browser, grace)
    enter(browser, grace, acme.pk)
    acme.remove_user(grace)
    assert in_organization(browser) is None


def test_strangers_and_closed_organizations(browser, sign_in, acme, ada):
    other = Organization.objects.create(name="Globex", slug="globex")
    sign_in(browser, ada)
    for id in (other.pk, "x", "99999", "²"):
        assert enter(browser, ada, id).status_code == 404
    enter(browser, ada, acme.pk)
    acme.is_active = False
    acme.save()
    assert in_organization(browser) is None
