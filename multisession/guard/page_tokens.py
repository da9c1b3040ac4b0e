"""The CSRF tokens that pages carry: each page that of its account.

While an account is active, the secret behind ``{% csrf_token %}`` and in the CSRF cookie is that
account's own (csrf_secrets.py). While nobody is, it is a secret of the browser, in its cookie, as
under Django. The cookie stops carrying an account's secret as soon as the account is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse

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
    """Put a secret that knows the active account where Django's CSRF protection looks first.

    Before the view is known, so that error pages have good forms, too. Asks for nothing. The
    cookie is read by its exact octets, as the session's is: see cookies.py.
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
    """Do the same for a browser without a CSRF cookie: its first form is the active account's."""
    drawn = django_private.secret_to_draw(request)
    # (Under CSRF_USE_SESSIONS the secret is in request.session: the account's own already.)
    if not isinstance(drawn, CsrfSecret) and not django_settings.CSRF_USE_SESSIONS:
        django_private.set_secret_to_draw(request, secret_for(request, drawn or ""))


def account_changed(request: HttpRequest) -> None:
    """Let pages and cookie follow: another account, or nobody, is active from here on."""
    if not django_settings.CSRF_USE_SESSIONS:
        # (Changed by login(): a cookie that Django's own middleware sends is another one, too.)
        known = django_private.secret_to_draw(request) or django_private.secret_to_check(request)
        django_private.set_secret_to_draw(request, secret_for(request, str(known or "")))
        django_private.renew_cookie(request)


def finish(request: HttpRequest, response: HttpResponse) -> None:
    """Let the CSRF cookie carry the secret of who is active now, if the answer sends it.

    Scripts take the token from there. If the account that the browser's cookie speaks for is
    gone, the answer sends a new one. To be called when the session has been saved.
    """
    if django_settings.CSRF_USE_SESSIONS or response.status_code >= 500:
        return
    name = django_settings.CSRF_COOKIE_NAME
    if name not in response.cookies and _speaks_for_nobody(request):
        account_changed(request)
        django_private.send_cookie(request, response)
    cookie = response.cookies.get(name)
    if cookie is not None and cookie["max-age"] != 0:  # (0: a view has deleted it)
        secret = django_private.secret_to_draw(request)
        if (active := _beneath(request)) is not None:
            response.cookies[name] = next(csrf_secrets.of_session(active))
        elif isinstance(secret, CsrfSecret):
            response.cookies[name] = secret.drawn
        elif (of_the_account := _account_secret(request)) is not None:
            response.cookies[name] = of_the_account


def token_for(session: Session) -> str:
    """Return a CSRF token as a page of this session has it."""
    return django_private.mask(next(csrf_secrets.of_session(session)))


def token_of_nobody(request: HttpRequest) -> str | None:
    """Return a CSRF token as nobody's page has it on a browser that we know; None on any other."""
    client_id = accounts_of(request).client_id
    return django_private.mask(next(csrf_secrets.of_client(client_id))) if client_id else None


def run_as_nobody(request: HttpRequest) -> None:
    """Let the view see nobody. The active account stays what it is; ``login()`` adds to it."""
    accounts = accounts_of(request)
    accounts._beneath = accounts.session
    become(request, AnonymousUser())


def secret_for(request: HttpRequest, sent: str) -> CsrfSecret:
    """Return the secret of pages drawn in this request, with the face of what the browser sent."""

    def draw() -> str:
        store = request.session
        if isinstance(store, SessionStore) and store.has_unsaved_sign_in:
            store.save()  # A page right after login(): its session has to have an id now.
        return _account_secret(request) or _secret_of_nobody(request, sent)

    return CsrfSecret(sent, draw)


def _account_secret(request: HttpRequest) -> str | None:
    """Return the secret of the active account's pages; None if nobody is active."""
    active = accounts_of(request).session
    return None if active is None else next(csrf_secrets.of_session(active))


def _secret_of_nobody(request: HttpRequest, sent: str) -> str:
    """Return the secret of a page that is drawn while nobody is active.

    The browser's own, from its cookie. If that is still an account's, or there is none, a browser
    that we know gets one that can be found again when an account is active: its sign-in pages
    and choosers that are open then are still good.
    """
    if unmask(sent) == sent != "" and not csrf_secrets.is_an_accounts(sent):
        return sent
    client_id = accounts_of(request).client_id
    return csrf_secrets.random() if client_id is None else next(csrf_secrets.of_client(client_id))


def _speaks_for_nobody(request: HttpRequest) -> bool:
    """Return whether the CSRF cookie that was sent is an account's though nobody is active.

    Only if the request has read the session anyway; costs no statement.
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
    """Return the active account, if the view saw nobody in its place and has not changed it."""
    store, active = request.session, accounts_of(request)._beneath
    if active is None or not isinstance(store, SessionStore) or store.row is None:
        return None
    return active if store.row.pk == active.pk else None


def accounts_of(request: HttpRequest) -> MultiSession:
    """Return ``request.multisession``, for type checkers."""
    accounts: MultiSession = request.multisession  # type: ignore[attr-defined]
    return accounts
