"""An admin site of its own takes the place of Django's."""

from mysite.settings import *

INSTALLED_APPS[INSTALLED_APPS.index("django.contrib.admin")] = "own.admin.OfficeConfig"
