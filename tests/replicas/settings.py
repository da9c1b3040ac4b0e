"""A project with a primary database and a replica of it, routed as in Django's documentation.

``DATABASE_URL`` is the primary, ``REPLICA_URL`` the replica: on SQLite a snapshot of the file,
on PostgreSQL a server that follows the primary. If it is empty, the primary also serves as a
replica that never lags. The replica refuses writes in any case.
"""

import os
from pathlib import Path

from config import env
from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

ROOT_URLCONF = "tests.replicas.urls"
LAGS = bool(os.environ["REPLICA_URL"])
DATABASES["replica"] = env.database(
    "REPLICA_URL" if LAGS else "DATABASE_URL", default="", base_dir=Path("/")
)
if DATABASES["replica"]["ENGINE"].endswith("sqlite3"):
    DATABASES["replica"] |= {"NAME": f"file:{DATABASES['replica']['NAME']}?mode=ro", "OPTIONS": {}}
else:
    DATABASES["replica"]["OPTIONS"] = {"options": "-c default_transaction_read_only=on"}
DATABASE_ROUTERS = ["tests.replicas.router.PrimaryReplicaRouter"]
LOGGING_CONFIG = None
