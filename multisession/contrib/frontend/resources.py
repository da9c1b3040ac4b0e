"""Convert the browser's accounts to JSON: in full for Clerk's scripts, lean for ``client.js``."""

from __future__ import annotations

import base64
import json
from typing import Any

from django.utils import timezone

from multisession import lists, organizations
from multisession.api.resources import milliseconds, session_resource
from multisession.conf import settings
from multisession.guard import page_tokens
from multisession.models import Session
from multisession.organizations import Organization
from multisession.pages.links import after_switch_url, sign_in_link, url_of
from multisession.pages.profiles import full_name, name_and_identifier, profile_of
from multisession.pages.views import after_sign_out_of_all_url
from multisession.request import MultiSessionRequest

#: Seconds that Clerk's script keeps a token before it asks for the next one.
TOKEN_AGE = 60


def lean_client(request: MultiSessionRequest) -> dict[str, Any]:
    """Return the signed-in accounts as ``client.js`` uses them: in camel case, times in ms."""
    active = request.multisession.session
    return {
        "sessions": [_lean_session(row) for row in _in_order_of_sign_in(request)],
        "active": active.public_id if active is not None else None,
        "organization": _lean_organization(request.multisession.organization),
        "page": page_tokens.page_name(page_tokens.effective_session(request)),
        "urls": {
            "afterSwitch": after_switch_url(),
            "afterSignOut": after_sign_out_of_all_url(),
            "afterSignOutOne": url_of(settings.CHOOSE_URL),
            "signIn": sign_in_link(None),
            "button": url_of("multisession:button"),
        },
    }


def _lean_organization(organization: Organization | None) -> dict[str, Any] | None:
    if organization is None:
        return None
    return {
        "id": organization.id,
        "name": organization.name,
        "slug": organization.slug,
        "role": organization.role,
        "imageUrl": organization.picture,
    }


def _lean_session(session: Session) -> dict[str, Any]:
    user, profile = session.user, profile_of(session.user)
    return {
        "id": session.public_id,
        "status": session.current_status.value,
        "lastActiveAt": milliseconds(session.last_active_at),
        "expireAt": milliseconds(session.expire_at),
        "createdAt": milliseconds(session.created_at),
        "user": {
            "id": lists.user_id_of(session),
            "fullName": full_name(user) or None,
            "imageUrl": profile.picture,
            "initials": profile.initials,
            "primaryEmailAddress": name_and_identifier(user)[1],
        },
    }


def client_resource(request: MultiSessionRequest) -> dict[str, Any]:
    """Return the client in the shape of Clerk's Frontend API (version 2026-05-12)."""
    rows = _in_order_of_sign_in(request)
    client = rows[0].client if rows else request.multisession.client
    active = request.multisession.session
    return {
        "object": "client",
        "id": client.public_id if client is not None else None,
        "sessions": [full_session(row, request) for row in rows],
        "sign_in": None,
        "sign_up": None,
        "last_active_session_id": active.public_id if active is not None else None,
        "last_authentication_strategy": None,
        "cookie_expires_at": None,
        "captcha_bypass": False,
        "created_at": milliseconds(client.created_at) if client is not None else None,
        "updated_at": milliseconds(client.updated_at) if client is not None else None,
    }


def full_session(session: Session, request: MultiSessionRequest) -> dict[str, Any]:
    """Return a session with its user, as the Frontend API nests them."""
    user = user_resource(session)
    if session == request.multisession.session:
        # The provider is asked for the active account alone.
        user["organization_memberships"] = [
            membership_resource(each, user["id"]) for each in request.multisession.organizations
        ]
    public = ("first_name", "last_name", "image_url", "has_image")
    return session_resource(session) | {
        "user": user,
        "public_user_data": {name: user[name] for name in public}
        | {"identifier": name_and_identifier(session.user)[1], "user_id": user["id"]},
        "factor_verification_age": None,
        "last_active_token": token_resource(session, request),
    }


def user_resource(session: Session) -> dict[str, Any]:
    """Return the user of a session. Only what this site knows; the rest is empty."""
    user: Any = session.user
    identifier, picture = name_and_identifier(user)[1], profile_of(user).picture
    user_id = lists.user_id_of(session)
    email = {
        "object": "email_address",
        "id": f"idn_{user_id}",
        "email_address": identifier,
        "reserved": False,
        "verification": {"object": "verification", "status": "verified", "strategy": "admin"},
        "linked_to": [],
    }
    first, last = (getattr(user, name, None) for name in ("first_name", "last_name"))
    empty = ("phone_numbers", "web3_wallets", "passkeys", "external_accounts")
    return {
        "object": "user",
        "id": user_id,
        "username": None,
        # A model with one name has it in the first.
        "first_name": first or (None if last else full_name(user) or None),
        "last_name": last or None,
        "image_url": picture,
        "has_image": bool(picture),
        "primary_email_address_id": email["id"],
        "email_addresses": [email],
        **{name: [] for name in (*empty, "enterprise_accounts", "organization_memberships")},
        "primary_phone_number_id": None,
        "primary_web3_wallet_id": None,
        "password_enabled": True,
        "two_factor_enabled": False,
        "totp_enabled": False,
        "backup_code_enabled": False,
        "create_organization_enabled": False,
        "delete_self_enabled": False,
        "public_metadata": {},
        "unsafe_metadata": {},
        "last_sign_in_at": milliseconds(session.created_at),
        "created_at": milliseconds(session.created_at),
        "updated_at": milliseconds(session.updated_at),
    }


def membership_resource(organization: Organization, user_id: str) -> dict[str, Any]:
    """Return a user's membership of an organization."""
    return {
        "object": "organization_membership",
        "id": f"orgmem_{organization.id}_{user_id}",
        "role": organization.role or "org:member",
        "permissions": [],
        "public_metadata": {},
        "organization": {
            "object": "organization",
            "id": organization.id,
            "name": organization.name,
            "slug": organization.slug or organization.id,
            "image_url": organization.picture,
            "has_image": bool(organization.picture),
            "members_count": 0,
            "pending_invitations_count": 0,
            "max_allowed_memberships": 0,
            "admin_delete_enabled": False,
            "public_metadata": {},
            "created_at": 0,
            "updated_at": 0,
        },
        "created_at": 0,
        "updated_at": 0,
    }


def token_resource(session: Session, request: MultiSessionRequest) -> dict[str, Any]:
    """Return a JWT that proves nothing: ``alg`` is "none" and the signature a word.

    Clerk's scripts decode it for its times and cannot do without. This package accepts no JWT.
    """
    now = int(timezone.now().timestamp())
    claims = {
        "iss": f"{request.scheme}://{request.get_host()}",
        "sub": lists.user_id_of(session),
        "sid": session.public_id,
        "iat": now,
        "nbf": now,
        "exp": now + TOKEN_AGE,
    }
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)]
    encoded = [
        base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, b"unsigned")
    ]
    return {"object": "token", "jwt": ".".join(encoded)}


def environment_resource() -> dict[str, Any]:
    """Return the settings that Clerk's scripts read before anything else."""
    return {
        "object": "environment",
        "auth_config": {
            "object": "auth_config",
            "single_session_mode": settings.MAX_ACCOUNTS == 1,
        },
        "display_config": {
            "object": "display_config",
            "instance_environment_type": "production",
            "branded": False,
            "sign_in_url": sign_in_link(None),
            "after_sign_in_url": after_switch_url(),
            "after_switch_session_url": after_switch_url(),
            "after_sign_out_all_url": after_sign_out_of_all_url(),
            "after_sign_out_one_url": url_of(settings.CHOOSE_URL),
            "user_profile_url": url_of(settings.PROFILE_URL),
        },
        "organization_settings": {"enabled": organizations.is_on()},
        "maintenance_mode": False,
    }


def _in_order_of_sign_in(request: MultiSessionRequest) -> list[Session]:
    return sorted(request.multisession.sessions, key=lambda row: (row.created_at, row.pk))
