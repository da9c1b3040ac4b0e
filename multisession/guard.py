"""Which account a page was drawn for, and what to do when another one is active now.

The page says it by the CSRF token that every Django form carries anyway. While an account is
active, the secret behind ``{% csrf_token %}`` is not the browser's but that account's own: derived
from the public id of its session with a key of the server (OWASP calls it an HMAC-based token,
bound to the session). So, without a word in any template and without a row in any table:

* a form drawn for A is recognised when it arrives, whoever is active by then;
* the forms of A's pages stay good while other accounts are added and switched to.

While nobody is active, pages carry a secret of the browser, in its CSRF cookie, and Django's check
decides as always. The cookie stops carrying an account's secret as soon as the account is gone.
Views that sign people in take the pages of nobody and of every account of this browser
(``takes_any_page``).

Scripts that read the CSRF *cookie* at the moment of sending speak for the browser, not for their
page. For them ``notice.js`` adds the header ``X-Multisession-Page`` to what it sees sent.

The public ``get_token()`` and ``CsrfViewMiddleware`` know one secret for each browser. So this
module relies on private parts of Django: the secret passes through ``request.COOKIES`` and
``META["CSRF_COOKIE"]``, ``get_token()`` iterates over it, ``csrf._mask_cipher_secret`` and
``csrf._unmask_cipher_token`` translate. ``tests/test_guard_django.py`` fails when one changes.
"""

from __future__ import annotations

import copy
import datetime
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.auth import views as auth_views
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.middleware import csrf
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch
from django.utils import timezone
from django.utils.crypto import constant_time_compare, get_random_string
from django.views.i18n import set_language

from . import tokens
from .asking import wants_json
from .backends.db import SessionStore
from .backends.placement import SAFE_METHODS
from .conf import settings
from .models import Session
from .request_user import become

if TYPE_CHECKING:
    from .models import Client
    from .request import MultiSession

#: The session that a page was drawn for, told by its script.
PAGE_HEADER = "X-Multisession-Page"

#: How long after a browser's first sign-in the sign-in pages from before it are still good.
OPEN_SIGN_IN_PAGES = datetime.timedelta(hours=1)

#: How many sessions of a client a page may still be recognised as.
REMEMBERED_PAGES = 50

#: Who is active does not matter to these of Django's: they ask for an address, or hold a proof.
RESET_VIEWS = (auth_views.PasswordResetView, auth_views.PasswordResetConfirmView)

SECRET_LENGTH = csrf.CSRF_SECRET_LENGTH
#: The end of an account's secret, by which it is known for one without asking the database.
MARK_LENGTH = 8
_SALT = b"multisession.guard:"
#: For each octet a letter of a CSRF secret's alphabet.
_LETTERS = bytes(
    ord(csrf.CSRF_ALLOWED_CHARS[octet % len(csrf.CSRF_ALLOWED_CHARS)]) for octet in range(256)
)


@dataclass(frozen=True, slots=True)
class WrongAccount:
    """A request from a page of ``page`` (None: of an account that is no longer known here)."""

    page: Session | None
    active: Session | None


def any_account(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let a view take forms of any page: it is about the browser, not about an account.

    The CSRF check stays. (To leave out both, ``csrf_exempt`` is enough.) Sign-in pages need no
    such mark: see ``takes_any_page``.
    """
    view.any_account = True  # type: ignore[attr-defined]
    return view


def takes_any_page(request: HttpRequest, view: Callable[..., Any]) -> bool:
    """Return whether it does not matter to this view which account the page was drawn for.

    So it is with views that are marked by ``any_account``, with Django's language view and
    password-reset pages, and with sign-in pages.
    """
    return (
        getattr(view, "any_account", False)
        or view is set_language
        or _is_made_of(view, RESET_VIEWS)
        or is_sign_in_page(request, view)
    )


def is_sign_in_page(request: HttpRequest, view: Callable[..., Any]) -> bool:
    """Return True for Django's sign-in view, an admin site's, and the one behind ``LOGIN_URL``."""
    if _is_made_of(view, auth_views.LoginView):
        return True
    if apps.is_installed("django.contrib.admin") and _is_admins_sign_in_page(view):
        return True
    try:
        page = urlsplit(resolve_url(settings.SIGN_IN_URL))
    except NoReverseMatch:
        return False
    # A page with a query, or of another site, has a path that other pages may have, too.
    is_of_its_own = not (page.query or page.fragment) and page.path not in ("", "/")
    is_here = not page.netloc or page.netloc == request.get_host()
    return is_of_its_own and is_here and request.path == page.path


def prepare(request: HttpRequest) -> None:
    """Put a secret that knows the active account where Django's CSRF protection looks first.

    Before the view is known, so that error pages have good forms, too. Asks for nothing.
    """
    name = django_settings.CSRF_COOKIE_NAME
    if name in request.COOKIES and not django_settings.CSRF_USE_SESSIONS:
        request.COOKIES[name] = _Secret(request, request.COOKIES[name])


def bind(request: HttpRequest) -> None:
    """Do the same for a browser without a CSRF cookie: its first form is the active account's."""
    if not django_settings.CSRF_USE_SESSIONS and not isinstance(
        request.META.get("CSRF_COOKIE"), _Secret
    ):
        # (Under CSRF_USE_SESSIONS the secret is in request.session: the account's own already.)
        request.META["CSRF_COOKIE"] = _Secret(request, request.META.get("CSRF_COOKIE", ""))


def account_changed(request: HttpRequest) -> None:
    """Another account, or nobody, is active from here on: pages and cookie follow."""
    if not django_settings.CSRF_USE_SESSIONS:
        sent = request.COOKIES.get(django_settings.CSRF_COOKIE_NAME, "")
        request.META["CSRF_COOKIE"] = _Secret(request, str(sent))
        request.META["CSRF_COOKIE_NEEDS_UPDATE"] = True


def finish(request: HttpRequest, response: HttpResponse) -> None:
    """Let the CSRF cookie carry the secret of who is active now, if the answer sends it.

    Scripts take the token from there. If the account that the browser's cookie speaks for is
    gone, the answer sends a new one. To be called when the session has been saved.
    """
    if django_settings.CSRF_USE_SESSIONS or response.status_code >= 500:
        return
    name = django_settings.CSRF_COOKIE_NAME
    if name not in response.cookies and _speaks_for_nobody(request):
        request.META["CSRF_COOKIE"] = _Secret(request, request.COOKIES.get(name, ""))
        request.META["CSRF_COOKIE_NEEDS_UPDATE"] = True
        csrf.CsrfViewMiddleware(_no_view).process_response(request, response)
    cookie = response.cookies.get(name)
    if cookie is not None and cookie["max-age"] != 0:  # (0: a view has deleted it)
        secret = request.META.get("CSRF_COOKIE")
        if (active := _beneath(request)) is not None:
            response.cookies[name] = next(_secrets_of(active))
        elif isinstance(secret, _Secret):
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
    # The body of an exempt view is not for us to read. It may ask Django for the check itself, as
    # REST framework's views do.
    exempt = getattr(view, "csrf_exempt", False)
    token = _token_in_header(request) if exempt else _submitted_token(request)
    said = request.headers.get(PAGE_HEADER)
    if not token and not said:
        return None
    accounts: MultiSession = request.multisession  # type: ignore[attr-defined]
    active = accounts.session
    any_page = takes_any_page(request, view)
    as_nobody = active is None and _may_be_nobodys(request, view)
    if said and not any_page and (active is None or said != active.public_id):
        page = known_session(request, said)
        is_gone = page is None or not can_act(page)
        same = page is not None and active is not None and page.user_id == active.user_id
        if not (same or (as_nobody and is_gone)):
            return WrongAccount(page=page, active=active)
    if exempt:
        # If the view asks for the check, only the active account's token passes, whatever the
        # cookie says: a late answer may have brought another account's.
        # (Under CSRF_USE_SESSIONS it looks into the active account's session by itself.)
        if not django_settings.CSRF_USE_SESSIONS:
            _accept(request, view, _matches(token, active) or _account_secret(request))
        return None
    if active is None and _is_the_cookie(request, token):
        return None
    for page in _candidates(request, active) if token else ():
        if secret := _matches(token, page):
            same = active is not None and active.user_id == page.user_id
            if not (any_page or same or (as_nobody and not can_act(page))):
                return WrongAccount(page=page, active=active)
            _accept(request, view, secret)
            if not same and is_sign_in_page(request, view):
                _run_as_nobody(request)
            return None
    if any_page and (secret := _matches_nobody(request, view, token)):
        _accept(request, view, secret)
        if is_sign_in_page(request, view):
            _run_as_nobody(request)
    elif any_page or as_nobody:
        return None
    elif token and _is_marked(_unmask(token)):
        return WrongAccount(page=None, active=active)
    return None


def token_for(session: Session) -> str:
    """Return a CSRF token as a page of this session has it."""
    token: str = csrf._mask_cipher_secret(next(_secrets_of(session)))  # type: ignore[attr-defined]
    return token


class _Secret(str):
    """A CSRF secret with two faces, for the request that it belongs to.

    As text it is what the browser sent: with that Django's check compares. ``get_token()`` iterates
    over it to mask it: then it is the secret of whoever is active at that moment.
    """

    _request: HttpRequest
    _drawn: str | None = None

    def __new__(cls, request: HttpRequest, sent: str) -> _Secret:
        secret = super().__new__(cls, sent)
        secret._request = request
        return secret

    def __iter__(self) -> Iterator[str]:
        return iter(self.drawn)

    @property
    def drawn(self) -> str:
        """The secret of pages drawn now; asked for once."""
        if self._drawn is None:
            self._drawn = self._find()
        return self._drawn

    def _find(self) -> str:
        store = self._request.session
        if isinstance(store, SessionStore) and store.has_unsaved_sign_in:
            store.save()  # A page right after login(): its session has to have an id now.
        return _account_secret(self._request) or _secret_of_nobody(self._request, str(self))


def _account_secret(request: HttpRequest) -> str | None:
    """The secret of the active account's pages; None if nobody is active."""
    accounts: MultiSession = request.multisession  # type: ignore[attr-defined]
    active = accounts.session
    return None if active is None else next(_secrets_of(active))


def _secret_of_nobody(request: HttpRequest, sent: str) -> str:
    """The secret of a page that is drawn while nobody is active.

    The browser's own, from its cookie. If that is still an account's, or there is none, a browser
    that we know gets one that can be found again when an account is active: its sign-in pages
    and choosers that are open then are still good.
    """
    if _unmask(sent) == sent != "" and not _is_marked(sent):
        return sent
    client = _client(request)
    if client is not None:
        return next(_secrets_of_client(client))
    return get_random_string(SECRET_LENGTH, csrf.CSRF_ALLOWED_CHARS)


def _speaks_for_nobody(request: HttpRequest) -> bool:
    """Whether the CSRF cookie that was sent is an account's though nobody is active.

    Only if the request has read the session anyway; costs no statement.
    """
    store = request.session
    if not isinstance(store, SessionStore) or not store.accessed:
        return False
    row = store.row
    if row is not None and row.user_id is not None:
        return False
    sent = request.COOKIES.get(django_settings.CSRF_COOKIE_NAME)
    return bool(sent) and _is_marked(str(sent))


def _may_be_nobodys(request: HttpRequest, view: Callable[..., Any]) -> bool:
    """Whether a page of an account that is gone may speak to this view as nobody's.

    A script gets the project's own answer, as its code for ended sessions expects. Signing out is
    done already.
    """
    return _is_made_of(view, auth_views.LogoutView) or wants_json(request)


def _is_admins_sign_in_page(view: Any) -> bool:
    """Whether this is the method ``login`` of an admin site, perhaps inside decorators."""
    from django.contrib.admin import AdminSite  # its models need the app

    while view is not None:
        if isinstance(getattr(view, "__self__", None), AdminSite):
            return bool(view.__name__ == "login")
        view = getattr(view, "__wrapped__", None)
    return False


def can_act(session: Session) -> bool:
    """Whether a switch to this session needs no password."""
    return session.is_live and session.is_current_for(session.user)


def _is_made_of(view: Callable[..., Any], classes: type | tuple[type, ...]) -> bool:
    """Whether ``as_view()`` of one of these classes, or of a subclass, made the view."""
    view_class = getattr(view, "view_class", None)
    return isinstance(view_class, type) and issubclass(view_class, classes)


def _run_as_nobody(request: HttpRequest) -> None:
    """Let the view see nobody. The active account stays what it is; ``login()`` adds to it."""
    accounts: MultiSession = request.multisession  # type: ignore[attr-defined]
    accounts.beneath = accounts.session
    become(request, AnonymousUser())


def _beneath(request: HttpRequest) -> Session | None:
    """The active account, if the view saw nobody in its place and has not changed it."""
    accounts: MultiSession = request.multisession  # type: ignore[attr-defined]
    store, active = request.session, accounts.beneath
    if active is None or not isinstance(store, SessionStore) or store.row is None:
        return None
    return active if store.row.pk == active.pk else None


def _is_the_cookie(request: HttpRequest, token: str) -> bool:
    """Whether a script read this from the CSRF cookie, which says nothing about its page.

    Templates mask their tokens, so those are longer.
    """
    sent = str(request.COOKIES.get(django_settings.CSRF_COOKIE_NAME, ""))
    return len(token) == SECRET_LENGTH and constant_time_compare(token, sent)


def _accept(request: HttpRequest, view: Callable[..., Any], secret: str | None) -> None:
    """Let Django's own check compare the token with this secret."""
    if secret is None:
        return
    if not django_settings.CSRF_USE_SESSIONS:
        request.COOKIES = {
            **request.COOKIES,
            django_settings.CSRF_COOKIE_NAME: _Secret(request, secret),
        }
    elif secret != request.session.get(csrf.CSRF_SESSION_KEY):
        # Django knows the active account's only. So the whole check, of the origin too, is made
        # with a copy of the request; if it fails, Django's own check fails as well.
        copied: Any = copy.copy(request)
        copied.session = {csrf.CSRF_SESSION_KEY: secret}
        if csrf.CsrfViewMiddleware(_no_view).process_view(copied, view, (), {}) is None:
            request.csrf_processing_done = True  # type: ignore[attr-defined]


def _candidates(request: HttpRequest, active: Session | None) -> Iterator[Session]:
    """Whose page it may be: the active account's first, which mostly saves the query."""
    if active is not None:
        yield active
    yield from known_sessions(request)


def known_sessions(request: HttpRequest) -> list[Session]:
    """The sessions of this browser whose pages may still be open, the newest first."""
    store = request.session
    if not isinstance(store, SessionStore) or store.token is None:
        return []
    rows = Session.objects.visible_to(store.token).accounts().with_users()
    return list(rows.order_by("-pk")[:REMEMBERED_PAGES])


def known_session(request: HttpRequest, public_id: str) -> Session | None:
    """The one of them with this id."""
    return next((row for row in known_sessions(request) if row.public_id == public_id), None)


def _submitted_token(request: HttpRequest) -> str:
    """The token as Django reads it: from the form, else from the header."""
    token = ""
    if request.method == "POST":
        try:
            token = str(request.POST.get("csrfmiddlewaretoken", ""))
        except UnreadablePostError:
            return ""
    return token if token else _token_in_header(request)


def _token_in_header(request: HttpRequest) -> str:
    return str(request.META.get(django_settings.CSRF_HEADER_NAME, ""))


def _matches(token: str, session: Session | None) -> str | None:
    """The session's secret that this token carries, if it is one of this session."""
    carried = _unmask(token)
    if session is None or not carried:
        return None
    for secret in _secrets_of(session):
        if constant_time_compare(carried, secret):
            return secret
    return None


def _matches_nobody(request: HttpRequest, view: Callable[..., Any], token: str) -> str | None:
    """The secret that this token carries, if this browser's pages had it while nobody was active.

    Only from this very host: a neighbour in the domain can set cookies, and CSRF_TRUSTED_ORIGINS
    may name it. For a sign-in page also before the browser's first sign-in, for
    ``OPEN_SIGN_IN_PAGES``: then only a hash is known of it.
    """
    carried, client = _unmask(token), _client(request)
    if not carried or client is None or not _is_from_here(request):
        return None
    digest = client.visitor_csrf_digest
    is_young = client.created_at > timezone.now() - OPEN_SIGN_IN_PAGES
    if digest and is_young and constant_time_compare(tokens.digest(carried), digest):
        return carried if is_sign_in_page(request, view) else None
    found = (secret for secret in _secrets_of_client(client))
    return next((secret for secret in found if constant_time_compare(carried, secret)), None)


def _is_from_here(request: HttpRequest) -> bool:
    """Whether the Origin header, which every browser sends with a POST, names this host."""
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.get_host()


def _client(request: HttpRequest) -> Client | None:
    accounts: MultiSession = request.multisession  # type: ignore[attr-defined]
    return accounts.client


def _unmask(token: str) -> str:
    """The secret that a token carries; empty for what is no token."""
    if not set(token) <= set(csrf.CSRF_ALLOWED_CHARS):
        return ""
    if len(token) == csrf.CSRF_TOKEN_LENGTH:
        return str(csrf._unmask_cipher_token(token))  # type: ignore[attr-defined]
    return token if len(token) == SECRET_LENGTH else ""


def _secrets_of(session: Session) -> Iterator[str]:
    """The secret of a session's pages; then the ones it had under earlier keys of the server."""
    if django_settings.CSRF_USE_SESSIONS:
        yield str(session.get_decoded().get(csrf.CSRF_SESSION_KEY) or "")
        return
    for key in _keys():
        body = _letters(key, f"secret:{session.public_id}", SECRET_LENGTH - MARK_LENGTH)
        yield body + _letters(key, f"mark:{body}", MARK_LENGTH)


def _secrets_of_client(client: Client) -> Iterator[str]:
    """The secrets of nobody's pages on this browser, the present one first."""
    return (_letters(key, f"nobody:{client.public_id}", SECRET_LENGTH) for key in _keys())


def _is_marked(secret: str) -> bool:
    """Whether this is some account's secret: its end follows from its beginning."""
    body, mark = secret[:-MARK_LENGTH], secret[-MARK_LENGTH:]
    return bool(body) and any(
        constant_time_compare(mark, _letters(key, f"mark:{body}", MARK_LENGTH)) for key in _keys()
    )


def _keys() -> list[str]:
    return [str(key) for key in (django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS)]


def _letters(key: str, text: str, length: int) -> str:
    """``length`` letters of a CSRF secret's alphabet, as random as HMAC-SHA-256."""
    octets = hmac.digest(key.encode(), _SALT + text.encode(), "sha256")
    return octets[:length].translate(_LETTERS).decode()


def _no_view(request: HttpRequest) -> HttpResponse:
    """Stand in for the view that a middleware wants, where only its answer is wanted."""
    raise NotImplementedError
