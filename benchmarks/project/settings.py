"""Settings that all contenders share. Their own settings are in ``benchmarks/contenders``.

Environment variables: DATABASE_URL; on PostgreSQL also CONNECTIONS, which is "kept" (the default),
"each" (a new one for each request) or "pool", and PREPARED=1 for prepared statements.
"""

from __future__ import annotations

import os
from typing import Any

from benchmarks.services import DATA, REDIS
from config import env

SECRET_KEY = "for-the-benchmark-only"  # noqa: S105
ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
ROOT_URLCONF = "benchmarks.project.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGIN_REDIRECT_URL = "/page"
LOGGING_CONFIG = None

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "benchmarks.project",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def database() -> dict[str, Any]:
    found = env.database("DATABASE_URL", default="sqlite:///:memory:", base_dir=DATA)
    found |= {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False}
    connections = os.environ.get("CONNECTIONS", "kept")
    if connections != "kept":
        found["CONN_MAX_AGE"] = 0
    if connections == "pool":
        # Long enough for a moment in which all requests need a connection.
        found["OPTIONS"]["pool"] = {"min_size": 2, "max_size": 10, "timeout": 30}
    if os.environ.get("PREPARED"):
        found["OPTIONS"] |= {"server_side_binding": True, "prepare_threshold": 3}
    return found


DATABASES = {"default": database()}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS,
        "KEY_PREFIX": f"multisession-bench-{os.environ.get('DJANGO_SETTINGS_MODULE')}",
    }
}


def replace(names: list[str], old: str, new: str) -> list[str]:
    """Return ``names`` with ``old`` replaced by ``new``."""
    return [new if name == old else name for name in names]
