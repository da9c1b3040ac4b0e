"""Remember forms that were sent again after a refusal, so that each is sent once."""

from __future__ import annotations

from django.db import IntegrityError, models, router, transaction

from .clients import Client, now
from .managers import PrimaryManager


class SentForm(models.Model):
    """A form of a client, by the random number in it. The purge deletes it after a day."""

    client = models.ForeignKey(
        Client,
        on_delete=models.DO_NOTHING,  # the purge deletes it earlier than any client
        db_constraint=False,
        db_index=False,
        related_name="+",
        editable=False,
    )
    number = models.CharField(max_length=32, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)

    objects = PrimaryManager()

    class Meta:
        base_manager_name = "objects"
        indexes = [models.Index(fields=["created_at"], name="multisession_sent_at")]
        constraints = [
            models.UniqueConstraint(fields=["client", "number"], name="multisession_sent_once")
        ]

    def __str__(self) -> str:
        return f"form {self.pk}"

    @classmethod
    def claim(cls, client_id: int, number: str) -> SentForm | None:
        """Return the row that lets this form be sent now; None if it was sent already.

        The unique constraint decides between two requests at once.
        """
        using = router.db_for_write(cls)
        try:
            with transaction.atomic(using=using):
                claim: SentForm = cls.objects.using(using).create(
                    client_id=client_id, number=number
                )
                return claim
        except IntegrityError:
            return None
