"""Show a user agent as a name such as "Firefox on Linux"."""

from django.utils.translation import gettext as _

from multisession.ground.browsers import FAMILIES, LONGEST_USER_AGENT, SYSTEMS, family_and_system

__all__ = ["FAMILIES", "LONGEST_USER_AGENT", "SYSTEMS", "browser_name", "family_and_system"]


def browser_name(user_agent: str) -> str:
    """Return the browser's name as people know it; never empty."""
    family, system = family_and_system(user_agent)
    if family and system:
        return _("%(browser)s on %(system)s") % {"browser": family, "system": system}
    if system:
        return _("Browser on %(system)s") % {"system": system}
    return family or _("Unknown browser")
