"""Coroutines with forms, under ASGI."""

from mysite.settings import *

ROOT_URLCONF = "own.urls"
LOGIN_URL = "async_login"
SIGN_OUT_URL = "async_logout"
