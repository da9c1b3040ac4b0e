"""System checks, registered when they are imported."""

from . import installation, storage, urls

__all__ = ["installation", "storage", "urls"]
