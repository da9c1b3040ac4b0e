"""Users with a UUID for a primary key."""

from mysite.settings import *

INSTALLED_APPS += ["own"]
AUTH_USER_MODEL = "own.Person"
