"""The guard: which account a page was drawn for, and what to do when another one is active now.

For projects: ``any_account``, for a view that takes the form of any page.
"""

from .any_page import any_account

__all__ = ["any_account"]
