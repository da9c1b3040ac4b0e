"""The wheel and the source archive, and what another project sees of them."""

import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from multisession import __version__
from tests.strangers import bench, readme
from tools.pythons import PAIRS, REQUIRED

#: Another project's view. The last line is a fault that mypy has to find.
VIEW = """
from django.http import HttpResponse

from multisession.request import MultiSessionRequest


def view(request: MultiSessionRequest) -> HttpResponse:
    reveal_type(request.multisession)
    reveal_type(request.multisession.session)
    reveal_type(request.multisession.other_sessions)
    return HttpResponse(request.multisession.sesions)
"""
MYPY = """
[mypy]
strict = true
plugins = mypy_django_plugin.main

[mypy.plugins.django-stubs]
django_settings_module = mysite.settings
"""

STORY = """
import pytest
from django.contrib.auth.models import User

from multisession.test import assert_active, assert_signed_in, set_active


@pytest.mark.django_db
def test_two_accounts(signed_in_client):
    ada, grace = (User.objects.create_user(name) for name in ("ada", "grace"))
    client = signed_in_client(ada, grace)
    assert_active(client, grace)
    assert "Hello grace" in client.get("/").text
    set_active(client, ada)
    assert_signed_in(client, ada, grace)
    assert "Hello ada" in client.get("/").text
"""


@pytest.fixture(scope="module")
def python() -> Path:
    """The Python with the tools that build and inspect."""
    return bench.installed("package", PAIRS[REQUIRED[-1]], bench.requirements("package"))


@pytest.fixture(scope="module")
def sdist(python, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("sdist")
    build = ("-m", "hatchling", "build", "--target", "sdist", "--directory", str(place))
    bench.run_here(python, *build)
    (built,) = place.iterdir()
    return built


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    python = bench.environment(*newest(), *bench.requirements("strangers-tools"))
    place = bench.start_project(python, tmp_path_factory.mktemp("project"))
    readme.apply_to_new_project(place)
    return place


def newest() -> list[str]:
    return list(bench.DJANGOS)[-1:]


def test_twine_accepts_both(python, sdist, tmp_path):
    said = bench.run(python, "-m", "twine", "check", "--strict", sdist, bench.wheel(), cwd=tmp_path)
    assert len(re.findall(r"PASSED", said)) == 2, said


def test_check_wheel_contents_accepts_the_wheel(python, tmp_path):
    config = bench.ROOT / "pyproject.toml"
    check = ("-m", "check_wheel_contents", "--config", config)
    said = bench.run(python, *check, bench.wheel(), cwd=tmp_path)
    assert said.endswith(": OK\n"), said


def test_only_names_of_migrations_need_an_exception(python, tmp_path):
    """Begun with a digit, as Django names them, they can't be imported by a statement."""
    done = subprocess.run(
        [python, "-m", "check_wheel_contents", "--no-config", bench.wheel()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    first, *files = done.stdout.splitlines()
    assert "W004" in first
    assert all(re.fullmatch(r"  multisession/migrations/\d{4}_\w+\.py", file) for file in files)


def test_the_wheel_that_the_source_archive_makes_is_the_same(python, sdist, tmp_path):
    """So nothing that the wheel needs is missing in the archive."""
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    build = ("-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "made"))
    bench.run(python, *build, cwd=source)
    (again,) = (tmp_path / "made").iterdir()
    assert again.name == bench.wheel().name == f"django_multisession-{__version__}-py3-none-any.whl"
    assert contents(again) == contents(bench.wheel())


def test_the_wheel_holds_the_package_and_nothing_else():
    names = contents(bench.wheel())
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"multisession", f"django_multisession-{__version__}.dist-info"}
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "multisession"],  # noqa: S607
        cwd=bench.ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    assert {name for name in names if name.startswith("multisession/")} == {*filter(None, tracked)}


def test_mypy_sees_the_documented_request_type(project):
    python = bench.environment(*newest(), *bench.requirements("strangers-tools"))
    (project / "views.py").write_text(VIEW, encoding="utf-8")
    (project / "mypy.ini").write_text(MYPY, encoding="utf-8")
    done = subprocess.run(
        [python, "-m", "mypy", "views.py"],
        cwd=project,
        env=bench.environ(),
        capture_output=True,
        text=True,
    )
    # (What startproject wrote into the settings is not strict, so they are left out.)
    said = [line for line in done.stdout.splitlines() if line.startswith("views.py:")]
    assert [re.findall(r'"(.*?)"', line)[0] for line in said] == [
        "multisession.request.MultiSession",
        "multisession.models.sessions.Session | None",
        "list[multisession.models.sessions.Session]",
        "MultiSession",
    ], done.stdout + done.stderr
    assert 'error: "MultiSession" has no attribute "sesions"' in said[-1]


def test_the_test_helpers_and_fixtures_come_with_the_wheel(project):
    """pytest finds the fixtures by the entry point."""
    python = bench.environment(*newest(), *bench.requirements("strangers-tools"))
    (project / "test_accounts.py").write_text(STORY, encoding="utf-8")
    options = ("-p", "no:cacheprovider", "--ds", "mysite.settings", "test_accounts.py")
    said = bench.run(python, "-m", "pytest", "-q", *options, cwd=project)
    assert "1 passed" in said


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())
