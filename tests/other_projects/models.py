"""User models unlike Django's: other keys, no e-mail address, other tables."""

import uuid
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class People(BaseUserManager[Any]):
    def create_user(self, username: str, password: str, **fields: Any) -> Any:
        person = self.model(nickname=username, **fields)
        person.set_password(password)
        person.save(using=self._db)
        return person


class Named(AbstractBaseUser, PermissionsMixin):
    nickname = models.CharField(max_length=50, unique=True)
    is_staff = models.BooleanField(default=False)
    groups = None
    user_permissions = None

    objects = People()

    USERNAME_FIELD = "nickname"

    class Meta:
        abstract = True


class Person(Named):
    """The key is no number."""

    key = models.UUIDField(primary_key=True, default=uuid.uuid4)
    is_active = models.BooleanField(default=True)


class Alias(Person):
    """A proxy."""

    class Meta:
        proxy = True


def spelled() -> str:
    """A key that looks as if it had the prefix, and needs care in a URL."""
    return f"user_{uuid.uuid4().hex[:8]}/é&=1"


class Spelled(Named):
    """The key is a text."""

    handle = models.CharField(max_length=40, primary_key=True, default=spelled)
    is_active = models.BooleanField(default=True)


class Code(str):
    """A number that is shown another way than it is stored, as of shuffled ids."""

    SHIFT = 7_000_000
    number: int

    def __new__(cls, given: Any) -> "Code":
        """From the number as it is shown, or stored: Django prepares a value more than once."""
        number = int(given)
        code = super().__new__(cls, number if number > cls.SHIFT else number + cls.SHIFT)
        code.number = int(code) - cls.SHIFT
        return code

    def __eq__(self, other: object) -> bool:
        return self.number == (other.number if isinstance(other, Code) else other)

    def __hash__(self) -> int:
        return hash(self.number)


class CodeField(models.IntegerField):
    """It has its own way to the database and back, and takes nothing else."""

    def pre_save(self, instance: Any, add: bool) -> Any:
        if getattr(instance, self.attname) is None:
            setattr(instance, self.attname, Code(1 + uuid.uuid4().int % 1_000_000))
        return getattr(instance, self.attname)

    def to_python(self, value: Any) -> Any:
        return value if value is None or isinstance(value, Code) else Code(value)

    def from_db_value(self, value: Any, *args: Any) -> Any:
        return None if value is None else Code(value)

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else self.to_python(value).number

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return value if prepared else self.get_prep_value(value)

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        return self.get_prep_value(value)


class Coded(Named):
    """The key is shown one way and stored another."""

    code = CodeField(primary_key=True)
    is_active = models.BooleanField(default=True)


class Entry(models.Model):
    """Somebody in a directory, who may or may not be a user."""

    is_active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return f"entry {self.pk}"


def entry() -> Any:
    return Entry.objects.create().pk


class Linked(Named):
    """The key is a relation."""

    entry = models.OneToOneField(Entry, models.CASCADE, primary_key=True, default=entry)
    is_active = models.BooleanField(default=True)


class Member(Named, Entry):
    """Users in two tables: whether they are active is said in that of the parent."""

    def __str__(self) -> str:
        return self.nickname


class Director(Member):
    """A child of the users' model."""

    def __str__(self) -> str:
        return f"director {self.nickname}"


class Supplier(Entry):
    """Another child of the parent; a member may be one, too."""

    is_staff = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"supplier {self.pk}"
