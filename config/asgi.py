"""The ASGI application of the demo project."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Under ASGI every request has its own thread, and a persistent connection would outlive it.
os.environ.setdefault("CONN_MAX_AGE", "0")

application = get_asgi_application()
