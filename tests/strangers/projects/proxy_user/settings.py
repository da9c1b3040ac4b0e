"""The user model is a proxy, and other code changes users through another one."""

from mysite.settings import *

INSTALLED_APPS += ["own"]
AUTH_USER_MODEL = "own.Person"
