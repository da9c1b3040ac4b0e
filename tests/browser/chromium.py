"""Find a Chromium for the browser tests, or install one: ``python -m tests.browser.chromium``.

Prints its path on stdout. If there is none, prints the reason on stderr.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACES = (
    "/usr/bin/chromium",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
LEFT_OUT = "no Chromium was found or could be installed; CHROMIUM=/path/to/it names one."


def find() -> str | None:
    """The first browser that starts: named by CHROMIUM, installed, or Playwright's own."""
    return next((path for path in candidates() if starts(path)), None)


def candidates() -> Iterator[str]:
    if named := os.environ.get("CHROMIUM"):
        yield named
        return
    yield from filter(None, map(shutil.which, NAMES))
    yield from filter(os.path.exists, PLACES)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    if os.path.exists(own):
        yield own


def starts(path: str) -> bool:
    """A name alone is not enough: some distributions install a stub that says where to look."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def install() -> None:
    """The distribution's own where we may, else Playwright's download for this user."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        say("Installing Chromium with apt-get …")
        run("apt-get", "update", "-qq")
        if run("apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium") and find():
            return
    say("Installing Chromium with Playwright …")
    run(sys.executable, "-m", "playwright", "install", "chromium")


def run(*command: str) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Everything it says goes to stderr: our own output is the path and nothing else.
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=environment, check=False
    )
    return done.returncode == 0


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true", help="install one if there is none")
    wanted = parser.parse_args()
    path = find()
    if path is None and wanted.install:
        install()
        path = find()
    if path is not None:
        sys.stdout.write(f"{path}\n")
        return 0
    say(f"The browser tests are left out: {LEFT_OUT}")
    return 1 if required() else 0


def required() -> bool:
    """On a CI server a test that is left out is a failure."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


if __name__ == "__main__":
    sys.exit(main())
