"""Users, and what belongs to them, are in a second database."""

from mysite.settings import *

DATABASES["users"] = {**DATABASES["default"], "NAME": BASE_DIR / "users.sqlite3"}
DATABASE_ROUTERS = ["own.router.UsersElsewhere"]
