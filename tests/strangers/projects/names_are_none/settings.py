"""Users without first and last names, as cookiecutter-django makes them."""

from mysite.settings import *

INSTALLED_APPS += ["own"]
AUTH_USER_MODEL = "own.Person"
