"""Give each page a CSRF token of its account.

While an account is active, the secret behind ``{% csrf_token %}`` and in the CSRF cookie is that
account's own (csrf_secrets.py). While no account is active, it is a secret of the browser, kept in
its cookie, as in Django. When an account is gone, its secret is replaced in the cookie.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse

from multisession import organizations
from multisession.backends.db import SessionStore
from multisession.conf import django_settings
from multisession.ground import cookies, django_private
from multisession.ground.django_private import CsrfSecret, unmask
from multisession.models import Session
from multisession.request_user import become

from . import csrf_secrets

if TYPE_CHECKING:
    from multisession.request import MultiSession


def prepare(request: HttpRequest) -> None:
    """Replace the CSRF cookie in ``request.COOKIES`` by a CsrfSecret, where Django reads it.

    Runs before the view is known, so that the forms of error pages work, too. Costs no query. The
    cookie is read by its exact octets, like the session cookie; see ground/cookies.py.
    """
    name = django_settings.CSRF_COOKIE_NAME
    if name not in request.COOKIES or django_settings.CSRF_USE_SESSIONS:
        return
    value = cookies.read_last(request, name)
    if value is None:
        del request.COOKIES[name]
    else:
        request.COOKIES[name] = secret_for(request, value)


def bind(request: HttpRequest) -> None:
    """Do the same for a browser without a CSRF cookie, for its first form."""
    drawn = django_private.secret_to_draw(request)
    # Under CSRF_USE_SESSIONS the secret is in request.session, so it is the account's already.
    if not isinstance(drawn, CsrfSecret) and not django_settings.CSRF_USE_SESSIONS:
        django_private.set_secret_to_draw(request, secret_for(request, drawn or ""))
    elif django_settings.CSRF_USE_SESSIONS and organizations.is_on():
        _renew_secret_in_session(request)


def _renew_secret_in_session(request: HttpRequest) -> None:
    """Under CSRF_USE_SESSIONS, give the session a new secret when its organization has changed.

    That secret does not name the organization, so older pages are refused by Django's check.
    """
    active = effective_session(request)
    store = request.session
    if active is None or store.get(csrf_secrets.MADE_IN, "") == active.organization:
        return
    store[csrf_secrets.MADE_IN] = active.organization
    store[django_private.KEY_IN_SESSION] = csrf_secrets.random()
    django_private.set_secret_to_draw(request, store[django_private.KEY_IN_SESSION])


def account_changed(request: HttpRequest) -> None:
    """Use the secret of the account that is active from here on, in pages and cookie."""
    if not django_settings.CSRF_USE_SESSIONS:
        # login() rotates the secret, so a cookie that Django's middleware sends changes, too.
        known = django_private.secret_to_draw(request) or django_private.secret_to_check(request)
        django_private.set_secret_to_draw(request, secret_for(request, str(known or "")))
        django_private.renew_cookie(request)


def finish(request: HttpRequest, response: HttpResponse) -> None:
    """Put the active account's secret into the CSRF cookie, if the answer sends one.

    Scripts read the token from there. If the cookie of the browser is of an account that is gone,
    send a new one. Call this after saving the session.
    """
    if django_settings.CSRF_USE_SESSIONS or response.status_code >= 500:
        return
    name = django_settings.CSRF_COOKIE_NAME
    if name not in response.cookies and _speaks_for_nobody(request):
        account_changed(request)
        django_private.send_cookie(request, response)
    cookie = response.cookies.get(name)
    if cookie is not None and cookie["max-age"] != 0:  # 0: a view has deleted it.
        secret = django_private.secret_to_draw(request)
        if (active := _beneath(request)) is not None:
            response.cookies[name] = next(csrf_secrets.of_session(active))
        elif isinstance(secret, CsrfSecret):
            response.cookies[name] = secret.drawn
        elif (of_the_account := _account_secret(request)) is not None:
            response.cookies[name] = of_the_account


def effective_session(request: HttpRequest) -> Session | None:
    """Return the active session, with the organization that its user is still a member of.

    Asks the provider, if the session names an organization and nothing has asked yet.
    """
    accounts = accounts_of(request)
    active = accounts.session
    if active is not None and active.organization:
        _ = accounts.organization
    return active


def page_name(session: Session | None) -> str:
    """Return the name of a page for notice.js: ``sess_…``, or ``sess_…:acme``; "" for nobody's."""
    if session is None or not session.organization:
        return session.public_id if session is not None else ""
    return f"{session.public_id}:{session.organization}"


def parts_of(name: str) -> tuple[str, str]:
    """Return the ids of session and organization in a page's name."""
    session_id, _colon, organization = name.partition(":")
    return session_id, organization


def token_for(session: Session) -> str:
    """Return a CSRF token for a page of this session."""
    return django_private.mask(next(csrf_secrets.of_session(session)))


def token_of_nobody(request: HttpRequest) -> str | None:
    """Return a CSRF token for a page drawn without an active account; None without a client."""
    client_id = accounts_of(request).client_id
    return django_private.mask(next(csrf_secrets.of_client(client_id))) if client_id else None


def run_as_nobody(request: HttpRequest) -> None:
    """Run the view as an anonymous user. The account stays active, and ``login()`` adds another."""
    accounts = accounts_of(request)
    accounts._beneath = accounts.session
    become(request, AnonymousUser())


def secret_for(request: HttpRequest, sent: str) -> CsrfSecret:
    """Return a CsrfSecret that reads as ``sent`` and draws the active account's secret."""

    def draw() -> str:
        store = request.session
        if isinstance(store, SessionStore) and store.has_unsaved_sign_in:
            store.save()  # After login(): drawing the page's secret needs the session's id.
        return _account_secret(request) or _secret_of_nobody(request, sent)

    return CsrfSecret(sent, draw)


def _account_secret(request: HttpRequest) -> str | None:
    """Return the secret of the active account's pages; None if no account is active."""
    active = effective_session(request)
    return None if active is None else next(csrf_secrets.of_session(active))


def _secret_of_nobody(request: HttpRequest, sent: str) -> str:
    """Return the secret of a page that is drawn while no account is active.

    That is the browser's own, from its cookie. If the cookie is missing or an account's, a browser
    with a client gets the secret derived from the client. It can be derived again when an account
    is active, so sign-in pages and choosers that are still open stay valid.
    """
    if unmask(sent) == sent != "" and not csrf_secrets.is_an_accounts(sent):
        return sent
    client_id = accounts_of(request).client_id
    return csrf_secrets.random() if client_id is None else next(csrf_secrets.of_client(client_id))


def _speaks_for_nobody(request: HttpRequest) -> bool:
    """Return True if the browser sent an account's CSRF cookie, but no account is active.

    Costs no query: if the request has not read the session, return False.
    """
    store = request.session
    if not isinstance(store, SessionStore) or not store.accessed:
        return False
    row = store.row
    if row is not None and row.user_id is not None:
        return False
    sent = django_private.secret_to_check(request)
    return bool(sent) and csrf_secrets.is_an_accounts(str(sent))


def _beneath(request: HttpRequest) -> Session | None:
    """Return the active account if ``run_as_nobody`` hid it and the view has not changed it."""
    store, active = request.session, accounts_of(request)._beneath
    if active is None or not isinstance(store, SessionStore) or store.row is None:
        return None
    return active if store.row.pk == active.pk else None


def accounts_of(request: HttpRequest) -> MultiSession:
    """Return ``request.multisession`` with its type."""
    accounts: MultiSession = request.multisession  # type: ignore[attr-defined]
    return accounts
