"""The recipes of docs/howto/ (account-paths.md, allauth.md, impersonation.md), for the tests."""

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailConfirmation
from allauth.account.views import ConfirmEmailView, PasswordResetFromKeyView
from django.contrib.auth import login
from django.contrib.auth.decorators import user_passes_test
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from accounts.models import User
from multisession.actions import set_active
from multisession.paths import share_url


@require_POST
@user_passes_test(lambda user: user.is_superuser)  # or whoever may
def login_as(request: HttpRequest, pk: int) -> HttpResponse:
    administrator = str(request.user.pk)
    user = get_object_or_404(User, pk=pk)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    request.session["multisession_actor"] = administrator
    return redirect("/")


@require_POST
def back(request: HttpRequest) -> HttpResponse:
    for session in request.multisession.other_sessions:
        if str(session.user_id) == request.session.get("multisession_actor"):
            set_active(request, session)
    return redirect("/")


class ConfirmAnyEmailView(ConfirmEmailView):
    """The link proves an address of its own account; whoever is active meanwhile may stay."""

    def logout(self) -> None:
        pass


class ResetAnyPasswordView(PasswordResetFromKeyView):
    """The same for the password of another account."""

    def logout(self) -> None:
        pass


class OneAccountAtATimeAdapter(DefaultAccountAdapter):
    """For a shared terminal: whoever signs in takes the place of who was there."""

    def login(self, request: HttpRequest, user: User) -> None:
        request.session.login_mode = "replace"
        super().login(request, user)


class TidyLinksAdapter(DefaultAccountAdapter):
    """Links in e-mails without the number of an account."""

    def get_email_confirmation_url(
        self, request: HttpRequest, emailconfirmation: EmailConfirmation
    ) -> str:
        return share_url(request, super().get_email_confirmation_url(request, emailconfirmation))

    def get_reset_password_from_key_url(self, key: str) -> str:
        return share_url(self.request, super().get_reset_password_from_key_url(key))
