"""Settings of the demo project.

Environment variables set everything that differs between deployments; without any, the settings
are for development. The lines that an existing project adds are marked "multisession".
"""

from datetime import timedelta
from pathlib import Path

import django
from django.core.exceptions import ImproperlyConfigured

from config import env

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = env.flag("DEBUG")
# TLS=1: the site is served over HTTPS only.
TLS = env.flag("TLS")

SECRET_KEY = env.text("SECRET_KEY")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured(
            "SECRET_KEY is not set. Set it to a long random string, or DEBUG=1 on a developer's "
            "machine."
        )
    SECRET_KEY = "for-development-only-and-known-to-everybody"  # noqa: S105

# If this is empty and DEBUG is on, Django allows localhost only.
ALLOWED_HOSTS = env.items("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env.items("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "multisession",  # multisession
    "multisession.contrib.frontend",  # multisession: for scripts in pages
    "accounts",
    "django_htmx",
    "axes",
    # Serve static files in development as in production.
    "whitenoise.runserver_nostatic",
    "multisession.contrib.admin",  # in place of django.contrib.admin: multisession
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

# Django 6.0 has its own Content-Security-Policy; for earlier versions django-csp sends the header.
CSP_IN_DJANGO = django.VERSION >= (6, 0)

MIDDLEWARE = [
    # multisession: does nothing without ACCOUNT_PATHS
    "multisession.paths.AccountPathMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware"
    if CSP_IN_DJANGO
    else "csp.middleware.CSPMiddleware",
    "config.middleware.PrivatePagesMiddleware",
    # multisession: in place of django.contrib.sessions.middleware.SessionMiddleware
    "multisession.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    # Must be the last one: it replaces the answer to a throttled sign-in.
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": env.database("DATABASE_URL", default="sqlite:///db.sqlite3", base_dir=BASE_DIR),
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Sessions and accounts ----------------------------------------------------------------

SESSION_ENGINE = "multisession.backends.db"  # multisession
MULTISESSION = {
    # ACCOUNT_PATHS=1: one account in each tab, at /u/1/, /u/2/ and so on.
    "ACCOUNT_PATHS": env.flag("ACCOUNT_PATHS"),
    # PROXIES=1: one proxy appends to X-Forwarded-For. Sessions and the throttle go by it.
    "CLIENT_ADDRESS": env.number("PROXIES", default=1 if env.flag("BEHIND_PROXY") else 0),
    "CHOOSE_URL": "accounts:choose",
    "PROFILE_URL": "accounts:profile",
    "SESSIONS_URL": "accounts:sessions",
    "USER_PICTURE": "accounts.menu.picture",
    "MENU_ITEMS": "accounts.menu.items",
    "ORGANIZATIONS": "accounts.teams.Teams",
}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LOGIN_URL = "accounts:sign_in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "accounts:choose"  # it says "You are signed out"

# Messages belong to an account. A message cookie belongs to the browser, so the next account would
# see the message.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# --- E-mail -------------------------------------------------------------------------------

# Where links in e-mails lead. Not the request's host, which its sender chooses.
SITE_URL = env.text("SITE_URL", default="http://127.0.0.1:8000").rstrip("/")
# While you develop they are printed. EMAIL_BACKEND names another way to send them.
_SENT_BY = "console" if DEBUG else "smtp"
_MAIL = env.text("EMAIL_BACKEND", default=f"django.core.mail.backends.{_SENT_BY}.EmailBackend")
_MAIL_HOST = env.text("EMAIL_HOST", default="localhost")
_MAIL_TIMEOUT = 10  # Seconds. A sign-in waits for the mail server.
if django.VERSION >= (6, 1):
    _MAILER: dict[str, object] = {"BACKEND": _MAIL}
    if _MAIL == "django.core.mail.backends.smtp.EmailBackend":  # No other takes these options.
        _MAILER["OPTIONS"] = {"host": _MAIL_HOST, "timeout": _MAIL_TIMEOUT}
    MAILERS = {"default": _MAILER}
else:
    EMAIL_BACKEND, EMAIL_HOST, EMAIL_TIMEOUT = _MAIL, _MAIL_HOST, _MAIL_TIMEOUT

# --- Wrong passwords ----------------------------------------------------------------------

AXES_ENABLED = env.flag("THROTTLE_SIGN_IN", default=True)
AXES_FAILURE_LIMIT = env.number("SIGN_IN_FAILURES", default=5)
AXES_COOLOFF_TIME = timedelta(minutes=15)
# Account and IP address together, so that a stranger's guesses don't lock out the owner.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
# Attempts during a lockout don't extend it, so nobody can be locked out for ever.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
# So many accounts may be tried from one address in that time: more is password spraying.
SPRAY_LIMIT = env.number("SIGN_IN_ACCOUNTS", default=20)
AXES_HANDLER = "accounts.throttle.Handler"
# Behind a proxy every request comes from its address: one stranger would lock everybody out.
AXES_CLIENT_IP_CALLABLE = "accounts.throttle.address_of"
AXES_LOCKOUT_CALLABLE = "accounts.throttle.too_many_attempts"
AXES_USERNAME_CALLABLE = "accounts.throttle.account_tried"
AXES_USERNAME_FORM_FIELD = "username"
AXES_SENSITIVE_PARAMETERS = ["username", "password", "ip_address", "csrfmiddlewaretoken"]
# The access log would store a hash of the session key. multisession has its own list of sessions.
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False

# --- Static files -------------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_ALLOW_ALL_ORIGINS = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- What a browser may do with our pages -------------------------------------------------

CONTENT_POLICY = {
    "default-src": ["'self'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
    "object-src": ["'none'"],
}
if CSP_IN_DJANGO:
    SECURE_CSP = CONTENT_POLICY
else:
    CONTENT_SECURITY_POLICY = {"DIRECTIVES": CONTENT_POLICY}

X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
CSRF_FAILURE_VIEW = "config.views.csrf_failure"

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True  # Forms have the token; no script needs to read the cookie.
CSRF_COOKIE_SAMESITE = "Lax"

if TLS:
    # The prefix makes browsers refuse these cookies from subdomains and over plain HTTP.
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    LANGUAGE_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = env.number("HSTS_SECONDS", default=365 * 24 * 60 * 60)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    if env.flag("BEHIND_PROXY"):
        # Only behind a proxy that always sets this header itself.
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- Words and times ----------------------------------------------------------------------

LANGUAGE_CODE = "en"
# Each language in its own name.
LANGUAGES = [
    ("ar", "العربية"),
    ("de", "Deutsch"),
    ("en", "English"),
    ("es", "Español"),
    ("fr", "Français"),
    ("ja", "日本語"),
    ("pt-br", "Português (Brasil)"),
    ("zh-hans", "简体中文"),
]
LOCALE_PATHS = [BASE_DIR / "locale"]  # the demo's own texts; the package has its own catalogues
FORMAT_MODULE_PATH = ["config.formats"]
# Django stores the chosen language in a cookie, so it belongs to the browser and not to an account.
LANGUAGE_COOKIE_AGE = 365 * 24 * 60 * 60
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
TIME_ZONE = "UTC"
USE_TZ = True
