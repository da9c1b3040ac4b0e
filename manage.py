#!/usr/bin/env python
"""Django's command line for the demo project."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    # Turn on DEBUG for development. Servers use wsgi.py or asgi.py instead of this file, and a
    # configured SECRET_KEY means a deployment.
    if "SECRET_KEY" not in os.environ:
        os.environ.setdefault("DEBUG", "1")
    try:
        from django.core.management import execute_from_command_line
    except ImportError as error:
        raise ImportError(
            "Django is not installed for this Python. `make run` sets everything up; "
            "afterwards use .venv/bin/python manage.py …"
        ) from error
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
