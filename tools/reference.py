"""Write docs/reference/settings.md from the docstrings of multisession/conf.py.

``python -m tools.reference`` writes it; ``--check`` only checks that it is up to date.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

from multisession.conf import Settings

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "settings.md"

HEAD = """\
# Settings

Settings are keys of one dictionary in your settings module:

```python
MULTISESSION = {
    "AFTER_SIGN_OUT": "next",
    "PROFILE_URL": "accounts:profile",
}
```

Every key has a default. A key that does not exist raises `ImproperlyConfigured`, and
`manage.py check` reports it as `multisession.E004`. Times are in seconds.

Django's own settings count, too. `LOGIN_URL` is the page behind *Sign in* and *Add account*,
`LOGIN_REDIRECT_URL` the page after a sign-in, and after a switch that can't keep its page,
`LOGOUT_REDIRECT_URL` the page after signing out of all accounts. The settings that begin with
`SESSION_` mean what they mean in Django: `SESSION_COOKIE_NAME`, `_DOMAIN`, `_PATH`, `_SECURE`,
`_HTTPONLY` and `_SAMESITE` are the attributes of the cookie, `SESSION_COOKIE_AGE` and
`SESSION_EXPIRE_AT_BROWSER_CLOSE` say when a session is over, and `SESSION_CACHE_ALIAS` names the
cache of `multisession.backends.cached_db`.
"""


def text() -> str:
    """Return the page."""
    parts = [HEAD]
    for key in Settings.valid_keys():
        prose = inspect.cleandoc(getattr(Settings, key).__doc__ or "")
        prose = prose.replace("``", "`")
        prose = re.sub(r"docs/((?:\w+/)?([\w-]+))\.md", r"[\2](../\1.md)", prose)
        parts.append(f"## {key}\n\n{prose}\n")
    return "\n".join(parts)


def main() -> int:
    """Write the page, or check it. Return the exit code."""
    if "--check" in sys.argv:
        return int(not PAGE.exists() or PAGE.read_text() != text())
    PAGE.write_text(text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
