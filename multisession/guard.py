"""Which account a page was drawn for, and what to do when another one is active now.

The page says it by the CSRF token that every Django form carries anyway. While an account is
active, the secret behind ``{% csrf_token %}`` is that account's own (csrf_secrets.py). So, without
a word in any template:

* a form drawn for A is recognised when it arrives, whoever is active by then;
* the forms of A's pages stay good while other accounts are added and switched to;
* while A is active, no token but A's passes, whatever the CSRF cookie says: a neighbour in the
  domain can plant cookies.

While nobody is active, pages carry a secret of the browser, in its CSRF cookie, and Django's check
decides as always. The cookie stops carrying an account's secret as soon as the account is gone.
Views about the browser take the pages of nobody and of every account of it (any_page.py).

Scripts that read the CSRF *cookie* at the moment of sending speak for the browser, not for their
page. For them ``notice.js`` adds the header ``X-Multisession-Page`` to what it sees sent.

``csrf_exempt`` views are left alone. If one asks Django for the check itself, as REST framework's
``SessionAuthentication`` does, it finds the answer that holds for its page, and refuses in its own
words.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from . import cookies, csrf_secrets, django_private, tokens
from .any_page import any_account, is_sign_in_page, is_sign_out, takes_any_page
from .asking import FORM_TYPES, PAGE_HEADER, sender_of
from .backends.db import SessionStore
from .backends.placement import SAFE_METHODS
from .django_private import CsrfSecret, unmask
from .models import Session
from .request_user import become

if TYPE_CHECKING:
    from .models import Client
    from .request import MultiSession

__all__ = ["WrongAccount", "any_account"]

#: On a refusal, for notice.js: "wrong-account" or "signed-out".
REASON_HEADER = "X-Multisession"

#: Of the form by which a refused request is sent again (sending.py).
SEND_FIELD = "multisession-send"

#: How long after a browser's first sign-in the sign-in pages from before it are still good.
OPEN_SIGN_IN_PAGES = datetime.timedelta(hours=1)

#: How many sessions of a client a page may still be recognised as.
REMEMBERED_PAGES = 50


@dataclass(frozen=True, slots=True)
class WrongAccount:
    """A request from a page of another account than the active one."""

    #: The account of the page. None if the browser has forgotten it, or never knew it.
    page: Session | None
    active: Session | None
    #: The CSRF secret that the page carried, if it is one of this browser's accounts.
    secret: str | None = field(default=None, repr=False)


def prepare(request: HttpRequest) -> None:
    """Put a secret that knows the active account where Django's CSRF protection looks first.

    Before the view is known, so that error pages have good forms, too. Asks for nothing. The
    cookie is read by its exact octets, as the session's is: see cookies.py.
    """
    if django_settings.CSRF_USE_SESSIONS or not django_private.secret_to_check(request):
        return
    values = cookies.read_all(request, django_settings.CSRF_COOKIE_NAME)
    secret = _secret(request, values[-1]) if values else None
    django_private.set_secret_to_check(request, secret)


def bind(request: HttpRequest) -> None:
    """Do the same for a browser without a CSRF cookie: its first form is the active account's."""
    # (Under CSRF_USE_SESSIONS the secret is in request.session: the account's own already.)
    drawn = django_private.secret_to_draw(request)
    if not django_settings.CSRF_USE_SESSIONS and not isinstance(drawn, CsrfSecret):
        django_private.set_secret_to_draw(request, _secret(request, drawn or ""))


def account_changed(request: HttpRequest) -> None:
    """Let pages and cookie follow: another account, or nobody, is active from here on."""
    if not django_settings.CSRF_USE_SESSIONS:
        sent = str(django_private.secret_to_check(request) or "")
        django_private.set_secret_to_draw(request, _secret(request, sent))
        django_private.renew_cookie(request)


def finish(request: HttpRequest, response: HttpResponse) -> None:
    """Let the CSRF cookie carry the secret of who is active now, if the answer sends it.

    Scripts take the token from there. If the account that the browser's cookie speaks for is
    gone, the answer sends a new one. To be called when the session has been saved.
    """
    _tell_of_refusal(request, response)
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


def check(request: HttpRequest, view: Callable[..., Any]) -> WrongAccount | None:
    """Return what is wrong with an unsafe request from a page of another account than the active.

    To be asked before Django's CSRF check, which then decides as always. None if all is well. A
    sign-in page that was not drawn for the active account is run as nobody: Django's sends
    signed-in people away if ``redirect_authenticated_user`` is on.
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
    active = _accounts(request).session
    any_page = takes_any_page(request, view)
    as_nobody = active is None and _answers_itself(request, view)
    if said and not any_page and (active is None or said != active.public_id):
        drawn_for = known_session(request, said)
        is_gone = drawn_for is None or not can_act(drawn_for)
        if as_nobody and is_gone:
            _note(request, "signed-out")
        elif not _is_of_same_user(drawn_for, active):
            return _wrong(request, drawn_for, active)
    if active is None and _is_the_cookie(request, token):
        return None
    for page in _candidates(request, active) if token else ():
        if secret := csrf_secrets.matching(token, csrf_secrets.of_session(page)):
            same = _is_of_same_user(page, active)
            if not (any_page or same):
                if not as_nobody or can_act(page):
                    return _wrong(request, page, active, secret)
                _note(request, "signed-out")
            _accept(request, view, secret)
            if not same and is_sign_in_page(request, view):
                _run_as_nobody(request)
            return None
    if any_page and (secret := _matches_nobody(request, view, token)):
        _accept(request, view, secret)
        if is_sign_in_page(request, view):
            _run_as_nobody(request)
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
    """Return whether a switch to this session needs no password."""
    return session.is_live and session.is_current_for(session.user)


def token_for(session: Session) -> str:
    """Return a CSRF token as a page of this session has it."""
    return django_private.mask(next(csrf_secrets.of_session(session)))


def token_of_nobody(request: HttpRequest) -> str | None:
    """Return a CSRF token as nobody's page has it on a browser that we know; None on any other."""
    client = _client(request)
    return django_private.mask(next(csrf_secrets.of_client(client))) if client else None


def is_form(request: HttpRequest) -> bool:
    """Return whether the body is a form, which Django's CSRF check reads, too."""
    return request.content_type in FORM_TYPES


def is_sent_again(request: HttpRequest) -> bool:
    """Return whether this comes from the answer to a refused form."""
    return request.method == "POST" and is_form(request) and SEND_FIELD in _form(request)


def is_from_here(request: HttpRequest) -> bool:
    """Return whether the browser says that the request comes from a page of this very host."""
    sent_from = request.headers.get("Origin") or request.headers.get("Referer")
    return bool(sent_from) and urlsplit(sent_from).netloc == request.get_host()


def known_sessions(request: HttpRequest) -> list[Session]:
    """Return the sessions of this browser whose pages may still be open, the newest first.

    Those that it has forgotten are among them: ``named`` says which may be shown.
    """
    store = request.session
    if not isinstance(store, SessionStore) or store.token is None:
        return []
    rows = Session.objects.visible_to(store.token).accounts().with_users()
    return list(rows.order_by("-pk")[:REMEMBERED_PAGES])


def known_session(request: HttpRequest, public_id: str) -> Session | None:
    """Return the one of them with this id."""
    return next((row for row in known_sessions(request) if row.public_id == public_id), None)


def named(request: HttpRequest, page: Session | None) -> Session | None:
    """Return the session by which the account of a page may be shown and switched to.

    The live one of the same user, else the newest that the browser remembers. None if it has
    forgotten the account: then nothing names it.
    """
    if page is None:
        return None
    mine = [row for row in known_sessions(request) if row.user_id == page.user_id]
    remembered = [row for row in mine if row.is_remembered]
    return next((row for row in remembered if row.is_live), next(iter(remembered), None))


def _wrong(
    request: HttpRequest, page: Session | None, active: Session | None, secret: str | None = None
) -> WrongAccount:
    return WrongAccount(page=named(request, page), active=active, secret=secret)


def _secret(request: HttpRequest, sent: str) -> CsrfSecret:
    """Return the secret of pages drawn in this request, with the face of what the browser sent."""

    def draw() -> str:
        store = request.session
        if isinstance(store, SessionStore) and store.has_unsaved_sign_in:
            store.save()  # A page right after login(): its session has to have an id now.
        return _account_secret(request) or _secret_of_nobody(request, sent)

    return CsrfSecret(sent, draw)


def _account_secret(request: HttpRequest) -> str | None:
    """Return the secret of the active account's pages; None if nobody is active."""
    active = _accounts(request).session
    return None if active is None else next(csrf_secrets.of_session(active))


def _secret_of_nobody(request: HttpRequest, sent: str) -> str:
    """Return the secret of a page that is drawn while nobody is active.

    The browser's own, from its cookie. If that is still an account's, or there is none, a browser
    that we know gets one that can be found again when an account is active: its sign-in pages
    and choosers that are open then are still good.
    """
    if unmask(sent) == sent != "" and not csrf_secrets.is_an_accounts(sent):
        return sent
    client = _client(request)
    return csrf_secrets.random() if client is None else next(csrf_secrets.of_client(client))


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


def _answers_itself(request: HttpRequest, view: Callable[..., Any]) -> bool:
    """Return whether a page of an account that is gone may speak to this view as nobody's.

    A script gets the project's own answer, as its code for ended sessions expects. Signing out is
    done already.
    """
    return is_sign_out(view) or not sender_of(request).is_person


def _is_of_same_user(page: Session | None, active: Session | None) -> bool:
    """Return whether the account of the page is active, perhaps signed in again since."""
    return page is not None and active is not None and page.user_id == active.user_id


def _run_as_nobody(request: HttpRequest) -> None:
    """Let the view see nobody. The active account stays what it is; ``login()`` adds to it."""
    accounts = _accounts(request)
    accounts.beneath = accounts.session
    become(request, AnonymousUser())


def _beneath(request: HttpRequest) -> Session | None:
    """Return the active account, if the view saw nobody in its place and has not changed it."""
    store, active = request.session, _accounts(request).beneath
    if active is None or not isinstance(store, SessionStore) or store.row is None:
        return None
    return active if store.row.pk == active.pk else None


def _is_the_cookie(request: HttpRequest, token: str) -> bool:
    """Return whether a script read this from the CSRF cookie, which says nothing about its page.

    Templates mask their tokens, so those are longer.
    """
    sent = str(django_private.secret_to_check(request) or "")
    return len(token) == django_private.SECRET_LENGTH and constant_time_compare(token, sent)


def _accept(request: HttpRequest, view: Callable[..., Any], secret: str) -> None:
    """Let Django's own check compare the token with this secret."""
    if not django_settings.CSRF_USE_SESSIONS:
        django_private.set_secret_to_check(request, _secret(request, secret))
    elif secret != request.session.get(
        django_private.KEY_IN_SESSION
    ) and django_private.passes_check(request, view, secret):
        # Django knows the active account's only.
        django_private.count_as_checked(request)


def _hold_to(request: HttpRequest, active: Session | None) -> None:
    """Let Django's check take the active account's token alone, whatever the cookie says.

    If it refuses, its answer brings the right cookie, so that a script may try again.
    """
    if active is not None and not django_settings.CSRF_USE_SESSIONS:
        secret = next(csrf_secrets.of_session(active))
        django_private.set_secret_to_check(request, _secret(request, secret))
        django_private.renew_cookie(request)


def _prepare_check_of_exempt_view(request: HttpRequest) -> None:
    """Let a check that an exempt view makes itself pass for the active account's pages alone.

    Its body is not for us to read, so its token may be anywhere: the secret is what is changed.
    Costs the session's statement, where the browser sent both cookies.
    """
    said = request.headers.get(PAGE_HEADER)
    store = request.session
    if not (isinstance(store, SessionStore) and store.session_key) or (
        not said and not django_private.secret_to_check(request)
    ):
        return
    accessed = store.accessed
    active = _accounts(request).session
    store.accessed = accessed
    token = _token_in_header(request)
    if said and (active is None or said != active.public_id):
        page = known_session(request, said)
        is_wrong = not _is_of_same_user(page, active)
    else:
        page, is_wrong = None, False
    if active is not None and not django_settings.CSRF_USE_SESSIONS:
        matched = csrf_secrets.matching(token, csrf_secrets.of_session(active))
        secret = matched or next(csrf_secrets.of_session(active))
        if is_wrong:
            secret = csrf_secrets.random()  # No token of a page of Ada's is Grace's.
        is_wrong = is_wrong or csrf_secrets.is_an_accounts(unmask(token)) and not matched
        django_private.set_secret_to_check(request, _secret(request, secret))
    if is_wrong:
        is_gone = active is None and (page is None or not can_act(page))
        _note(request, "signed-out" if is_gone else "wrong-account")


def _note(request: HttpRequest, reason: str) -> None:
    """Remember why the view's own answer may be a refusal."""
    request._multisession_reason = reason  # type: ignore[attr-defined]


def _tell_of_refusal(request: HttpRequest, response: HttpResponse) -> None:
    """Say on the view's own refusal why, for notice.js.

    Also on the sign-in page that a script was redirected to: its headers are still those of what
    it sent.
    """
    reason = getattr(request, "_multisession_reason", "")
    if reason and response.status_code in (401, 403):
        response[REASON_HEADER] = reason
    elif (
        request.method == "GET"
        and PAGE_HEADER in request.headers
        and _accounts(request).session is None
    ):
        response[REASON_HEADER] = "signed-out"


def _candidates(request: HttpRequest, active: Session | None) -> Iterator[Session]:
    """Yield whose page it may be: the active account first, which mostly saves the query."""
    if active is not None:
        yield active
    yield from known_sessions(request)


def _form(request: HttpRequest) -> Any:
    """Return the fields of the form that was sent; none if they cannot be read."""
    try:
        return request.POST
    except UnreadablePostError:
        return {}


def _submitted_token(request: HttpRequest) -> str:
    """Return the token as Django reads it: from the form, else from the header."""
    token = ""
    if request.method == "POST":
        token = str(_form(request).get("csrfmiddlewaretoken", ""))
    return token if token else _token_in_header(request)


def _token_in_header(request: HttpRequest) -> str:
    return str(request.META.get(django_settings.CSRF_HEADER_NAME, ""))


def _matches_nobody(request: HttpRequest, view: Callable[..., Any], token: str) -> str | None:
    """Return the secret of the token, if this browser's pages had it while nobody was active.

    Only from this very host: a neighbour in the domain can set cookies, and CSRF_TRUSTED_ORIGINS
    may name it. For a sign-in page also before the browser's first sign-in, for
    ``OPEN_SIGN_IN_PAGES``: then only a hash is known of it. So long a form is kept, too, which
    was refused before that.
    """
    carried, client = unmask(token), _client(request)
    if not carried or client is None or _is_from_elsewhere(request):
        return None
    digest = client.visitor_csrf_digest
    is_young = client.created_at > timezone.now() - OPEN_SIGN_IN_PAGES
    if digest and is_young and constant_time_compare(tokens.digest(carried), digest):
        may_be = is_sign_in_page(request, view) or is_sent_again(request)
        return carried if may_be else None
    return csrf_secrets.matching(token, csrf_secrets.of_client(client))


def _is_kept_form_of_nobody(request: HttpRequest, view: Callable[..., Any], token: str) -> bool:
    """Return whether a refused form of an account that is not known any more is sent again.

    By somebody who has not signed in yet, or by whoever has: the answer says who that is.
    """
    if not is_sent_again(request):
        return False
    is_nobody = _accounts(request).session is None
    return is_nobody or _matches_nobody(request, view, token) is not None


def _is_from_elsewhere(request: HttpRequest) -> bool:
    """Return whether the Origin header, which every browser sends with a POST, names another."""
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.get_host()


def _client(request: HttpRequest) -> Client | None:
    return _accounts(request).client


def _accounts(request: HttpRequest) -> MultiSession:
    accounts: MultiSession = request.multisession  # type: ignore[attr-defined]
    return accounts
