"""Django's own admin as a project's only sign-in page."""

import re
from pathlib import Path

from tests.strangers.packages.site import Site, button
from tests.strangers.packages.web import Browser, Page

LOG_IN = "/admin/login/"


class StockAdmin(Site):
    """Signing in and out as Django's own admin has it, with the button in its header."""

    private = "/admin/"
    home = "/admin/login/"
    sign_in_page = LOG_IN
    page_to_sign_out = "/admin/"

    def finish(self, place: Path) -> None:
        template = place / "templates" / "admin" / "base_site.html"
        template.parent.mkdir(parents=True, exist_ok=True)
        template.write_text(
            '{% extends "admin/base.html" %}\n'
            f"{{% block header %}}{button()}{{{{ block.super }}}}{{% endblock %}}\n",
            encoding="utf-8",
        )

    def sign_out(self, browser: Browser, page: Page | None = None) -> Page:
        return (page or browser.get(self.private)).form("/admin/logout/").submit()

    def who(self, browser: Browser) -> str | None:
        found = re.search(r"Welcome,\s*<strong>(\w+)</strong>", browser.peek(self.private).html)
        return found[1] if found else None
