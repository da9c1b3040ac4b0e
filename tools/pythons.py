"""The versions of Django that this project supports, and the Python interpreters for them."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.version import Version

#: Django's release -> the oldest Python that this project supports with it.
PAIRS = {"5.2.19": "3.11", "6.0.10": "3.12", "6.1.3": "3.13"}
#: The oldest and the newest. A CI server must test both.
REQUIRED = ("5.2.19", "6.1.3")


def candidates(version: str) -> Iterator[Path]:
    """Yield possible paths of an interpreter: on PATH, or of pyenv."""
    if found := shutil.which(f"python{version}"):
        yield Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"), reverse=True)


def runs(python: Path) -> bool:
    """Return True if the interpreter starts; a pyenv shim may only print an error."""
    try:
        done = subprocess.run([python, "-c", "import venv, ensurepip"], capture_output=True)  # noqa: S603
    except OSError:
        return False
    return done.returncode == 0


@functools.cache
def interpreter(version: str) -> str | None:
    """Return the path of a Python of this version that starts."""
    return next((str(python) for python in candidates(version) if runs(python)), None)


def newest_prerelease(versions: Iterable[str]) -> str | None:
    """Return the newest of these versions if it is a pre-release."""
    newest = max(map(Version, versions))
    return str(newest) if newest.is_prerelease else None
