"""Make other people's projects, with the wheel of this checkout in a nearly empty environment.

``environment("5.2")`` is a Python with that Django and the wheel; names of packages may follow.
``start_project()`` makes a project with Django's own command, and ``run()`` runs a program in it.

Environments are kept in ``.strangers/`` and made anew when their requirements change. The wheel is
built once in a run, and installed where it differs.
"""

import atexit
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.pythons import PAIRS, REQUIRED, interpreter, runs

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".strangers"
#: "5.2" -> the release that is tested, and its Python. STRANGERS_DJANGO names one of them alone.
DJANGOS = {
    release.rpartition(".")[0]: release
    for release in REQUIRED
    if release.startswith(os.environ.get("STRANGERS_DJANGO", ""))
}


#: What the tests that run now were told, and a stranger's project was not.
NOT_PASSED_ON = {"PYTHONPATH", "DJANGO_SETTINGS_MODULE", "DATABASE_URL", "SECRET_KEY", "QUICK"}


def environ() -> dict[str, str]:
    """Return the environment variables of a stranger's process."""
    return {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}


def run(python: Path | str, *arguments: str | Path, cwd: Path, **env: str) -> str:
    """Run Python in a project, where nothing of this checkout can be imported. Return stdout."""
    assert not cwd.resolve().is_relative_to(ROOT), f"{cwd} is inside the checkout"
    return _run(python, *arguments, cwd=cwd, **env)


def run_here(python: Path, *arguments: str) -> str:
    """Run a tool of the build in the checkout. Return stdout."""
    return _run(python, *arguments, cwd=ROOT)


def requirements(name: str) -> list[str]:
    """Return the lines of ``requirements/NAME.txt``, without comments."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@functools.cache
def wheel() -> Path:
    """Build the wheel of this checkout. Once in a process: several may run side by side."""
    builder = installed("builder", PAIRS[REQUIRED[-1]], requirements("wheel"))
    place = Path(tempfile.mkdtemp(prefix="wheel-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    with _locked("wheel"):
        build = ("-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", place)
        _run(builder, *build, "--quiet", "--disable-pip-version-check", ROOT)
    (built,) = place.glob("*.whl")
    return built


@functools.cache
def environment(django: str, *packages: str) -> Path:
    """Return a Python with this Django ("5.2"), these packages and our wheel."""
    release = DJANGOS[django]
    wanted = [f"Django=={release}", *packages]
    name = f"django-{django}"
    if packages:
        name += "-" + hashlib.sha256("\n".join(packages).encode()).hexdigest()[:8]
    python = installed(name, PAIRS[release], wanted)
    built = wheel()
    digest = hashlib.sha256(built.read_bytes()).hexdigest()
    stamp = KEPT / name / "wheel.txt"
    with _locked(name):
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != digest:
            again = ("--force-reinstall", "--no-deps", built)
            _pip_install(python, *again)
            stamp.write_text(digest, encoding="utf-8")
    return python


def start_project(python: Path, place: Path, name: str = "mysite") -> Path:
    """``django-admin startproject``: return the folder with its ``manage.py``."""
    place.mkdir(parents=True, exist_ok=True)
    for file, text in _new_project(python, name).items():
        (place / file).parent.mkdir(exist_ok=True)
        (place / file).write_text(text, encoding="utf-8")
    return place


@functools.cache
def _new_project(python: Path, name: str) -> dict[Path, str]:
    """Return the files that the command makes. Once in a run: it takes its time."""
    with tempfile.TemporaryDirectory() as place:
        run(python, "-m", "django", "startproject", name, place, cwd=Path(place))
        files = [path for path in Path(place).rglob("*") if path.is_file()]
        return {file.relative_to(place): file.read_text(encoding="utf-8") for file in files}


def installed(name: str, version: str, requirements: Sequence[str]) -> Path:
    """Return the Python of an environment of this name, made anew if the requirements changed."""
    place, wanted = KEPT / name, "\n".join([version, *requirements])
    python, stamp = place / "bin" / "python", place / "installed.txt"
    with _locked(name):
        if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted and runs(python):
            return python
        base = interpreter(version)
        assert base, f"There is no Python {version} here."
        _run(base, "-m", "venv", "--clear", place)
        _pip_install(python, *requirements)
        stamp.write_text(wanted, encoding="utf-8")
    return python


def _pip_install(python: Path, *arguments: str | Path) -> None:
    install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run(python, *install, *arguments)


def _run(python: Path | str, *arguments: str | Path, cwd: Path = KEPT, **env: str) -> str:
    done = subprocess.run(
        [python, *arguments], cwd=cwd, env=environ() | env, capture_output=True, text=True
    )
    if done.returncode:
        told = f"{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
        raise AssertionError(f"{' '.join(map(str, arguments))} in {cwd} failed:\n{told}")
    return done.stdout


@contextmanager
def _locked(name: str) -> Iterator[None]:
    """Two runs at once do not install the same thing."""
    KEPT.mkdir(exist_ok=True)
    with (KEPT / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
