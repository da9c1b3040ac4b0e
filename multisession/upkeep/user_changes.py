"""End a user's sessions on every browser when the user is deactivated or deleted.

* **Deactivated**: all sessions of the user are revoked, so that they stay ended if the user is
  activated again.
* **Deleted**: the sessions are revoked and deleted, and the person's events become anonymous (see
  erasing.py). Django does not delete the sessions: it would look for them in the database of the
  users.

Other changes need no receiver. Every request reads permissions and the password hash from the
database, so a session of an old password signs nobody in. It is revoked when the person changes
the password (see ``SessionStore.save``), or else when a browser presents it or a purge finds it.

A user may be changed through any model that shares its table: a proxy, a child or a parent by
multi-table inheritance, another child of that parent. Django sends signals for the model in use
only, so each of them is connected. Others are not, as Django deletes faster without receivers.

``QuerySet.update()`` sends no signals. After it a deactivated user is signed out at the next
request, but the sessions stay on the lists.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
from django.db.models.signals import class_prepared, post_delete, post_save, pre_delete

from multisession.models import Session
from multisession.models.session_sets import SessionQuerySet

from . import erasing


def connect() -> None:
    """Connect every model that can change a user, and those that are defined later."""
    for model in apps.get_models():
        _connect_model(model)
    class_prepared.connect(_connect_model, dispatch_uid="multisession")


def _connect_model(sender: Any, **kwargs: Any) -> None:
    if not _tables(sender).isdisjoint(_tables(_user_model())):
        post_save.connect(on_saved, sender=sender, dispatch_uid="multisession")
    # Deleting a child deletes its parent, and Django sends the parent's signals, too. With
    # keep_parents=True it does neither.
    if sender._meta.concrete_model is _user_model()._meta.concrete_model:
        pre_delete.connect(on_deleting, sender=sender, dispatch_uid="multisession")
        post_delete.connect(on_deleted, sender=sender, dispatch_uid="multisession")


def on_saved(
    sender: Any,
    instance: Any,
    created: bool,
    using: str,
    raw: bool = False,
    update_fields: Collection[str] | None = None,
    **kwargs: Any,
) -> None:
    """Revoke the sessions of a user who has been deactivated. Any other save costs no query."""
    if (
        not (raw or (created and not sender._meta.parents))  # the parent's row may be an old one
        and _is_written(instance, "is_active", update_fields)
        and not getattr(instance, "is_active", True)
    ):
        for user in _users_of(instance, using):
            # The backend decides: Django's AllowAllUsersModelBackend lets inactive users in.
            barred = [row.pk for row in _sessions_of(user).live() if not row.admits(user)]
            if barred:
                Session.objects.filter(pk__in=barred).close(Session.Status.REVOKED)


def on_deleting(sender: Any, instance: Any, **kwargs: Any) -> None:
    """Erase before the user is gone: the audit trail needs the name for those who listen to it."""
    erasing.erase(_key_of(instance))


def on_deleted(sender: Any, instance: Any, **kwargs: Any) -> None:
    """Erase sessions that began since ``on_deleting``."""
    if erasing.is_known(_key_of(instance)):
        erasing.erase(_key_of(instance))


def _sessions_of(user: Any) -> SessionQuerySet:
    return Session.objects.filter(user_id=_key_of(user))


def _key_of(user: Any) -> Any:
    # Not user.pk: a child by multi-table inheritance may have a key of its own.
    return getattr(user, _user_model()._meta.pk.attname)


def _user_model() -> Any:
    # Not get_user_model(): a test may swap AUTH_USER_MODEL, but the foreign key keeps its model.
    return Session._meta.get_field("user").related_model


def _tables(model: Any) -> set[Any]:
    """Return the models whose tables hold the rows of this one: itself and its parents."""
    concrete = model._meta.concrete_model
    return {concrete, *concrete._meta.get_parent_list()} if concrete is not None else set()


def _is_written(instance: Model, name: str, update_fields: Collection[str] | None) -> bool:
    """Return True if saving this writes the user's own field of that name."""
    if update_fields is not None and name not in update_fields:
        return False
    user_model = _user_model()
    if isinstance(instance, user_model._meta.concrete_model):
        return True
    try:
        own, users = (model._meta.get_field(name) for model in (type(instance), user_model))
    except FieldDoesNotExist:
        return False
    return own.model is users.model


def _users_of(instance: Any, using: str) -> Iterator[Any]:
    """Yield the users that share a table row with ``instance``."""
    user_model = _user_model()
    if isinstance(instance, user_model):
        yield instance  # The usual case: no query.
        return
    if isinstance(instance, user_model._meta.concrete_model):
        yield from user_model._base_manager.using(using).filter(pk=instance.pk)
        return
    shared = _tables(type(instance)) & _tables(user_model)
    for parent in shared:
        key = parent._meta.pk
        if not any(parent in other._meta.get_parent_list() for other in shared):
            found = user_model._base_manager.using(using)
            yield from found.filter(**{key.name: getattr(instance, key.attname)})
