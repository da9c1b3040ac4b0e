"""Where a store's data goes: to a visitor's row or an account's, and who is active after that.

The rules are those of docs/concepts.md; the statements are in rows.py.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.db import transaction

from multisession import signals
from multisession.backends import adoption
from multisession.backends.rows import Rows
from multisession.conf import settings
from multisession.impersonation import take_marks_from
from multisession.origin import is_prefetch

if TYPE_CHECKING:
    from multisession.models import Session

#: All that a view may still say to the person after it signed the account out. Everything else
#: that it writes then would end up in somebody else's session.
CARRIED_OVER = ("_messages", "_language")
#: In a visitor's data: under "next", another account follows the one that signed out.
NEXT = "_multisession_next"
#: In a visitor's data: written after an account had signed out.
LEFT = "_multisession_left"
#: In a visitor's data: the account that stepped aside for a sign-in, and the page it was on.
ASIDE = "_multisession_aside"
#: What is in no account's data.
MARKS = (NEXT, LEFT, ASIDE)
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")


class Placement(Rows):
    """Which row the data of a request belongs to, when it has none or has changed hands."""

    def _place(self, data: dict[str, Any]) -> None:
        """Data that belongs to no row yet, or to another account than the row it came from."""
        row = self._row
        with transaction.atomic(using=self.using):
            if row is not None and row.user_id is not None:
                # Somebody rewrote or removed the user by hand: a row never changes hands.
                row.remove(origin=self.origin)
                self._row = None
                if self._account_of(data) is None:
                    # clear(), pop("_auth_user_id"): a sign-out, like flush().
                    written = _written_since(row.get_decoded(), data)
                    self._leave(row)
                    data = self._session_cache = written
                row = None
            if self._account_of(data) is None:
                self._place_visitor(data)
                return
            for mark in MARKS:
                data.pop(mark, None)
            if (known := self._known_session(data)) is not None:
                self._renew(known, data)
            elif row is not None:
                # The row that cycle_key() made for this sign-in: only the new key denotes it.
                row.user_id = self._user_id(data)
                self._update(row, data)
                if row.user_id is not None:
                    self._signed_in(row, self._base.client)
            else:
                self._row = self._rotate(None, data=data, adding=True)

    def _place_visitor(self, data: dict[str, Any]) -> None:
        """Nobody is signed in, or nobody any more."""
        token, left = self._base, self._left
        if self.flushed:
            if token.children.exists():
                return  # An old key: its browser has, or will have, a newer one.
            if self._carried_over is not None:
                data = self._after_sign_out(data)
                self._session_cache = data
            accounts = self._sessions.visible_to(token).accounts()
            if data:
                self._row = self._rotate(None, data=self._with_next(data, left is not None))
            elif self._has_signed_out(left) or accounts.remembered().exists():
                self._rotate(left)
            else:
                self.emptied = self._changed_client
        elif data and token.session is not None and not token.children.exists():
            left_account = token.session.user_id is not None
            self._row = self._rotate(None, data=self._with_next(data, left_account))
        elif data:
            self._row = self._begin_visit(data)

    def _has_signed_out(self, left: Session | None) -> bool:
        """Whether this store has signed it out: then it is remembered, and nobody need be asked."""
        return left is not None and left.status == left.Status.ENDED

    def _begin_visit(self, data: dict[str, Any]) -> Session:
        """A token that denotes nobody may come to denote a visitor, without a new key."""
        token = self._base
        try:
            with transaction.atomic(using=self.using):
                client = token.lock()
                row = self._new_row(data, client=client, added_through_id=token.parent_id)
                token.session = row
                token.save(update_fields=["session"])
        except self._models.SupersededToken as error:
            self._was_refused = True
            raise UpdateError from error
        return row

    def _after_sign_out(self, data: dict[str, Any]) -> dict[str, Any]:
        """What is kept of the data that was written after an account signed out.

        It is for the visitor who is left, and for no account: if one is to follow by itself, only
        what may be shown to anybody is kept; otherwise the rest is marked, and goes no further
        than to the next sign-in (see ``_cycle_visitor``).
        """
        if settings.AFTER_SIGN_OUT == "next" or not self._carried_over:
            return {key: data[key] for key in self._carried_over or () if key in data}
        return {**data, LEFT: True} if set(data) - set(CARRIED_OVER) else data

    def _with_next(self, data: dict[str, Any], due: bool) -> dict[str, Any]:
        """A visitor's data, with the mark that an account is to follow the one that left."""
        return {**data, NEXT: True} if due and settings.AFTER_SIGN_OUT == "next" else data

    def _cycle_visitor(self, data: dict[str, Any]) -> None:
        """A new key for a visitor's data, in a row that only the new key denotes.

        ``login()`` is about to make an account of it, which the old key must never show. On a
        client without accounts the old key has nothing to lose, and stays behind alone.
        """
        row = self._row
        take_marks_from(data)
        data.pop(NEXT, None)
        if data.pop(LEFT, None):
            # Of what a sign-out left behind, only what this request has written is for the next.
            before = row.get_decoded() if row is not None else {}
            kept = (*CARRIED_OVER, ASIDE)
            for key in [key for key in data if key in before and key not in kept]:
                del data[key]
        if self.rotated or self._sessions.visible_to(self._token).accounts().exists():
            self._note_visitor_csrf(data)
            self._row = self._rotate(None, data=data, adding=True)
        else:
            self._create(data)
        if row is not None:
            self._sessions.filter(pk=row.pk, user__isnull=True).delete()

    def _row_has_ended(self, row: Session, data: dict[str, Any]) -> None:
        """The account has ended while the request ran: keep what the view said to the person.

        That becomes the visitor's, as after a sign-out; the rest of the data is dropped. If
        another answer is under way to this browser, everything is.
        """
        said = said_since(row.get_decoded(), data)
        # (If login() beside this request makes room, the row comes back.)
        returns = self._sessions.filter(pk=row.pk, session_data=self._models.MADE_ROOM).exists()
        if not said or returns:
            return
        try:
            self._row = self._rotate(None, data=self._with_next(said, True), unasked=True)
        except UpdateError:
            return
        self._session_cache = said

    def _known_session(self, data: dict[str, Any]) -> Session | None:
        """The live session that this user has on this client already.

        One whose password has changed since is replaced.
        """
        token, user_id = self._base, self._user_id(data)
        is_new = self.rotated and token.parent_id is None and not self._forked
        if user_id is None or is_new:
            return None  # A client made for this very sign-in holds nobody else.
        try:
            # The token may have left for another client since it was read.
            token.lock()
        except self._models.SupersededToken:
            return None  # Whatever is written through it next will be refused.
        active = self._sessions.visible_to(token).filter(user_id=user_id, status="active")
        found: Session | None = None
        for candidate in active.with_users().order_by("-pk"):
            if found is None and candidate.is_live and candidate.is_current_for(candidate.user):
                found = candidate
            else:
                candidate.close(candidate.Status.REPLACED, by=candidate.user, origin=self.origin)
        return found

    def _renew(self, known: Session, data: dict[str, Any]) -> None:
        """Signing in again activates the session that the user has here, and keeps its data."""
        visitor = self._row
        known = self._rotate(known) or known
        if visitor is not None:
            self._sessions.filter(pk=visitor.pk, user__isnull=True).delete()
        self._row = known
        self._session_cache = {**known.get_decoded(), **data}
        self._update(known, self._session_cache, in_use=True)
        self._signed_in(known, self._base.client, anew=False)

    def _leave(self, row: Session | None) -> None:
        self._flushed_key = self._session_key
        left_account = row is not None and row.user_id is not None
        self._carried_over = CARRIED_OVER if left_account else None
        self._left = row if left_account else None
        self._changed_client = row is not None
        self._row, self._made_room, self._may_return = None, None, False
        self._announced, self._actor = False, None
        self.clear()
        self._session_key = None
        self.flushed = True

    def _is_next_due(self, data: dict[str, Any]) -> bool:
        """Nothing that the person did not do changes the active account.

        So only after an account has gone, not outside a request, not for a write, which was meant
        for somebody else, and not for a page that the browser only fetches in advance.
        """
        token = self._base
        gone = self._row is None and token.session_id is not None
        if gone and token.session is not None and ASIDE in token.session.get_decoded():
            return False  # A visit that is over, begun by stepping aside: nobody left.
        return (
            (gone or NEXT in data)
            and self.request is not None
            and self.request.method in SAFE_METHODS
            and not is_prefetch(self.request)
            and settings.AFTER_SIGN_OUT == "next"
        )

    def _activate_next(self) -> None:
        """Make the most recently used live account active, in place of one that is gone."""
        models, token = self._models, self._base
        visitor, written = self._row, self._session_cache
        candidates = self._sessions.visible_to(token).live().accounts()
        row: Session
        for row in candidates.with_users().most_recently_used():
            if not row.is_current_for(row.user):
                continue
            answers = signals.active_session_changing.send_robust(
                sender=models.Session, request=self.request, leaving=None, entering=row
            )
            if any(isinstance(answer, Exception) for _receiver, answer in answers):
                return  # Refused: then nobody is active. Nobody had asked for it.
            try:
                self._rotate(row, unasked=True, kind="switched")
            except UpdateError:
                return  # A page beside this one was quicker.
            self._row, self._session_cache = row, row.get_decoded()
            for key in CARRIED_OVER:
                if visitor is not None and key in written and key not in self._session_cache:
                    self._session_cache[key] = written[key]
                    self.modified = True
            if visitor is not None:
                self._sessions.filter(pk=visitor.pk, user__isnull=True).delete()
            models.announce(signals.session_activated, self.using, session=row)
            return

    def _adopt(self, engine: str) -> None:
        """Take over a session of the engine that the project used before."""
        old_key = self._session_key
        adopted = adoption.load(engine, old_key)
        if adopted is None or old_key is None:
            return
        self._brought_by = f"ADOPT_FROM {engine}"
        try:
            with transaction.atomic(using=self.using):
                self._session_cache = adopted
                self._create(adopted, secret=old_key)
                # The old value works on until the browser shows the new one, like any other.
                self.rotated = False
                self._rotate(self._row)
                adoption.hand_over(engine, old_key, str(self._session_key), adopted)
                if self._row is not None and self._token is not None:
                    self._update(self._row, {**adopted, adoption.TWIN: self._token.pk})
        except CreateError:
            # A request beside this one was quicker: the old value is now a token of ours.
            del self._session_cache
            self._token = self._find(old_key)
        finally:
            self._brought_by = None

    def _has_twin(self, data: dict[str, Any]) -> bool:
        """Whether the old engine knows a session under this very key, too."""
        twin = data.get(adoption.TWIN)
        if twin is None or not settings.ADOPT_FROM or self._token is None:
            return False
        return bool(twin == self._token.pk)

    def _twin_is_gone(self) -> bool:
        """Whether an old worker signed it out."""
        return adoption.is_signed_out(str(settings.ADOPT_FROM), str(self._session_key))


def said_since(before: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """Return the part of ``data`` that the person may still see: new messages, the language."""
    written = _written_since(before, data)
    return {key: written[key] for key in CARRIED_OVER if key in written}


def _written_since(before: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """Return the new and changed part of ``data``, without the messages of ``before``."""
    written = {key: data[key] for key in data if key not in before or before[key] != data[key]}
    unread, queued = before.get("_messages"), written.get("_messages")
    if isinstance(unread, str) and isinstance(queued, str):
        # Both are lists in JSON (see the SessionStorage of django.contrib.messages).
        old, new = json.loads(unread), json.loads(queued)
        written["_messages"] = json.dumps(new[len(old) :] if new[: len(old)] == old else new)
    return written
