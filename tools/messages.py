"""``make messages``: update and compile the catalogues of all languages.

There are two for each language: ``multisession/locale`` belongs to the package, ``locale`` to the
demo. Needs GNU gettext. New messages are left empty and changed ones are marked "fuzzy"; a test
fails until they are translated.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import django
from django.core.management import CommandError, call_command

ROOT = Path(__file__).resolve().parent.parent
#: The folders of the catalogues.
CATALOGUES = (ROOT / "multisession" / "locale", ROOT / "locale")
#: Folders without texts to translate.
IGNORED = [".*", "tests", "tools", "benchmarks", "staticfiles", "build", "dist"]
#: This line is removed, because it changes with every run.
DATE = '"POT-Creation-Date:'


def main(languages: list[str]) -> None:
    """Update existing catalogues, and make those of ``languages``, such as ``pt_BR``."""
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
