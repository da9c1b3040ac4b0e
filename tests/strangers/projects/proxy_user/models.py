from django.contrib.auth.models import AbstractUser, UserManager


class Account(AbstractUser):
    pass


class Person(Account):
    objects = UserManager()

    class Meta:
        proxy = True


class Member(Account):
    """What the project's own pages and its admin work with."""

    class Meta:
        proxy = True
