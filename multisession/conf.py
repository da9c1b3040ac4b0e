"""The one settings dictionary, ``MULTISESSION``: every key, its default and its meaning.

A value is looked up and judged once, and again after ``override_settings``. A key that does not
exist is refused with the list of those that do: a misspelt security setting must not pass
unnoticed.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, cast

from django.conf import settings as lazy_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

__all__ = [
    "settings",
]

DAY = 24 * 60 * 60


class DjangoSettings:
    """Django's settings, for what every request asks: each is looked up once.

    A look-up in ``django.conf.settings`` costs thirty times what an attribute does, and a page
    asked for some twenty.
    """

    def __getattr__(self, name: str) -> Any:
        value = getattr(lazy_settings, name)
        setattr(self, name, value)
        return value


class Settings:
    """``MULTISESSION``, one property for each key."""

    @cached_property
    def AFTER_SIGN_OUT(self) -> Literal["choose", "next"]:
        """Who is active after the active account signed out.

        ``"choose"`` (default): nobody, until the person chooses. ``"next"``: the most recently
        used live account, from the next safe request on.
        """
        return cast(Literal["choose", "next"], self._one_of("AFTER_SIGN_OUT", "choose", "next"))

    @cached_property
    def ACTIVITY_INTERVAL(self) -> int:
        """Seconds. ``last_active_at`` is written at most once in this time (default 60)."""
        return self._seconds("ACTIVITY_INTERVAL", 60)

    @cached_property
    def LIFETIME(self) -> int | None:
        """Seconds from sign-in after which a session expires, however it is used (default None).

        Nothing lengthens it. Clerk's default is 7 days.
        """
        return self._seconds_or_none("LIFETIME")

    @cached_property
    def INACTIVITY(self) -> int | None:
        """Seconds without any activity after which a session expires (default None).

        Activity is noted once in ``ACTIVITY_INTERVAL``, so make this a good deal longer.
        """
        return self._seconds_or_none("INACTIVITY")

    @cached_property
    def VISITOR_AGE(self) -> int | None:
        """Seconds after which the data of a visitor who has not signed in is over (default None).

        None: as long as Django says, ``SESSION_COOKIE_AGE`` after its last change. A number can
        only shorten that; what ``set_expiry()`` was given goes before.
        """
        return self._seconds_or_none("VISITOR_AGE")

    @cached_property
    def MAX_ACCOUNTS(self) -> int:
        """How many accounts one browser may be signed in to at once (default 10).

        1: a second sign-in replaces the first, as under Django's own sessions, and the menu offers
        no other account.
        """
        value = self._get("MAX_ACCOUNTS", 10)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ImproperlyConfigured(
                f"MULTISESSION['MAX_ACCOUNTS'] is {value!r}; it must be a whole number from 1 on."
            )
        return value

    @cached_property
    def AT_LIMIT(self) -> Literal["replace", "refuse"]:
        """What a sign-in beyond ``MAX_ACCOUNTS`` does.

        ``"replace"`` (default): it signs out the account that was used least recently, and says
        so. ``"refuse"``: it raises ``AccountLimitReached``, which is answered by a page (403) that
        says so and lists the accounts to sign out of.
        """
        return cast(Literal["replace", "refuse"], self._one_of("AT_LIMIT", "replace", "refuse"))

    @cached_property
    def RETENTION(self) -> int:
        """Seconds that an ended session, or an event of the audit trail, is kept (default 90 days).

        Where it came from is erased after ``DETAILS_RETENTION``.
        """
        return self._seconds("RETENTION", 90 * DAY)

    @cached_property
    def DETAILS_RETENTION(self) -> int:
        """Seconds that an ended session's address and user agent are kept (default 30 days).

        Counted from the end of the session, or from the event in the audit trail.
        """
        return self._seconds("DETAILS_RETENTION", 30 * DAY)

    @cached_property
    def AUDIT(self) -> bool:
        """Return True if the audit trail is kept (default True)."""
        return bool(self._get("AUDIT", True))

    @cached_property
    def COOKIE_AGE(self) -> int:
        """Seconds that a browser keeps the cookie (default 400 days, the most browsers allow).

        The server ends sessions; the cookie only has to outlive them (NIST SP 800-63B-4, 5.1.1).
        It also carries the list of accounts that a browser remembers after they signed out. Where
        no account is remembered, the cookie lives as long as Django says.
        """
        return self._seconds("COOKIE_AGE", 400 * DAY)

    @cached_property
    def ADOPT_FROM(self) -> str | None:
        """Dotted path of the session engine that the project used before, while it moves.

        Its sessions are taken over one by one, so that nobody is signed out
        (docs/howto/upgrade.md).
        None (default): a session of another engine is as unknown as any other value.
        """
        value = self._get("ADOPT_FROM", None)
        return None if value is None else str(value)

    @cached_property
    def CLIENT_ADDRESS(self) -> int | str | None:
        """How to find the client's IP address, which people are shown (docs/howto/proxies.md).

        0 (default): ``REMOTE_ADDR``. A number: how many proxies of yours append to
        X-Forwarded-For. The dotted path of ``f(request) -> str | None``: any other way. None: no
        addresses are kept.
        """
        value = self._get("CLIENT_ADDRESS", 0)
        is_hops = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if value is None or is_hops or (isinstance(value, str) and "." in value):
            return cast("int | str | None", value)
        raise ImproperlyConfigured(
            f"MULTISESSION['CLIENT_ADDRESS'] is {value!r}; it must be a number of proxies, the "
            "dotted path of a function, or None."
        )

    @cached_property
    def ANY_ACCOUNT(self) -> list[str]:
        """Views that take the form of any page, and run as whoever is active (default: none).

        Beginnings of paths (``"/newsletter/"``) and Python modules or packages
        (``"wagtail.contrib.forms"``). For public forms: see docs/explanation/wrong-account.md.
        """
        return self._texts("ANY_ACCOUNT")

    @cached_property
    def NEVER_KEPT(self) -> list[str]:
        """Words in the names of fields that are never kept to be sent later (default: none).

        Besides those of ``multisession.pages.kept_fields.NEVER_KEPT``: password, pin, otp and
        so on.
        """
        return self._texts("NEVER_KEPT")

    @cached_property
    def CHOOSE_URL(self) -> str:
        """URL or URL name of the page on which one chooses an account."""
        return self._text("CHOOSE_URL", "multisession:choose")

    @cached_property
    def SESSIONS_URL(self) -> str:
        """URL or URL name of the page on which one sees where one is signed in."""
        return self._text("SESSIONS_URL", "multisession:sessions")

    @cached_property
    def PROFILE_URL(self) -> str | None:
        """URL or URL name behind *Manage account*; None (default) leaves the link out."""
        value = self._get("PROFILE_URL", None)
        return None if value is None else str(value)

    @cached_property
    def PREPARE(self) -> bool:
        """Return True if PostgreSQL keeps the plan of a page's one statement (default False).

        For psycopg 3 and connections that are kept or pooled by Django; not behind a pooler outside
        that shares out its connections by transaction (docs/explanation/performance.md). Elsewhere,
        inside a transaction it changes nothing.
        """
        return bool(self._get("PREPARE", False))

    @cached_property
    def USER_LABEL(self) -> str | None:
        """Dotted path of ``f(user) -> (name, identifier)``; None (default): name and e-mail."""
        value = self._get("USER_LABEL", None)
        return None if value is None else str(value)

    @cached_property
    def USER_PICTURE(self) -> str | None:
        """Where a user's picture is; None (default): initials stand in for it.

        The name of an attribute (``"photo"``: a URL, a file, or a method that returns one), or the
        dotted path of ``f(user)``. Asked for every account that is shown: it should cost no query.
        """
        value = self._get("USER_PICTURE", None)
        return None if value is None else str(value)

    @cached_property
    def MENU_ITEMS(self) -> str | list[Any]:
        """The project's own lines in every menu (default: none).

        A list of dictionaries with the fields of ``multisession.pages.items.MenuItem``, or the
        dotted path of ``f(request)`` that returns one.
        """
        value = self._get("MENU_ITEMS", ())
        return value if isinstance(value, str) else list(value)

    @cached_property
    def _QUICK(self) -> bool:
        """Return True if a page finds its session and its user by one prepared statement.

        For tests that show that Django's ORM gives the same answers; no project needs it.
        """
        return bool(self._get("_QUICK", True))

    @classmethod
    def valid_keys(cls) -> list[str]:
        """Return the keys that a project may set, sorted."""
        return sorted(name for name in vars(cls) if name.isupper() and name[0] != "_")

    def _get(self, key: str, default: Any) -> Any:
        given = getattr(lazy_settings, "MULTISESSION", {})
        if not isinstance(given, Mapping):
            raise ImproperlyConfigured("MULTISESSION must be a dictionary.")
        if not _VALID_KEYS.issuperset(given):
            unknown = sorted(str(key) for key in set(given) - _VALID_KEYS)
            raise ImproperlyConfigured(
                f"Unknown keys in MULTISESSION: {', '.join(unknown)}. "
                f"Valid keys: {', '.join(self.valid_keys())}."
            )
        return given.get(key, default)

    def _one_of(self, key: str, default: str, other: str) -> str:
        value: str = self._get(key, default)
        if value not in (default, other):
            raise ImproperlyConfigured(
                f"MULTISESSION[{key!r}] is {value!r}; it must be {default!r} or {other!r}."
            )
        return value

    def _text(self, key: str, default: str) -> str:
        return str(self._get(key, default))

    def _texts(self, key: str) -> list[str]:
        value = self._get(key, ())
        if isinstance(value, str) or not all(isinstance(text, str) for text in value):
            raise ImproperlyConfigured(f"MULTISESSION[{key!r}] must be a list of strings.")
        return list(value)

    def _seconds_or_none(self, key: str) -> int | None:
        return None if self._get(key, None) is None else self._seconds(key, 0)

    def _seconds(self, key: str, default: int) -> int:
        value = self._get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ImproperlyConfigured(
                f"MULTISESSION[{key!r}] is {value!r}; it must be a whole number of seconds."
            )
        return value


_VALID_KEYS = frozenset({*Settings.valid_keys(), "_QUICK"})
settings = Settings()
django_settings = DjangoSettings()


def _look_up_again(**kwargs: Any) -> None:
    vars(settings).clear()
    vars(django_settings).clear()


setting_changed.connect(_look_up_again, dispatch_uid="multisession.conf")
