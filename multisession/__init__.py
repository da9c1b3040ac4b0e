"""Several signed-in accounts in one browser, behind one cookie, for Django."""

__version__ = "0.1.0"
