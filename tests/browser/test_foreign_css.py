"""The menu, the chooser, the sheet and the notice together with foreign style sheets.

The parts come from the running demo. Each foreign sheet has a few representative rules, and is
loaded after ours. Our parts must look the same as without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.templatetags.static import static
from playwright.sync_api import Page, expect

from accounts.models import User
from tests.browser.test_looks import confirm, open_menu
from tests.browser.test_wrong_account import by_form, new_tab, sign_in, switch

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

#: The real one.
ADMIN = "admin"

SHEETS = {
    ADMIN: "",
    "bootstrap-3": """
        * { box-sizing: border-box; }
        html { font-size: 10px; }
        body { line-height: 1.42857143; }
        a { color: #337ab7; text-decoration: none; }
        a:hover, a:focus { color: #23527c; text-decoration: underline; }
        a:focus { outline: 5px auto -webkit-focus-ring-color; outline-offset: -2px; }
        h1 { font-size: 36px; margin: 20px 0 10px; font-weight: 500; line-height: 1.1; }
        p { margin: 0 0 10px; }
        ul { margin: 0 0 10px; }
        label { display: inline-block; max-width: 100%; margin-bottom: 5px; font-weight: 700; }
        button, input { font-family: inherit; font-size: inherit; line-height: inherit; }
        img { vertical-align: middle; }
        .navbar a { padding: 15px; line-height: 20px; }
        .navbar a:hover { background-color: #eee; color: #555; }
        [hidden] { display: none !important; }
    """,
    "bootstrap-5": """
        *, *::before, *::after { box-sizing: border-box; }
        a { color: #0d6efd; text-decoration: underline; }
        a:hover { color: #0a58ca; }
        h1 { font-size: 2.5rem; margin-top: 0; margin-bottom: .5rem; font-weight: 500; }
        p, ul { margin-top: 0; margin-bottom: 1rem; }
        ul { padding-left: 2rem; }
        button { border-radius: 0; text-transform: none; }
        button:focus:not(:focus-visible) { outline: 0; }
        img, svg { vertical-align: middle; }
        summary { display: list-item; cursor: pointer; }
        label { display: inline-block; }
        .navbar { position: relative; padding: .5rem 0; }
    """,
    "tailwind": """
        *, ::before, ::after { border: 0 solid #e5e7eb; margin: 0; padding: 0; }
        a { color: inherit; text-decoration: inherit; }
        h1, h2 { font-size: inherit; font-weight: inherit; }
        button, input { background: transparent; border-radius: 0; color: inherit; font: inherit; }
        ul { list-style: none; }
        img, svg { display: block; vertical-align: middle; }
        img { max-width: 100%; height: auto; }
        dialog { padding: 0; margin: auto; }
    """,
    "reset": """
        * { margin: 0; padding: 0; line-height: 2; transition: all 1s; }
        button { all: unset; }
        a { text-transform: uppercase; letter-spacing: .2em; }
        :focus { outline: none; }
    """,
    "opinions": """
        body { letter-spacing: 1px; text-align: center; text-transform: uppercase; }
        form { margin: 2em; padding: 1em; border: 1px solid; background: pink; }
        dialog { width: 50%; padding: 4em; border: 5px solid red; border-radius: 2em; opacity: .5; }
        dialog::backdrop { background: red; }
        details { padding: 2em; border: 1px solid; background: pink; }
        summary { padding: 1em; color: red; background: yellow; }
        summary::after { content: "▾"; float: right; }
        details[open] > summary { margin-bottom: 1em; }
        button { min-height: 80px; box-shadow: 0 0 9px red; color: white; background: red; }
        button, a { font-weight: 100; text-transform: uppercase; }
        input { width: 5em; margin: 1em; border: 3px double; box-shadow: inset 0 0 9px red; }
        li { margin: 1em; list-style: square inside; }
        li::before { content: "–"; }
        a::after { content: "↗"; }
        span, p, div { text-shadow: 0 0 2px red; }
        span { color: red; background: yellow; font-size: 30px; }
        svg { width: 3em; fill: red; margin: 5px; }
        h1 { color: red; text-transform: uppercase; border-bottom: 1px solid; }
    """,
    "ids": """
        #header a:link, #content a:link, #layer a:link { color: white; background: white; }
        #header a:hover, #content a:hover { color: red; text-decoration: underline; }
        #layer a:hover { color: red; text-decoration: underline; }
        #header button, #content button { background: #fff; color: #fff; padding: 0; }
        #layer button { background: #fff; color: #fff; padding: 0; }
        #header p, #content p, #layer p, #content h1, #layer h1 { margin: 3em; color: #eee; }
        #header ul, #content ul, #content li { margin: 2em; list-style: square; }
        #header span, #content span, #layer span { color: #fff; font-size: 8px; }
        #content input { border: 0; min-height: 0; height: 1em; }
    """,
}

#: What the page itself has to say: its font, and where the parts are.
STAGE = """
    body { font: 16px/1.5 sans-serif !important; margin: 0 !important; padding: 0 !important;
      color: #222 !important; background: #fff !important; }
    #header { position: absolute !important; inset: 0 0 auto auto !important;
      display: block !important; inline-size: 400px !important;
      padding: 0 !important; float: none !important; }
    #header, #user-tools { color: inherit !important; font: inherit !important; }
    #header > div { position: absolute !important; inset: 8px 8px auto auto !important;
      margin: 0 !important; }
    #header > div + div { inset: 8px 200px auto auto !important; }
    #content { position: absolute !important; inset: 160px auto auto 0 !important;
      inline-size: 640px !important;
      padding: 0 !important; margin: 0 !important; display: block !important; }
"""

LOOK = """() => {
  const roots = ".ms-user-button, .ms-nobody, .ms-chooser, .ms-wrong-account, .ms-notice";
  const looks = ["color", "backgroundColor", "backgroundImage", "borderWidth", "borderStyle",
    "borderColor", "borderRadius", "textDecorationLine", "fontSize", "fontWeight", "fontStyle",
    "lineHeight", "letterSpacing", "textTransform", "textAlign", "textShadow", "boxShadow",
    "padding", "minHeight", "display", "listStyleType", "opacity", "transitionDuration", "fill",
    "width", "height"];
  // The margins of the outermost are the page's, and little of a sheet's shows in an image.
  const ours = [...document.querySelectorAll(":is(" + roots + ") :not(svg *)")];
  const drawn = ["color", "fill", "width", "height", "display", "opacity"];
  const within = (element) => element.closest(roots).className.split(" ")[0];
  return ours.map((element) => {
    const style = getComputedStyle(element);
    const named = element.getAttribute("class") ?? "";
    const name = `${within(element)} ${element.localName}.${named}`;
    const more = ["::before", "::after"].map((part) => getComputedStyle(element, part).content);
    const margins = ["top", "right", "bottom", "left"].map((side) =>
      element.computedStyleMap().get("margin-" + side).toString());
    const seen = element.localName == "svg" ? drawn : looks;
    return [name, Object.fromEntries([...seen.map((look) => [look, style[look]]),
      ["margins", margins.join(" ")], ["more", more.join()]])];
  });
}"""


#: The HTML of each part. It says nothing of the test that asks for it, and takes a dozen pages of
#: the demo to get: so the first test of a process has it collected for all others.
PARTS: dict[str, str] = {}


@pytest.fixture
def parts(request: pytest.FixtureRequest) -> dict[str, str]:
    """The HTML of each part, as the demo has it."""
    if not PARTS:
        PARTS.update(request.getfixturevalue("collected"))
    return PARTS


@pytest.fixture
def collected(new_browser, ada: User, grace: User, alan: User, complaints) -> dict[str, str]:
    """Go where the parts are, and read them."""
    nobody: Page = new_browser()
    nobody.goto("/")
    found = {"nobody": html(nobody, ".ms-nobody")}
    page: Page = new_browser(reduced_motion="reduce")
    sign_in(page, grace, alan, ada)
    open_menu(page)
    expect(page.locator("[data-multisession-panel]")).to_contain_text("Other accounts")
    found["menu"] = html(page, ".ms-user-button")
    page.goto("/accounts/choose/")
    found["chooser"] = html(page, ".ms-chooser")
    confirm(page)
    found["confirm"] = html(page, ".ms-confirm")
    page.goto("/")
    switch(new_tab(page), grace)
    expect(page.locator(".ms-notice .ms-button").first).to_be_visible()
    found["notice"] = html(page, ".ms-notice")
    page.get_by_role("button", name="Dismiss").click()
    by_form(page, "A note")
    found["card"] = html(page, ".ms-wrong-account-card")
    complaints.expect("409")
    return found


def html(page: Page, selector: str) -> str:
    page.locator(selector).first.wait_for()
    found: str = page.locator(selector).first.evaluate("part => part.outerHTML")
    return found.replace(' autofocus=""', "")  # only one can have it


@pytest.fixture
def dressed(new_browser, parts) -> Callable[..., Page]:
    """Make a page with all parts and this sheet: ``dressed("a { color: red }", html="…")``."""

    def make(sheet: str = "", *, within: str = "", width: int = 1280, height: int = 800) -> Page:
        page: Page = new_browser(
            viewport={"width": width, "height": height}, reduced_motion="reduce"
        )
        foreign = f"<style>{SHEETS.get(sheet, sheet)}</style>"
        if sheet == ADMIN:
            foreign = f'<link rel="stylesheet" href="{static("admin/css/base.css")}">'
        body = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Foreign</title>
            <link rel="icon" href="data:,">
            <link rel="stylesheet" href="{static("multisession/user_button.css")}">
            {foreign}<style>{STAGE}</style>
            <body><div id="header" class="navbar"><div id="user-tools">{parts["menu"]}</div>
            <div>{parts["nobody"]}</div></div>
            <main id="content">{parts["chooser"]}<div class="ms-chooser">{parts["confirm"]}</div>
            <section class="ms-wrong-account">{parts["card"]}</section>{within}</main>
            <div id="layer">{parts["notice"]}</div>
            <dialog class="ms-wrong-account">{parts["card"]}</dialog></body></html>"""
        page.route("**/foreign/", lambda route: route.fulfill(body=body, content_type="text/html"))
        page.goto("/foreign/")
        page.wait_for_load_state()
        page.evaluate("document.querySelector('.ms-notice').showPopover()")
        return page

    return make


def differences(plain: list[Any], foreign: list[Any]) -> list[str]:
    assert [name for name, _ in plain] == [name for name, _ in foreign]
    return [
        f"{name}: {look} {value} -> {other[look]}"
        for (name, looks), (_, other) in zip(plain, foreign, strict=True)
        for look, value in looks.items()
        if other[look] != value
    ]


def open_sheet(page: Page) -> None:
    page.evaluate("document.querySelector('dialog.ms-wrong-account').showModal()")


@pytest.mark.parametrize("name", SHEETS)
def test_a_foreign_stylesheet_does_not_change_our_looks(dressed, name):
    plain, foreign = dressed(), dressed(name)
    assert differences(plain.evaluate(LOOK), foreign.evaluate(LOOK)) == []
    open_sheet(plain)
    open_sheet(foreign)
    assert differences(plain.evaluate(LOOK), foreign.evaluate(LOOK)) == []
    backdrop = """[...document.querySelectorAll("dialog")].map((dialog) =>
        [getComputedStyle(dialog, "::backdrop").backgroundColor, getComputedStyle(dialog).opacity,
         dialog.offsetWidth, dialog.offsetHeight, getComputedStyle(dialog).borderWidth])"""
    assert foreign.evaluate(backdrop) == plain.evaluate(backdrop)


#: One of each kind of what can be pointed at.
HANDLES = [
    "a.ms-sign-in-link",
    ".ms-panel a.ms-button",
    ".ms-panel a.ms-row",
    ".ms-panel button.ms-row",
    ".ms-panel a.ms-heading-link",
    "#content button.ms-quiet",
    "#layer a.ms-button-primary",
    "#content .ms-input",
]

STATE = """(element) => {
  const { color, backgroundColor, textDecorationLine, borderWidth, outlineStyle, outlineWidth,
    outlineColor } = getComputedStyle(element);
  return [color, backgroundColor, textDecorationLine, borderWidth, outlineStyle, outlineWidth,
    outlineColor];
}"""


@pytest.mark.parametrize("name", SHEETS)
def test_a_foreign_stylesheet_does_not_change_hover_and_focus(dressed, name):
    def states(page: Page) -> dict[str, Any]:
        found = {}
        for handle in HANDLES:
            element = page.locator(handle).first
            element.hover()
            found[handle, "hover"] = element.evaluate(STATE)
            element.evaluate("element => element.focus({ focusVisible: true })")
            found[handle, "focus"] = element.evaluate(STATE)
        return found

    foreign = states(dressed(name))
    assert foreign == states(dressed())
    for (handle, state), looks in foreign.items():
        if state == "focus":
            assert looks[4] == "solid", handle
            assert float(looks[5].removesuffix("px")) >= 2, handle


TARGETS = """
[...document.querySelectorAll("[class^=ms-] :is(a[class], button, summary), .ms-input")]
  .filter((target) => target.checkVisibility())
  .map((target) =>
    [target.outerHTML.slice(0, 80), Math.min(target.offsetWidth, target.offsetHeight)])
"""


class TestSizes:
    @pytest.mark.parametrize("root", ["10px", "62.5%", "8px", "16px"])
    def test_do_not_shrink_with_the_pages_root(self, dressed, root):
        plain, small = dressed(), dressed(f"html {{ font-size: {root}; }}")
        assert differences(plain.evaluate(LOOK), small.evaluate(LOOK)) == []
        targets = small.evaluate(TARGETS)
        assert len(targets) > 20
        assert [target for target in targets if target[1] < 44] == []

    def test_grow_with_the_readers(self, dressed):
        page = dressed("html { font-size: 24px; }")
        assert page.evaluate(
            "getComputedStyle(document.querySelector('.ms-panel .ms-button')).minHeight"
        ) == ("66px")
        assert [target for target in page.evaluate(TARGETS) if target[1] < 66] == []


class TestWhatAProjectSays:
    def look(self, page: Page, selector: str, look: str) -> Any:
        return page.locator(selector).first.evaluate(
            "(element, look) => getComputedStyle(element)[look]", look
        )

    def test_a_project_can_set_our_custom_properties(self, dressed):
        page = dressed(":root { --ms-accent: rgb(1 2 3); --ms-unit: 20px; --ms-radius: 0; }")
        assert self.look(page, "a.ms-sign-in-link", "color") == "rgb(1, 2, 3)"
        assert self.look(page, ".ms-panel .ms-button", "minHeight") == "55px"
        assert self.look(page, ".ms-panel", "borderRadius") == "0px"

    def test_a_project_can_override_our_rules_with_important(self, dressed):
        page = dressed(".ms-button { border-radius: 1px !important; }")
        assert self.look(page, ".ms-panel .ms-button", "borderRadius") == "1px"

    def test_a_project_can_set_position_and_size_of_our_parts(self, dressed):
        page = dressed(
            ".ms-user-button { position: fixed; margin: 3px; } .ms-chooser { inline-size: 300px; }"
        )
        assert self.look(page, ".ms-user-button", "position") == "fixed"
        assert self.look(page, ".ms-user-button", "margin") == "3px"
        assert self.look(page, ".ms-chooser", "width") == "300px"

    def test_a_projects_rules_apply_to_its_own_markup_inside_ours(self, dressed):
        """An icon in a template of its own, and the sign-in form in the menu."""
        page = dressed(
            "button { background: rgb(1 2 3); }"
            ".icon { font-family: monospace; color: rgb(1 2 3); }",
            within="""<div class="ms-chooser"><i class="icon">x</i>
                <div data-multisession-sign-in><button id="own">Sign in</button></div></div>""",
        )
        assert self.look(page, "#own", "backgroundColor") == "rgb(1, 2, 3)"
        assert self.look(page, ".icon", "color") == "rgb(1, 2, 3)"
        assert self.look(page, ".icon", "fontFamily") == "monospace"

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_a_project_can_choose_light_or_dark(self, dressed, theme):
        page = dressed("html { color-scheme: light dark; }")
        page.emulate_media(color_scheme="dark" if theme == "light" else "light")
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        ground = {"light": "rgb(255, 255, 255)", "dark": "rgb(27, 31, 39)"}[theme]
        for part in (".ms-panel", ".ms-chooser", ".ms-wrong-account-card", ".ms-notice"):
            assert self.look(page, part, "backgroundColor") == ground, part


class TestTheSheet:
    FIXED = """
        body { min-height: 3000px; }
        #content::before { content: ""; position: fixed; inset: 0 0 auto; height: 100px;
          background: red; z-index: 99999; }
    """

    def box(self, page: Page) -> dict[str, float]:
        found: dict[str, float] = page.locator("dialog > .ms-wrong-account-card").bounding_box()
        return found

    def test_the_sheet_lies_over_a_fixed_header_and_keeps_the_page_still(self, dressed):
        page = dressed(self.FIXED)
        hit = "document.elementFromPoint(5, 5).localName"
        assert page.evaluate(hit) != "dialog"
        open_sheet(page)
        assert page.evaluate(hit) == "dialog"
        expect(page.locator(".ms-notice")).to_be_hidden()
        page.mouse.move(5, 5)
        page.mouse.wheel(0, 500)
        page.keyboard.press("End")
        page.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        assert page.evaluate("scrollY") == 0
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_be_hidden()
        page.mouse.wheel(0, 500)
        page.wait_for_function("scrollY > 0")

    def test_the_sheet_looks_the_same_without_a_script(self, dressed):
        page = dressed()
        page.locator("#header").evaluate("header => header.remove()")
        open_sheet(page)
        page.evaluate("document.activeElement.blur()")
        modal = page.screenshot()
        page.evaluate(
            """() => { const dialog = document.querySelector("dialog"); dialog.close();
                dialog.setAttribute("open", ""); document.activeElement.blur(); }"""
        )
        assert page.screenshot() == modal

    @pytest.mark.parametrize("name", ["", "bootstrap-3", "opinions"])
    def test_stands_in_the_middle_or_at_the_bottom(self, dressed, name):
        page = dressed(name)
        open_sheet(page)
        wide = self.box(page)
        assert wide["x"] + wide["width"] / 2 == pytest.approx(640, abs=8)
        assert wide["y"] + wide["height"] / 2 == pytest.approx(400, abs=1)
        page.set_viewport_size({"width": 320, "height": 700})
        narrow = self.box(page)
        assert narrow["x"] == pytest.approx(12)
        assert narrow["width"] == pytest.approx(296)
        assert narrow["y"] + narrow["height"] == pytest.approx(700 - 12)

    def test_scrolls_in_a_low_window(self, dressed):
        page = dressed(width=320, height=180)
        open_sheet(page)
        assert self.box(page)["height"] > 180
        for target in page.locator("dialog :is(a, button)").all():
            target.scroll_into_view_if_needed()
            expect(target).to_be_in_viewport(ratio=1)
        page.locator("dialog").evaluate("dialog => dialog.scrollTo(0, 0)")
        expect(page.locator("dialog h1")).to_be_in_viewport()
