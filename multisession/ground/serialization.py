"""Session data as text for the database, and back.

With Django's JSON serializer the text is plain JSON. Django's engines sign it; in a table that
only the server writes, a signature protects no better than the table's access rules, and makes
decoding eight times slower. Any other ``SESSION_SERIALIZER`` keeps Django's signed form, because
it may run code, as pickle does.
"""

import json
import logging
from typing import Any

from django.conf import settings
from django.contrib.sessions.serializers import JSONSerializer
from django.core import signing
from django.utils.module_loading import import_string

SALT = "multisession.session_data"
#: The key under which session data stores the argument of ``set_expiry()``.
EXPIRY = "_session_expiry"
logger = logging.getLogger("django.security.SuspiciousSession")


def dumps(data: dict[str, Any]) -> str:
    """Return ``data`` as text. Raises TypeError for values that the serializer can't express."""
    serializer = import_string(settings.SESSION_SERIALIZER)
    if serializer is JSONSerializer:
        return json.dumps(data, separators=(",", ":"))
    return signing.dumps(data, salt=SALT, serializer=serializer, compress=True)


def loads(text: str) -> dict[str, Any]:
    """Return the data in ``text``. If that fails, log it for security and return ``{}``."""
    if not text:
        return {}
    try:
        if text.startswith("{"):
            data = json.loads(text)
        else:
            serializer = import_string(settings.SESSION_SERIALIZER)
            data = signing.loads(text, salt=SALT, serializer=serializer)
    except (signing.BadSignature, json.JSONDecodeError):
        logger.warning("Session data corrupted")
        return {}
    except Exception:
        # A serializer may raise anything. Treat unreadable data as empty; never fail the page.
        return {}
    return data if isinstance(data, dict) else {}
