"""Run the story of tests/other_projects with other user models and other databases."""

import functools
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings

pytestmark = pytest.mark.once

#: What every project shows, whatever its users are and wherever they are.
SHOWN = {
    "nobody": ["", []],
    "ada": ["ada", ["ada"]],
    "grace, too": ["grace", ["ada", "grace"]],
    "menu": True,
    "chooser": True,
    "switched": ["ada", ["ada", "grace"]],
    "grace again": [["grace", ["ada", "grace"]], ["active"]],
    "grace signed out": ["", ["ada"]],
    "remembered": True,
    "elsewhere": 3,
    "signed out elsewhere": ["", []],
    "the admin": ["root", ["root"]],
    "its list": 6,
    "by user": 3,
    "by name": 3,
    "by status": 4,
    "page by page": [2, 1],
    "timeline": [True, True],
    "trail": True,
    "moments": True,
    "moments of the timeline": [True, True],
    "csv": 3,
    "json": ["root", "ada", "ada", "grace", "grace", "ada"],
    "revoked in the admin": [302, ["", []]],
    "api": [4, 4, True],
    "its moments": True,
    "its clients": 3,
    "revoked by the api": ["revoked", ["", []]],
    "in python": [2, 2, 1],
    "in the terminal": [5, True],
    "its times": True,
    "revoked there": ["Revoked: 2.", ["", []], ["", ["grace"]]],
    "keys": True,
    "a new password": [200, "ada", "", ["active", "revoked"]],
    "deactivated": [["", []], ["revoked"]],
    "deleted": ["", 0, 0, "revoked"],
    "and through a list": [True, []],
    "expired": [["", []], "expired", 1],
    "purged": [["visitors", "0"], ["marked as expired or abandoned", "1"]],
    "all signed out": [302, ["", []]],
    "the trail knows": ["", "ada", "joan", "root"],
}
#: How many statements each database is asked: for the session and its user, in one or in two.
TOGETHER = {
    "statements of a page": {"default": 1},
    "a few more": {"default": 2},
    "statements of an export": {"default": 3},
}
APART = {
    "statements of a page": {"default": 2},
    "a few more": {"default": 3},
    "statements of an export": {"default": 4},
}
IN_TWO_DATABASES = {
    "statements of a page": {"default": 1, "other": 1},
    "a few more": {"default": 2, "other": 2},
    "statements of an export": {"default": 3, "other": 3},
}


@functools.cache
def told(model: str, layout: str) -> dict[str, Any]:
    """What the paths show in this project, which is a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.other_projects", model, layout],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=settings.BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check(model: str, layout: str, **statements: dict[str, Any]) -> dict[str, Any]:
    found = told(model, layout)
    for path, costs in statements.items():
        assert {name: found[path][name] for name in SHOWN} == SHOWN
        assert {name: found[path][name] for name in costs} == costs
    return found


class TestAnotherUserModel:
    @pytest.mark.parametrize(
        "model",
        [
            "auth.User",
            "other_projects.Person",
            "other_projects.Spelled",
            "other_projects.Coded",
            "other_projects.Linked",
        ],
    )
    def test_a_project_whose_users_have_any_kind_of_key(self, model):
        check(model, "plain", quick=TOGETHER, ordinary=APART, cached={})

    @pytest.mark.parametrize("model", ["other_projects.Alias", "other_projects.Member"])
    def test_a_project_whose_user_model_is_not_one_table(self, model):
        """Django's own look-up finds the user."""
        check(model, "plain", quick=APART, ordinary=APART, cached={})

    def test_a_project_that_changes_users_through_related_models(self):
        for path in told("other_projects.Member", "plain").values():
            assert path["through relatives"] == {
                "deactivated in the parent": ["revoked"],
                "deactivated through a child": ["revoked"],
                "deactivated through another child of the parent": ["revoked"],
                "another field of the same name": ["active"],
                "a child deleted, the user kept": ["active"],
                "deleted through a child": [],
                "deleted through the parent": [],
            }

    def test_swapped_while_a_test_runs(self):
        """A user of the other model may have the key of somebody who was signed in before."""
        for path in told("auth.User", "plain").values():
            assert path["swapped"] == {
                "the old user's browser": ["", []],
                "the new user": "sam",
                "again": "sam",
                "elsewhere": ["sam", 200],
                "signed out": [302, ""],
                "swapped back": ["", ["removed"]],
            }


def test_a_project_without_time_zones():
    """Where clocks are set forward and back: moments leave the project in UTC all the same."""
    check("auth.User", "naive", quick=TOGETHER, ordinary=APART, cached={})


class TestSeveralDatabases:
    """``untold``: the router knows only what it was made for, and says nothing of relations."""

    @pytest.mark.parametrize(
        ("model", "layout"),
        [
            ("auth.User", "users-elsewhere"),
            ("auth.User", "users-elsewhere-untold"),
            ("other_projects.Person", "users-elsewhere-untold"),
        ],
    )
    def test_a_project_with_users_in_another_database(self, model, layout):
        costs = IN_TWO_DATABASES
        check(model, layout, quick=costs, ordinary=costs, cached={})

    @pytest.mark.parametrize("layout", ["sessions-elsewhere", "sessions-elsewhere-untold"])
    def test_a_project_with_sessions_in_another_database(self, layout):
        costs = IN_TWO_DATABASES
        check("auth.User", layout, quick=costs, ordinary=costs, cached={})

    @pytest.mark.parametrize("layout", ["replica", "replica-untold"])
    def test_a_replica_that_lags_and_refuses_to_write(self, layout):
        """What counts is read from where it is written: sign-ins, revocations, passwords."""
        check("auth.User", layout, quick=TOGETHER, ordinary=APART, cached={})
