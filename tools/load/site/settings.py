"""``startproject``'s settings and the lines of the README. The environment names the database."""

from pathlib import Path

from config import env

BASE_DIR = Path(__file__).resolve().parent
SECRET_KEY = "for-the-load-only"  # noqa: S105
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tools.load.site.urls"
WSGI_APPLICATION = "tools.load.site.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
STATIC_URL = "static/"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "multisession",
    "tools.load.site",
]
MIDDLEWARE = [
    "multisession.paths.AccountPathMiddleware",  # does nothing without ACCOUNT_PATHS
    "django.middleware.security.SecurityMiddleware",
    "multisession.middleware.SessionMiddleware",
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
SESSION_ENGINE = "multisession.backends.db"
MULTISESSION = {"ACCOUNT_PATHS": env.flag("ACCOUNT_PATHS")}
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "/"
# Put the load on sessions, not on the hashing of passwords.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

DATABASES = {
    "default": env.database("DATABASE_URL", default="sqlite:///:memory:", base_dir=BASE_DIR)
}

# Log tracebacks, but not the refusals that the load causes.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"log": {"class": "logging.StreamHandler"}},
    "loggers": {
        "django": {"handlers": ["log"], "level": "ERROR", "propagate": False},
        "django.security": {"handlers": ["log"], "level": "ERROR", "propagate": False},
    },
}
