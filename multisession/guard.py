"""Which account a page was drawn for, and what to do when another one is active now.

The page says it by the CSRF token that every Django form carries anyway. While an account is
active, the secret behind ``{% csrf_token %}`` is not the browser's but that account's own: derived
from the public id of its session with a key of the server (OWASP calls it an HMAC-based token,
bound to the session). So, without a word in any template and without a row in any table:

* a form drawn for A is recognised when it arrives, whoever is active by then;
* the forms of A's pages stay good while other accounts are added and switched to.

A token that is no account's goes to Django's check as it came: where nobody is signed in,
everything is as in Django, with one secret for the browser, in its cookie.

Scripts that read the CSRF *cookie* at the moment of sending speak for the browser, not for their
page. For them ``notice.js`` adds the header ``X-Multisession-Page`` to what it sees sent.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.middleware import csrf
from django.utils.crypto import constant_time_compare, get_random_string

from .backends.db import SessionStore
from .backends.placement import SAFE_METHODS
from .models import Session

if TYPE_CHECKING:
    from .request import MultiSession

#: The session that a page was drawn for, told by its script.
PAGE_HEADER = "X-Multisession-Page"

#: How many sessions of a client a page may still be recognised as.
REMEMBERED_PAGES = 50

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
    """A view that is about the browser, not about an account: it takes forms of any page.

    The CSRF check stays. (To leave out both, ``csrf_exempt`` is enough.)
    """
    view.any_account = True  # type: ignore[attr-defined]
    return view


def bind(request: HttpRequest) -> None:
    """Make the active account's secret the one that Django's CSRF protection works with.

    Lazy, in both places where Django looks: a page without a form asks for nothing.
    """
    if not django_settings.CSRF_USE_SESSIONS:
        # (Otherwise Django keeps it in request.session: it is the account's own already.)
        request.META["CSRF_COOKIE"] = _Secret(request)
        if request.method in SAFE_METHODS:
            request.COOKIES = _Cookies(request.COOKIES, lambda: _account_secret(request))


def account_changed(request: HttpRequest) -> None:
    """Another account is active from here on: what the request still renders is that one's."""
    if not django_settings.CSRF_USE_SESSIONS:
        request.META["CSRF_COOKIE"] = _Secret(request)
        request.META["CSRF_COOKIE_NEEDS_UPDATE"] = True


def finish(request: HttpRequest, response: HttpResponse) -> None:
    """If the answer sends the CSRF cookie, it is that of the account that is active now.

    Scripts take the token from there. To be called when the session has been saved.
    """
    cookie = response.cookies.get(django_settings.CSRF_COOKIE_NAME)
    if cookie is None or not cookie.value or django_settings.CSRF_USE_SESSIONS:
        return
    if response.status_code < 500 and (secret := _account_secret(request)) is not None:
        response.cookies[django_settings.CSRF_COOKIE_NAME] = secret


def check(request: HttpRequest, view: Callable[..., Any]) -> WrongAccount | None:
    """Whether an unsafe request comes from a page of another account than the active one.

    To be asked before Django's CSRF check, which then decides as always. None if all is well.
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
    any_page = getattr(view, "any_account", False)
    if said and not any_page and (active is None or said != active.public_id):
        page = known_session(request, said)
        if page is None or active is None or page.user_id != active.user_id:
            return WrongAccount(page=page, active=active)
    if exempt:
        _accept(request, _matches(token, active))
        return None
    for page in _candidates(request, active) if token else ():
        if secret := _matches(token, page):
            if any_page or (active is not None and active.user_id == page.user_id):
                _accept(request, secret)
                return None
            return WrongAccount(page=page, active=active)
    if token and not any_page and _is_marked(_unmask(token)):
        return WrongAccount(page=None, active=active)
    return None


def token_for(session: Session) -> str:
    """A CSRF token as a page of this session has it."""
    token: str = csrf._mask_cipher_secret(next(_secrets_of(session)))  # type: ignore[attr-defined]
    return token


class _Secret:
    """What Django finds in ``META["CSRF_COOKIE"]``.

    ``get_token()`` walks through it to mask it: that is when the account is asked for. The CSRF
    middleware writes it into the cookie: that alone asks for nothing.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._browsers = request.META.get("CSRF_COOKIE")
        self._found: str | None = None

    def __iter__(self) -> Iterator[str]:
        if self._found is None:
            store = self._request.session
            if isinstance(store, SessionStore) and store.has_unsaved_sign_in:
                store.save()  # A page right after login(): its session has to have an id now.
            self._found = _account_secret(self._request) or self._of_the_browser()
        return iter(self._found)

    def __str__(self) -> str:
        return self._found or self._of_the_browser()

    def _of_the_browser(self) -> str:
        browsers = "" if self._browsers is None else str(self._browsers)
        if not browsers or _is_marked(browsers):
            # None yet, or an account's that has gone: a page of nobody must not look like one.
            self._browsers = browsers = get_random_string(SECRET_LENGTH, csrf.CSRF_ALLOWED_CHARS)
        return browsers


def _account_secret(request: HttpRequest) -> str | None:
    """The secret of the active account's pages; None if nobody is signed in."""
    accounts: MultiSession = request.multisession  # type: ignore[attr-defined]
    active = accounts.session
    return None if active is None else next(_secrets_of(active))


class _Cookies(dict[str, str]):
    """The request's cookies; the CSRF cookie is the active account's secret, if there is one.

    For views that ask Django for its protection by a decorator: that looks here once more.
    """

    def __init__(self, cookies: dict[str, str], secret: Callable[[], str | None]) -> None:
        super().__init__(cookies)
        self._secret = secret

    def __getitem__(self, name: str) -> str:
        if name == django_settings.CSRF_COOKIE_NAME and (secret := self._secret()) is not None:
            return secret
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default


def _accept(request: HttpRequest, secret: str | None) -> None:
    """Let Django's own check compare the token with this secret."""
    if secret is None:
        return
    if not django_settings.CSRF_USE_SESSIONS:
        request.COOKIES = {**request.COOKIES, django_settings.CSRF_COOKIE_NAME: secret}
    elif secret != request.session.get(csrf.CSRF_SESSION_KEY):
        # Django knows the active account's only. The token has been compared, here.
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
