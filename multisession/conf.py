"""The settings dictionary ``MULTISESSION``: every key, its default and its meaning.

A value is read and checked once, and again after ``override_settings``. An unknown key raises an
error that lists the valid ones, so that no misspelt security setting goes unnoticed.
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
    """A cache of Django's settings, for those that every request reads.

    Reading ``django.conf.settings`` takes thirty times as long as reading an attribute, and a page
    reads about twenty.
    """

    def __getattr__(self, name: str) -> Any:
        value = getattr(lazy_settings, name)
        setattr(self, name, value)
        return value


class Settings:
    """``MULTISESSION``, one property for each key."""

    @cached_property
    def AFTER_SIGN_OUT(self) -> Literal["choose", "next"]:
        """Which account becomes active after signing out of the active one.

        ``"choose"`` (default): none, until the person chooses one. ``"next"``: the most recently
        used live account, from the next safe request on.
        """
        return cast(Literal["choose", "next"], self._one_of("AFTER_SIGN_OUT", "choose", "next"))

    @cached_property
    def ACCOUNT_PATHS(self) -> bool | Literal["always"]:
        """One account in each tab: ``/u/N/…`` is the site as account N of this browser.

        ``False`` (default): no. ``True``: yes, and the menu links to the other accounts instead of
        switching. ``"always"``: also pages without a prefix lead to that of the active account.
        Needs ``multisession.paths.AccountPathMiddleware`` first in ``MIDDLEWARE``.
        """
        value = self._get("ACCOUNT_PATHS", False)
        if value not in (False, True, "always"):
            raise ImproperlyConfigured(
                f"MULTISESSION['ACCOUNT_PATHS'] is {value!r}; it must be False, True or 'always'."
            )
        return cast(bool | Literal["always"], value)

    @cached_property
    def ACTIVITY_INTERVAL(self) -> int:
        """Seconds between two writes of ``last_active_at``, at least (default 60)."""
        return self._seconds("ACTIVITY_INTERVAL", 60)

    @cached_property
    def LIFETIME(self) -> int | None:
        """Seconds after sign-in at which a session expires, even if it is in use (default None).

        Only signing in again extends it. Clerk's default is 7 days.
        """
        return self._seconds_or_none("LIFETIME")

    @cached_property
    def INACTIVITY(self) -> int | None:
        """Seconds without activity after which a session expires (default None).

        Activity is noted at most once in ``ACTIVITY_INTERVAL``, so choose a much longer time.
        """
        return self._seconds_or_none("INACTIVITY")

    @cached_property
    def VISITOR_AGE(self) -> int | None:
        """Seconds after which the session data of an anonymous visitor expires (default None).

        None: as in Django, ``SESSION_COOKIE_AGE`` after the last change. A number can only shorten
        that time. ``set_expiry()`` takes precedence.
        """
        return self._seconds_or_none("VISITOR_AGE")

    @cached_property
    def MAX_ACCOUNTS(self) -> int:
        """How many accounts one browser may be signed in to at once (default 10).

        With 1, a second sign-in replaces the first, as in Django's own sessions, and the menu
        offers no other account.
        """
        value = self._get("MAX_ACCOUNTS", 10)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ImproperlyConfigured(
                f"MULTISESSION['MAX_ACCOUNTS'] is {value!r}; it must be a whole number from 1 on."
            )
        return value

    @cached_property
    def AT_LIMIT(self) -> Literal["replace", "refuse"]:
        """What happens at a sign-in beyond ``MAX_ACCOUNTS``.

        ``"replace"`` (default): the least recently used account is signed out, and a message says
        so. ``"refuse"``: ``login()`` raises ``AccountLimitReached``, and the middleware answers
        with a page (403) that lists the accounts to sign out of.
        """
        return cast(Literal["replace", "refuse"], self._one_of("AT_LIMIT", "replace", "refuse"))

    @cached_property
    def MAX_SESSIONS_PER_USER(self) -> int | None:
        """On how many browsers an account may be signed in at once (default None: on any number).

        Sessions in which an administrator acts as the user don't count.
        """
        value = self._get("MAX_SESSIONS_PER_USER", None)
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if value is None or (is_number and value >= 1):
            return cast("int | None", value)
        raise ImproperlyConfigured(
            f"MULTISESSION['MAX_SESSIONS_PER_USER'] is {value!r}; it must be None or a whole "
            "number from 1 on."
        )

    @cached_property
    def AT_SESSION_LIMIT(self) -> Literal["replace", "refuse"]:
        """What happens at a sign-in beyond ``MAX_SESSIONS_PER_USER``.

        ``"replace"`` (default): the session on the browser that was used least recently is revoked.
        ``"refuse"``: ``SessionLimitReached`` is raised when the session is saved, mostly after the
        view, and the answer is a page (403).
        """
        answer = self._one_of("AT_SESSION_LIMIT", "replace", "refuse")
        return cast(Literal["replace", "refuse"], answer)

    @cached_property
    def RETENTION(self) -> int:
        """Seconds for which ended sessions and audit events are kept (default 90 days).

        Their IP address and user agent are erased after ``DETAILS_RETENTION``.
        """
        return self._seconds("RETENTION", 90 * DAY)

    @cached_property
    def DETAILS_RETENTION(self) -> int:
        """Seconds for which IP address and user agent are kept after the end (default 30 days).

        Counted from the end of the session, or from the time of the audit event.
        """
        return self._seconds("DETAILS_RETENTION", 30 * DAY)

    @cached_property
    def AUDIT(self) -> bool:
        """True (default): keep an audit trail of sign-ins, sign-outs and revocations."""
        return bool(self._get("AUDIT", True))

    @cached_property
    def COOKIE_AGE(self) -> int:
        """Seconds for which a browser keeps the cookie (default 400 days, the most browsers allow).

        The server ends sessions, so the cookie only has to outlive them (NIST SP 800-63B-4, 5.1.1).
        It also leads to the list of accounts that the browser remembers after a sign-out. On a
        browser without remembered accounts, the cookie lives as long as Django's settings say.
        """
        return self._seconds("COOKIE_AGE", 400 * DAY)

    @cached_property
    def ADOPT_FROM(self) -> str | None:
        """Dotted path of the project's previous session engine, for the time of the move.

        A session of that engine is adopted when a browser presents it, so that nobody is signed out
        (docs/howto/upgrade.md). None (default): sessions of other engines are ignored.
        """
        value = self._get("ADOPT_FROM", None)
        return None if value is None else str(value)

    @cached_property
    def CLIENT_ADDRESS(self) -> int | str:
        """How to find the client's IP address, which is only displayed (docs/howto/proxies.md).

        0 (default): ``REMOTE_ADDR``. A number: how many of your proxies append to X-Forwarded-For.
        The dotted path of ``f(request) -> str | None``: any other way. ``KEEP_ADDRESSES`` says
        how much of the address is stored.
        """
        value = self._get("CLIENT_ADDRESS", 0)
        is_hops = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if is_hops or (isinstance(value, str) and "." in value):
            return cast("int | str", value)
        raise ImproperlyConfigured(
            f"MULTISESSION['CLIENT_ADDRESS'] is {value!r}; it must be a number of proxies or the "
            "dotted path of a function. To store no addresses, set KEEP_ADDRESSES to False."
        )

    @cached_property
    def KEEP_ADDRESSES(self) -> bool | Literal["shortened"]:
        """How much of a person's IP address is stored (docs/howto/privacy.md).

        True (default): the whole address. ``"shortened"``: its network, the first 24 bits of an
        IPv4 and the first 48 bits of an IPv6 address. False: nothing.
        """
        value = self._get("KEEP_ADDRESSES", True)
        if not isinstance(value, bool) and value != "shortened":
            raise ImproperlyConfigured(
                f"MULTISESSION['KEEP_ADDRESSES'] is {value!r}; it must be True, 'shortened' or "
                "False."
            )
        return cast(bool | Literal["shortened"], value)

    @cached_property
    def KEEP_USER_AGENTS(self) -> bool:
        """True (default): store the browser's user agent. False: no list names a browser."""
        return bool(self._get("KEEP_USER_AGENTS", True))

    @cached_property
    def REMEMBER_ACCOUNTS(self) -> bool:
        """True (default): a browser lists the accounts that have signed out, to sign in again.

        False: such an account is off the list at once, however its session ended. When the last
        account signs out, the browser's cookie is deleted.
        """
        return bool(self._get("REMEMBER_ACCOUNTS", True))

    @cached_property
    def ANY_ACCOUNT(self) -> list[str]:
        """Views that accept forms from the pages of any account (default: none).

        They run as the active account, so this is for public forms: see
        docs/explanation/wrong-account.md. A list of path prefixes (``"/newsletter/"``) and Python
        modules or packages (``"wagtail.contrib.forms"``).
        """
        return self._texts("ANY_ACCOUNT")

    @cached_property
    def NEVER_KEPT(self) -> list[str]:
        """Further words that mark form fields with secrets (default: none).

        A refused form is kept in the page, to be sent again, but without the fields whose names
        have one of these words or one of ``multisession.pages.kept_fields.NEVER_KEPT`` (password,
        pin, otp and so on).
        """
        return self._texts("NEVER_KEPT")

    @cached_property
    def CONFIRM_URL(self) -> str | None:
        """URL or URL name of the project's page where people prove who they are without a password.

        With a passkey, for example (docs/howto/recent-sign-in.md). It gets ``?next=``. None
        (default): people without a password sign in again.
        """
        value = self._get("CONFIRM_URL", None)
        return None if value is None else str(value)

    @cached_property
    def CONFIRMED_AT(self) -> str | None:
        """Dotted path of ``f(request) -> float | None``: when ``CONFIRM_URL`` was passed.

        In seconds since 1970, for the active account on this browser. None (default): never.
        """
        value = self._get("CONFIRMED_AT", None)
        return None if value is None else str(value)

    @cached_property
    def ASK_AT_SWITCH(self) -> str | None:
        """Dotted path of ``f(request, session) -> bool``: does a switch to it need its password?

        Then the person is asked for the password of that account, and the cookie gets a new value.
        None (default): no switch does. See docs/howto/recent-sign-in.md.
        """
        value = self._get("ASK_AT_SWITCH", None)
        return None if value is None else str(value)

    @cached_property
    def CHOOSE_URL(self) -> str:
        """URL or URL name of the page for choosing an account."""
        return self._text("CHOOSE_URL", "multisession:choose")

    @cached_property
    def SESSIONS_URL(self) -> str:
        """URL or URL name of the page that lists the account's sessions on all browsers."""
        return self._text("SESSIONS_URL", "multisession:sessions")

    @cached_property
    def PROFILE_URL(self) -> str | None:
        """URL or URL name of *Manage account*; None (default) leaves the link out."""
        value = self._get("PROFILE_URL", None)
        return None if value is None else str(value)

    @cached_property
    def ORGANIZATIONS(self) -> str | None:
        """Dotted path of the class that knows the users' organizations (default None: no feature).

        It has two methods, ``organizations_of(user)`` and ``get(user, id)``; see
        docs/howto/organizations.md.
        """
        value = self._get("ORGANIZATIONS", None)
        return None if value is None else str(value)

    @cached_property
    def PREPARE(self) -> bool:
        """True: prepare a page's query in PostgreSQL, which saves its planning (default False).

        Needs psycopg 3 and persistent or pooled connections of Django. Not for an external pooler
        in transaction mode (docs/explanation/performance.md). Without effect on other databases and
        inside a transaction.
        """
        return bool(self._get("PREPARE", False))

    @cached_property
    def USER_LABEL(self) -> str | None:
        """Dotted path of ``f(user) -> (name, identifier)``; None (default): name and e-mail."""
        value = self._get("USER_LABEL", None)
        return None if value is None else str(value)

    @cached_property
    def USER_PICTURE(self) -> str | None:
        """Where to find a user's picture; None (default): show initials.

        The name of an attribute (``"photo"``: a URL, a file, or a method that returns one), or the
        dotted path of ``f(user)``. It is read for every account on a page, so it should cost no
        query.
        """
        value = self._get("USER_PICTURE", None)
        return None if value is None else str(value)

    @cached_property
    def BADGES(self) -> str | None:
        """Dotted path of ``f(users) -> {primary key: number or short text}`` (default None: none).

        It gets all accounts that a menu shows at once, so one query can answer for all. 0 and what
        is missing show no badge.
        """
        value = self._get("BADGES", None)
        return None if value is None else str(value)

    @cached_property
    def PLACE_OF(self) -> str | None:
        """Dotted path of ``f(address) -> str | None``: the place of an IP address, in words.

        For *Devices*, the history and the admin (docs/howto/places.md). It is asked for each
        address on a page, so it should cost no query. None (default): only addresses are shown.
        """
        value = self._get("PLACE_OF", None)
        return None if value is None else str(value)

    @cached_property
    def MENU_ITEMS(self) -> str | list[Any]:
        """The project's own lines in every menu (default: none).

        A list of dictionaries with the fields of ``multisession.pages.items.MenuItem``, or the
        dotted path of ``f(request)`` that returns such a list.
        """
        value = self._get("MENU_ITEMS", ())
        return value if isinstance(value, str) else list(value)

    @cached_property
    def _QUICK(self) -> bool:
        """Return True if one hand-written query reads the session and the user of a page.

        Tests turn it off to show that Django's ORM gives the same answers. No project needs it.
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
