"""Make the projects of ``projects/``, run the stories in them, and return what was seen.

Each is what ``django-admin startproject`` makes, with the pages of ``site/`` and, under our engine,
the lines of the README. The project's own folder becomes its app ``own``: ``own/settings.py``
imports everything from ``mysite.settings`` and changes what the project is about.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from tests.strangers import bench, readme

HERE = Path(__file__).parent
PROJECTS = sorted(
    path.name for path in (HERE / "projects").iterdir() if (path / "settings.py").exists()
)

#: LOGIN_REDIRECT_URL and LOGOUT_REDIRECT_URL are what most projects set; the rest only saves time.
SETTINGS = """
INSTALLED_APPS += ["pages"]
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "home"
DEBUG = False
ALLOWED_HOSTS = ["*"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DATABASES["default"].setdefault("OPTIONS", {})["init_command"] = "PRAGMA synchronous = OFF"
if "MAILERS" in globals():  # Django 6.1
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
else:
    EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
"""
URLS = """
from django.urls import include, path

urlpatterns += [
    path("", include("pages.urls")),
    path("accounts/", include("django.contrib.auth.urls")),
]
"""


def make(python: Path, place: Path, project: str, engine: str) -> Path:
    """Make the project in a folder that is not there yet."""
    bench.start_project(python, place)
    shutil.copytree(HERE / "site", place, dirs_exist_ok=True)
    shutil.copytree(HERE / "story", place / "story")
    settings, urls = place / "mysite" / "settings.py", place / "mysite" / "urls.py"
    if engine == "ours":
        readme.apply(settings, urls, place / "pages" / "templates" / "base.html")
    for file, code in ((settings, SETTINGS), (urls, URLS)):
        file.write_text(file.read_text(encoding="utf-8") + code, encoding="utf-8")
    own = place / "own"
    shutil.copytree(HERE / "projects" / project, own)
    (own / "__init__.py").touch()
    (own / "migrations").mkdir()
    (own / "migrations" / "__init__.py").touch()
    return place


def tell(python: Path, place: Path, project: str, engine: str) -> dict[str, Any]:
    """Return what was seen, story by story."""
    make(python, place, project, engine)
    out = bench.run(python, "-m", "story", engine, cwd=place, DJANGO_SETTINGS_MODULE="own.settings")
    return json.loads(out)
