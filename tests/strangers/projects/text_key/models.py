import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models


def new_key():
    return f"née & <{uuid.uuid4()}>?/"


class Person(AbstractUser):
    id = models.CharField(primary_key=True, max_length=60, default=new_key)
