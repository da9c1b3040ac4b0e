"""Every request is a transaction."""

from mysite.settings import *

DATABASES["default"]["ATOMIC_REQUESTS"] = True
