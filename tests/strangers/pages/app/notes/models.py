from django.conf import settings
from django.db import models


class Note(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    text = models.TextField()
    page = models.CharField(max_length=40)

    def __str__(self) -> str:
        return self.text
