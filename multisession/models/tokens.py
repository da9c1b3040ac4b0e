"""Tokens: the values of a client's cookie, and which sessions each may see.

A client's tokens form a tree: its first one, and further ones that each name their ``parent``. The
cookie gets a new value when an account signs in and when a person proves who they are; a switch
only moves ``session``, the pointer to the active account.

**An old value stays valid until the browser has stored its successor.** When a token is first
presented, its ancestors end a day later. When it is presented again, at least ``SETTLING`` after it
was made, it is *settled*: its ancestors end at once. (Browsers write cookies to disk about every
half minute, and after a crash they start with what is on the disk.) Nothing else ends: a sibling
lives on, as a browser of its own. An ended token opens nothing.

**A token always sees the same sessions:** those that it and its ancestors added. So a value that
was planted or copied before an account signed in does not give access to that account.
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
#: How long its ancestors go on, from its first presentation, if nothing settles it.
GRACE = datetime.timedelta(days=1)
#: An ancestor that is presented meanwhile gets another day at most this often.
RENEWAL = datetime.timedelta(hours=1)
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
    def is_living(self) -> bool:
        """Return True if it has not ended."""
        return self.ends_at is None or self.ends_at > timezone.now()

    def is_to_be_noted(self, at: datetime.datetime) -> bool:
        """Return True if ``note_presentation`` at that moment would change anything."""
        if self._is_to_go_on(at):
            return True
        if self.parent_id is None:
            return False
        settling = self.created_at + SETTLING
        return self.presented_at is None or self.presented_at < settling <= at

    def _is_to_go_on(self, at: datetime.datetime) -> bool:
        """Return True if a presentation at that moment would postpone its end.

        Not if it ends within ``SKEW``: by another server's clock it may have ended already.
        """
        return self.ends_at is not None and at + SKEW < self.ends_at < at + GRACE - RENEWAL

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

    def lock(self) -> Client | None:
        """Lock the client and read this token again. None if it has ended or was purged.

        Call it in a transaction: nothing of the client changes until that ends.
        """
        using = self._using
        client = Client.lock(self.client_id, using=using)
        row = Token.objects.using(using).living().filter(pk=self.pk).values("parent_id").first()
        if client is None or row is None:
            return None
        if row["parent_id"] != self.parent_id:
            self.parent_id = row["parent_id"]
            vars(self).pop("family", None)
        self.client = client
        return client

    def add(self, digest: str, session: Session | None) -> Token:
        """Save and return a token that follows this one. Needs the lock."""
        using = self._using
        token: Token = Token.objects.using(using).create(
            digest=digest, client=self.client, session=session, parent=self
        )
        return token

    def point_to(self, session: Session | None, *, unless_moved: bool = False) -> bool:
        """Make this session the active one of this token. False if the token has ended.

        ``unless_moved``: return False also if another request moved the pointer meanwhile.
        """
        using = self._using
        mine = Token.objects.using(using).living().filter(pk=self.pk)
        if unless_moved:
            seen: Any = self.session_id
            mine = mine.filter(session_id=seen)
        if not mine.update(session=session):
            return False
        self.session = session
        return True

    def end(self) -> None:
        """End this token and its ancestors, which have no accounts left. Needs the lock."""
        using = self._using
        Token.objects.using(using).living().filter(pk__in=self.family).update(
            ends_at=timezone.now()
        )

    def note_presentation(self, at: datetime.datetime) -> None:
        """Note that the browser presented this token: its ancestors end, at once or in a day.

        A token that is to end gets another day: its browser has lost the newer value in a crash. It
        settles like any other. If only its followers are left on the client, it takes over the
        sessions that its ancestors added, and loses its parent.
        """
        using = self._using
        everything, later = Token.objects.using(using), at + GRACE
        if self._is_to_go_on(at):
            # If it has ended meanwhile, ``ends_at`` differs from what was read.
            if everything.filter(pk=self.pk, ends_at=self.ends_at).update(ends_at=later):
                self.ends_at = later
            if not self.is_to_be_noted(at):
                return
        if at < self.created_at + SETTLING:
            ancestors = self.family[1:]
            with transaction.atomic(using=using, savepoint=False):
                going_on = everything.filter(Q(ends_at=None) | Q(ends_at__gt=later))
                going_on.filter(pk__in=ancestors).update(ends_at=later)
                everything.filter(pk=self.pk).update(presented_at=at)
            self.presented_at = at
            return
        now = timezone.now()
        with transaction.atomic(using=using, savepoint=False):
            if self.lock() is None or not self.is_to_be_noted(at):
                return
            self.presented_at = at
            ancestors = self.family[1:]
            if self._is_alone():
                added = Session.objects.using(using).filter(client_id=self.client_id)
                added.filter(added_by_id__in=ancestors).update(added_by=self.pk)
                everything.filter(pk__in=ancestors).update(parent=None)
                everything.living().filter(pk__in=ancestors).update(ends_at=now)
                self.parent = None
            else:
                everything.living().filter(pk__in=ancestors).update(ends_at=now)
            everything.filter(pk=self.pk).update(presented_at=at, parent=self.parent_id)
        vars(self).pop("family", None)
        clients_changed([self.client_id], using)

    def note_reuse(self, origin: Origin) -> None:
        """Record, once, that an ended token was presented, perhaps by a thief.

        It ends nothing: otherwise an old value would be enough to sign people out.
        """
        if self.presented_at and self.ends_at and self.presented_at >= self.ends_at:
            return
        using = self._using
        first = Q(presented_at=None) | Q(presented_at__lt=F("ends_at"))
        mine = Token.objects.using(using).filter(first, pk=self.pk)
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
        using = self._using
        living = Token.objects.using(using).living().filter(client_id=self.client_id)
        others = living.exclude(pk__in=self.family).values_list("pk", flat=True)
        if not others:
            return True
        parents = self._parents()
        return all(self.pk in _line(pk, parents) for pk in others)

    def _parents(self) -> dict[int, int | None]:
        """Return the parent of each token of this client, by primary key."""
        using = self._using
        tokens = Token.objects.using(using).filter(client_id=self.client_id)
        return dict(tokens.values_list("pk", "parent_id"))


def _line(pk: int | None, parents: dict[int, int | None]) -> Iterator[int]:
    """Yield this primary key, its parent's, and so on."""
    while pk is not None:
        yield pk
        pk = parents.get(pk)
