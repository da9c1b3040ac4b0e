"""Remove what has no further use: the work of ``manage.py clearsessions``."""

import datetime

from django.utils import timezone

from .models import Client, Session

#: How long the row of a session that has ended is kept for the lists.
RETENTION = datetime.timedelta(days=90)


def purge() -> None:
    """Delete visitors' expired data, sessions that ended long ago, and clients without any."""
    now = timezone.now()
    Session.objects.filter(user__isnull=True, expire_at__lte=now).delete()
    Session.objects.filter(expire_at__lte=now - RETENTION).delete()
    Session.objects.exclude(status=Session.Status.ACTIVE).filter(
        updated_at__lte=now - RETENTION
    ).delete()
    Client.objects.filter(sessions__isnull=True, created_at__lte=now - RETENTION).delete()
