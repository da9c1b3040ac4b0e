"""A project without messages, and so without the admin."""

from mysite.settings import *

WITHOUT = ("django.contrib.messages", "django.contrib.admin")
INSTALLED_APPS = [app for app in INSTALLED_APPS if app not in WITHOUT]
MIDDLEWARE = [path for path in MIDDLEWARE if not path.startswith(WITHOUT)]
TEMPLATES[0]["OPTIONS"]["context_processors"].remove(
    "django.contrib.messages.context_processors.messages"
)
ROOT_URLCONF = "own.urls"
