"""The guard: refuse requests from pages that were drawn for another account than the active one.

Projects use ``any_account``, for views that accept forms from any page.
"""

from .any_page import any_account

__all__ = ["any_account"]
