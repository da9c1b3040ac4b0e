"""The users of sessions: who is named in the data, and how to read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import SESSION_KEY, get_user_model
from django.core.exceptions import ObjectDoesNotExist
from django.db import router

from . import quick

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

    from multisession.models import Session


def account_of(data: dict[str, Any]) -> str | None:
    """Return the user's key that ``login()`` wrote into the data; None for a visitor."""
    account = data.get(SESSION_KEY)
    return None if account is None else str(account)


def key_in(data: dict[str, Any]) -> Any:
    """Return the primary key of the user signed in with this data.

    None for a visitor, and for a user of another model (a test may swap it).
    """
    from multisession.models import Session  # imported before the app registry is ready

    account = account_of(data)
    user_model = get_user_model()
    if account is None or Session.user.field.related_model is not user_model:
        return None
    return user_model._meta.pk.to_python(account)


def of(row: Session) -> AbstractBaseUser | None:
    """Return the user of this session; None if the user was deleted."""
    try:
        return row.user
    except ObjectDoesNotExist:
        return None


def may_lag() -> bool:
    """Return True if the project reads users from a replica."""
    user_model = get_user_model()
    return router.db_for_read(user_model) != router.db_for_write(user_model)


def as_written(user_id: Any) -> AbstractBaseUser | None:
    """Read this user from the database that users are written to."""
    from multisession.models import Session

    model: Any = Session.user.field.related_model
    found = model._base_manager.using(router.db_for_write(model)).filter(pk=user_id)
    user: AbstractBaseUser | None = found.first()
    return user


def find(row: Session) -> AbstractBaseUser | None:
    """Return the user of this session, in one statement; None: leave it to Django's look-up.

    It reads where users are written. A replica may still have the old password, which would sign
    out the person who has just changed it.
    """
    user = quick.find_user(row.user_id)
    if user is None and may_lag():
        user_model = get_user_model()
        users = user_model._default_manager.using(router.db_for_write(user_model))
        key: Any = row.user_id
        user = users.filter(pk=key).first()
        if user is not None:
            user._state.db = router.db_for_read(user_model)
    return user
