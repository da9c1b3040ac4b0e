"""Which database rows are read from, and how ``session.user`` finds the user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models, router
from django.db.models import Prefetch
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor

if TYPE_CHECKING:
    Descriptor = ForwardManyToOneDescriptor[Any]
else:  # Generic for the type checker only.
    Descriptor = ForwardManyToOneDescriptor


class PrimaryManager(models.Manager[Any]):
    """Read from the database that is written to.

    A replica lags: from there a sign-in would be missing on the next page, and a revoked session
    would still work.
    """

    def get_queryset(self) -> Any:
        return super().get_queryset().using(self._db or router.db_for_write(self.model))


class UserOfSession(Descriptor):
    """``session.user``, for users in the sessions' database or in another one.

    Django's descriptor passes the session to the routers as a hint. If none of them answers, it
    reads users from the session's database, even if they are in another. It also refuses to set a
    user of another database unless a router allows it, though no constraint here needs both in one.
    (Django has no public way to choose a descriptor.)
    """

    def get_queryset(self, **hints: Any) -> Any:
        return users_to_read(self.field.remote_field.model)

    def __set__(self, session: Any, user: Any) -> None:
        if isinstance(user, self.field.remote_field.model._meta.concrete_model):
            setattr(session, self.field.attname, getattr(user, self.field.target_field.attname))
            self.field.set_cached_value(session, user)
        else:
            super().__set__(session, user)


def users_to_read(user_model: Any) -> Any:
    """Return all users, in the database that the project reads them from."""
    return user_model._base_manager.using(router.db_for_read(user_model))


def prefetched_users(user_model: Any) -> Prefetch[Any]:
    """Return a prefetch of the rows' users, in a statement of its own."""
    return Prefetch("user", queryset=users_to_read(user_model))
