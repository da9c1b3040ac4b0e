"""The admin's sign-in page is the only one, as in many small projects."""

from mysite.settings import *

ROOT_URLCONF = "own.urls"
LOGIN_URL = "admin:login"
SIGN_OUT_URL = "admin:logout"
