"""Wagtail's page editor in Chromium. It saves, previews and pings by itself, here every second.

``EditorStories`` is a part of ``TestWagtail``. A text that Ada types into the editor is saved
once, as Ada, whatever happens to her account in the meantime.
"""

from __future__ import annotations

import html
import re
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Response, expect
from playwright.sync_api import Page as Tab

from tests.strangers import bench
from tests.strangers.packages.site import ADA, CHOOSE, GRACE, PASSWORD, Site, append
from tests.strangers.packages.stories import add_in_tab

DOCS = bench.ROOT / "docs/explanation/strangers.md"
HEADING = "## In Wagtail's admin"

#: The model of the page that Wagtail's tutorial begins with.
MODEL = """from django.db import models
from wagtail.fields import RichTextField
from wagtail.models import Page


class HomePage(Page):
    body = RichTextField(blank=True)

    content_panels = Page.content_panels + ["body"]
"""

#: Milliseconds. The default is ten seconds.
SETTING = "WAGTAIL_EDITING_SESSION_PING_INTERVAL = 1000\n"

EDIT = "/admin/pages/3/edit/"
ADD = "/admin/pages/add/home/homepage/3/"
PING = "/admin/editing-sessions/ping/"

#: Where Wagtail notes who has done something.
NOTES = (
    "wagtailcore_revision",
    "wagtailcore_pagelogentry",
    "wagtailcore_modellogentry",
    "wagtailadmin_editingsession",
    "wagtailadmin_formstate",
)

EXPIRE = f"""
from django.utils import timezone
from multisession.models import Session
Session.objects.live().filter(user__username={ADA!r}).update(expire_at=timezone.now())
"""


def give_the_home_page_a_body(python: Path, place: Path) -> None:
    """Do what the first step of Wagtail's tutorial does, and ping more often."""
    append(place / "mysite/settings/base.py", SETTING)
    (place / "home/models.py").write_text(MODEL, encoding="utf-8")
    bench.run(python, "manage.py", "makemigrations", "home", "--verbosity", "0", cwd=place)


def add_the_notice(place: Path) -> None:
    """Make the template that docs/explanation/strangers.md prints."""
    section = DOCS.read_text(encoding="utf-8").partition(f"\n{HEADING}\n")[2]
    printed = re.search(r"`mysite/(templates/\S+)`[\s\S]*?^```html\n([\s\S]*?)^```", section, re.M)
    assert printed, f"{DOCS} has no template under {HEADING!r}"
    template = place / "mysite" / printed[1]
    template.parent.mkdir()
    template.write_text(printed[2], encoding="utf-8")


def sign_in_in_tab(tab: Tab, who: str) -> None:
    """On Wagtail's page, which is open. Then to its admin: after *Add account* comes the site."""
    tab.get_by_label("Username").fill(who)
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Sign in").click()
    tab.wait_for_url(lambda url: "/login/" not in url)
    tab.goto("/admin/")
    expect(tab.locator(".sidebar-footer")).to_contain_text(who)


def switch_to_grace(site: Site, tab: Tab) -> None:
    tab.goto(CHOOSE)
    tab.get_by_role("button", name=re.compile(f"(Switch to|Continue as) {GRACE}")).click()
    expect(tab.locator(".sidebar-footer")).to_contain_text(GRACE)


def begin_to_add_an_account(site: Site, tab: Tab) -> None:
    """Make nobody active. Ada stays signed in."""
    tab.goto("/")
    add_in_tab(tab)
    expect(tab).to_have_url(re.compile("/admin/login/"))


def expire(site: Site, tab: Tab) -> None:
    site.manage("shell", "-v", "0", "-c", EXPIRE)


def revoke(site: Site, tab: Tab) -> None:
    site.manage("revokesessions", "--user", site.key(ADA), "--noinput")


def revoke_and_switch_to_grace(site: Site, tab: Tab) -> None:
    """The editor pings meanwhile: what it hears after the switch is then all there is to say."""
    revoke(site, tab)
    switch_to_grace(site, tab)


class Editor:
    """A page of Wagtail's editor in a tab."""

    def __init__(self, tab: Tab, path: str) -> None:
        self.tab, self.path = tab, path
        tab.add_init_script(
            "addEventListener('w-unsaved:watch-edits', () => (window.isWatched = true), true)"
        )
        tab.goto(path)
        self.title = tab.locator("#id_title")
        self.body = tab.locator(".public-DraftEditor-content")
        # What is typed earlier counts as the text that the page came with.
        tab.wait_for_function("window.isWatched")

    def write(self, title: str, body: str) -> None:
        """Type both, and wait until the editor has tried to save them by itself."""

        def is_autosave(response: Response) -> bool:
            return is_post(response, self.path) and body in (response.request.post_data or "")

        with self.tab.expect_response(is_autosave):
            self.title.fill(title)
            self.body.click()
            # A new line is no act of sending: the autosave that follows opens nothing.
            self.tab.keyboard.press("Enter")
            self.tab.keyboard.type(body)

    def wait_for_pings(self, number: int = 3) -> None:
        for _ in range(number):
            with self.tab.expect_response(lambda response: is_post(response, PING)):
                pass

    def save_draft(self) -> None:
        self.tab.get_by_role("button", name="Save draft").click()


def is_post(response: Response, path: str) -> bool:
    return response.request.method == "POST" and urlsplit(response.url).path.startswith(path)


class Notes:
    """What Wagtail has written since this was made."""

    def __init__(self, site: Site) -> None:
        self.database = site.place / "ours" / "db.sqlite3"
        self.before = self._ask("SELECT coalesce(max(id), 0) FROM wagtailcore_revision")[0][0]

    def revisions(self) -> list[tuple[str, str, str]]:
        """Return whose they are, with their title and text."""
        return self._ask(
            "SELECT username, json_extract(content, '$.title'), json_extract(content, '$.body')"
            " FROM wagtailcore_revision AS revision JOIN auth_user ON auth_user.id = user_id"
            " WHERE revision.id > ? ORDER BY revision.id",
            self.before,
        )

    def writers(self) -> set[str]:
        """Return who has ever written anything."""
        tables = " UNION ".join(f"SELECT user_id FROM {table}" for table in NOTES)  # noqa: S608
        found = self._ask(f"SELECT username FROM auth_user WHERE id IN ({tables})")  # noqa: S608
        return {name for (name,) in found}

    def _ask(self, query: str, *values: object) -> list[tuple]:
        connection = sqlite3.connect(self.database)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()


def nothing_has_opened(tab: Tab) -> None:
    for frame in tab.frames:
        expect(frame.locator("dialog[open], .ms-wrong-account")).to_have_count(0)


def press(tab: Tab, name: str) -> None:
    """Press what the page that was answered to *Save draft* offers."""
    expect(tab.get_by_role("heading", name="Nothing was sent")).to_be_visible()
    button, link = tab.get_by_role("button", name=name), tab.get_by_role("link", name=name)
    button.or_(link).click()


class Story:
    """What Ada types into one page of the editor, and what becomes of it."""

    def __init__(self, site: Site, tab: Tab, path: str = EDIT) -> None:
        self.tab, self.notes = tab, Notes(site)
        self.editor = Editor(tab, path)
        self.title = self.body = ""

    def write(self, title: str, body: str) -> None:
        self.title, self.body = title, body
        self.editor.write(title, body)

    def nothing_opens_and_the_notice_says(self, said: str) -> None:
        """While the editor pings; and all that was typed stays, and is not saved."""
        self.editor.wait_for_pings()
        nothing_has_opened(self.tab)
        expect(self.tab.locator(".ms-notice")).to_contain_text(said)
        expect(self.editor.title).to_have_value(self.title)
        expect(self.editor.body).to_contain_text(self.body)
        assert self.notes.revisions() == []

    def is_saved_once_as_ada(self, done: str = "has been updated") -> None:
        self.is_saved_as_ada(done)
        assert len(self.notes.revisions()) == 1

    def is_saved_as_ada(self, done: str = "has been updated") -> None:
        expect(self.tab.get_by_text(f"Page '{self.title}' {done}.")).to_be_visible()
        who, title, body = self.notes.revisions()[-1]
        assert (who, title) == (ADA, self.title)
        assert self.body in html.unescape(body)
        assert self.notes.writers() == {ADA}


class EditorStories:
    """Ada types into the home page's editor. Then she looks at what the page says, and saves."""

    @pytest.fixture
    def adas(self, tabs: BrowserContext) -> Tab:
        """A tab in which Ada has signed in. In the same browser Grace has, before her."""
        tab = tabs.new_page()
        tab.goto("/admin/login/")
        sign_in_in_tab(tab, GRACE)
        tab.goto("/")
        add_in_tab(tab)
        sign_in_in_tab(tab, ADA)
        return tab

    @pytest.mark.browser
    @pytest.mark.parametrize(
        ("happens", "said"),
        [
            (switch_to_grace, "You are now using grace@example.com in another tab."),
            (begin_to_add_an_account, "No account is active."),
        ],
        ids=["another is active", "nobody is active"],
    )
    def test_the_editor_while_ada_is_signed_in(self, site, tabs, adas, happens, said):
        story = Story(site, adas)
        happens(site, tabs.new_page())
        story.write(f"Home, {happens.__name__}", f"Ada's text, {happens.__name__}")
        story.nothing_opens_and_the_notice_says(said)
        story.editor.save_draft()
        press(adas, f"Switch to {ADA}@example.com and send")
        story.is_saved_once_as_ada()

    @pytest.mark.browser
    @pytest.mark.parametrize(
        "happens",
        [expire, revoke, revoke_and_switch_to_grace],
        ids=["expired", "revoked", "revoked, and another is active"],
    )
    def test_the_editor_after_adas_session(self, site, tabs, adas, happens):
        """The editor pings, so the cover comes at once. What Ada had typed is there after it."""
        story = Story(site, adas)
        story.write(f"Home, before {happens.__name__}", "Ada's first text")
        happens(site, tabs.new_page())
        cover = adas.locator(".ms-cover")
        expect(cover).to_contain_text(f"{ADA}@example.com was signed out.")
        expect(story.editor.title).to_be_hidden()
        if happens is revoke_and_switch_to_grace:
            # Wagtail's sign-in page sends Grace away, so it is in a new tab, where she steps aside.
            with tabs.expect_page() as opened:
                cover.get_by_role("button", name=f"Sign in as {ADA}@example.com").click()
            sign_in_in_tab(opened.value, ADA)
        else:
            cover.get_by_label("Password").fill(PASSWORD)
            adas.keyboard.press("Enter")
        expect(cover).to_have_count(0)
        expect(story.editor.title).to_have_value(story.title)
        expect(story.editor.body).to_contain_text(story.body)
        # Wagtail saves no more by itself after a ping was refused.
        story.title = f"Home, {happens.__name__}"
        story.editor.title.fill(story.title)
        story.editor.save_draft()
        story.is_saved_as_ada()

    @pytest.mark.browser
    def test_the_notice_switches_and_the_editor_saves_by_itself(self, site, tabs, adas):
        story = Story(site, adas)
        switch_to_grace(site, tabs.new_page())
        story.write("Home, back in place", "Ada's text, back in place")
        story.nothing_opens_and_the_notice_says("You are now using grace@example.com")
        adas.get_by_role("button", name="Switch back to").click()
        expect(adas.locator(".ms-notice")).to_have_count(0)

        # One change: Wagtail leaves out what is typed while an autosave is under way.
        def is_autosave(response: Response) -> bool:
            return is_post(response, EDIT) and "by itself" in (response.request.post_data or "")

        with adas.expect_response(is_autosave) as autosave:
            story.editor.title.fill("Home, saved by itself")
        assert autosave.value.status == 200
        [(who, title, body)] = story.notes.revisions()
        assert (who, title) == (ADA, "Home, saved by itself")
        assert story.body in html.unescape(body)
        assert story.notes.writers() == {ADA}

    @pytest.mark.browser
    def test_a_new_page_in_the_editor(self, site, tabs, adas):
        """It pings once it has been saved, which its first autosave does."""
        story = Story(site, adas, ADD)
        switch_to_grace(site, tabs.new_page())
        story.write("A new page", "Ada's new text")
        nothing_has_opened(adas)
        story.editor.save_draft()
        press(adas, f"Switch to {ADA}@example.com and send")
        story.is_saved_once_as_ada("created")

    @pytest.mark.browser
    def test_the_preview_beside_the_editor(self, site, tabs, adas):
        story = Story(site, adas)
        with adas.expect_response(lambda response: is_post(response, f"{EDIT}preview/")):
            adas.get_by_role("button", name="Toggle preview").click()
        switch_to_grace(site, tabs.new_page())
        with adas.expect_response(lambda response: is_post(response, f"{EDIT}preview/")) as preview:
            story.write("Home, previewed", "Ada's text, previewed")
        assert preview.value.status == 409
        story.nothing_opens_and_the_notice_says("You are now using grace@example.com")
        story.editor.save_draft()
        press(adas, f"Switch to {ADA}@example.com and send")
        story.is_saved_once_as_ada()
