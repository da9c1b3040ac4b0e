"""Users with a primary key that is another value in the database than in Python."""

from mysite.settings import *

INSTALLED_APPS += ["own"]
AUTH_USER_MODEL = "own.Person"
