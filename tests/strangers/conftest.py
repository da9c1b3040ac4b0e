"""Run by ``make test-strangers`` alone: these tests install packages and start many processes."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out unless it is asked for, by its marker or its name."""
    asked = [config.getoption("markexpr"), *config.invocation_params.args]
    return None if any("strangers" in str(word) for word in asked) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.strangers)
