"""The session engine: Django's ``SessionStore`` contract on our tables.

``SessionStore(cookie)`` alone, with no request and no middleware, is the session of the active
account. So everything that knows Django's sessions works: ``login()``, ``logout()``, the admin, the
test client, jobs and websockets that keep a key.

How ``login()`` as a second user adds an account, and ``logout()`` signs out of one: both call
``flush()``, and neither says which it is. After ``user_logged_out`` it is a sign-out, and done at
once. Any other ``flush()`` only notes the departure; ``user_logged_in`` drops the note, because the
account was to stay. Whatever else follows carries it out: a save of nobody's data,
``cycle_key()``, another ``flush()``, the end of the request. Whatever is not understood signs out.

What a store knows of its session is in current.py, where its data is saved in saving.py. login.py
follows Django's signals, verbs.py has what our own buttons do, conclusion.py ends the request.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends.base import CreateError
from django.middleware.csrf import CSRF_SESSION_KEY
from django.utils.functional import cached_property

from multisession.ground import impersonation, serialization, tokens
from multisession.ground.attempts import attempt

from . import placing, users
from .current import Announced, CurrentSession, account_in, data_of, digest_of
from .departures import Departure, said_without_request
from .opening import Opened


class SessionStore(CurrentSession):
    """The active account's own session, found by the value of the browser's one cookie."""

    def encode(self, session_dict: dict[str, Any]) -> str:
        return serialization.dumps(session_dict)

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        return serialization.loads(str(session_data))

    def load(self) -> dict[str, Any]:
        """One query: the data of the account that the key denotes, ``{}`` if it is nobody.

        ``session_key`` becomes None for an unknown key, and for one whose account has ended.
        """
        if self.flushed:
            return {}
        if not self._is_fresh:  # Django asks for the current state
            self._opened = None
            vars(self).pop("_session_cache", None)
        opened = self.opened
        self._is_fresh = False
        data: dict[str, Any] = vars(self).get("_session_cache", data_of(opened))
        return data

    def exists(self, session_key: str | None) -> bool:
        """Return True if something would be loaded under this key."""
        parts = tokens.split(session_key)
        return parts is not None and self._look_up(*parts).row is not None

    def create(self) -> None:
        """Make a session under a new key, on this browser's client if there is one."""
        _ = self.opened
        self.is_cycled = True
        self._saving.place(self, self._get_session())
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        """Write the data to the row that it was loaded from, or to where it belongs.

        If the account ended during the request, the data is dropped and the request may finish.
        Raises UpdateError if a visitor's row was deleted, CreateError if ``must_create`` meets a
        key that is taken, Busy.
        """
        if must_create:
            data = self._get_session(no_load=True)
            parts = tokens.split(self._session_key)
            if parts is not None and self._look_up(*parts).token is not None:
                raise CreateError
            self._opened = Opened()
            self.become(self._saving.steps.begin(self.act(data), data, Opened()))
            return
        row, data = self.opened.row, self._get_session()
        if row is not None and not self.is_cycled and account_in(row) == users.account_of(data):
            self._saving.save_to_row(self, row, data)
        else:
            self._saving.place(self, data)

    def delete(self, session_key: str | None = None) -> None:
        """End what the key opens: the account that it names, or every account of that browser.

        A bare token stands for a browser. A key with a number is good for this as long as its token
        is remembered, also after that has ended.
        """
        parts = tokens.split(self.session_key if session_key is None else session_key)
        if parts is None:
            return
        secret, number = parts
        token = self._fetch(tokens.digest(secret)).token
        if token is None:
            return
        model = self.get_model_class()
        sessions: Any = model.objects.using(self.using).filter(client_id=token.client_id)
        if number is not None:
            sessions = sessions.filter(number=number)
        elif not token.is_living:
            return
        status: Any = model.Status.REVOKED
        Departure(sessions, token.client_id, status, {"origin": self.origin}).carry_out(self.using)
        attempt(self.using, sessions.visitors().delete)

    def flush(self) -> None:
        """Leave the account; the rest of the request has an empty session.

        After ``user_logged_out`` it ends at once. Otherwise its departure is noted.
        """
        if self.is_loaded and self.has_unsaved_sign_in:
            self.save()  # The account that just signed in leaves, not the one before it.
        opened = self.opened
        self.carry_out_noted()
        row, announced = opened.row, self.announced
        user: Any = self.user
        departures = self.become_nobody()
        if row is None:
            return
        if row.user_id is None:
            attempt(self.using, partial(self._saving.rows.drop_visitor, self.using, row))
            return
        if self.request is None and said_without_request.get() == ("out", row.user_id):
            said_without_request.set(None)
            announced = Announced(None)
        if user is not None and row.is_of(user):
            row.user = user
        if announced is not None:
            self.depart(row, row.Status.ENDED, announced.by)
        elif user is None or not row.has_password_of(user):
            # get_user() found that the password was changed elsewhere. That is no sign-out, and
            # another tab of this browser may have changed it.
            departures.opened, departures.outdated = None, opened
        elif self.is_over:
            self.depart(row, row.Status.REMOVED, None)
        else:
            departure = self.departure_of(row, row.Status.REMOVED, None)
            departures.note(departure, self if self.request is None else None)

    def cycle_key(self) -> None:
        """Give the data a new key at the next save; at once outside a request."""
        opened, data = self.opened, self._get_session()
        self.carry_out_noted()
        if account_in(opened.row) not in (None, users.account_of(data)):
            data = self._saving.part_with_row(self, data)
            opened = self.opened
        if opened.row is None or opened.row.user_id is None:
            before = opened.row.get_decoded() if opened.row is not None else None
            if CSRF_SESSION_KEY in data:
                self.csrf_digest = digest_of(data[CSRF_SESSION_KEY])
            impersonation.take_marks_from(data)
            kept = placing.for_sign_in(data, before)
            data.clear()
            data.update(kept)
        self.is_cycled = self.modified = True
        if self.request is None:
            self.save()

    async def aflush(self) -> None:
        return await sync_to_async(self.flush)()

    async def acycle_key(self) -> None:
        return await sync_to_async(self.cycle_key)()

    @cached_property
    def _saving(self) -> Any:
        """Return saving.py. Late: an engine may be imported before the app registry is ready."""
        from . import saving

        return saving

    @classmethod
    def clear_expired(cls) -> None:
        """Delete what is no longer needed (``manage.py clearsessions``)."""
        from multisession.upkeep.purge import purge

        purge()
