"""Tokens: the values of a client's cookie, and which sessions each may see.

A client's tokens form a tree: its first one, and further ones that each name their ``parent``. The
cookie gets a new value when an account signs in and when a person proves who they are; a switch
only moves ``session``, the pointer to the active account.

**An old value stays valid until the browser has stored its successor.** When a token is first
presented, its ancestors end a day later. When it is presented ``SETTLING`` or more after it was
made, it is *settled*: its ancestors end at once. (Browsers write cookies to disk about every half
minute, and after a crash they start with what is on the disk. An ancestor that such a browser
presents goes on, until a follower settles.) Nothing else ends: a sibling lives on, as a browser of
its own. An ended token opens nothing.

**A token sees the sessions that it and its ancestors added**, and no others. So a value that was
planted or copied before an account signed in does not give access to that account. (After a change
of password, the account belongs to the newest token alone.)
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

from django.db import models, router, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from multisession import signals
from multisession.ground.origin import Origin

from .clients import Client, clients_changed, now
from .events import Event
from .managers import PrimaryManager
from .sessions import Session, announce

#: How old a token has to be for its presentation to settle it.
SETTLING = datetime.timedelta(seconds=60)
#: How long its ancestors go on, from its first presentation, if nobody presents them.
GRACE = datetime.timedelta(days=1)
#: How far the clocks of two servers may be apart.
SKEW = datetime.timedelta(minutes=5)


class TokenQuerySet(models.QuerySet["Token"]):
    """Questions to ask of tokens."""

    def living(self) -> TokenQuerySet:
        """Keep those that have not ended."""
        return self.filter(Q(ends_at=None) | Q(ends_at__gt=timezone.now()))


class Token(models.Model):
    """One value that the cookie of a client has had, as its hash."""

    digest = models.CharField(max_length=64, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="tokens")
    #: The active account's session, or the visitor's. Nobody is active once it has ended.
    session = models.ForeignKey(
        Session,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
        editable=False,
    )
    parent = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="children",
        editable=False,
    )
    created_at = models.DateTimeField(default=now, editable=False)
    #: When it was first presented, then when it was settled. None if it has no parent.
    presented_at = models.DateTimeField(null=True, editable=False)
    ends_at = models.DateTimeField(null=True, editable=False)

    objects = PrimaryManager.from_queryset(TokenQuerySet)()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("token")
        verbose_name_plural = _("tokens")
        constraints = [models.UniqueConstraint(fields=["digest"], name="multisession_token_digest")]

    def __str__(self) -> str:
        return f"token {self.pk}"

    @property
    def _using(self) -> str:
        return self._state.db or router.db_for_write(Token)

    @property
    def _tokens(self) -> TokenQuerySet:
        """All tokens in the database of this one."""
        return Token.objects.using(self._using)

    @property
    def _mine(self) -> TokenQuerySet:
        """The row of this one, for a statement with conditions."""
        return self._tokens.filter(pk=self.pk)

    @property
    def is_living(self) -> bool:
        """Return True if it has not ended."""
        return self.is_living_at(timezone.now())

    def is_living_at(self, moment: datetime.datetime) -> bool:
        return self.ends_at is None or self.ends_at > moment

    def is_to_be_noted(self, at: datetime.datetime) -> bool:
        """Return True if ``note_presentation`` at that moment would change anything."""
        return self._is_to_go_on(at) or self._is_to_be_shown() or self._is_to_settle(at)

    def _is_to_be_shown(self) -> bool:
        """Return True if nobody has presented it yet, and it has ancestors to end."""
        return self.parent_id is not None and self.presented_at is None

    def _is_to_settle(self, at: datetime.datetime) -> bool:
        """Return True if a presentation at that moment shows that it has arrived for good."""
        settling = self.created_at + SETTLING
        is_settled = self.presented_at is not None and self.presented_at >= settling
        return self.parent_id is not None and not is_settled and at >= settling

    def _is_to_go_on(self, at: datetime.datetime) -> bool:
        """Return True if a presentation at that moment shows that its browser has no newer value.

        A request that was sent before the newer value had come is not as old as ``SETTLING``. And
        not if it ends within ``SKEW``: by another server's clock it may have ended already.
        """
        return self.ends_at is not None and at + SKEW < self.ends_at <= at + GRACE - SETTLING

    @property
    def known_session(self) -> Session | None:
        """The session that it points to; None also if that was deleted.

        A token that was found together with another account reads it now.
        """
        try:
            return self.session
        except Session.DoesNotExist:
            return None

    def live_session(self) -> Session | None:
        """Return the session that it points to, if it is live."""
        session = self.known_session
        return session if session is not None and session.is_live else None

    @cached_property
    def family(self) -> list[int]:
        """Return the keys of this token and of its ancestors. One statement, if it has any."""
        if self.parent_id is None:
            return [self.pk]
        return list(_line(self.pk, self._parents()))

    def sees(self, session: Session) -> bool:
        """Return True if this session is visible to it: see ``SessionQuerySet.visible_to``."""
        mine = session.added_by_id is None or session.added_by_id in self.family
        return mine and session.client_id == self.client_id

    def lock_client(self) -> Client | None:
        """Lock the client and read this token again. None if it has ended or was purged.

        Call it in a transaction: nothing of the client changes until that ends.
        """
        client = Client.lock(self.client_id, using=self._using)
        row = self._mine.living().values("parent_id").first()
        if client is None or row is None:
            return None
        if row["parent_id"] != self.parent_id:
            self.parent_id = row["parent_id"]
            vars(self).pop("family", None)
        self.client = client
        return client

    def add(self, digest: str, session: Session | None) -> Token:
        """Save and return a token that follows this one. Needs the lock."""
        return self._tokens.create(digest=digest, client=self.client, session=session, parent=self)

    def point_to(self, session: Session | None, *, unless_moved: bool = False) -> bool:
        """Make this session the active one of this token. False if the token has ended.

        ``unless_moved``: return False also if another request moved the pointer meanwhile.
        """
        mine = self._mine.living()
        if unless_moved:
            seen: Any = self.session_id
            mine = mine.filter(session_id=seen)
        if not mine.update(session=session):
            return False
        self.session = session
        return True

    def end(self) -> None:
        """End this token and its ancestors, which have no accounts left. Needs the lock."""
        self._tokens.living().filter(pk__in=self.family).update(ends_at=timezone.now())

    def note_presentation(self, at: datetime.datetime) -> None:
        """Note that the browser presented this token. Call it in a transaction.

        When it is new, its ancestors end in a day. When it has settled, they end now. A token that
        was to end itself goes on: its browser has lost the newer value in a crash.
        """
        if self._is_to_settle(at):
            # (First of all: the client's lock comes before those of its tokens.)
            if self.lock_client() is None:
                return
            if self._is_to_settle(at):  # as it was read again
                self._settle(at)
        elif self._is_to_be_shown():
            ancestors, later = self.family[1:], at + GRACE
            going_on = self._tokens.filter(Q(ends_at=None) | Q(ends_at__gt=later))
            going_on.filter(pk__in=ancestors).update(ends_at=later)
            self._mine.update(presented_at=at)
            self.presented_at = at
        # If it has ended meanwhile, ``ends_at`` differs from what was read.
        if self._is_to_go_on(at) and self._mine.filter(ends_at=self.ends_at).update(ends_at=None):
            self.ends_at = None

    def _settle(self, at: datetime.datetime) -> None:
        """End its ancestors. Needs the lock.

        If only its followers are left on the client, it takes over the sessions that its ancestors
        added, and loses its parent.
        """
        ancestors = self._tokens.filter(pk__in=self.family[1:])
        if self._is_alone():
            added = Session.objects.using(self._using).filter(client_id=self.client_id)
            added.filter(added_by_id__in=self.family[1:]).update(added_by=self.pk)
            ancestors.update(parent=None)
            self.parent = None
        ancestors.living().update(ends_at=timezone.now())
        self._mine.update(presented_at=at, parent=self.parent_id)
        self.presented_at = at
        vars(self).pop("family", None)
        clients_changed([self.client_id], self._using)

    def note_reuse(self, origin: Origin) -> None:
        """Record, once, that an ended token was presented, perhaps by a thief.

        It ends nothing: otherwise an old value would be enough to sign people out.
        """
        if self.presented_at and self.ends_at and self.presented_at >= self.ends_at:
            return
        using = self._using
        mine = self._mine.filter(Q(presented_at=None) | Q(presented_at__lt=F("ends_at")))
        with transaction.atomic(using=using, savepoint=False):
            if not mine.update(presented_at=timezone.now()):
                return
            sessions = Session.objects.using(using).filter(client_id=self.client_id)
            live = list(sessions.live().accounts().with_users().select_related("client"))
            Event.record([row.event("reused", origin=origin) for row in live], using)
            if live:
                announce(signals.token_reused, using, client=self.client, sessions=live)

    def _is_alone(self) -> bool:
        """Return True if every living token of the client is an ancestor or a follower."""
        living = self._tokens.living().filter(client_id=self.client_id)
        others = living.exclude(pk__in=self.family).values_list("pk", flat=True)
        if not others:
            return True
        parents = self._parents()
        return all(self.pk in _line(pk, parents) for pk in others)

    def _parents(self) -> dict[int, int | None]:
        """Return the parent of each token of this client, by primary key."""
        tokens = self._tokens.filter(client_id=self.client_id)
        return dict(tokens.values_list("pk", "parent_id"))


def _line(pk: int | None, parents: dict[int, int | None]) -> Iterator[int]:
    """Yield this primary key, its parent's, and so on."""
    while pk is not None:
        yield pk
        pk = parents.get(pk)
