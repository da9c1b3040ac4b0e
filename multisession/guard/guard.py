"""Refuse requests from pages that were drawn for another account than the active one.

Every Django form has a CSRF token. While an account is active, the secret behind
``{% csrf_token %}`` is that account's own (csrf_secrets.py). So, without any change to templates:

* the token of a form tells which account the page was drawn for, whichever is active by then;
* the forms of A's pages stay valid while other accounts are added and switched to;
* while A is active, only A's tokens pass, whatever the CSRF cookie holds, because another host of
  the same domain can set cookies.

While no account is active, pages carry a secret of the browser, and Django's check decides as
usual. page_tokens.py puts the tokens into pages; this module checks requests. Views that concern
the browser accept pages of each of its accounts and of none (any_page.py).

An account's pages have a secret for each of its organizations, too. So a page of organization A
never writes in organization B, nor in none, also when the user is no longer a member of A.

A script that reads the CSRF *cookie* when it sends a request proves its browser, not its page. So
``notice.js`` adds the header ``X-Multisession-Page`` to the requests of scripts.

``csrf_exempt`` views are not guarded. If one runs Django's check itself, as REST framework's
``SessionAuthentication`` does, that check accepts only the active account's pages, and the view
refuses in its own way.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from multisession import organizations
from multisession.backends.db import SessionStore
from multisession.ground import django_private, tokens
from multisession.ground.asking import (
    FORM_TYPES,
    ON_COVER,
    PAGE_HEADER,
    SAFE_METHODS,
    has_page,
    is_of_this_site,
    sender_of,
)
from multisession.ground.django_private import unmask
from multisession.models import Session
from multisession.organizations import KEEP, Keep, Organization

from . import csrf_secrets
from .any_page import any_account, is_sign_in_page, is_sign_out, takes_any_page
from .page_tokens import (
    accounts_of,
    effective_session,
    page_name,
    parts_of,
    run_as_nobody,
    secret_for,
)

__all__ = ["WrongAccount", "any_account"]

#: Header of a refusal, for notice.js: "wrong-account" or "signed-out".
REASON_HEADER = "X-Multisession"

#: Field of the form that sends a refused request again (sending.py).
SEND_FIELD = "multisession-send"

_NUMBER = re.compile(r"[A-Za-z0-9]{16,32}", re.ASCII)

#: How long sign-in pages that were opened before a browser's first sign-in stay valid after it.
OPEN_SIGN_IN_PAGES = datetime.timedelta(hours=1)

#: The most sessions of a client whose pages are recognised.
REMEMBERED_PAGES = 50


@dataclass(frozen=True, slots=True)
class WrongAccount:
    """A request from a page of another account than the active one, or another organization."""

    #: The account of the page. None if the browser has forgotten it or never had it.
    page: Session | None
    active: Session | None
    #: The organization of the page. None: it was in none, or see ``is_left``.
    organization: Organization | None = None
    #: True if the page is of an organization that the user is no longer a member of.
    is_left: bool = False
    #: The organization of the active account.
    active_organization: Organization | None = None
    #: The CSRF secret that the page carried, if it is one of this browser's accounts.
    secret: str | None = field(default=None, repr=False)

    @property
    def is_of_same_user(self) -> bool:
        """Return True if the account is the right one, and only the organization is another."""
        return _is_of_same_user(self.page, self.active)

    @property
    def organization_to_enter(self) -> Organization | None | Keep:
        """Return what a switch to this page has to pass to ``set_active``."""
        return KEEP if self.is_left or not organizations.is_on() else self.organization


def check(request: HttpRequest, view: Callable[..., Any]) -> WrongAccount | None:
    """Return a WrongAccount for an unsafe request from another account's page, else None.

    Call it before Django's CSRF check, which then runs as usual. A sign-in page that was not drawn
    for the active account runs without a user, because Django's redirects signed-in users if
    ``redirect_authenticated_user`` is on.
    """
    if request.method in SAFE_METHODS:
        return None
    if getattr(view, "csrf_exempt", False):
        _prepare_check_of_exempt_view(request)
        return None
    token = _submitted_token(request)
    said = request.headers.get(PAGE_HEADER)
    if not token and not said:
        return None
    active = effective_session(request)
    here = page_name(active)
    if (
        active is not None
        and said in (None, here)
        and (secret := csrf_secrets.matching(token, csrf_secrets.of_session(active)))
    ):
        # The usual case: a page of the active account.
        _accept(request, view, secret)
        return None
    any_page = takes_any_page(request, view)
    as_nobody = active is None and _answers_itself(request, view)
    if said and not any_page and (active is None or said != here):
        said_session, said_organization = parts_of(said)
        drawn_for = known_session(request, said_session)
        is_gone = drawn_for is None or not can_act(drawn_for)
        if drawn_for is None and _is_drawn_for(active, token):
            pass  # The header may come from user content on the page; the token can't.
        elif as_nobody and is_gone:
            _note(request, "signed-out")
        elif not _is_of_same_user(drawn_for, active) or (
            active is not None and said_organization != active.organization
        ):
            return wrong(request, drawn_for, active, organization=said_organization)
    if active is None and _is_the_cookie(request, token):
        return None
    for page in _candidates(request, active) if token else ():
        if secret := csrf_secrets.of_any_organization(token, page):
            same = _is_of_same_user(page, active)
            is_right = same and _is_of_organization(secret, page, active)
            if not (any_page or is_right):
                if not as_nobody or can_act(page):
                    return wrong(request, page, active, secret)
                _note(request, "signed-out")
            if not same and is_from_elsewhere(request):
                break  # Another host may have set its own session's cookie, and know its token.
            _accept(request, view, secret)
            if not same and is_sign_in_page(request, view):
                run_as_nobody(request)
            return None
    if any_page and (secret := _matches_nobody(request, view, token)):
        _accept(request, view, secret)
        if is_sign_in_page(request, view):
            run_as_nobody(request)
    elif any_page or as_nobody:
        _hold_to(request, active)
    elif _is_kept_form_of_nobody(request, view, token) or csrf_secrets.is_an_accounts(
        unmask(token)
    ):
        return WrongAccount(page=None, active=active)
    else:
        _hold_to(request, active)
    return None


def can_act(session: Session) -> bool:
    """Return True if a switch to this session needs no password."""
    return session.is_live and session.is_current_for(session.user)


def is_form(request: HttpRequest) -> bool:
    """Return True if the body is a form, the only kind that Django's CSRF check reads."""
    return request.content_type in FORM_TYPES


def is_sent_again(request: HttpRequest) -> bool:
    """Return True if the page that refused this form is sending it again."""
    return request.method == "POST" and is_form(request) and SEND_FIELD in _form(request)


def number_of(request: HttpRequest) -> str:
    """Return the random number of a form that is sent again; "" if it has none."""
    number = _form(request).get(SEND_FIELD, "") if is_sent_again(request) else ""
    return number if _NUMBER.fullmatch(number) else ""


def is_from_here(request: HttpRequest) -> bool:
    """Return True if Origin, or else Referer, names this host, or if neither was sent."""
    sent_from = request.headers.get("Origin", request.headers.get("Referer"))
    return sent_from is None or is_of_this_site(request, sent_from)


def is_from_elsewhere(request: HttpRequest) -> bool:
    """Return True if the Origin header, which browsers send with every POST, names another host."""
    origin = request.headers.get("Origin")
    return origin is not None and not is_of_this_site(request, origin)


def known_sessions(request: HttpRequest) -> list[Session]:
    """Return the sessions of this browser whose pages may still be open, the newest first.

    Includes forgotten ones, which must not be shown; see ``named``.
    """
    store = request.session
    if not isinstance(store, SessionStore) or store.token is None:
        return []
    rows = Session.objects.visible_to(store.token).accounts().with_users()
    return list(rows.order_by("-pk")[:REMEMBERED_PAGES])


def known_session(request: HttpRequest, public_id: str) -> Session | None:
    """Return the one of ``known_sessions`` with this id, or None."""
    return next((row for row in known_sessions(request) if row.public_id == public_id), None)


def named(request: HttpRequest, page: Session | None) -> Session | None:
    """Return the session to show and switch to for the account of a page.

    That is the user's live session, or else the newest that the browser remembers. None if the
    browser has forgotten the account; it must not be named then.
    """
    if page is None:
        return None
    mine = [row for row in known_sessions(request) if row.user_id == page.user_id]
    remembered = [row for row in mine if row.is_remembered]
    return next((row for row in remembered if row.is_live), next(iter(remembered), None))


def wrong(
    request: HttpRequest,
    page: Session | None,
    active: Session | None,
    secret: str | None = None,
    *,
    organization: str = "",
) -> WrongAccount:
    """Return what a page of this session is, whose secret or ``organization`` is known."""
    shown = named(request, page)
    if page is None or not organizations.is_on():
        return WrongAccount(page=shown, active=active, secret=secret)
    found, is_left = _organization_of_page(page, secret, organization)
    return WrongAccount(
        page=shown,
        active=active,
        organization=found,
        is_left=is_left,
        active_organization=accounts_of(request).organization,
        secret=secret,
    )


def _organization_of_page(
    page: Session, secret: str | None, said: str
) -> tuple[Organization | None, bool]:
    """Return the page's organization, and True if its user is no longer a member of it.

    A secret does not tell the id, so those of the user's organizations are tried.
    """
    if secret is None:
        found = organizations.find(page.user, said) if said else None
        return found, bool(said) and found is None
    if _is_one_of(secret, csrf_secrets.of_session(page, "")):
        return None, False
    for each in organizations.listed(page.user):
        if _is_one_of(secret, csrf_secrets.of_session(page, each.id)):
            return each, False
    return None, True


def _is_of_organization(secret: str, page: Session, active: Session | None) -> bool:
    """Return True if this secret of ``page`` is of the organization that ``active`` is in."""
    organization = active.organization if active is not None else ""
    return _is_one_of(secret, csrf_secrets.of_session(page, organization))


def _is_one_of(secret: str, secrets: Iterator[str]) -> bool:
    return any(constant_time_compare(secret, each) for each in secrets)


def _answers_itself(request: HttpRequest, view: Callable[..., Any]) -> bool:
    """Return True if this view may answer a page of an ended session itself, without a user.

    A script gets the project's own answer, as its code for ended sessions expects. A sign-out view
    has nothing left to do.
    """
    return is_sign_out(view) or not sender_of(request).is_person


def _is_drawn_for(active: Session | None, token: str) -> bool:
    """Return True if this is a masked token of the active account, so from a template.

    Scripts read the shorter, unmasked secret from the cookie.
    """
    if active is None or len(token) != django_private.TOKEN_LENGTH:
        return False
    return csrf_secrets.matching(token, csrf_secrets.of_session(active)) is not None


def _is_of_same_user(page: Session | None, active: Session | None) -> bool:
    """Return True if both sessions are of one user, who may have signed in again in between."""
    return page is not None and active is not None and page.user_id == active.user_id


def _is_the_cookie(request: HttpRequest, token: str) -> bool:
    """Return True if a script read this token from the CSRF cookie, which does not name its page.

    Tokens in templates are masked and longer.
    """
    sent = str(django_private.secret_to_check(request) or "")
    return len(token) == django_private.SECRET_LENGTH and constant_time_compare(token, sent)


def _accept(request: HttpRequest, view: Callable[..., Any], secret: str) -> None:
    """Make Django's check compare the token with this secret."""
    if not django_settings.CSRF_USE_SESSIONS:
        django_private.set_secret_to_check(request, secret_for(request, secret))
    elif secret != request.session.get(
        django_private.KEY_IN_SESSION
    ) and django_private.passes_check(request, view, secret):
        # Django's check would compare with the active account's secret only.
        django_private.count_as_checked(request)


def _hold_to(request: HttpRequest, active: Session | None) -> None:
    """Make Django's check accept the active account's tokens only, whatever the cookie holds.

    Its refusal sends the right cookie, so that a script can try again.
    """
    if active is not None and not django_settings.CSRF_USE_SESSIONS:
        secret = next(csrf_secrets.of_session(active))
        django_private.set_secret_to_check(request, secret_for(request, secret))
        django_private.renew_cookie(request)


def _prepare_check_of_exempt_view(request: HttpRequest) -> None:
    """Make a check that an exempt view runs itself accept the active account's pages only.

    The view may read the body in its own way, so this changes the secret to compare with, and not
    the token. Costs the session's query if the browser sent both cookies.
    """
    said = request.headers.get(PAGE_HEADER)
    store = request.session
    if not (isinstance(store, SessionStore) and store.session_key) or (
        not said and not django_private.secret_to_check(request)
    ):
        return
    accessed = store.accessed
    active = effective_session(request)
    store.accessed = accessed
    token = _token_in_header(request)
    if said and (active is None or said != page_name(active)):
        said_session, said_organization = parts_of(said)
        page = known_session(request, said_session)
        is_wrong = not _is_of_same_user(page, active) or (
            active is not None and said_organization != active.organization
        )
    else:
        page, is_wrong = None, False
    if active is not None and not django_settings.CSRF_USE_SESSIONS:
        matched = csrf_secrets.matching(token, csrf_secrets.of_session(active))
        secret = matched or next(csrf_secrets.of_session(active))
        if is_wrong:
            secret = csrf_secrets.random()  # No token matches it.
        is_wrong = is_wrong or csrf_secrets.is_an_accounts(unmask(token)) and not matched
        django_private.set_secret_to_check(request, secret_for(request, secret))
    if is_wrong:
        is_gone = active is None and (page is None or not can_act(page))
        _note(request, "signed-out" if is_gone else "wrong-account")


def _note(request: HttpRequest, reason: str) -> None:
    """Note the reason for a refusal that the view may answer with."""
    request._multisession_reason = reason  # type: ignore[attr-defined]


def tell_of_refusal(request: HttpRequest, response: HttpResponse) -> None:
    """Add the reason header to a refusal of the view's own, for notice.js.

    Also to a sign-in page that a script was redirected to (the browser repeats the script's headers
    there), and to the one that more.js puts on a cover, while another account may be active.
    """
    if response.status_code in (401, 403):
        reason = getattr(request, "_multisession_reason", "")
        if reason:
            response[REASON_HEADER] = reason
    elif request.method == "GET" and has_page(request):
        is_on_cover = request.headers[PAGE_HEADER] == ON_COVER
        if is_on_cover or accounts_of(request).session is None:
            response[REASON_HEADER] = "signed-out"


def _candidates(request: HttpRequest, active: Session | None) -> Iterator[Session]:
    """Yield the sessions whose page it may be; the active one first, which mostly saves a query."""
    if active is not None:
        yield active
    yield from known_sessions(request)


def _form(request: HttpRequest) -> Any:
    """Return the fields of the form; empty if they can't be read."""
    try:
        return request.POST
    except UnreadablePostError:
        return {}


def _submitted_token(request: HttpRequest) -> str:
    """Return the token from where Django takes it: the form, or else the header."""
    token = ""
    if request.method == "POST":
        token = str(_form(request).get("csrfmiddlewaretoken", ""))
    return token if token else _token_in_header(request)


def _token_in_header(request: HttpRequest) -> str:
    return str(request.META.get(django_settings.CSRF_HEADER_NAME, ""))


def _matches_nobody(request: HttpRequest, view: Callable[..., Any], token: str) -> str | None:
    """Return the secret of the token, if this browser's pages had it while no account was active.

    Only for requests from this host: another host of the domain can set cookies, and
    CSRF_TRUSTED_ORIGINS may name it. Sign-in pages and forms that are sent again may date from
    before the browser's first sign-in, for as long as ``OPEN_SIGN_IN_PAGES``. Of the secret from
    that time only a hash is known.
    """
    carried, client = unmask(token), accounts_of(request).client
    if not carried or client is None or is_from_elsewhere(request):
        return None
    digest = client.visitor_csrf_digest
    is_young = client.created_at > timezone.now() - OPEN_SIGN_IN_PAGES
    if digest and is_young and constant_time_compare(tokens.digest(carried), digest):
        may_be = is_sign_in_page(request, view) or is_sent_again(request)
        return carried if may_be else None
    return csrf_secrets.matching(token, csrf_secrets.of_client(client.pk))


def _is_kept_form_of_nobody(request: HttpRequest, view: Callable[..., Any], token: str) -> bool:
    """Return True if a refused form of a forgotten account is sent again.

    The token of such a form is the browser's own. The answer names the active account, if any.
    """
    if not is_sent_again(request):
        return False
    is_nobody = accounts_of(request).session is None
    return is_nobody or _matches_nobody(request, view, token) is not None
