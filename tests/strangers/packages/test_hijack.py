"""django-hijack in the stock admin: an administrator acts as somebody else, and comes back."""

import re
from pathlib import Path

from tests.strangers import bench
from tests.strangers.packages.site import ADA, GRACE, SETTINGS, URLS, append
from tests.strangers.packages.stock_admin import StockAdmin
from tests.strangers.packages.stories import AllStories, signed_in, switch
from tests.strangers.packages.web import Browser, Page

ALAN = "alan"
EVERYBODY = (ADA, GRACE, ALAN)


class Hijack(StockAdmin):
    package = "hijack"

    def make(self, place: Path) -> None:
        bench.start_project(self.python, place)
        append(
            place / SETTINGS,
            'INSTALLED_APPS += ["hijack", "hijack.contrib.admin"]\n'
            'MIDDLEWARE += ["hijack.middleware.HijackUserMiddleware"]\n'
            'LOGIN_URL = "admin:login"\n'
            'LOGIN_REDIRECT_URL = "admin:index"\n'
            'TEMPLATES[0]["DIRS"] = [BASE_DIR / "templates"]\n',
        )
        append(
            place / URLS,
            "from django.urls import include\n"
            'urlpatterns += [path("hijack/", include("hijack.urls"))]\n',
        )

    def finish(self, place: Path) -> None:
        super().finish(place)
        # As docs/howto/impersonation.md says, to which the README leads.
        append(place / SETTINGS, 'INSTALLED_APPS += ["multisession.contrib.impersonation"]\n')

    def more_data(self) -> str:
        email = f"{ALAN}@example.com"
        return (
            f'get_user_model().objects.create_user("{ALAN}", "{email}", is_staff=True,'
            f" password={self.password!r})\n"
        )


def impersonate(browser: Browser, who: str) -> Page:
    """Press *Impersonate* in the admin's list: its script sends what stands in the button."""
    page = browser.get(f"/admin/auth/user/?q={who}")
    found = re.search(r'data-hijack-user="(\d+)"\s*data-hijack-next="([^"]*)"', page.html)
    assert found, page
    token = page.form(has="csrfmiddlewaretoken").fields["csrfmiddlewaretoken"]
    data = {"user_pk": found[1], "next": found[2], "csrfmiddlewaretoken": token}
    return browser.post("/hijack/acquire/", data)


def stop(page: Page) -> Page:
    """Press *stop impersonating* in the notification that hijack puts into every page."""
    return page.form("/hijack/release/").submit()


class TestHijack(AllStories):
    Site = Hijack

    def test_an_administrator_acts_as_somebody_and_comes_back(self, site, either):
        browser = either()
        site.sign_in(browser, ADA)
        page = impersonate(browser, ALAN)
        assert page.status == 200, page
        assert site.who(browser) == ALAN, page
        page = stop(page)
        assert page.status == 200, page
        assert site.who(browser) == ADA, page
        assert ALAN not in page.text
        site.sign_out(browser)
        assert site.who(browser) is None
        site.sign_in(browser, ADA)
        assert site.who(browser) == ADA

    def test_the_way_back_leaves_nobody_signed_in_below(self, site, both):
        stop(impersonate(both, ALAN))
        assert signed_in(both, EVERYBODY) == {ADA, GRACE}

    def test_a_switch_ends_the_impersonation(self, site, both):
        impersonate(both, ALAN)
        switch(both, ADA)
        assert site.who(both) == ADA
        assert signed_in(both, EVERYBODY) == {ADA, GRACE}

    def test_log_out_while_acting_leaves_the_administrator_signed_in(self, site, both):
        page = site.sign_out(both, impersonate(both, ALAN))
        assert page.status == 200, page
        assert site.who(both) is None
        assert signed_in(both, EVERYBODY) == {ADA, GRACE}
        page = site.sign_in(both, ADA)
        assert site.who(both) == ADA, page

    def test_the_impersonation_ends_with_the_administrators_own_session(self, site, both):
        page = impersonate(both, ALAN)
        site.manage("revokesessions", "--user", site.key(GRACE), "--noinput")
        assert site.who(both) is None
        assert signed_in(both) == {ADA}
        page = stop(page)
        assert page.status in (403, 409) or site.is_sign_in_page(page), page
        assert site.who(both) is None

    def test_the_button_says_who_is_acted_as(self, site, both):
        page = impersonate(both, ALAN)
        assert f"{ALAN}@example.com" in page.text, page
