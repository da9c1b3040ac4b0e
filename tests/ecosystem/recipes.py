"""The recipes of docs/ecosystem.md, as they stand there: so they are known to work."""

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.views import ConfirmEmailView, PasswordResetFromKeyView
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.http import HttpRequest

from accounts.models import User
from multisession.backends.db import SessionStore


class ConfirmAnyEmailView(ConfirmEmailView):
    """The link proves an address of its own account; whoever is active meanwhile may stay."""

    def logout(self) -> None:
        pass


class ResetAnyPasswordView(PasswordResetFromKeyView):
    """The same for the password of another account."""

    def logout(self) -> None:
        pass


class OneSessionAdapter(DefaultUserSessionsAdapter):
    """End the account that a row of allauth's list stands for, and no other in its browser."""

    def end_sessions(self, sessions: list[UserSession]) -> None:
        for session in sessions:
            row = SessionStore(session.session_key).row
            if row is not None:
                row.revoke(by=session.user)
            session.delete()


class OneAccountAtATimeAdapter(DefaultAccountAdapter):
    """For a shared terminal: whoever signs in takes the place of who was there."""

    def login(self, request: HttpRequest, user: User) -> None:
        request.session.login_mode = "replace"
        super().login(request, user)
