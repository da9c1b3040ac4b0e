"""Resolve dotted paths of classes in the settings."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.utils.module_loading import import_string


def class_at(path: Any) -> Any:
    """Return the object at the path; None if it can't be imported, which Django reports itself."""
    try:
        return import_string(path)
    except Exception:
        return None


def is_a(found: Any, parent: Any) -> bool:
    """Return True if ``found`` is a class and a subclass of ``parent``."""
    return isinstance(found, type) and isinstance(parent, type) and issubclass(found, parent)


def engine_is(wanted: type) -> bool:
    """Return True if the store of ``SESSION_ENGINE`` is ``wanted`` or a subclass."""
    return is_a(class_at(f"{django_settings.SESSION_ENGINE}.SessionStore"), wanted)
