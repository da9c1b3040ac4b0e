"""The CSRF token is kept in the session."""

from mysite.settings import *

CSRF_USE_SESSIONS = True
