"""The private parts of Django that the guard and ``request.user`` rely on, and nothing else.

The public API is not enough: ``get_token()``, ``rotate_token()`` and ``CsrfViewMiddleware`` know
one secret for each browser, and ``AuthenticationMiddleware`` has no hook for finding the user.
``tests/test_django_private.py`` checks each sentence below against the installed Django.

In Django's CSRF protection (``django.middleware.csrf``, 5.2 to 6.1):

* ``process_request`` takes the secret from ``request.COOKIES`` and puts it, the same object, into
  ``META["CSRF_COOKIE"]``; ``process_view`` compares tokens with the text of the one in the cookie;
* ``get_token()`` masks the one in ``META`` by iterating over it, and sets
  ``META["CSRF_COOKIE_NEEDS_UPDATE"]``, which makes ``process_response`` send the cookie;
* ``_mask_cipher_secret`` makes a token from a secret, ``_unmask_cipher_token`` the reverse;
* if ``request.csrf_processing_done`` is true, the check is skipped.

In ``django.contrib.auth.middleware``: ``request.user`` is a ``SimpleLazyObject`` with its function
in ``_setupfunc`` and its value in ``_wrapped``; ``request._cached_user`` and
``request._acached_user`` cache the results of ``request.user`` and ``request.auser()``.

In ``django.db.models.base``: ``Model.__init__`` sends ``pre_init`` and ``post_init``, makes a
``ModelState`` and sets one attribute for each field. It does nothing else with a row's values.
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
#: The key of the CSRF secret in a session's data, under ``CSRF_USE_SESSIONS``.
KEY_IN_SESSION: str = csrf.CSRF_SESSION_KEY


class CsrfSecret(str):
    """The CSRF secret of one request, with different values for checking and for drawing.

    As text it is the secret that the browser sent; Django's check compares tokens with it.
    Iterating over it, as ``get_token()`` does to mask it, yields the secret from ``draw()``.
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
        """The secret of pages drawn now. Calls ``draw()`` once."""
        if self._drawn is None:
            self._drawn = self.draw()
        return self._drawn


def mask(secret: str) -> str:
    """Return a token of this secret, as ``{% csrf_token %}`` makes it."""
    token: str = csrf._mask_cipher_secret(secret)  # type: ignore[attr-defined]
    return token


def unmask(token: str) -> str:
    """Return the secret in a token, a bare secret unchanged, or "" for anything else."""
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
    """Return True if Django's whole check, including the origin, passes with this secret."""
    copied: Any = copy.copy(request)
    copied.COOKIES = {**request.COOKIES}
    if settings.CSRF_USE_SESSIONS:
        copied.session = {KEY_IN_SESSION: secret}
    else:
        set_secret_to_check(copied, secret)
    return _QuietCheck(_no_view).process_view(copied, view, (), {}) is None


def count_as_checked(request: HttpRequest) -> None:
    """Make Django skip its check, after ``passes_check`` has passed."""
    request.csrf_processing_done = True  # type: ignore[attr-defined]


def find_user_with(
    request: HttpRequest, find: Callable[[HttpRequest], Any], afind: Callable[[HttpRequest], Any]
) -> None:
    """Make ``request.user`` and ``request.auser`` call these, if they are still Django's own."""
    user = request.__dict__.get("user")
    if type(user) is SimpleLazyObject:
        lazy = vars(user)
        if lazy["_wrapped"] is empty and lazy["_setupfunc"].__module__ == auth_middleware.__name__:
            lazy["_setupfunc"] = partial(find, request)
    auser = request.__dict__.get("auser")
    if isinstance(auser, partial) and auser.func is auth_middleware.auser:
        request.auser = partial(afind, request)


def is_unread(user: Any) -> bool:
    """Return True if this is a ``request.user`` that has not been evaluated yet."""
    return isinstance(user, SimpleLazyObject) and user._wrapped is empty


def user_read(request: HttpRequest) -> Any:
    """Return the user that ``request.user`` has found already, or None."""
    return getattr(request, "_cached_user", None)


def set_user_read(request: HttpRequest, user: Any) -> None:
    """Make Django's ``get_user()`` return this user without a query."""
    request._cached_user = user  # type: ignore[attr-defined]


def auser_read(request: HttpRequest) -> Any:
    """Return the user that ``await request.auser()`` has found already, or None."""
    return getattr(request, "_acached_user", None)


def set_auser_read(request: HttpRequest, user: Any) -> None:
    """Make Django's ``auser()`` return this user without a query."""
    request._acached_user = user  # type: ignore[attr-defined]


def maker(model: Any) -> Callable[[str, Any, Any], Any]:
    """Return the fastest function that makes instances of ``model`` from rows.

    That is ``instance_of_row``, unless the model has its own constructor, ``from_db`` or
    ``__setattr__``, or a field with its own descriptor: then it is ``model.from_db``.
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
    """Do what ``model.from_db`` does without calling the constructor, in a fifth of the time.

    Unpickling skips the constructor, too. If ``pre_init`` or ``post_init`` has receivers (image
    fields connect one), this calls ``model.from_db``.
    """
    if pre_init.receivers or post_init.receivers:
        return model.from_db(using, attnames, values)
    instance = model.__new__(model)
    instance.__dict__.update(zip(attnames, values, strict=True))
    instance._state = state = ModelState()
    state.adding, state.db = False, using
    return instance


class _QuietCheck(csrf.CsrfViewMiddleware):
    """Django's check without CSRF_FAILURE_VIEW and without a log entry.

    All refusals of ``CsrfViewMiddleware`` go through ``_reject``.
    """

    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
        return HttpResponse(status=403)


def _no_view(request: HttpRequest) -> HttpResponse:
    """Stand in for ``get_response``, which is never called here."""
    raise NotImplementedError
