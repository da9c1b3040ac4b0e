"""Session data as text for the database, and back.

With Django's JSON serializer the text is plain JSON. Django signs what it stores; in a table
that only the server writes, the signature protects no more than the table's own access rules,
and it costs eight times the decoding. Any other ``SESSION_SERIALIZER`` (one that can run code,
such as pickle) keeps Django's signed form.
"""

import json
import logging
from typing import Any

from django.conf import settings
from django.contrib.sessions.serializers import JSONSerializer
from django.core import signing
from django.utils.module_loading import import_string

SALT = "multisession.session_data"
#: In a session's data: what ``set_expiry()`` was given.
EXPIRY = "_session_expiry"
logger = logging.getLogger("django.security.SuspiciousSession")


def dumps(data: dict[str, Any]) -> str:
    """Write ``data`` as text. Raises TypeError for what the serializer cannot express."""
    serializer = import_string(settings.SESSION_SERIALIZER)
    if serializer is JSONSerializer:
        return json.dumps(data, separators=(",", ":"))
    return signing.dumps(data, salt=SALT, serializer=serializer, compress=True)


def loads(text: str) -> dict[str, Any]:
    """Read the data in ``text``; ``{}``, and a line in the security log, if that fails."""
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
        # A serializer may raise anything; unreadable data is no data, never an error page.
        return {}
    return data if isinstance(data, dict) else {}
