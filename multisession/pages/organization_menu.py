"""The organization switcher: its places, and the page that lists them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _

from multisession import organizations
from multisession.conf import settings
from multisession.models import Session
from multisession.organizations import Organization
from multisession.request import MultiSessionRequest

from .links import on_site, url_of
from .menu import PLACEMENTS
from .profiles import Profile, organization_profile, profile_of


@dataclass(frozen=True, kw_only=True)
class SwitcherOptions:
    """The keywords of ``{% organization_switcher %}``. Raises ValueError for a wrong placement."""

    #: Offer to be in no organization.
    show_personal: bool = True
    #: URL or URL name of *Create organization*; empty: no such line.
    create_url: str = ""
    #: URL or URL name of the page after a change; empty: ``LOGIN_REDIRECT_URL``.
    after_switch_url: str = ""
    placement: str = "bottom-start"

    def __post_init__(self) -> None:
        if self.placement not in PLACEMENTS:
            raise ValueError(f"placement must be one of {', '.join(PLACEMENTS)}.")


@dataclass(frozen=True)
class Place:
    """An organization of an account, or its personal account."""

    session: Session
    organization: Organization | None
    #: Show the account beneath the name, instead of the role.
    names_account: bool = False

    @property
    def id(self) -> str:
        return self.organization.id if self.organization is not None else ""

    @property
    def profile(self) -> Profile:
        own = profile_of(self.session)
        if self.organization is not None:
            shown = organization_profile(self.organization)
            return replace(shown, identifier=own.label) if self.names_account else shown
        return Profile(_("Personal account"), own.label, own.initials, own.hue, own.picture)


def switcher_context(request: MultiSessionRequest, options: SwitcherOptions) -> dict[str, Any]:
    """Return the context of the switcher; empty while nobody is active, or without organizations.

    Costs the provider's two answers: where the account is, and where it may go.
    """
    session = request.multisession.session
    if session is None or not organizations.is_on():
        return {}
    found = request.multisession.organizations
    create_url = url_of(options.create_url)
    if not found and not create_url:
        return {}
    active = request.multisession.organization
    others: list[Organization | None] = [each for each in found if active != each]
    if active is not None and options.show_personal:
        others.append(None)
    is_shown = active is not None or options.show_personal
    return {
        "request": request,
        "session": session,
        "current": Place(session, active) if is_shown else None,
        "places": [Place(session, each) for each in others],
        "create_url": create_url,
        "next": url_of(options.after_switch_url),
        "placement": options.placement,
        "switcher_id": f"ms-switcher-{secrets.token_hex(4)}",
    }


def page_context(request: MultiSessionRequest) -> dict[str, Any]:
    """Return the context of the page of organizations."""
    context = switcher_context(request, SwitcherOptions())
    return {
        "request": request,
        "session": request.multisession.session,
        **context,
        "next": on_site(request, request.GET.get("next")),
        "choose_url": url_of(settings.CHOOSE_URL),
    }
