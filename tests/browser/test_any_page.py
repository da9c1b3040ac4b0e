"""The menu on other people's pages: real style sheets, dark bars, sticky, cut and moved headers.

The project says nothing about the menu in its own CSS. On each page the open menu is whole, on
top of everything, and readable. LOOKS=folder stores a screenshot of each.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.http import HttpRequest, HttpResponse
from django.template import RequestContext, Template
from django.urls import include, path
from playwright.sync_api import Page, Route, expect

from accounts.models import User
from config.urls import urlpatterns as demo_urls
from tests.browser.test_menu import sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls(__name__),
]

PACKAGES = Path(__file__).parent / "pages" / "node_modules"
PICTURES = os.environ.get("LOOKS", "")

BUTTON = "{% user_button show_name=True %}"
RESET = """
  *, ::before, ::after { all: unset; display: revert; box-sizing: border-box; transition: all .3s; }
  button, a, input, summary { all: unset; }
  * { margin: 0; padding: 0; font: inherit; vertical-align: baseline; line-height: 1; }
  ol, ul { list-style: none; }
  img, svg { display: block; max-width: 100%; }
  [hidden] { display: none !important; }
  :focus { outline: none !important; }
  nav { display: flex; justify-content: space-between; padding: 8px; background: #222;
    color: #ddd; }
"""

#: The sheets of each page, and its bar. ``data-button`` is where the button goes.
PAGES = {
    "bootstrap": (
        ["bootstrap/dist/css/bootstrap.css"],
        '<nav class="navbar navbar-expand bg-body-tertiary border-bottom">'
        '<div class="container-fluid"><a class="navbar-brand" href="#">Shop</a>'
        '<ul class="navbar-nav ms-auto align-items-center">'
        '<li class="nav-item"><a class="nav-link" href="#">Cart</a></li>'
        f'<li class="nav-item">{BUTTON}</li></ul></div></nav>',
    ),
    "bootstrap-dark-bar": (
        ["bootstrap/dist/css/bootstrap.css"],
        '<nav class="navbar navbar-expand sticky-top bg-dark text-white" data-bs-theme="dark">'
        '<div class="container-fluid"><a class="navbar-brand" href="#">Shop</a>'
        f'<div class="d-flex text-end text-nowrap">{BUTTON}</div></div></nav>',
    ),
    "bulma": (
        ["bulma/css/bulma.css"],
        '<nav class="navbar is-dark is-fixed-top"><div class="navbar-brand">'
        '<a class="navbar-item" href="#">Shop</a></div><div class="navbar-menu is-active">'
        f'<div class="navbar-end"><div class="navbar-item">{BUTTON}</div></div></div></nav>',
    ),
    "pico": (
        ["@picocss/pico/css/pico.css"],
        '<header class="container-fluid"><nav><ul><li><strong>Shop</strong></li></ul>'
        f'<ul><li><a href="#">Cart</a></li><li>{BUTTON}</li></ul></nav></header>',
    ),
    "tailwind": (
        ["tailwindcss/theme.css", "tailwindcss/preflight.css"],
        '<header style="position:sticky;top:0;backdrop-filter:blur(8px);overflow:hidden;'
        'display:flex;justify-content:space-between;padding:8px;background:#0f172acc;color:white">'
        f"<b>Shop</b>{BUTTON}</header>",
    ),
    "reset": ([RESET], f"<nav><b>Shop</b><div>{BUTTON}</div></nav>"),
    "admin": (
        ["admin/css/base.css", "admin/css/dark_mode.css", "admin/css/responsive.css"],
        '<div id="container"><header id="header"><div id="branding"><div id="site-name">'
        '<a href="#">Django administration</a></div></div><div id="user-tools">'
        f"{BUTTON}</div></header></div>",
    ),
}

#: What cuts, moves or covers what lies in a header.
HEADERS = {
    "plain": "",
    "blurred": "position: sticky; top: 0; backdrop-filter: blur(9px); z-index: 10;",
    "cut": "overflow: hidden; block-size: 60px;",
    "moved": "transform: translateY(0); overflow: clip;",
    "contained": "contain: strict; block-size: 60px;",
    "filtered": "filter: drop-shadow(0 1px 2px #000); opacity: .85;",
    "shaped": "clip-path: inset(0); will-change: transform;",
}
PLAIN = (
    "<header style='{style} display: flex; justify-content: space-between; padding: 8px; "
    "background: #eef'><b>Shop</b>{button}</header>"
)


TEMPLATE = """{% load django_htmx i18n multisession static %}<!doctype html>
<html lang="en" dir="DIRECTION"><head><meta charset="utf-8"><title>Shop</title>
<link rel="icon" href="data:,"><meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="{% static 'multisession/user_button.css' %}">SHEETS
{% htmx_script version=2 %}
<script src="{% static 'multisession/user_button.js' %}" defer></script></head>
<body>BAR<main style="position: relative; z-index: 20; padding: 1rem"><h1>Boots and shoes</h1>
LINES</main></body></html>"""
LINES = "<p>Leather, canvas and rubber, for all weathers.</p>" * 30


def page_of(request: HttpRequest) -> HttpResponse:
    """A page of somebody else's."""
    name = request.GET["name"]
    sheets, bar = PAGES.get(name) or ([], PLAIN.format(style=HEADERS[name], button=BUTTON))
    html = (
        TEMPLATE.replace("DIRECTION", request.GET["dir"])
        .replace("SHEETS", "".join(map(linked, sheets)))
        .replace("BAR", bar)
        .replace("LINES", LINES)
    )
    return HttpResponse(Template(html).render(RequestContext(request)))


def linked(sheet: str) -> str:
    if "{" in sheet:
        return f"<style>{sheet}</style>"
    folder = "static" if is_djangos(sheet) else "npm"
    return f'<link rel="stylesheet" href="/{folder}/{sheet}">'


def is_djangos(sheet: str) -> bool:
    return sheet.startswith("admin/")


urlpatterns = [path("page/", page_of), path("", include(demo_urls))]


def sheet_from_npm(route: Route) -> None:
    """A file of a package. Tailwind's are what its build makes of them: in layers, with values."""
    name = route.request.url.partition("/npm/")[2]
    text = (PACKAGES / name).read_text()
    if name.startswith("tailwindcss/"):
        layer = Path(name).stem.replace("preflight", "base")
        text = re.sub(r"--theme\(\s*[-\w]+,\s*([^()]*?)\s*\)", r"\1", text)
        text = text.replace("@theme default", ":root, :host")
        text = f"@layer theme, base, components, utilities; @layer {layer} {{ {text} }}"
    route.fulfill(body=text, content_type="text/css")


@pytest.fixture
def visit(new_browser, ada: User, grace: User, alan: User) -> Callable[..., Page]:
    """Go to such a page as Ada: ``visit("pico", direction="rtl")``."""

    def go(
        name: str, *, direction: str = "ltr", width: int = 1280, before: str = "", prepare=None
    ) -> Page:
        sheets, _bar = PAGES.get(name, ([], ""))
        files = [sheet for sheet in sheets if "{" not in sheet and not is_djangos(sheet)]
        if not all((PACKAGES / file).exists() for file in files):
            on_ci = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
            leave = pytest.fail if on_ci else pytest.skip
            leave("The npm packages are not here: `make test` installs them, with Node.")
        page: Page = new_browser(
            bypass_csp=True,
            reduced_motion="reduce",
            viewport={"width": width, "height": 800},
        )
        page.add_init_script(before)
        if prepare:
            prepare(page)
        page.route("**/npm/**", sheet_from_npm)
        sign_in(page, alan, grace, ada, at=f"/page/?name={name}&dir={direction}")
        return page

    return go


def panel(page: Page):
    return page.locator("[data-multisession-panel]").first


def open_menu(page: Page) -> None:
    page.locator("[data-multisession-button] > summary").first.click()
    expect(panel(page)).to_contain_text("Other accounts")


#: What is wrong with the open panel: not whole, covered, or not to be read.
FAULTS = """() => {
  const button = document.querySelector("[data-multisession-button][open]");
  const panel = button.querySelector("[data-multisession-panel]");
  const trigger = button.querySelector("summary");
  const faults = [];
  const box = panel.getBoundingClientRect();
  if (box.left < 0 || box.top < 0 || box.right > innerWidth || box.bottom > innerHeight)
    faults.push(`not in the window: ${JSON.stringify(box)}`);
  if (box.width < 240 || box.height < 120) faults.push(`small: ${box.width} x ${box.height}`);
  const at = (x, y, what, part) => {
    const hit = document.elementFromPoint(x, y);
    if (!what.contains(hit)) faults.push(`${part} is covered by ${hit?.outerHTML.slice(0, 99)}`);
  };
  const corner = 8;
  for (const x of [box.left + corner, box.right - corner])
    for (const y of [box.top + corner, box.bottom - corner]) at(x, y, panel, `corner ${x}, ${y}`);
  const own = trigger.getBoundingClientRect();
  at((own.left + own.right) / 2, (own.top + own.bottom) / 2, trigger, "the button");

  const rgb = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[-.\\d]+/g).map(Number);
    return colour.startsWith("color(") ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (; element && element !== panel.parentNode; element = element.parentNode) {
      const found = rgb(getComputedStyle(element).backgroundColor);
      if (found[3] === 1) return found;
      if (found[3] > 0) faults.push(`seen through: ${element.outerHTML.slice(0, 99)}`);
    }
    faults.push("the panel has no ground");
    return [128, 128, 128];
  };
  const texts = document.createTreeWalker(panel, NodeFilter.SHOW_TEXT);
  let read = 0;
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility({ visibilityProperty: true }) ||
        element.closest(".ms-visually-hidden, .ms-hint, style")) continue;
    const range = document.createRange();
    range.selectNodeContents(texts.currentNode);
    const line = range.getBoundingClientRect();
    const style = getComputedStyle(element);
    const words = texts.currentNode.data.trim();
    const a = light(rgb(style.webkitTextFillColor)), b = light(ground(element));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faults.push(`${words}: contrast ${contrast.toFixed(2)}`);
    if (parseFloat(style.fontSize) < 12) faults.push(`${words}: ${style.fontSize}`);
    if (line.left < box.left || line.right > box.right) faults.push(`${words}: cut off`);
    read += 1;
  }
  if (read < 8) faults.push(`only ${read} texts to be seen`);
  for (const row of panel.querySelectorAll("a, button")) {
    if (!row.checkVisibility()) continue;
    row.scrollIntoView({ block: "nearest", behavior: "instant" });
    const { left, right, top, bottom } = row.getBoundingClientRect();
    at((left + right) / 2, (top + bottom) / 2, row, row.textContent.trim());
    if (bottom - top < 44) faults.push(`${row.textContent.trim()}: ${bottom - top} high`);
  }
  for (const icon of panel.querySelectorAll("svg")) {
    if (!icon.checkVisibility()) continue;
    const { width, height } = icon.getBBox();
    if (width + height < 12 || icon.getBoundingClientRect().width < 12)
      faults.push(`an icon of ${width} x ${height}`);
  }
  panel.scrollTo(0, 0);
  return faults;
}"""


def looks_right(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png")
    assert page.evaluate(FAULTS) == [], name


@pytest.mark.parametrize("name", PAGES)
def test_looks_right_in_pages_of_others(visit, name):
    page = visit(name)
    open_menu(page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (1280, 320):
            page.set_viewport_size({"width": width, "height": 800})
            looks_right(page, f"{name}-{scheme}-{width}")


@pytest.mark.parametrize("name", PAGES)
def test_looks_right_in_pages_of_others_from_right_to_left(visit, name):
    page = visit(name, direction="rtl")
    open_menu(page)
    looks_right(page, f"{name}-rtl")


@pytest.mark.parametrize("name", HEADERS)
def test_no_header_cuts_or_covers_the_menu(visit, name):
    page = visit(name)
    page.locator("[data-multisession-button]").evaluate("button => (button.open = true)")
    expect(panel(page)).to_contain_text("Other accounts")
    looks_right(page, name)
    page.keyboard.press("Escape")
    expect(panel(page)).to_be_hidden()


def rewrite(page: Page, *changes: tuple[str, str]) -> None:
    """Let the browser read our sheet as an older one does: unknown words drop their rule."""

    def answer(route: Route) -> None:
        text = route.fetch().text()
        for old, new in changes:
            assert re.search(old, text, flags=re.S), old
            text = re.sub(old, new, text, flags=re.S)
        route.fulfill(body=text, content_type="text/css")

    page.route("**/multisession/user_button*.css", answer)


NO_ANCHOR_RULES = (r"anchor-scope", "not-yet-known")
OLD_RULES = (
    NO_ANCHOR_RULES,
    (r"\n:root:not\(#ms#ms\) \{.*?\n\}\n", ""),
    (r"light-dark\(", "not-yet-known("),
)
NO_ANCHORS = "CSS.supports = () => false;"
NO_POPOVERS = """
  for (const name of ["popover", "togglePopover", "showPopover", "hidePopover"])
    delete HTMLElement.prototype[name];
"""


@pytest.mark.parametrize("name", ["blurred", "contained", "tailwind", "pico"])
def test_without_anchor_positioning_the_script_places_the_menu(visit, name):
    """Safari 17 and 18, Chrome 114 to 130."""
    page = visit(name, before=NO_ANCHORS, prepare=lambda page: rewrite(page, NO_ANCHOR_RULES))
    open_menu(page)
    for width in (1280, 320, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        looks_right(page, f"{name}-no-anchors-{width}")


def test_without_anchor_positioning_the_menu_opens_above_a_button_at_the_foot(visit):
    page = visit("plain", before=NO_ANCHORS, prepare=lambda page: rewrite(page, NO_ANCHOR_RULES))
    page.locator("header").evaluate(
        "({ style }) => (style.cssText = 'position: fixed; z-index: 99; inset: auto auto 4px 4px')"
    )
    open_menu(page)
    looks_right(page, "no-anchors-below")
    box = panel(page).bounding_box()
    trigger = page.locator("[data-multisession-button] > summary").bounding_box()
    assert box is not None
    assert trigger is not None
    assert box["y"] + box["height"] <= trigger["y"]


@pytest.mark.parametrize("width", [1280, 320])
def test_can_be_read_in_the_oldest_browsers(visit, width):
    """Chrome 110 and Safari 16: no nesting, light-dark(), popover or anchor positioning."""
    page = visit(
        "plain",
        width=width,
        before=NO_ANCHORS + NO_POPOVERS,
        prepare=lambda page: rewrite(page, *OLD_RULES),
    )
    assert page.evaluate("getComputedStyle(document.body).getPropertyValue('--ms-text')")
    open_menu(page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        looks_right(page, f"oldest-{scheme}-{width}")


@pytest.mark.parametrize("name", PAGES)
def test_a_failure_is_told_in_pages_of_others(visit, name, complaints):
    page = visit(name)
    page.route("**/menu/*", lambda route: route.fulfill(status=500))
    page.locator("[data-multisession-button] > summary").click()
    said = panel(page).get_by_text("Something went wrong on the server. Try again in a moment.")
    expect(said).to_be_visible()
    assert panel(page).get_by_role("alert").locator("p:visible").count() == 1
    complaints.expect("500")
    complaints.allow("htmx:")
