"""Messages are kept in a cookie."""

from mysite.settings import *

MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
