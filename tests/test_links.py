"""The pages at the root of the repository, and the Makefile, name files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"{]+)\"")


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [first or second for first, second in LINK.findall(text)]
    own = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in own if link and not (ROOT / link).exists()] == []


def test_what_make_quick_leaves_out_exists():
    """A file that was renamed would run again, and make it slow."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    (named,) = re.findall(r"^SLOW := (.+)$", makefile, re.MULTILINE)
    assert [name for name in named.split() if not (ROOT / f"tests/{name}.py").is_file()] == []
