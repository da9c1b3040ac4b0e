"""The nickname and the colour that a person gives an account.

They belong to the user, so they are there in every browser. Each session has a copy, so that a page
needs no query for them. Nobody else sees them: neither the admin nor an API shows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings as django_settings
from django.db import models, router

from multisession.ground.attempts import attempt
from multisession.ground.colours import HUES, free_hue, own_hue

from .clients import clients_changed, now
from .managers import PrimaryManager

#: The most characters of a nickname.
LONGEST_NICKNAME = 40


class Nickname(models.Model):
    """The nickname and the colour of an account. Without a row neither was chosen."""

    user = models.OneToOneField(
        django_settings.AUTH_USER_MODEL,
        # As Session.user: projects may keep users in another database.
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="+",
        editable=False,
    )
    nickname = models.CharField(max_length=LONGEST_NICKNAME, blank=True, editable=False)
    #: The number of the colour that was chosen; None if none was.
    hue = models.PositiveSmallIntegerField(null=True, editable=False)
    updated_at = models.DateTimeField(default=now, editable=False)

    objects = PrimaryManager()

    class Meta:
        base_manager_name = "objects"
        default_permissions = ()

    def __str__(self) -> str:
        return f"nickname {self.pk}"


@dataclass(frozen=True)
class Look:
    """The nickname and the colour that a new session copies."""

    nickname: str = ""
    hue: int | None = None


#: Of a visitor's data.
NO_LOOK = Look()


def look_of(user_id: Any, client_id: int | None, using: str) -> Look:
    """Return how an account looks that signs in on this client. One query.

    A chosen colour stays. Otherwise it is the user's own, unless that looks like the colour of
    another account of this browser.
    """
    from .sessions import Session

    chosen = Nickname.objects.using(using).filter(user_id=user_id)
    found = chosen.values_list("user_id", "nickname", "hue")
    if client_id is not None:
        here = Session.objects.using(using).filter(client_id=client_id, user__isnull=False)
        here = here.remembered().filter(hue__isnull=False).order_by()
        theirs = here.exclude(user_id=user_id).values_list("user_id", "nickname", "hue")
        found = found.union(theirs, all=True)
    nickname, own, taken = "", None, set()
    for key, text, hue in found:
        if key == user_id:
            nickname, own = text, hue
        else:
            taken.add(hue)
    return Look(nickname, free_hue(own_hue(user_id), taken) if own is None else own)


def set_look(user_id: Any, *, nickname: str | None = None, hue: int | None = None) -> None:
    """Keep the nickname and the colour of a user, and copy them to the user's sessions.

    None leaves one as it is, "" takes the nickname away. A sign-in at the same moment may copy what
    was before. Raises ValueError for what can't be kept.
    """
    from .sessions import Session

    if nickname is not None and len(nickname) > LONGEST_NICKNAME:
        raise ValueError(
            f"The nickname has {len(nickname)} characters; it may have {LONGEST_NICKNAME}."
        )
    if hue is not None and not 0 <= hue < HUES:
        raise ValueError(f"The colour is {hue!r}; it must be a number from 0 to {HUES - 1}.")
    given = {"nickname": nickname, "hue": hue}
    changed: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if not changed:
        return
    using = router.db_for_write(Session)

    def step() -> None:
        sessions = Session.objects.using(using)
        # Not where an administrator acts as the user.
        mine = sessions.filter(user_id=user_id, actor_id="").remembered().order_by("pk")
        # Locked in the order of their keys, as everywhere.
        rows = list(mine.select_for_update().values_list("pk", "client_id"))
        sessions.filter(pk__in=[pk for pk, _client in rows]).update(**changed)
        Nickname.objects.using(using).update_or_create(
            user_id=user_id, defaults={**changed, "updated_at": now()}
        )
        clients_changed(sorted({client for _pk, client in rows}), using)

    attempt(using, step)
