"""The demo together with the packages that are tested here: ``make test-ecosystem``.

They share one project, because that is less to read than six.
"""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIDDLEWARE

ROOT_URLCONF = "tests.ecosystem.urls"

INSTALLED_APPS = [
    # Last, where the demo has it first: neither place may matter. Receivers of the same signal
    # are called in this order.
    *[app for app in INSTALLED_APPS if app != "multisession"],
    "django.contrib.flatpages",
    "django.contrib.humanize",
    "django.contrib.redirects",
    "django.contrib.sites",
    "allauth",
    "allauth.account",
    "allauth.headless",
    "allauth.mfa",
    "allauth.usersessions",
    "channels",
    "django_su",
    "hijack",
    "knox",
    "loginas",
    "organizations",
    "rest_framework",
    "multisession",
    "multisession.contrib.impersonation",
]

MIDDLEWARE = [
    *MIDDLEWARE,
    "allauth.account.middleware.AccountMiddleware",
    "hijack.middleware.HijackUserMiddleware",
    "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware",
    "django.contrib.redirects.middleware.RedirectFallbackMiddleware",
]
SITE_ID = 1

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
    "django_su.backends.SuBackend",
]

LOGIN_URL = "account_login"
# Django 6.1 asks for it; before, it means nothing.
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}

ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
ACCOUNT_RATE_LIMITS = False
# These stories sign in beside somebody who is active; *Add account* does not need it.
ACCOUNT_AUTHENTICATED_LOGIN_REDIRECTS = False

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}
