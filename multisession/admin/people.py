"""Parts of the admin's tables: a person, a browser with its address, a moment."""

from __future__ import annotations

import datetime
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html

from multisession.ground.moments import in_utc
from multisession.pages.devices import in_words
from multisession.pages.places import place_of
from multisession.pages.profiles import profile_of


def person(user: Any, key: object) -> str:
    """Return the HTML of a user: picture or initials, name, address. The key if it is gone."""
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


def place(browser: str, ip_address: str | None) -> str:
    """Return the HTML of a browser and its address, with the address's place."""
    return format_html(
        '<span class="ms-browser">{}</span> <span class="ms-ip" title="{}">'
        '<bdi dir="ltr">{}</bdi></span>{}',
        browser,
        ip_address or "",
        ip_address or "–",
        in_brackets(ip_address),
    )


def in_brackets(ip_address: str | None) -> str:
    """Return the HTML of an address's place, to stand behind the address; "" if unknown."""
    found = place_of(ip_address)
    return format_html(' <bdi class="ms-place-of">({})</bdi>', found) if found else ""


def address_and_place(ip_address: str | None) -> str:
    """Return the HTML of an address and its place."""
    return format_html('<bdi dir="ltr">{}</bdi>{}', ip_address or "–", in_brackets(ip_address))


def ago(moment: datetime.datetime) -> str:
    """Return the HTML of how long ago that was; the exact time is the title."""
    exact = date_format(timezone.localtime(in_utc(moment)), "DATETIME_FORMAT")
    return format_html(
        '<time class="ms-ago" datetime="{}" title="{}">{}</time>',
        in_utc(moment).isoformat(),
        exact,
        in_words(moment),
    )
