"""The configuration of Sphinx for the documentation: ``make docs`` (tools/site.py)."""

import html
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

HERE = Path(__file__).parent
#: Draws diagrams. It needs Node to install, so without Node diagrams stay text.
MERMAID = HERE / "node_modules" / "@mermaid-js" / "tiny" / "dist" / "mermaid.tiny.js"

project = "django-multisession"
package = (HERE.parent / "multisession" / "__init__.py").read_text(encoding="utf-8")
(version,) = re.findall(r'^__version__ = "(.+)"', package, re.MULTILINE)
release = version

extensions = ["myst_parser"]
exclude_patterns = ["node_modules"]
nitpicky = True
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]
suppress_warnings = ["misc.highlighting_failure"]  # JavaScript with tags of Django in it

html_theme = "furo"
html_title = f"{project} {version}"
html_static_path = ["_static", *([str(MERMAID)] if MERMAID.exists() else [])]
html_css_files = ["site.css"]
html_show_copyright = html_show_sphinx = False


class Mermaid(Directive):
    """Keep the text of a diagram for the page's script, which draws it."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        text = html.escape("\n".join(self.content), quote=False)
        return [nodes.raw("", f'<pre class="mermaid">{text}</pre>', format="html")]


def add_scripts(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Load the script that draws on the pages that have something to draw: it is big."""
    if MERMAID.exists() and '<pre class="mermaid">' in context.get("body", ""):
        app.add_js_file(MERMAID.name, loading_method="defer")
        app.add_js_file("diagrams.js", loading_method="defer")


def setup(app: Sphinx) -> None:
    app.add_directive("mermaid", Mermaid)
    app.connect("html-page-context", add_scripts)
