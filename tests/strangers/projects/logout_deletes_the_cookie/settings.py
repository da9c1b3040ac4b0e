"""The project's own logout deletes the session cookie, as Wagtail's does."""

from mysite.settings import *

ROOT_URLCONF = "own.urls"
