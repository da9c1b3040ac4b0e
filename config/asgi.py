"""The ASGI application of the demo project."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Here every request has a thread of its own, in which a connection that is kept would stay behind.
os.environ.setdefault("CONN_MAX_AGE", "0")

application = get_asgi_application()
