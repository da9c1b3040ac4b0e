"""What a dotted path in the settings names, and whether it is one of ours."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.utils.module_loading import import_string


def class_at(path: Any) -> Any:
    """Return what the path names; None if it can't be imported, of which Django itself tells."""
    try:
        return import_string(path)
    except Exception:
        return None


def is_a(found: Any, parent: Any) -> bool:
    """Tell whether both are classes, the first one a subclass of the second."""
    return isinstance(found, type) and isinstance(parent, type) and issubclass(found, parent)


def engine_is(wanted: type) -> bool:
    """Tell whether the store of ``SESSION_ENGINE`` is this one or a subclass."""
    return is_a(class_at(f"{django_settings.SESSION_ENGINE}.SessionStore"), wanted)
