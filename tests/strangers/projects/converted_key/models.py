import itertools

from django.contrib.auth.models import AbstractUser
from django.db import models

#: So that no value is right by chance.
OFFSET = 1000
numbers = itertools.count(1)


class ShiftedField(models.IntegerField):
    def get_db_prep_value(self, value, connection, prepared=False):
        value = super().get_db_prep_value(value, connection, prepared)
        return None if value is None else value + OFFSET

    def get_db_prep_save(self, value, connection):
        return self.get_db_prep_value(value, connection)

    def from_db_value(self, value, expression, connection):
        return None if value is None else value - OFFSET


class Person(AbstractUser):
    id = ShiftedField(primary_key=True)

    def save(self, *args, **kwargs):
        if self.pk is None:
            self.pk = next(numbers)
        super().save(*args, **kwargs)
