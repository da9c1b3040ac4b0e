"""The user model is a child of another model: two tables for one user."""

from mysite.settings import *

INSTALLED_APPS += ["own"]
AUTH_USER_MODEL = "own.Person"
