"""Make some thousand sessions with every status, for the tests of the lists."""

import datetime
import random
from dataclasses import dataclass

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.utils import timezone

from accounts.models import User
from multisession.ground import serialization
from multisession.models import Client, Session

DAY = datetime.timedelta(days=1)
USERS = 12
CLIENTS = 150


@dataclass
class History:
    users: list[User]
    clients: list[Client]
    sessions: list[Session]


def make_history(number: int = 2000, *, seed: int = 5) -> History:
    """The same history for the same seed, but for ids and the day on which it ends."""
    chance = random.Random(seed)  # noqa: S311
    # To the second: some sessions then begin at the same time, and databases round alike.
    now = timezone.now().replace(microsecond=0)
    users = User.objects.bulk_create(
        User(email=f"user{index}@example.com", password="!") for index in range(USERS)
    )
    clients = Client.objects.bulk_create(
        Client(user_agent="Firefox/140.0", created_at=now - 90 * DAY) for _ in range(CLIENTS)
    )
    # As a sign-in leaves it: a session of another password would be none of its user's any more.
    data = {user: signed_in_data(user) for user in users}
    sessions = []
    for _ in range(number):
        created_at = now - datetime.timedelta(hours=chance.randrange(1, 50 * 24))
        last_active_at = created_at + chance.random() * (now - created_at)
        client, user = chance.choice(clients), chance.choice([*users, *users, *users, None])
        sessions.append(
            Session(
                client=client,
                user=user,
                session_data=data.get(user, ""),
                # Half of them as nobody has touched them since; what the clock makes of those is
                # active, expired or abandoned.
                status=chance.choice([Session.Status.ACTIVE, chance.choice(Session.Status.values)]),
                forgotten=chance.random() < 0.1,
                created_at=created_at,
                updated_at=last_active_at,
                last_active_at=last_active_at,
                expire_at=created_at + 7 * DAY,
                abandon_at=created_at + 30 * DAY,
                ip_address="192.0.2.1",
            )
        )
    Session.objects.bulk_create(sessions)
    return History(users, clients, list(Session.objects.select_related("client", "user")))


def signed_in_data(user: User) -> str:
    data = {SESSION_KEY: str(user.pk), HASH_SESSION_KEY: user.get_session_auth_hash()}
    data[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    return serialization.dumps(data)


def status_now(session: Session) -> str:
    """By the words of the brief, not by the code under test."""
    now, unclosed = timezone.now(), session.status in ("active", "expired")
    if unclosed and session.abandon_at <= now:
        return "abandoned"
    if unclosed and session.expire_at <= now:
        return "expired"
    return str(session.status)
