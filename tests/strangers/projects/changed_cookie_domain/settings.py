"""SESSION_COOKIE_DOMAIN has just been changed: browsers still have the old cookie as well."""

from mysite.settings import *

SESSION_COOKIE_DOMAIN = "example.com"
