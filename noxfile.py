"""Run the tests on several versions of Django and Python: ``make matrix``.

Each version of Django runs on the oldest Python that this project supports with it. If an
interpreter is missing on this machine, its tests are skipped with a note; a CI server must have the
oldest and the newest pair. EXCEPT="5.2.19 on 3.11" leaves out a pair.
DOSE="-m …" goes to pytest instead on those between the oldest and the newest.
NEWEST_ON=postgresql and BETWEEN_ON=mariadb run them on such a server, if one answers here: one run
tests a Django and a database.

``make test-prerelease`` does the same on Django's next version, as soon as the package index has an
alpha, a beta or a release candidate of it.
"""

import os
import re
import shlex
import subprocess
from pathlib import Path

import nox

from tools.pythons import PAIRS, REQUIRED, interpreter, newest_prerelease, runs
from tools.servers import url_of

nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
# CI=true would turn this on; tests() decides which interpreters may be missing.
nox.options.error_on_missing_interpreters = False


@nox.session(python=False)
@nox.parametrize("django", list(PAIRS))
def tests(session: nox.Session, django: str) -> None:
    """Run all tests. Arguments after ``--`` are passed to pytest."""
    version = PAIRS[django]
    if f"{django} on {version}" == os.environ.get("EXCEPT"):
        session.skip(f"Django {django} on Python {version} has been tested already.")
    python = interpreter(version)
    if python is None:
        missing = f"Django {django} was not tested: there is no Python {version} here."
        if django in REQUIRED and os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
            session.error(missing)
        session.skip(missing)
    is_between = django not in REQUIRED
    dose = os.environ.get("DOSE") if is_between else None
    server = os.environ.get("BETWEEN_ON" if is_between else "NEWEST_ON")
    is_oldest = django == REQUIRED[0]
    run_pytest(
        session,
        python,
        django,
        shlex.split(dose) if dose else session.posargs,
        database=url_of(server) if server and not is_oldest else None,
    )


@nox.session(python=False, default=False)
def prerelease(session: nox.Session) -> None:
    """Run them on Django's newest pre-release, with the newest Python of the matrix."""
    version = PAIRS[REQUIRED[-1]]
    python = interpreter(version)
    if python is None:
        session.error(f"There is no Python {version} here.")
    # The output has a line "Available versions: 6.1.3, 6.1.2, …".
    ask = (python, "-m", "pip", "index", "versions", "--pre", "Django")
    told = session.run(*ask, external=True, silent=True, stderr=subprocess.DEVNULL)
    available = re.search(r"^Available versions: (.+)$", str(told), re.MULTILINE)
    if available is None:
        session.error(f"pip named no versions of Django:\n{told}")
    django = newest_prerelease(available[1].split(", "))
    if django is None:
        newest = available[1].partition(",")[0]
        session.log(f"Django {newest} is out, and no pre-release for Python {version} is newer.")
        return
    run_pytest(session, python, django, session.posargs)


def run_pytest(
    session: nox.Session,
    python: str,
    django: str,
    arguments: list[str],
    database: str | None = None,
) -> None:
    """Run the tests on this Django, with one process for each core. ``database``: its URL."""
    own = environment(session, python, django)
    env = {"DJANGO_UNDER_TEST": django}
    if database is not None:
        session.log(f"On {database}")
        env["DATABASE_URL"] = database
    side_by_side = ("--numprocesses", "auto", "--dist", "worksteal")
    session.run(own, "-m", "pytest", *side_by_side, *arguments, external=True, env=env)


def environment(session: nox.Session, python: str, django: str) -> str:
    """Make a virtual environment with this Django, and anew if the requirements change."""
    place = Path(".nox", f"django-{django}")
    own = str(place / "bin" / "python")
    wanted = "".join(
        path.read_text(encoding="utf-8") for path in sorted(Path("requirements").glob("*.txt"))
    )
    stamp = place / "installed.txt"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted and runs(Path(own)):
        return own
    session.run(python, "-m", "venv", "--clear", str(place), external=True)
    install = (own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    session.run(*install, "--requirement", "requirements/databases.txt", external=True)
    # After the other packages, because requirements/demo.txt pins the demo's Django.
    session.run(*install, f"Django=={django}", external=True)
    stamp.write_text(wanted, encoding="utf-8")
    return own
