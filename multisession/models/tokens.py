"""The values that a client's cookie has had, and the door to every change of the active account."""

from __future__ import annotations

import datetime

from django.db import models, router
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from multisession import tokens

from .clients import Client, clients_changed, now
from .managers import PrimaryManager
from .sessions import Session

#: How long a superseded token is remembered. Longer than the longest request, so that a late
#: write through it is not mistaken for a new visitor's; then it is as unknown as any other value.
SUPERSEDED_MEMORY = datetime.timedelta(minutes=15)


#: How many sessions that are signed out go along to another client, the newest first.
MOST_COPIES = 50


class SupersededToken(Exception):
    """The browser has already shown a newer token: this one can no longer change anything."""


class TokenQuerySet(models.QuerySet["Token"]):
    def valid(self) -> TokenQuerySet:
        """The presented token of each client, and those that may still take its place."""
        return self.filter(
            Q(client__presented_token_id=F("pk"))
            | Q(client__presented_token_id=F("parent_id"))
            | Q(client__presented_token__isnull=True)
        )


class Token(models.Model):
    """One value that the cookie of a client has had, as its hash."""

    digest = models.CharField(max_length=64, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="tokens")
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

    objects = PrimaryManager.from_queryset(TokenQuerySet)()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("token")
        verbose_name_plural = _("tokens")
        constraints = [models.UniqueConstraint(fields=["digest"], name="multisession_token_digest")]

    def __str__(self) -> str:
        return f"token {self.pk}"

    @property
    def is_valid(self) -> bool:
        """Presented, or about to be. (A client that points to no token has only ever had one.)"""
        presented = self.client.presented_token_id
        return presented is None or presented in (self.pk, self.parent_id)

    @property
    def is_unseen(self) -> bool:
        """Made for an answer that the browser has not yet shown to have received."""
        return self.parent_id is not None and self.client.presented_token_id == self.parent_id

    @property
    def is_visitors_first(self) -> bool:
        """The first token of a client, for a visitor, and none has followed it: no accounts here.

        An account is added by a further token, or begins a client of its own.
        """
        return (
            self.parent_id is None
            and self.client.presented_token_id is None
            and self.session is not None
            and self.session.user_id is None
        )

    def live_session(self) -> Session | None:
        """The session that this token denotes, if it is still live and still on this client."""
        session = self.session
        if session is None or session.client_id != self.client_id or not session.is_live:
            return None
        return session

    def present(self) -> bool:
        """The browser has shown this token: its parent is superseded from now on.

        One conditional UPDATE. False if another child of the same parent came first.
        """
        moved = Client.objects.filter(pk=self.client_id, presented_token_id=self.parent_id).update(
            presented_token_id=self.pk
        )
        if moved:
            self.client.presented_token_id = self.pk
            clients_changed([self.client_id], self._state.db)
        return bool(moved)

    def lock(self) -> Client:
        """Lock the client of this token, to which it may have moved since it was read.

        To be called in a transaction. Raises SupersededToken.
        """
        using = self._state.db or router.db_for_write(Token)
        while True:
            client = Client.lock(self.client_id, using=using)
            if client is None:
                raise SupersededToken
            self.client = client
            if self.is_valid:
                return client
            row = Token.objects.using(using).filter(pk=self.pk).values("client_id").first()
            if row is None or row["client_id"] == self.client_id:
                raise SupersededToken
            self.client_id = row["client_id"]

    def claim(self, *, adding: bool = False, unasked: bool = False) -> bool:
        """Lock the client for a change through this token. ``adding``: of an account.

        To be called in a transaction. Return True if ``succeed`` may follow, False if ``fork`` has
        to: a successor is under way to the browser that sees another account than the new one
        will. Raises SupersededToken; also for a token that has a successor, if the person did
        nothing (``unasked``): it goes on as it is.
        """
        using = self._state.db or router.db_for_write(Token)
        self.lock()
        followed = self.children.exists()
        if followed and unasked:
            raise SupersededToken
        hidden = Session.objects.using(using).hidden_from(self)
        return not (followed and (adding or hidden.exists()))

    def succeed(self, secret: str, session: Session | None) -> Token:
        """A new token in place of this one: the only way the active account changes.

        ``secret`` is the new value for the cookie, ``session`` whom it denotes. Needs the lock
        of ``claim``.
        """
        using = self._state.db or router.db_for_write(Token)
        if self.client.presented_token_id != self.pk:
            self.client.presented_token_id = self.pk
            self.client.save(update_fields=["presented_token"])
        self.forget_ancestors()
        return Token.objects.using(using).create(
            digest=tokens.digest(secret), client=self.client, session=session, parent=self
        )

    def fork(self) -> tuple[Client, dict[int, Session]]:
        """Make a new client with copies of the accounts that this token sees, one for each user.

        Returns it, and the copies by the primary keys of what they are copies of. This token, its
        client and its successors stay as they are. So of two sign-ins at the same moment either
        answer may be the one that the browser keeps: no account of before is lost. Needs the lock
        of ``claim``.

        What a successor has signed in again is moved instead: its user has one live session there.
        """
        using = self._state.db or router.db_for_write(Token)
        client = Client.objects.using(using).create(
            user_agent=self.client.user_agent, visitor_csrf_digest=self.client.visitor_csrf_digest
        )
        sessions = Session.objects.using(using)
        again = set(sessions.hidden_from(self).live().values_list("user_id", flat=True))
        seen = sessions.visible_to(self).accounts().with_users().order_by("-pk")
        signed_out = seen.remembered().exclude(pk__in=seen.live().values("pk"))
        copies: dict[int, Session] = {}
        users = set()
        for row in [*seen.live(), *signed_out[:MOST_COPIES]]:
            if row.user_id in users:
                continue
            users.add(row.user_id)
            if row.is_live and row.user_id in again:
                sessions.filter(pk=row.pk).update(client=client, added_through=None)
                row.client, copies[row.pk] = client, row
            else:
                copies[row.pk] = row.copy_to(client, using=using)
        clients_changed([self.client_id], using)
        return client, copies

    def forget_ancestors(self) -> None:
        """Delete the superseded tokens of this client that no late request can still carry.

        All but the parent had been superseded when this token was made.
        """
        if self.created_at > timezone.now() - SUPERSEDED_MEMORY:
            return
        using = self._state.db or router.db_for_write(Token)
        ancestors = Token.objects.using(using).filter(client_id=self.client_id, pk__lt=self.pk)
        if self.parent_id is not None:
            ancestors = ancestors.exclude(pk=self.parent_id)
        ancestors._raw_delete(using)

    @property
    def is_forgotten(self) -> bool:
        """Superseded so long ago that it counts as unknown. (For a token that is not valid.)"""
        presented = self.client.presented_token
        return presented is None or presented.created_at < timezone.now() - SUPERSEDED_MEMORY
