"""The project is one of several under the same host."""

from mysite.settings import *

FORCE_SCRIPT_NAME = "/shop"
LOGIN_URL = "login"
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = "/shop/"
