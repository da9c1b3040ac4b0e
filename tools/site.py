"""Build the documentation and check its links: ``make docs``.

Sphinx turns every warning into an error: a page in no table of contents, a link to a page or a
heading that does not exist. The built pages are checked again, because templates and raw HTML have
links, too, and because no page may load anything from another host.
"""

import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "docs"
BUILT = ROOT / "build" / "docs"
#: Attributes that make a page load something.
LOADS = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src")}
#: ``<link>`` relations that no browser loads.
ONLY_SAID = {"next", "prev", "search", "index", "canonical"}


class Page(HTMLParser):
    """The links of a page, the files that it loads, and its anchors."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        for name, value in attrs:
            if value is None:
                continue
            if name == "id":
                self.ids.add(value)
            elif (tag, name) in LOADS and said.get("rel") not in ONLY_SAID:
                self.loads.add(value)
            elif name in {"href", "src"}:
                self.links.add(value)


def mistakes(built: Path) -> Iterator[str]:
    """Yield a sentence for each broken link and each file from another host."""
    files = sorted(file.resolve() for file in built.rglob("*.html"))
    # Files that a page offers for download are no pages.
    pages = {file: Page(file) for file in files if "_downloads" not in file.parts}
    for file, page in pages.items():
        name = file.relative_to(built.resolve())
        for url in sorted(page.loads):
            if urlsplit(url).netloc:
                yield f"{name} loads {url} from another host"
        for url in sorted(page.links | page.loads):
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if not target.exists():
                yield f"{name} leads to {url}, which does not exist"
                continue
            there = pages.get(target)
            if parts.fragment and there and unquote(parts.fragment) not in there.ids:
                yield f"{name} leads to {url}, which has no such heading"


def main() -> int:
    sphinx = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-E", "-q"]
    status = subprocess.run([*sphinx, str(SOURCE), str(BUILT)], check=False).returncode  # noqa: S603
    if status:
        return status
    found = list(mistakes(BUILT))
    for mistake in found:
        print(mistake, file=sys.stderr)  # noqa: T201
    if not found:
        print(f"The documentation: {(BUILT / 'index.html').relative_to(ROOT)}")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
