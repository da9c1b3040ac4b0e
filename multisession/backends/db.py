"""The session engine: Django's ``SessionStore`` contract on our tables.

``SessionStore(cookie)`` alone, with no request and no middleware, is the session of the account
that the cookie's token denotes. So everything that knows Django's sessions works: ``login()``,
``logout()``, the admin, the test client, jobs and websockets that keep a key.

How ``login()`` as a second user adds an account, and ``logout()`` signs out of one: both call
``flush()``, and neither says which it is. ``flush()`` therefore always ends the account, at once
and durably. Only if it was not announced by ``user_logged_out``, and ``user_logged_in`` follows in
the same request without a ``cycle_key()`` between, was it ``login()`` making room: then
``confirm_login()`` takes the account back. Whatever is not understood signs out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from asgiref.sync import sync_to_async
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.db import OperationalError, transaction
from django.utils import timezone
from django.utils.translation import ngettext

from multisession import serialization
from multisession.backends import adoption
from multisession.backends.placement import ASIDE, Placement, said_since
from multisession.conf import settings

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

    from multisession.models import Session

#: In a session's data: what ``set_expiry()`` was given.
EXPIRY = "_session_expiry"


class SessionStore(Placement):
    """The active account's own session, found by the value of the browser's one cookie."""

    #: "add": a further sign-in adds an account. "replace": it ends the one it replaces, for
    #: impersonation and shared terminals. Set it before ``login()``.
    login_mode: Literal["add", "replace"] = "add"

    @classmethod
    def get_model_class(cls) -> type[Session]:
        """The model behind the store, as Django's database engine offers it."""
        from multisession.models import Session

        return Session

    # Django's contract

    def encode(self, session_dict: dict[str, Any]) -> str:
        return serialization.dumps(session_dict)

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        return serialization.loads(str(session_data))

    def load(self) -> dict[str, Any]:
        """One query: the data of the account that the token denotes, ``{}`` if it is nobody.

        For an unknown or a superseded key, ``session_key`` becomes None.
        """
        self._row = None
        self._is_open = True
        self._token = self._find(self._session_key)
        if self._token is None and settings.ADOPT_FROM and not self.superseded:
            self._adopt(settings.ADOPT_FROM)
        if self._token is None:
            self._session_key = None
            return {}
        row = self._row = self._token.live_session()
        data = self._session_cache = row.get_decoded() if row is not None else {}
        if row is None or row.user_id is None:
            if self._is_next_due(data):
                self._activate_next()
        elif self._has_twin(data) and self._twin_is_gone():
            row.end(origin=self.origin)
            self._row, self._session_cache = None, {}
        return self._session_cache

    def create(self) -> None:
        """A session of its own under a new key: on this browser's client if there is one."""
        data = self._open()
        self._note_transaction()
        if self._token is None:
            self._create(data)
        elif self._row is not None:
            self.cycle_key()
        elif self._account_of(data) is not None:
            # In the middle of login() somebody wants to know the key: the sign-in is saved now.
            self._place(data)
        else:
            self._row = self._rotate(None, data=data)
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        """Write the data to the row it was loaded from, and to no other.

        One conditional UPDATE: the row must still be active and the token still valid. Raises
        UpdateError if not, CreateError if ``must_create`` meets a key that is taken.
        """
        data = self._get_session(no_load=True) if must_create else self._open()
        self._note_transaction()
        if must_create:
            if self._find(self._session_key, present=False) is not None:
                raise CreateError
            self._create(data)
        elif not data and self._token is None and (self.flushed or self.request is not None):
            pass
        elif self.superseded:
            self._save_superseded(data)
        elif self._token is None:
            self._create(data)
        elif self._row is None or self._account_of(
            before := self._row.get_decoded()
        ) != self._account_of(data):
            try:
                self._place(data)
            except UpdateError:
                if not self.superseded:
                    raise
                self._save_superseded(data)
        else:
            self._save_to_row(self._row, before, data)

    def _save_to_row(self, row: Session, before: dict[str, Any], data: dict[str, Any]) -> None:
        """Write the data to the row it was loaded from, which holds ``before``.

        A request that began with a valid cookie may finish. If its account has ended meanwhile,
        the answer is kept and the data dropped; a visitor's row that is gone raises UpdateError.
        """
        closed_with_it, last_active_at = row.expire_at_browser_close, row.last_active_at
        try:
            self._update(row, data, late=self.request is not None)
        except UpdateError:
            if self.request is None or row.user_id is None:
                raise
            self._row_has_ended(row, data)
            return
        if self.rotated and before.get(HASH_SESSION_KEY) != data.get(HASH_SESSION_KEY):
            self._revoke_old_passwords(row)
        if before.get(EXPIRY) != data.get(EXPIRY):
            # The cookie of an account lives COOKIE_AGE, unless it has to be longer or shorter.
            self.renews_cookie |= (
                row.user_id is None
                or row.expire_at_browser_close != closed_with_it
                or self.get_expiry_age() > settings.COOKIE_AGE
            )
        if row.user_id is None or row.last_active_at != last_active_at:
            # (For an account that is in use, once in ACTIVITY_INTERVAL is often enough.)
            self.renews_cookie |= self._is_wearing_out(row)

    def _save_superseded(self, data: dict[str, Any]) -> None:
        """Nothing is written through a superseded token, but a sign-in begins a new client.

        If the token was valid when the request began, the answer is kept and the data dropped.
        """
        if self.request is None:
            raise UpdateError
        if self._account_of(data) is not None:
            self._row = self._token = self._outdated = None
            self._was_refused = False
            self._create(data)
        elif self._outdated is not None:
            raise UpdateError

    def _revoke_old_passwords(self, row: Session) -> None:
        """The password was changed here: what was signed in with the old one is over everywhere.

        It would show nobody in any case; so the lists do not go on calling it active.
        """
        user = self._user_of(row)
        others = self._sessions.filter(user_id=row.user_id).live().exclude(pk=row.pk)
        over = [other.pk for other in others if not other.is_current_for(user)]
        if over:
            found = self._sessions.filter(pk__in=over)
            by = self.acting(user)
            found.close(row.Status.REVOKED, by=by, origin=self.origin)

    def delete(self, session_key: str | None = None) -> None:
        """End what the key opens: every account of the client, for its current key.

        That is what other code means by it ("sign out that browser"). For one account, see
        ``multisession.actions``. Through an old key only the account it denotes ends; through a
        superseded or unknown one, nobody.
        """
        models = self._models
        token = self._find(self.session_key if session_key is None else session_key, present=False)
        if token is None:
            return
        with transaction.atomic(using=self.using):
            client = models.Client.lock(token.client_id, using=self.using)
            if client is None:
                return
            if token.children.exists():
                denoted = self._sessions.filter(pk=token.session_id)
                denoted.close(models.Session.Status.REVOKED, origin=self.origin)
                return
            everything = self._sessions.filter(client=client)
            everything.close(models.Session.Status.REVOKED, origin=self.origin)
            self._sessions.filter(client=client, user__isnull=True).delete()
            client.tokens.all().delete()

    def flush(self) -> None:
        """End the account at once and durably; the rest of the request has an empty session.

        The account's data is kept in memory until the end of the request, in case this is
        ``login()`` making room for another account (see ``confirm_login``).
        """
        self._open()
        row, announced, by = self._row, self._announced, self._actor
        if row is not None and self._has_twin(row.get_decoded()):
            adoption.sign_out(str(settings.ADOPT_FROM), str(self._session_key))
        self._leave(row)
        if row is None:
            return
        if row.user_id is None:
            self._sessions.filter(pk=row.pk).delete()
            return
        if announced:
            status = row.Status.ENDED
        elif row.is_current_for(self._user_of(row)):
            status = row.Status.REMOVED
        else:
            # get_user() found the password changed elsewhere: nobody signed it out here.
            status = row.Status.REVOKED
        self._note_transaction()
        with transaction.atomic(using=self.using):
            # The client first, as everywhere: login() goes on to change it, and under
            # ATOMIC_REQUESTS the lock on the session would still be held.
            self._models.Client.lock(row.client_id, using=self.using)
            closed = self._sessions.filter(pk=row.pk).close(
                status, making_room=not announced, by=by, origin=self.origin
            )
            if closed and not announced and self.request is None:
                # finish() will not be called: told now, and taken back if login() follows.
                self._told = self._record(status, closed[0])
                closed[0].announce_end()
        if closed and announced:
            row.status = status
            self.insist(
                lambda: self._sessions.filter(pk=row.pk).close(status, by=by, origin=self.origin)
            )
        elif closed:
            self._made_room = (closed[0], self._flushed_key)
            self._may_return = status == row.Status.REMOVED

    def sign_out_active(self) -> None:
        """Sign out of the active account, as ``logout()`` does, or drop a visitor's data.

        What a view has said to the person in this request is kept.
        """
        data, row = self._open(), self._row
        if row is None:
            return
        said = said_since(row.get_decoded(), data) if row.user_id is not None else {}
        self.announce_sign_out(self._user_of(row))
        self.flush()
        self.update(said)

    def cycle_key(self) -> None:
        """A new key for the same data. The old one goes on only for what it already showed."""
        data = self._open()
        self._note_transaction()
        self._may_return = False
        try:
            if self.superseded:
                return
            if self._token is None:
                self._create(data)
            elif self._account_of_row() is not None:
                self._row = self._rotate(self._row)
            else:
                self._cycle_visitor(data)
        except UpdateError:
            return  # Superseded meanwhile: nothing may be written any more, as save() will say.
        self._session_cache = data
        self.modified = True

    async def aflush(self) -> None:
        return await sync_to_async(self.flush)()

    async def acycle_key(self) -> None:
        return await sync_to_async(self.cycle_key)()

    @classmethod
    def clear_expired(cls) -> None:
        """Remove what has no further use (``manage.py clearsessions``)."""
        from multisession.purge import purge

        purge()

    # Signing in and out, told by Django's signals (see receivers.py), and by the verbs

    def announce_sign_out(self, by: AbstractBaseUser | None) -> None:
        """The flush() that follows is meant as a sign-out, by this user."""
        self._announced, self._actor = True, self.acting(by)

    def holds_login_of(self, user: Any) -> bool:
        """Return True if ``login()`` has written this user into the session, in this request."""
        field = getattr(getattr(user, "_meta", None), "pk", None)
        data = self._get_session()
        return (
            self.modified
            and field is not None
            and data.get(SESSION_KEY) == field.value_to_string(user)
        )

    @property
    def is_making_room(self) -> bool:
        """flush() has closed an account, and whether it comes back is still to be confirmed."""
        return self._made_room is not None and self._may_return

    def leaving_for(self, user: AbstractBaseUser) -> Session | None:
        """The session that ``login()`` has just closed to make room for this user's."""
        if self._made_room is None or not self._may_return:
            return None
        row = self._made_room[0]
        return None if row.is_of(user) else row

    @property
    def _is_adding(self) -> bool:
        """Whether a sign-in leaves the others signed in."""
        only_one = settings.MAX_ACCOUNTS == 1 and settings.AT_LIMIT == "replace"
        return self.login_mode == "add" and settings.MULTIPLE and not only_one

    def make_way(self, user: AbstractBaseUser) -> list[Session]:
        """Before an account is added: end what there is no place for beside it.

        Returns those that ended. Raises AccountLimitReached if the settings want that instead.
        """
        self._entering_since = timezone.now()
        if self.token is None:
            return []
        live = self._sessions.visible_to(self.token).live().accounts().exclude(user_id=user.pk)
        others = list(live.most_recently_used())
        leaving = self.leaving_for(user)
        if not self._is_adding:
            surplus = others
        else:
            places = settings.MAX_ACCOUNTS - 1 - (leaving is not None)
            surplus = others[max(places, 0) :]
            is_full = bool(surplus) or places < 0
            known = self._sessions.visible_to(self.token).live().filter(user_id=user.pk)
            if is_full and known.exists():
                return []
            if is_full and settings.AT_LIMIT == "refuse":
                text = ngettext(
                    "This browser is signed in to %(count)d account already.",
                    "This browser is signed in to %(count)d accounts already.",
                    settings.MAX_ACCOUNTS,
                )
                raise self._models.AccountLimitReached(text % {"count": settings.MAX_ACCOUNTS})
        keys = [row.pk for row in surplus]
        replaced = self._models.Session.Status.REPLACED
        if not keys:
            return []
        found = self._sessions.filter(pk__in=keys)
        return list(found.close(replaced, by=user, origin=self.origin))

    def confirm_login(self, user: AbstractBaseUser) -> None:
        """The flush() before this was ``login()`` making room for ``user``.

        The account that had to make room is signed in again, unless it is the same user's (then
        its password has changed, and the new session replaces it) or ``login_mode`` says so.
        """
        self._entering = user
        made_room, self._made_room = self._made_room, None
        if made_room is None:
            return
        row = made_room[0]
        if row.is_of(user) or (self._may_return and not self._is_adding):
            row.status = row.Status.REPLACED
            self._end_for_good(row, by=user)
        elif not self._reopen(row):
            self._end_for_good(row)

    def signed_in_again(self, user: Any) -> None:
        """``login()`` as the account that is in use: nothing changes, and it is on record."""
        if self._row is not None:
            self._row.user = user
            self._record("signed-in", self._row, self._base.client, by=self.acting(user))

    def refuse_login(self) -> None:
        """``login()`` was refused: everything is as it was before it."""
        if self._row is not None and self._row.user_id is not None:
            # An earlier receiver of user_logged_in has saved the new session already.
            self._row.remove(origin=self.origin)
            self._row, self._token, self.rotated = None, None, False
        made_room, self._made_room = self._made_room, None
        if made_room is not None and self._reopen(made_room[0]):
            self._row, self._session_key = made_room
            self._session_cache = self._row.get_decoded()
            self.flushed = self.modified = False
        else:
            if made_room is not None:
                self._end_for_good(made_room[0])
            for key in (SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY):
                self._session_cache.pop(key, None)

    def finish(self) -> None:
        """The request is over: what flush() closed, and login() did not take back, has ended."""
        made_room, self._made_room = self._made_room, None
        if made_room is not None:
            row = made_room[0]
            # If the transaction of flush() has been rolled back, it is still open.
            rows = self._sessions.filter(pk=row.pk)
            if not (self.may_be_undone and rows.close(row.status, origin=self.origin)):
                self._end_for_good(row)

    def insist(self, end: Callable[[], object]) -> None:
        """What the person signs out of stays signed out, also if the transaction fails.

        ``end`` has just been done. It is done again in ``carry_out``, unless it was committed.
        """
        if not transaction.get_connection(self.using).in_atomic_block:
            return
        self._insisted = [*self._insisted, end]

        def is_done() -> None:
            self._insisted = [other for other in self._insisted if other is not end]

        transaction.on_commit(is_done, using=self.using)

    def carry_out(self) -> None:
        """The view is over, and its transaction: end again what was rolled back."""
        if not self._insisted or transaction.get_connection(self.using).in_atomic_block:
            return  # (In a test, the transaction may go on around the request.)
        insisted, self._insisted = self._insisted, []
        for end in insisted:
            with transaction.atomic(using=self.using):
                self._models.Client.lock(self._base.client_id, using=self.using)
                end()

    def is_left_empty(self) -> bool:
        """Nobody is remembered on the client after a sign-out whose answer failed."""
        token = self._token
        if token is None or not self._changed_client or token.children.exists():
            return False
        return not self._sessions.visible_to(token).accounts().remembered().exists()

    def _reopen(self, row: Session) -> bool:
        """``login()`` did not mean to end it. False if it may not come back."""
        if not self._may_return:
            return False
        try:
            is_back = row.reopen(row.session_data)
        except OperationalError:
            # A deadlock: MariaDB has undone this one statement, and means it to be tried again.
            if transaction.get_connection(self.using).in_atomic_block:
                raise
            is_back = row.reopen(row.session_data)
        if not is_back:
            return False
        self._take_back()
        return True

    def _take_back(self) -> None:
        told, self._told = self._told, None
        if told is not None:
            told.delete()

    def _end_for_good(self, row: Session, *, by: AbstractBaseUser | None = None) -> None:
        """What flush() closed to make room does not come back: now it is told and on record.

        If somebody else has ended it meanwhile, that is what is on record.
        """
        left = self._sessions.filter(pk=row.pk, updated_at=row.updated_at)
        with transaction.atomic(using=self.using):
            self._take_back()
            made_room = left.filter(session_data=self._models.MADE_ROOM)
            if made_room.update(status=row.status, session_data=""):
                self._record(row.status, row, by=by)
            if row.lineage:
                copies = self._sessions.filter(lineage=row.lineage)
                copies.close(row.Status(row.status), by=by, origin=self.origin)
        row.announce_end(by)

    def set_active(self, row: Session, *, by: AbstractBaseUser | None = None) -> Session:
        """Go over to another live session of this client, with a new key. Returns it.

        Unsaved data of the present one is saved to it first. ``by`` is who asked for it. Raises
        UpdateError if the token is superseded.
        """
        self._note_transaction()
        if self.modified and self._row is not None:
            self.save()
        row = self._rotate(row, kind="switched", by=by) or row
        self._row = row
        self._session_cache = row.get_decoded()
        self.accessed, self.modified = True, False
        return row

    def step_aside(self, page: str = "") -> None:
        """Go over to nobody, with a new key; the account that was active stays signed in.

        Unsaved data is saved to it first. What nobody does from here on is a visitor's data,
        which says who stepped aside, on which page. Raises UpdateError if the token is superseded.
        """
        self._note_transaction()
        row, data = self._row, self._get_session()
        if row is None or row.user_id is None:
            return
        if self.modified:
            self.save()
        # Before the rotation: the deadline of the visit is not the account's.
        self._session_cache = {ASIDE: {"session": row.public_id, "page": page}}
        try:
            self._row = self._rotate(None, data=self._session_cache)
        except UpdateError:
            self._session_cache = data
            raise
        self.accessed, self.modified = True, False

    def leave_active(self, *, forget: bool = False, stay: bool = False) -> None:
        """The active session has been closed by a verb: nobody is active any more.

        ``forget``: nothing at all is carried over to the next page. ``stay``: nobody becomes
        active unless the person chooses.
        """
        self._open()
        self._leave(self._row)
        self._changed_client = True
        if forget:
            self._carried_over = ()
        if stay:
            self._left = None
