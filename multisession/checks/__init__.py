"""System checks. Importing the modules registers them."""

from . import installation, storage, urls

__all__ = ["installation", "storage", "urls"]
