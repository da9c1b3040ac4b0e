"""The demo's settings, made fast and independent of the machine."""

import os
import tempfile

os.environ.setdefault("SECRET_KEY", "for-tests-only")

from config.settings import *  # noqa: F403
from config.settings import DATABASES, INSTALLED_APPS, MULTISESSION, STORAGES

DEBUG = False
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Tests type wrong passwords on purpose; those about throttling switch it on again.
AXES_ENABLED = False

# As the files lie in the tree, without a collectstatic before.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
WHITENOISE_AUTOREFRESH = True
WHITENOISE_USE_FINDERS = True

# The engine that a project leaves behind: its table is needed to tell how (tests/test_upgrade.py).
INSTALLED_APPS.append("django.contrib.sessions")

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not memory: the threads of a live server would have to share one connection to a
    # database in memory, and with it each other's transactions. One file for each run, so that
    # two runs can go on side by side.
    scratch = tempfile.TemporaryDirectory(prefix="multisession-tests-")
    DATABASES["default"]["TEST"] = {"NAME": f"{scratch.name}/test.sqlite3"}

# QUICK=0: everything once more without the quick path. Tests that count statements exactly see more
# of them then (docs/explanation/decisions.md says which); all else is the same.
if os.environ.get("QUICK") == "0":
    MULTISESSION = {**MULTISESSION, "_QUICK": False}
