"""What a change of a user ends, on every browser, also where the account is not the active one.

* **Deactivated**: all sessions of the user are revoked, so that none comes back to life if the
  user is let in again.
* **Deleted**: the same, so that it is on record; then the rows go with the user.
* **Promoted** to staff or superuser: the same, if ``REVOKE_ON_PROMOTION`` says so. A cookie that
  somebody copied while the account was worth little then does not grow with it.

Nothing else needs an end. Rights are read from the database at each request, and so is the
password: a session of the old one shows nobody from then on. It is revoked by the browser on which
the person changes the password (see ``SessionStore.save``), or when it is presented next.

Django tells of ``save()`` and ``delete()``, not of ``QuerySet.update()``: after that one, who is
deactivated is still nobody at the next request, but the sessions stay on the lists.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .conf import settings
from .models import Session

RISE = ("is_staff", "is_superuser")
PROMOTED = "_multisession_promoted"


def on_saving(
    sender: Any,
    instance: Any,
    using: str,
    raw: bool = False,
    update_fields: Collection[str] | None = None,
    **kwargs: Any,
) -> None:
    """Note whether this makes a staff member or a superuser of somebody who was none.

    One query, and none for the users who are neither.
    """
    written = [name for name in RISE if update_fields is None or name in update_fields]
    rights = [name for name in written if getattr(instance, name, False)]
    if raw or instance._state.adding or not rights or not settings.REVOKE_ON_PROMOTION:
        return
    before = sender._base_manager.using(using).filter(pk=instance.pk).values(*rights).first()
    if before is not None and not all(before.values()):
        setattr(instance, PROMOTED, True)


def on_saved(
    sender: Any,
    instance: Any,
    created: bool,
    raw: bool = False,
    update_fields: Collection[str] | None = None,
    **kwargs: Any,
) -> None:
    """End what the user may not go on with. Costs nothing where nothing of this has changed."""
    live = Session.objects.filter(user=instance)
    if vars(instance).pop(PROMOTED, False):
        live.close(Session.Status.REVOKED)
    elif (
        not (created or raw)
        and not getattr(instance, "is_active", True)
        and (update_fields is None or "is_active" in update_fields)
    ):
        # The backend has the say: Django has one that lets in whoever is not active.
        barred = [row.pk for row in live.live() if not row.admits(instance)]
        if barred:
            live.filter(pk__in=barred).close(Session.Status.REVOKED)


def on_deleting(sender: Any, instance: Any, **kwargs: Any) -> None:
    Session.objects.filter(user=instance).close(Session.Status.REVOKED)
