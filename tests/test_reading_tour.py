"""docs/contributing/read-it.md lists the files that a page really goes through."""

import re
import sys
from pathlib import Path

import multisession
from tests.stories import settled, signed_in, with_engine_urls

pytestmark = with_engine_urls

PACKAGE = Path(multisession.__file__).resolve().parent
TOUR = PACKAGE.parent / "docs" / "contributing" / "read-it.md"


def files_in(heading: str) -> list[str]:
    text = TOUR.read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `multisession/([^`]+)` \|", section, re.MULTILINE)


def calls_of(show) -> list[tuple[str, str]]:
    """Return the file and the name of each function of the package, in the order of the calls."""
    found = []

    def note(frame, event, _argument):
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(PACKAGE):
            found.append((path.relative_to(PACKAGE).as_posix(), frame.f_code.co_qualname))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        show()
    finally:
        sys.setprofile(before)
    return found


def test_a_page_goes_through_the_files_of_the_tour_in_its_order(ada, grace):
    browser = settled(signed_in(ada, grace))
    calls = calls_of(lambda: browser.get("/who/"))
    assert list(dict.fromkeys(file for file, _name in calls)) == files_in("A page")


def test_the_tour_says_how_much_there_is_to_read(ada, grace):
    browser = settled(signed_in(ada, grace))
    text = TOUR.read_text(encoding="utf-8").replace(",", "")
    lines = sum(len((PACKAGE / file).read_text().splitlines()) for file in files_in("A page"))
    (said,) = re.findall(r"(\d+)\s+lines", text)
    assert abs(int(said) - lines) < 0.1 * lines, lines
    functions = len(set(calls_of(lambda: browser.get("/who/"))))
    (said,) = re.findall(r"about (\d+) functions", text)
    assert abs(int(said) - functions) < 0.1 * functions, functions


def test_every_file_that_the_tour_names_exists():
    named = files_in("A page") + files_in("A change")
    assert [file for file in named if not (PACKAGE / file).is_file()] == []
