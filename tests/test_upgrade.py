"""Moving to multisession from Django's own sessions, and back, with people signed in."""

import pytest
from django.contrib.sessions.models import Session as StockSession
from django.test import Client

from accounts.models import User
from multisession.backends.adopting import SessionStore
from multisession.models import Event, Session
from multisession.models.tokens import Token
from tests.stories import settled

STOCK = "django.contrib.sessions.backends.db"
STOCK_MIDDLEWARE = "django.contrib.sessions.middleware.SessionMiddleware"
OURS = "multisession.backends.db"
ADOPTING = "multisession.backends.adopting"
MIDDLEWARE = "multisession.middleware.SessionMiddleware"

pytestmark = pytest.mark.django_db


class Fleet:
    """A site whose workers run the old engine or the new one; a browser meets either."""

    def __init__(self, settings):
        self.settings = settings
        self.browser = Client()

    def worker(self, engine):
        both = [MIDDLEWARE, STOCK_MIDDLEWARE]
        old, new = reversed(both) if engine == OURS else both
        self.settings.SESSION_ENGINE = ADOPTING if engine == OURS else engine
        self.settings.MULTISESSION = {"ADOPT_FROM": STOCK} if engine == OURS else {}
        self.settings.MIDDLEWARE = [new if m == old else m for m in self.settings.MIDDLEWARE]
        cookies = self.browser.cookies
        self.browser = Client()  # a worker loads its middleware once
        self.browser.cookies = cookies
        return self.browser

    @property
    def cookie(self):
        return self.browser.cookies["sessionid"].value

    def user_at(self, engine):
        """Whom the site shows, asked of a stock worker or of one of ours."""
        response = self.worker(engine).get("/admin/")
        user = response.wsgi_request.user
        return user.email if user.is_authenticated else None


@pytest.fixture
def fleet(settings, ada):
    fleet = Fleet(settings)
    browser = fleet.worker(STOCK)
    browser.force_login(ada)
    session = browser.session
    session["cart"] = ["a book"]
    session.save()
    return fleet


def test_nobody_is_signed_out_and_data_is_kept(fleet, ada):
    before = fleet.cookie
    assert fleet.user_at(OURS) == ada.email
    assert fleet.cookie != before
    assert fleet.browser.session["cart"] == ["a book"]
    assert Session.objects.get().user == ada
    assert fleet.user_at(OURS) == ada.email


def test_a_session_is_adopted_only_once(fleet, ada):
    before = fleet.cookie
    fleet.user_at(OURS)
    settled(fleet.worker(OURS), "/whoami")
    thief = Client()
    thief.cookies["sessionid"] = before
    response = thief.get("/whoami")
    assert response.json()["user"] is None
    assert "sessionid" not in response.cookies
    assert Session.objects.count() == 1


def test_an_adoption_whose_answer_was_lost_is_no_loss(fleet, ada):
    before = fleet.cookie
    assert fleet.user_at(OURS) == ada.email
    fleet.browser.cookies["sessionid"] = before
    assert fleet.user_at(OURS) == ada.email
    assert Session.objects.count() == 1


def test_old_and_new_workers_alternate_and_nobody_is_signed_out(fleet, ada):
    values = []
    for engine in [OURS, STOCK, OURS, OURS, STOCK, STOCK, OURS]:
        assert fleet.user_at(engine) == ada.email
        values.append(fleet.cookie)
    assert len(set(values)) == 1


def test_a_sign_out_at_an_old_worker_counts_at_the_new_ones(fleet, ada):
    fleet.user_at(OURS)
    cookie = fleet.cookie
    fleet.worker(STOCK).logout()
    StockSession.objects.all().delete()
    fleet.browser.cookies["sessionid"] = cookie
    assert fleet.user_at(OURS) is None
    assert Session.objects.get().status == "ended"


@pytest.mark.parametrize("way", ["sign-out", "forget", "sign-out-all", "revoke", "delete"])
def test_an_end_at_a_new_worker_counts_at_the_old_ones(
    fleet, ada, way, django_capture_on_commit_callbacks
):
    """And the cookie is never taken over again from what the old engine has kept of it."""
    fleet.user_at(OURS)
    cookie = fleet.cookie
    active = Session.objects.get()
    with django_capture_on_commit_callbacks(execute=True):
        if way == "revoke":
            active.revoke()
        elif way == "delete":
            SessionStore().delete(cookie)
        else:
            fleet.worker(OURS).post(f"/multisession/{way}/", {"session": active.public_id})
    for engine in (STOCK, OURS, STOCK, OURS):
        fleet.browser.cookies["sessionid"] = cookie
        assert fleet.user_at(engine) is None
    assert not Session.objects.live().exists()


def test_a_cookie_that_has_long_been_purged_is_not_taken_over_again(fleet, ada):
    """What the old engine keeps under it is the twin of a session of ours, and no more."""
    fleet.user_at(OURS)
    cookie = fleet.cookie
    Token.objects.all().delete()
    fleet.browser.cookies["sessionid"] = cookie
    assert fleet.user_at(OURS) is None


def test_where_the_twin_is_is_not_to_be_read_from_the_database(fleet, ada):
    fleet.user_at(OURS)
    assert fleet.cookie not in Session.objects.get().session_data


def test_a_changed_password_is_not_adopted_around(fleet, ada):
    ada.set_password("another one entirely")
    ada.save()
    assert fleet.user_at(OURS) is None


def test_without_the_setting_an_old_session_is_unknown(fleet, settings):
    fleet.worker(OURS)
    settings.MULTISESSION = {}
    response = fleet.browser.get("/whoami")
    assert response.json()["user"] is None
    assert Token.objects.count() == 0


def test_an_expired_old_session_is_not_adopted(fleet):
    StockSession.objects.update(expire_date="2020-01-01T00:00Z")
    assert fleet.user_at(OURS) is None
    assert Token.objects.count() == 0


def test_the_way_back_people_sign_in_again_and_nothing_breaks(settings, ada):
    fleet = Fleet(settings)
    fleet.worker(OURS).force_login(ada)
    assert fleet.user_at(OURS) == ada.email
    assert fleet.user_at(STOCK) is None
    fleet.browser.force_login(User.objects.get())
    assert fleet.user_at(STOCK) == ada.email


def test_the_trail_says_that_nobody_signed_in(fleet, ada):
    fleet.user_at(OURS)
    event = Event.objects.get()
    assert (event.kind, event.account, event.actor) == (
        "signed-in",
        ada.email,
        f"ADOPT_FROM {STOCK}",
    )


def test_signed_cookies_are_not_adopted_for_no_sign_out_would_end_them(settings, ada):
    """Of two copies of a cookie, one could sign in again whoever signed out with the other."""
    fleet = Fleet(settings)
    fleet.worker("django.contrib.sessions.backends.signed_cookies").force_login(ada)
    browser = fleet.worker(OURS)
    settings.MULTISESSION = {"ADOPT_FROM": "django.contrib.sessions.backends.signed_cookies"}
    assert [browser.get("/whoami").json()["user"] for _page in range(2)] == [None, None]
    assert Token.objects.count() == 0
    browser.force_login(ada)
    assert [browser.get("/whoami").json()["user"] for _page in range(2)] == [ada.email] * 2
