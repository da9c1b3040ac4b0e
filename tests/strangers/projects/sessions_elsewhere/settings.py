"""Sessions are in a second database."""

from mysite.settings import *

DATABASES["sessions"] = {**DATABASES["default"], "NAME": BASE_DIR / "sessions.sqlite3"}
DATABASE_ROUTERS = ["own.router.SessionsElsewhere"]
