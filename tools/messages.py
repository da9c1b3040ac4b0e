"""`make messages`: bring the catalogues of every language up to date, and compile them.

There are two: ``multisession/locale`` is the package's and goes where it goes, ``locale`` holds the
demo's own words. Needs GNU gettext. What is new, or has changed, is left empty or marked "fuzzy",
and a test says so until somebody has translated it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import django
from django.core.management import CommandError, call_command

ROOT = Path(__file__).resolve().parent.parent
#: The catalogues of these languages are made if they are not there yet.
CATALOGUES = (ROOT / "multisession" / "locale", ROOT / "locale")
#: What stands here speaks to nobody who needs a translation.
IGNORED = [".*", "tests", "tools", "benchmarks", "staticfiles", "build", "dist"]
#: It changes with every run and says nothing that the history of the repository does not.
DATE = '"POT-Creation-Date:'


def main(languages: list[str]) -> None:
    """Each as a directory is called: de, pt_BR, zh_Hans. Those that are there are always done."""
    os.chdir(ROOT)  # where makemessages looks for the catalogues
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    known = {path.name for catalogue in CATALOGUES for path in catalogue.iterdir()}
    call_command(
        "makemessages",
        locale=sorted(known | set(languages)),
        ignore_patterns=IGNORED,
        no_location=True,
        no_obsolete=True,
        no_wrap=True,
    )
    for catalogue in CATALOGUES:
        for path in catalogue.glob("*/LC_MESSAGES/django.po"):
            lines = path.read_text().splitlines(keepends=True)
            path.write_text("".join(line for line in lines if not line.startswith(DATE)))
    call_command("compilemessages", ignore_patterns=IGNORED)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except CommandError as error:
        sys.exit(str(error))
