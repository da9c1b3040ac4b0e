"""Show a person in the admin: picture or initials, name and address."""

from __future__ import annotations

from typing import Any

from django.template.loader import render_to_string

from multisession.pages.profiles import profile_of


def person(user: Any, key: object) -> str:
    """Return the HTML of a user; of a user who is gone, the key."""
    if user is None:
        return str(key)
    profile = profile_of(user)
    address = profile.identifier or profile.name
    local, at, domain = address.rpartition("@")
    context = {
        "profile": profile,
        "name": profile.name if profile.identifier else "",
        "address": address,
        # Only the first part shrinks, so a long address is cut before its domain.
        "first": local or address,
        "last": at + domain if local else "",
    }
    return render_to_string("multisession/admin/_person.html", context)
