"""Reads go to a replica, which refuses every write."""

from mysite.settings import *

DATABASES["replica"] = {
    **DATABASES["default"],
    "NAME": f"file:{BASE_DIR / 'db.sqlite3'}?mode=ro",
    "OPTIONS": {"uri": True},
    "TEST": {"MIRROR": "default"},
}
DATABASE_ROUTERS = ["own.router.Replica"]
