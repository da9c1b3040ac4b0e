"""Notes, with the user that the server saw and the account of the page."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Note(models.Model):
    number = models.CharField(max_length=40, unique=True)
    author = models.CharField(max_length=40)
    drawn_for = models.CharField(max_length=40)

    objects: ClassVar[models.Manager[Note]] = models.Manager()

    class Meta:
        app_label = "load_site"

    def __str__(self) -> str:
        return f"{self.number} by {self.author}"
