"""A site for members only."""

from mysite.settings import *

MIDDLEWARE += ["django.contrib.auth.middleware.LoginRequiredMiddleware"]
