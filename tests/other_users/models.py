"""A user who has nothing in common with Django's: another key, no e-mail, no flags of its own."""

import uuid

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class People(BaseUserManager["Person"]):
    def create_user(self, username: str, password: str) -> "Person":
        person = self.model(nickname=username)
        person.set_password(password)
        person.save(using=self._db)
        return person


class Person(AbstractBaseUser):
    """``is_active`` is a column here; the key is no number."""

    key = models.UUIDField(primary_key=True, default=uuid.uuid4)
    nickname = models.CharField(max_length=50, unique=True)
    is_active = models.BooleanField(default=True)

    objects = People()

    USERNAME_FIELD = "nickname"
