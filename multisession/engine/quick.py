"""The quick path: compile the statements of an ordinary request once.

An ORM statement spends most of its time on making the same SQL again. Here Django's compiler makes
it from the models once for each database, with a ``Slot`` for each value; later requests fill the
slots. So it follows the schema, and gives the same result as the ordinary path in opening.py and
steps.py.

It only reads and writes rows. The callers check them (is the token valid, the session live, the
user allowed in?) on both paths alike. Where the result could differ, the ordinary path is taken:
see ``is_sure``, ``find`` and ``_is_plain``.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db import connections, router, transaction
from django.db.models import Expression, F, Manager, Model, QuerySet
from django.db.models.sql import UpdateQuery

from multisession.conf import django_settings, settings
from multisession.engine import prepared

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

    from multisession.models import Session
    from multisession.models.tokens import Token

#: The databases on which the tests compare both paths.
VENDORS = ("sqlite", "postgresql", "mysql")

_ACTIVE = "active"


class Found(NamedTuple):
    """The token with a digest, if any, a session, and its user, if the join could read it."""

    token: Token | None
    session: Session | None
    user: AbstractBaseUser | None


def is_sure(using: str) -> bool:
    """Return True if the settings allow the quick path, and it is tested on this database."""
    return settings._QUICK and _is_known(using)


def find(using: str, digest: str) -> Found:
    """Find the token with this digest, its session, and the session's user.

    One statement. It leaves the user out where a join could differ from Django's look-up: users in
    another database, or a user model that is not ``_is_plain``.
    """
    connection = connections[using]
    user_model = _joined_user_model(using)
    # The compiled converters depend on the time zone.
    statement = _finding(using, connection.timezone, user_model is not None)
    found = statement.first({"digest": digest}, connection, settings.PREPARE)
    if found is None:
        return Found(None, None, None)
    token, session, *users = found
    # Do not cache the user on the session.
    token._state.fields_cache["session"] = session
    return Found(token, session, _to_read_from(user_model, users))


def find_account(using: str, digest: str, number: int) -> Found:
    """Find the token with this digest, and its client's active session with this number.

    One statement. It finds nothing at all if there is no such session; the caller checks that the
    token may see it.
    """
    connection = connections[using]
    user_model = _joined_user_model(using)
    statement = _finding_account(using, connection.timezone, user_model is not None)
    given = {"digest": digest, "number": number, "status": _ACTIVE}
    found = statement.first(given, connection, settings.PREPARE)
    if found is None:
        return Found(None, None, None)
    session, *users, token = found
    return Found(token, session, _to_read_from(user_model, users))


def _joined_user_model(using: str) -> Any:
    """Return the user model if a join with sessions may read it; None otherwise."""
    user_model = _plain_user_model(django_settings.AUTH_USER_MODEL)
    is_beside = user_model is not None and router.db_for_write(user_model) == using
    return user_model if is_beside else None


def _to_read_from(user_model: Any, users: list[Any]) -> AbstractBaseUser | None:
    """Return the user that was joined, if any.

    Read from the primary, because a replica lags. The project's later queries about the user use
    the database that it reads users from.
    """
    user: AbstractBaseUser | None = users[0] if users else None
    if user is not None:
        user._state.db = router.db_for_read(user_model)
    return user


def find_user(pk: Any) -> AbstractBaseUser | None:
    """Find the user of a session that came from a cache. One statement.

    None if there is none, and where Django's look-up could differ.
    """
    user_model = _plain_user_model(django_settings.AUTH_USER_MODEL)
    if user_model is None:
        return None
    using = router.db_for_write(user_model)
    if not (is_sure(using) and takes(["user"])):
        return None
    connection = connections[using]
    statement = _finding_user(using, connection.timezone, user_model)
    found = statement.first(statement.fill({"pk": pk}, connection), connection)
    if found is None:
        return None
    user: AbstractBaseUser = found[0]
    user._state.db = router.db_for_read(user_model)
    return user


def takes(names: Iterable[str]) -> bool:
    """Return True if a compiled statement can take values for these fields of a session."""
    from multisession.models import Session

    return all(_is_djangos_own(Session._meta.get_field(name)) for name in names)


def write(using: str, session_id: int, values: dict[str, Any], *, is_account: bool) -> bool:
    """Write these values to the row, if it is active. One statement.

    ``is_account``: and if it has not expired by ``updated_at``, the moment of the write.
    """
    connection = connections[using]
    statement = _writing(using, tuple(values), is_account)
    filled = statement.fill({**values, "pk": session_id, "status": _ACTIVE}, connection)
    with transaction.mark_for_rollback_on_error(using=using), connection.cursor() as cursor:
        cursor.execute(statement.sql, filled)
        return bool(cursor.rowcount)


class Slot(Expression):
    """A named placeholder in a compiled statement, for a value of this field.

    Named, because Django converts names to SQLite's placeholders ten times quicker.
    """

    def __init__(self, name: str, field: Any) -> None:
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return f"%({self.name})s", (self,)


class Statement:
    """A compiled query, and how to make model instances of the row that it finds."""

    def __init__(self, query: Any, using: str) -> None:
        # A connection of its own, never opened: a statement outlives its thread.
        connection = connections.create_connection(using)
        compiler = query.get_compiler(connection=connection)
        self.sql: str
        self.sql, slots = compiler.as_sql()
        self._slots = list({slot.name: slot for slot in slots}.values())
        connection.close()
        self._using = using
        if compiler.klass_info is not None:
            columns = [column for column, _sql, _alias in compiler.select]
            self._converters = [
                (position, [_quicker(converter, connection) for converter in converters], column)
                for position, (converters, column) in compiler.get_converters(columns).items()
            ]
            self._parts = list(_parts(compiler.klass_info, columns))
            if compiler.annotation_col_map:  # the columns of one more model
                beside = sorted(compiler.annotation_col_map.values())
                self._parts.append(Part(columns[beside[0]].target.model, beside, columns))

    def fill(self, given: dict[str, Any], connection: Any) -> dict[str, Any]:
        """Return the values as the database takes them."""
        return {
            slot.name: slot.output_field.get_db_prep_save(given[slot.name], connection)
            for slot in self._slots
        }

    def first(
        self, filled: dict[str, Any], connection: Any, prepare: bool = False
    ) -> list[Any] | None:
        """Return the instances that the row holds; None if no row was found.

        An instance is None if the join found no row for it. ``prepare``: use a prepared statement
        on PostgreSQL.
        """
        with prepared.cursor(connection) if prepare else connection.cursor() as cursor:
            cursor.execute(self.sql, filled)
            found = cursor.fetchone()
        if found is None:
            return None
        row = list(found)
        for position, converters, column in self._converters:
            for convert in converters:
                row[position] = convert(row[position], column, connection)
        return [part.instance(row, self._using) for part in self._parts]


def _quicker(converter: Any, connection: Any) -> Any:
    """Return a quicker converter with the same result, if there is one."""
    of_times = getattr(connection.ops, "convert_datetimefield_value", None)
    return _time_of_sqlite if connection.vendor == "sqlite" and converter == of_times else converter


def _time_of_sqlite(value: Any, column: Any, connection: Any) -> Any:
    """Convert as Django does, in a fifth of the time, without ``replace`` and settings."""
    if type(value) is datetime.datetime and value.tzinfo is None:
        return datetime.datetime.combine(value, value.time(), connection.timezone)
    if value is None:
        return None
    return connection.ops.convert_datetimefield_value(value, column, connection)


class Part:
    """The columns of one model in a row."""

    def __init__(self, model: Any, own: list[int], columns: list[Any]) -> None:
        self._model = model
        self._columns = slice(own[0], own[-1] + 1)
        self._attnames = [column.target.attname for column in columns[self._columns]]
        self._key = own[0] + self._attnames.index(model._meta.pk.attname)
        from multisession.ground import django_private  # it imports models

        self._make = django_private.maker(model)

    def instance(self, row: list[Any], using: str) -> Any:
        """Make the instance; None if the join found no row."""
        if row[self._key] is None:
            return None
        return self._make(using, self._attnames, row[self._columns])


def _parts(info: dict[str, Any], columns: list[Any]) -> Iterator[Part]:
    """Yield the part of the queried model, then those of the joined ones."""
    yield Part(info["model"], info["select_fields"], columns)
    for joined in info.get("related_klass_infos", []):
        yield from _parts(joined, columns)


@lru_cache
def _finding(using: str, timezone: Any, joined: bool) -> Statement:
    from multisession.models.tokens import Token

    related = ["session", *(["session__user"] if joined else [])]
    digest = Slot("digest", Token._meta.get_field("digest"))
    tokens = Token.objects.using(using).select_related(*related).filter(digest=digest)
    return Statement(tokens.query, using)


@lru_cache
def _finding_account(using: str, timezone: Any, joined: bool) -> Statement:
    from multisession.models import Session
    from multisession.models.tokens import Token

    given = {
        "client__tokens__digest": Slot("digest", Token._meta.get_field("digest")),
        "number": Slot("number", Session._meta.get_field("number")),
        "status": Slot("status", Session._meta.get_field("status")),
    }
    # A token is no relation of a session's: its columns come as annotations, by the same join.
    columns = {
        f"token_{field.attname}": F(f"client__tokens__{field.attname}")
        for field in Token._meta.concrete_fields
    }
    rows = Session.objects.using(using).filter(**given).annotate(**columns)
    if joined:
        rows = rows.select_related("user")
    return Statement(rows.order_by("-pk").query, using)


@lru_cache
def _finding_user(using: str, timezone: Any, user_model: Any) -> Statement:
    users = user_model._base_manager.using(using).filter(pk=Slot("pk", user_model._meta.pk))
    return Statement(users.query, using)


@lru_cache
def _writing(using: str, names: tuple[str, ...], is_account: bool) -> Statement:
    from multisession.models import Session

    status = Slot("status", Session._meta.get_field("status"))
    rows = Session.objects.using(using).filter(pk=Slot("pk", Session._meta.pk), status=status)
    if is_account:
        rows = rows.filter(expire_at__gt=Slot("updated_at", Session._meta.get_field("updated_at")))
    query: Any = rows.query.chain(UpdateQuery)
    query.add_update_values({name: Slot(name, Session._meta.get_field(name)) for name in names})
    return Statement(query, using)


@lru_cache
def _plain_user_model(label: str) -> Any:
    """Return the user model if a join finds its users as Django does, or None.

    ``label``: the setting AUTH_USER_MODEL, which a test may change.
    """
    from multisession.models import Session

    user_model = get_user_model()
    is_ours = Session.user.field.related_model is user_model
    return user_model if is_ours and _is_plain(user_model) else None


@lru_cache
def _is_known(using: str) -> bool:
    return connections[using].vendor in VENDORS


@lru_cache
def _is_djangos_own(field: Any) -> bool:
    """Return True if Django's own code prepares values of this field for the database.

    A field with its own preparation may not take a ``Slot`` for a value. (Values that are read pass
    through the field's converters on both paths.)
    """
    while field.remote_field is not None:
        field = field.target_field
    ways = (field.get_prep_value, field.get_db_prep_value, field.get_db_prep_save)
    return all(way.__module__.startswith("django.") for way in ways)


@lru_cache
def _is_plain(model: Any) -> bool:
    """Return True if ``model._default_manager.get(pk=…)`` finds what a join of its table finds.

    Not with a default manager that filters or joins, for a model of several tables, a proxy, or one
    that overrides ``from_db``.
    """
    manager = model._default_manager
    return (
        type(manager).get_queryset is Manager.get_queryset
        and type(manager).get is Manager.get
        and manager._queryset_class is QuerySet
        and manager._db is None
        and not model._meta.proxy
        and not model._meta.parents
        and model.from_db.__func__ is vars(Model)["from_db"].__func__
    )
