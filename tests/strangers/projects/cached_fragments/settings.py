"""Parts of a page are kept in the cache, by user."""

from mysite.settings import *

TEMPLATES[0]["DIRS"] = [BASE_DIR / "own" / "templates"]
