"""django CMS: its toolbar signs in and out, on pages for everybody, beside the stock admin."""

import re
from pathlib import Path

from tests.strangers import bench
from tests.strangers.packages.site import ADA, GRACE, SETTINGS, URLS, append, button
from tests.strangers.packages.stock_admin import StockAdmin
from tests.strangers.packages.stories import AllStories, add_account, signed_in, switch
from tests.strangers.packages.web import Browser, Page

SETTING = """
INSTALLED_APPS += ["django.contrib.sites", "cms", "menus", "treebeard", "sekizai"]
MIDDLEWARE += [
    "django.middleware.locale.LocaleMiddleware",
    "cms.middleware.user.CurrentUserMiddleware",
    "cms.middleware.page.CurrentPageMiddleware",
    "cms.middleware.toolbar.ToolbarMiddleware",
    "cms.middleware.language.LanguageCookieMiddleware",
]
TEMPLATES[0]["DIRS"] = [BASE_DIR / "templates"]
TEMPLATES[0]["OPTIONS"]["context_processors"] += [
    "cms.context_processors.cms_settings",
    "sekizai.context_processors.sekizai",
]
CMS_TEMPLATES = [("base.html", "Base")]
CMS_CONFIRM_VERSION4 = True
SITE_ID = 1
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
X_FRAME_OPTIONS = "SAMEORIGIN"
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "/"
"""

ROUTES = """
from django.urls import include

urlpatterns += [path("", include("cms.urls"))]
"""

BASE = """<!doctype html>
{{% load cms_tags sekizai_tags %}}
<html><head><title>Site</title>{{% render_block "css" %}}</head>
<body>{{% cms_toolbar %}}
{button}
<p>You are {{{{ user.username }}}}.</p>
{{% placeholder "content" %}}
{{% render_block "js" %}}
</body></html>
"""

HOME_PAGE = """
from cms.api import create_page
from django.db import transaction
with transaction.atomic():
    create_page("Home", "base.html", "en").set_as_homepage()
"""

PRINT_EDITORS = """
from django.contrib.admin.models import LogEntry
print(*LogEntry.objects.order_by("pk").values_list("user__username", flat=True))
"""

PAGE_SETTINGS = "/admin/cms/pagecontent/1/change/"
TOOLBAR_NOTES = "/admin/cms/usersettings/session_store/"


class Cms(StockAdmin):
    package = "cms"
    home = "/"

    def make(self, place: Path) -> None:
        bench.start_project(self.python, place)
        append(place / SETTINGS, SETTING)
        append(place / URLS, ROUTES)
        (place / "templates").mkdir()
        (place / "templates/base.html").write_text(BASE.format(button=""), encoding="utf-8")

    def finish(self, place: Path) -> None:
        (place / "templates/base.html").write_text(BASE.format(button=button()), encoding="utf-8")

    def more_data(self) -> str:
        return HOME_PAGE

    def who(self, browser: Browser) -> str | None:
        found = re.search(r"You are (\w+)\.", browser.peek("/").text)
        return found[1] if found else None


class TestCms(AllStories):
    Site = Cms

    def test_the_toolbars_form_signs_in_and_the_toolbar_signs_out(self, site, either):
        browser = either()
        for who in (ADA, GRACE):
            page = browser.get("/?toolbar_on").form("/cms_login/")
            page = page.submit(username=who, password=site.password)
            assert page.status == 200, page
            assert site.who(browser) == who, page
            page = toolbar_log_out(browser)
            assert page.status == 200, page
            assert site.who(browser) is None, page

    def test_the_toolbars_form_adds_an_account(self, site, new_browser):
        browser = new_browser()
        site.sign_in(browser, ADA)
        add_account(browser)
        form = browser.get("/?toolbar_on").form("/cms_login/")
        page = form.submit(username=GRACE, password=site.password)
        assert page.status == 200, page
        assert site.who(browser) == GRACE, page
        assert signed_in(browser) == {ADA, GRACE}

    def test_a_page_of_the_site_is_saved_as_the_account_of_its_form(self, site, both):
        """The form is the one that the toolbar opens for the page's settings."""
        form = both.get(PAGE_SETTINGS).form(has="title")
        switch(both, ADA)
        page = form.submit(title="Home, by Grace")
        assert page.status == 409, page
        assert editors(site) == []
        page = page.form(has="multisession-send").submit()
        assert page.status == 200, page
        assert site.who(both) == GRACE
        assert editors(site) == [GRACE]

    def test_what_the_toolbar_notes_by_itself_is_refused(self, site, both):
        """Its script keeps what is folded in the session, through this address."""
        token = toolbar_token(both.get("/?toolbar_on"))
        switch(both, ADA)
        note = {"settings": '{"version": "grace"}', "csrfmiddlewaretoken": token}
        assert both.post(TOOLBAR_NOTES, note).status == 409
        assert "grace" not in both.get(TOOLBAR_NOTES).html
        switch(both, GRACE)
        assert both.post(TOOLBAR_NOTES, note).status == 200
        assert "grace" in both.get(TOOLBAR_NOTES).html


def editors(site: Cms) -> list[str]:
    """Return who has changed anything in the admin."""
    return site.manage("shell", "-v", "0", "-c", PRINT_EDITORS).split()


def toolbar_token(page: Page) -> str:
    """Return the token that the toolbar's script sends."""
    found = re.search(r'csrf["\']?\s*:\s*["\'](\w{64})', page.html)
    assert found, "The toolbar has no token."
    return found[1]


def toolbar_log_out(browser: Browser) -> Page:
    """Press *Logout ada* in the toolbar: its script posts the page's own token to the admin."""
    page = browser.get("/?toolbar_on")
    token = toolbar_token(page)
    return browser.post("/admin/logout/", {"csrfmiddlewaretoken": token})
