"""The sign-in page sends people away who are signed in."""

from mysite.settings import *

ROOT_URLCONF = "own.urls"
