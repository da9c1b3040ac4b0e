"""The private parts of Django that the guard and ``request.user`` rely on, and nothing else.

Public ways that were looked for: ``get_token()``, ``rotate_token()`` and ``CsrfViewMiddleware``
know one secret for each browser; ``AuthenticationMiddleware`` has no hook for how it finds the
user. ``tests/test_django_private.py`` says which sentence below is no longer true when Django
changes one of them.

In Django's CSRF protection (``django.middleware.csrf``, 5.2 to 6.1):

* ``process_request`` takes the secret from ``request.COOKIES`` and puts it, the same object, into
  ``META["CSRF_COOKIE"]``; ``process_view`` compares tokens with the text of the one in the cookie;
* ``get_token()`` masks the one in ``META`` by iterating over it, and sets
  ``META["CSRF_COOKIE_NEEDS_UPDATE"]``, by which ``process_response`` sends the cookie;
* ``_mask_cipher_secret`` and ``_unmask_cipher_token`` make a token of a secret and back;
* nothing is checked where ``request.csrf_processing_done`` is true.

In ``django.contrib.auth.middleware``: ``request.user`` is a ``SimpleLazyObject`` whose function is
in ``_setupfunc`` and whose value is in ``_wrapped``; the answers of ``request.user`` and
``request.auser()`` are kept in ``request._cached_user`` and ``request._acached_user``.

In ``django.db.models.base``: all that ``Model.__init__`` does with the values of a row is to send
``pre_init`` and ``post_init``, to make a ``ModelState`` and to set one attribute for each field.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth import middleware as auth_middleware
from django.db.models import Model
from django.db.models.base import ModelState
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_init, pre_init
from django.http import HttpRequest, HttpResponse
from django.middleware import csrf
from django.utils.functional import SimpleLazyObject, empty

SECRET_LENGTH: int = csrf.CSRF_SECRET_LENGTH
TOKEN_LENGTH: int = csrf.CSRF_TOKEN_LENGTH
ALPHABET: str = csrf.CSRF_ALLOWED_CHARS
_LETTERS = frozenset(ALPHABET)
#: Under ``CSRF_USE_SESSIONS``, where a session's data has its secret.
KEY_IN_SESSION: str = csrf.CSRF_SESSION_KEY


class CsrfSecret(str):
    """A CSRF secret with two faces, for the request that it belongs to.

    As text it is what the browser sent: Django's check compares with that. When ``get_token()``
    iterates over it to mask it, it is what ``draw()`` returns at that moment.
    """

    draw: Callable[[], str]
    _drawn: str | None = None

    def __new__(cls, sent: str, draw: Callable[[], str]) -> CsrfSecret:
        secret = super().__new__(cls, sent)
        secret.draw = draw
        return secret

    def __iter__(self) -> Iterator[str]:
        return iter(self.drawn)

    @property
    def drawn(self) -> str:
        """The secret of pages drawn now; asked for once."""
        if self._drawn is None:
            self._drawn = self.draw()
        return self._drawn


def mask(secret: str) -> str:
    """Return a token of this secret, as ``{% csrf_token %}`` has it."""
    token: str = csrf._mask_cipher_secret(secret)  # type: ignore[attr-defined]
    return token


def unmask(token: str) -> str:
    """Return the secret that a token carries; a secret as it is; empty for anything else."""
    if not _LETTERS.issuperset(token):
        return ""
    if len(token) == TOKEN_LENGTH:
        return str(csrf._unmask_cipher_token(token))  # type: ignore[attr-defined]
    return token if len(token) == SECRET_LENGTH else ""


def secret_to_check(request: HttpRequest) -> str | None:
    """Return the secret that Django's check compares tokens with."""
    return request.COOKIES.get(settings.CSRF_COOKIE_NAME)


def set_secret_to_check(request: HttpRequest, secret: str | None) -> None:
    """Let Django's check compare tokens with this secret. None: there is none."""
    if secret is None:
        request.COOKIES.pop(settings.CSRF_COOKIE_NAME, None)
    else:
        request.COOKIES[settings.CSRF_COOKIE_NAME] = secret


def secret_to_draw(request: HttpRequest) -> str | None:
    """Return the secret that ``get_token()`` masks."""
    return request.META.get("CSRF_COOKIE")


def set_secret_to_draw(request: HttpRequest, secret: CsrfSecret) -> None:
    """Let ``get_token()`` mask this secret."""
    request.META["CSRF_COOKIE"] = secret


def renew_cookie(request: HttpRequest) -> None:
    """Let the answer send the CSRF cookie anew."""
    request.META["CSRF_COOKIE_NEEDS_UPDATE"] = True


def send_cookie(request: HttpRequest, response: HttpResponse) -> None:
    """Send the CSRF cookie now, if it is to be renewed."""
    csrf.CsrfViewMiddleware(_no_view).process_response(request, response)


def passes_check(request: HttpRequest, view: Callable[..., Any], secret: str) -> bool:
    """Return whether Django's whole check, of the origin too, passes with this secret."""
    copied: Any = copy.copy(request)
    copied.COOKIES = {**request.COOKIES}
    if settings.CSRF_USE_SESSIONS:
        copied.session = {KEY_IN_SESSION: secret}
    else:
        set_secret_to_check(copied, secret)
    return _QuietCheck(_no_view).process_view(copied, view, (), {}) is None


def count_as_checked(request: HttpRequest) -> None:
    """Let Django's check pass without looking: ``passes_check`` has looked."""
    request.csrf_processing_done = True  # type: ignore[attr-defined]


def find_user_with(
    request: HttpRequest, find: Callable[[HttpRequest], Any], afind: Callable[[HttpRequest], Any]
) -> None:
    """Let ``request.user`` and ``request.auser`` ask these, if they are still Django's own."""
    user = request.__dict__.get("user")
    if type(user) is SimpleLazyObject:
        lazy = vars(user)
        if lazy["_wrapped"] is empty and lazy["_setupfunc"].__module__ == auth_middleware.__name__:
            lazy["_setupfunc"] = partial(find, request)
    auser = request.__dict__.get("auser")
    if isinstance(auser, partial) and auser.func is auth_middleware.auser:
        request.auser = partial(afind, request)


def is_unread(user: Any) -> bool:
    """Return whether this is a ``request.user`` that nobody has looked at yet."""
    return isinstance(user, SimpleLazyObject) and user._wrapped is empty


def user_read(request: HttpRequest) -> Any:
    """Return the user that ``request.user`` has found already, or None."""
    return getattr(request, "_cached_user", None)


def set_user_read(request: HttpRequest, user: Any) -> None:
    """Let Django's ``get_user()`` find this user without asking."""
    request._cached_user = user  # type: ignore[attr-defined]


def auser_read(request: HttpRequest) -> Any:
    """Return the user that ``await request.auser()`` has found already, or None."""
    return getattr(request, "_acached_user", None)


def set_auser_read(request: HttpRequest, user: Any) -> None:
    """Let Django's ``auser()`` find this user without asking."""
    request._acached_user = user  # type: ignore[attr-defined]


def maker(model: Any) -> Callable[[str, Any, Any], Any]:
    """Return ``model.from_db``, or what does the same without the model's constructor.

    Not for a model with a constructor of its own, or a field that heeds what it is set to.
    """
    own_way = (model.from_db.__func__, model.__init__, model.__setattr__)
    djangos = (vars(Model)["from_db"].__func__, Model.__init__, object.__setattr__)
    plain = (DeferredAttribute, ForeignKeyDeferredAttribute)
    is_plain = own_way == djangos and all(
        type(inspect.getattr_static(model, field.attname)) in plain
        for field in model._meta.concrete_fields
    )
    return partial(instance_of_row, model) if is_plain else model.from_db


def instance_of_row(model: Any, using: str, attnames: list[str], values: Any) -> Any:
    """Do what ``model.from_db`` does, without the model's constructor: in a fifth of the time.

    Unpickling does so, too. Where anybody listens to the making of instances, as image fields do,
    it is done Django's way.
    """
    if pre_init.receivers or post_init.receivers:
        return model.from_db(using, attnames, values)
    instance = model.__new__(model)
    instance.__dict__.update(zip(attnames, values, strict=True))
    instance._state = state = ModelState()
    state.adding, state.db = False, using
    return instance


class _QuietCheck(csrf.CsrfViewMiddleware):
    """Django's check, which calls no CSRF_FAILURE_VIEW and logs nothing: only asked, not answered.

    ``_reject`` makes every refusal of ``CsrfViewMiddleware``.
    """

    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
        return HttpResponse(status=403)


def _no_view(request: HttpRequest) -> HttpResponse:
    """Stand in for the view that a middleware wants, where only its answer is wanted."""
    raise NotImplementedError
