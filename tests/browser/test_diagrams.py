"""The script of the documentation site draws the diagrams."""

import html

import pytest
from playwright.sync_api import Page

from tests.test_docs import ROOT, Block, each

MERMAID = ROOT / "docs/node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js"
DRAW = ROOT / "docs/_static/diagrams.js"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not MERMAID.exists(), reason="`make docs` has not installed Mermaid"),
]


def drawn(page: Page, text: str) -> int:
    """Return how many diagrams the page shows in place of this text."""
    page.set_content(f'<body><pre class="mermaid">{html.escape(text)}</pre>')
    page.add_script_tag(path=MERMAID)
    page.add_script_tag(path=DRAW)
    page.locator("pre.mermaid[data-processed]").wait_for()
    return page.locator("pre.mermaid svg:not([aria-roledescription=error])").count()


@each("mermaid")
def test_every_diagram_is_drawn(browser, block: Block):
    with browser.new_page() as page:
        assert drawn(page, block.code) == 1


def test_a_diagram_with_a_mistake_is_not_drawn(browser):
    with browser.new_page() as page:
        assert drawn(page, "sequenceDiagram\nA->>B: this; is none\n") == 0
