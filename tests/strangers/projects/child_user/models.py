from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models


class Account(AbstractUser):
    pass


class Person(Account):
    nickname = models.CharField(max_length=20, blank=True)
    objects = UserManager()


class Customer(Person):
    """Some are more."""

    number = models.IntegerField(default=0)
    objects = UserManager()
