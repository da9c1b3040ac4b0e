"""The demo project: settings, URLs, WSGI and ASGI."""
