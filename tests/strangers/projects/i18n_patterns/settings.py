"""The language is a part of every address."""

from mysite.settings import *

MIDDLEWARE.insert(2, "django.middleware.locale.LocaleMiddleware")
ROOT_URLCONF = "own.urls"
LOGIN_URL = "login"
LANGUAGE_CODE = "en"
