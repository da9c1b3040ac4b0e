"""Make a project whose pages use JavaScript libraries as in their own documentation.

It is a minimal ``startproject`` with the wheel, the lines of the README and the app in ``app/``.
The libraries come from the npm packages in ``package.json``; none is stored here.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from tests.strangers import bench, readme
from tests.strangers.packages.site import (
    MAKE_PEOPLE,
    QUICK_PASSWORDS,
    SETTINGS,
    URLS,
    Site,
    append,
    replace,
)

HERE = Path(__file__).parent
PACKAGES = HERE / "node_modules"
#: What a script element of the app loads -> where npm puts it.
VENDOR = {
    "jquery3.js": "jquery3/dist/jquery.js",
    "jquery4.js": "jquery/dist/jquery.js",
    "htmx2.js": "htmx2/dist/htmx.js",
    "htmx4.js": "htmx.org/dist/htmx.js",
    "turbo.js": "@hotwired/turbo/dist/turbo.es2017-umd.js",
}
APPS = """
INSTALLED_APPS += ["rest_framework", "notes"]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}
"""
ROUTES = """
urlpatterns += [path("", include("notes.urls"))]
"""


class PagesSite(Site):
    package = "pages"
    sign_in_page = "/accounts/login/"

    def __init__(self, django: str, place: Path) -> None:
        self.place = place
        self.python = bench.environment(django, *bench.requirements("strangers-pages"))
        project = bench.start_project(self.python, place / "ours")
        shutil.copytree(HERE / "app" / "notes", project / "notes")
        readme.apply_to_new_project(project)
        append(project / SETTINGS, APPS + QUICK_PASSWORDS)
        append(project / URLS, ROUTES)
        # The page's own library comes first, as it would in a project that adds us later.
        title, head = "<title>My site</title>", "{% block head %}{% endblock %}"
        replace(project / "templates/base.html", title, f"{title}\n{head}")
        self.build(project / "notes" / "static" / "vendor")
        self.manage("makemigrations", "notes", "--verbosity", "0")
        self.manage("migrate", "--verbosity", "0")
        self.manage("shell", "-c", MAKE_PEOPLE)

    def build(self, static: Path) -> None:
        static.mkdir(parents=True)
        for name, source in VENDOR.items():
            shutil.copy(PACKAGES / source, static / name)
        frontend = self.place / "frontend"
        shutil.copytree(HERE / "app" / "frontend", frontend)
        (frontend / "node_modules").symlink_to(PACKAGES)
        subprocess.run(
            [
                PACKAGES / ".bin" / "esbuild",
                *frontend.glob("*.js"),
                "--bundle",
                "--format=esm",
                f"--outdir={static}",
                "--log-level=error",
                "--define:process.env.NODE_ENV='production'",
                "--define:import.meta.env={}",
            ],
            check=True,
        )

    def ask(self, statement: str, *values: object) -> list[tuple]:
        """Ask the project's database, or change something in it."""
        with closing(sqlite3.connect(self.place / "ours" / "db.sqlite3", timeout=20)) as database:
            rows = database.execute(statement, values).fetchall()
            database.commit()
            return rows
