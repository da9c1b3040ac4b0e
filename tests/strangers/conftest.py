"""Only ``make test-strangers`` runs these tests: they install packages and start many processes."""

import os
from pathlib import Path

import pytest

from tests.strangers import bench
from tools.pythons import PAIRS, interpreter


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out unless it is asked for, by its marker or its name."""
    asked = [config.getoption("markexpr"), *config.invocation_params.args]
    return None if any("strangers" in str(word) for word in asked) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.strangers)


@pytest.fixture(autouse=True)
def python_is_here(request: pytest.FixtureRequest) -> None:
    """Leave out a Django whose Python this machine has not got; a CI server has to have it."""
    django = getattr(request.node, "callspec", None) and request.node.callspec.params.get("django")
    if django and interpreter(PAIRS[bench.DJANGOS[django]]) is None:
        on_ci = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
        leave = pytest.fail if on_ci else pytest.skip
        leave(f"There is no Python {PAIRS[bench.DJANGOS[django]]} here.")
