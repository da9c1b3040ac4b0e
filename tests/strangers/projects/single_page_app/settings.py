"""A single-page app: JSON in and out, with the token that the CSRF cookie has at that moment."""

from mysite.settings import *

ROOT_URLCONF = "own.urls"
LOGIN_URL = "app"
