"""Every story in every project, on the oldest and the newest Django.

A project is a folder of ``projects/``; a story is a function in ``story/stories.py``. On the newest
Django the stories of one account also run under Django's own sessions. A step with another
answer there must be in docs/explanation/strangers.md, with its reason.
"""

import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.strangers import bench, strangers

DOCS = bench.ROOT / "docs" / "explanation" / "strangers.md"
NEWEST = list(bench.DJANGOS)[-1]


class Stories:
    """Tells the stories of what is selected, as many projects at once as there are cores."""

    def __init__(self, wanted: list[tuple[str, str]], place: Path) -> None:
        self.projects = {project for project, _django in wanted}
        self._place = place
        bench.wheel()  # Before the threads ask for it: two would each build it.
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self._told: dict[tuple[str, str, str], Future[dict]] = {}
        for project, django in wanted:
            for engine in ("ours", "stock") if django == NEWEST else ("ours",):
                tell = partial(self._tell, project, django, engine)
                self._told[project, django, engine] = self._pool.submit(tell)

    def _tell(self, project: str, django: str, engine: str) -> dict:
        python = bench.environment(django)
        place = self._place / f"{project}-{django}-{engine}"
        return strangers.tell(python, place, project, engine)

    def told(self, project: str, django: str, engine: str) -> dict:
        return self._told[project, django, engine].result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def stories(request, tmp_path_factory) -> Iterator[Stories]:
    found = [getattr(item, "callspec", None) for item in request.session.items]
    params = [spec.params for spec in found if spec and "project" in spec.params]
    wanted = list(dict.fromkeys((each["project"], each["django"]) for each in params))
    told = Stories(wanted, tmp_path_factory.mktemp("strangers"))
    yield told
    told.close()


everywhere = pytest.mark.parametrize(
    ("project", "django"),
    [(project, django) for project in strangers.PROJECTS for django in bench.DJANGOS],
)


@everywhere
def test_the_stories_come_out_right(stories, project, django, subtests):
    told = stories.told(project, django, "ours")
    assert told
    for story, outcome in told.items():
        with subtests.test(story):
            wrong = [
                f"{step}: {seen!r} is not {right!r}"
                for step, seen, right in outcome["steps"]
                if seen != right
            ]
            if outcome["problem"]:
                wrong.append(outcome["problem"])
            assert not wrong, "\n".join([*wrong, *outcome["troubles"]])


def documented() -> set[tuple[str, str]]:
    """The rows of the table in the docs: (story, step)."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    return {(story, step.strip()) for story, step in rows}


def differences(ours: dict, stock: dict) -> set[tuple[str, str]]:
    """(story, step) of what Django's own sessions answer otherwise, or do not come to."""
    found = set()
    for story in set(ours) & set(stock):
        answers = [
            {step: json.dumps(seen) for step, seen, _right in told[story]["steps"]}
            for told in (ours, stock)
        ]
        steps = set(answers[0]) | set(answers[1])
        found |= {(story, step) for step in steps if answers[0].get(step) != answers[1].get(step)}
    return found


@pytest.mark.parametrize("django", [NEWEST])
@pytest.mark.parametrize("project", strangers.PROJECTS)
def test_what_djangos_own_sessions_answer_otherwise_is_documented(stories, project, django):
    ours, stock = (stories.told(project, django, engine) for engine in ("ours", "stock"))
    assert len(stock) > 20
    assert differences(ours, stock) <= documented()


def test_the_docs_name_no_difference_that_is_none(stories):
    if stories.projects != set(strangers.PROJECTS):
        pytest.skip("needs all projects")
    found = set()
    for project in strangers.PROJECTS:
        ours, stock = (stories.told(project, NEWEST, engine) for engine in ("ours", "stock"))
        found |= differences(ours, stock)
    assert documented() <= found
