"""No script can read the CSRF cookie."""

from mysite.settings import *

CSRF_COOKIE_HTTPONLY = True
