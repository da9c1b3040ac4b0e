"""Sign in, sign up and manage an account, with Django's own views.

They need no special code for several accounts, because ``login()`` adds one. They only show more
than usual.
"""

from contextlib import suppress
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate, login
from django.contrib.auth import views as auth_views
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.messages.views import SuccessMessageMixin
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django.urls import reverse_lazy
from django.utils.cache import patch_vary_headers
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST
from django.views.generic import CreateView, UpdateView
from django.views.generic.edit import FormMixin
from django_htmx.http import HttpResponseClientRedirect

from accounts import demo
from accounts.forms import (
    PasswordForm,
    ProfileForm,
    SignInForm,
    SignUpForm,
    focus_first_error,
    focus_when_swapped_in,
)
from accounts.models import User
from accounts.requests import DemoRequest, SignedInRequest, wants_partial
from multisession import passwords
from multisession.actions import OrganizationNotFound, set_active
from multisession.guard import any_account
from multisession.models import Session
from multisession.pages.views import requested_next

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"
UNPROCESSABLE = 422
#: Parameter of the profile page after a password change.
PASSWORD_CHANGED = "password-changed"  # noqa: S105


def announce(request: HttpRequest, user: User) -> None:
    """Add a message after a sign-in that names the active account."""
    messages.success(request, _("You are now using %(email)s.") % {"email": user.email})


class FocusFirstErrorMixin(FormMixin):
    """Answer an invalid form with the focus on the first field with an error."""

    def form_invalid(self, form: Any) -> HttpResponse:
        focus_first_error(form)
        return super().form_invalid(form)


class SignInView(FocusFirstErrorMixin, auth_views.LoginView):
    """The sign-in page; for htmx only the form, for *Add account* in the menu."""

    request: DemoRequest
    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        patch_vary_headers(response, ["HX-Request"])
        return response

    def get_template_names(self) -> list[str]:
        if wants_partial(self.request):
            return ["accounts/_sign_in_form.html"]
        return [self.template_name]

    def get_initial(self) -> dict[str, Any]:
        """Return the e-mail address of an account that this browser remembers."""
        initial = super().get_initial()
        known = self.known_account()
        if known is not None and known.user is not None:
            initial["username"] = known.user.get_username()
        return initial

    def known_account(self) -> Session | None:
        """Return the session of the account that is to sign in again."""
        return self.account_asked_for() or self.account_that_was_signed_out()

    def account_asked_for(self) -> Session | None:
        """Return the remembered session that *Sign in again* named in the query."""
        wanted, here = self.request.GET.get("session"), self.request.multisession
        known = [*here.signed_out_sessions, *here.sessions] if wanted else []
        return next((session for session in known if session.public_id == wanted), None)

    def account_that_was_signed_out(self) -> Session | None:
        """Return the session that was active here until it expired or was ended elsewhere.

        None if another one is active, or if the person signed out.
        """
        here = self.request.multisession
        if here.session is not None or "session" in self.request.GET:
            return None
        lost = [row for row in here.signed_out_sessions if row.status != Session.Status.ENDED]
        return max(lost, key=lambda row: row.last_active_at, default=None)

    def get_form_kwargs(self) -> dict[str, Any]:
        kwargs = super().get_form_kwargs()
        if wants_partial(self.request):
            # The menu may open on the sign-in page, and ids must be unique in a page.
            kwargs["auto_id"] = "id_added_%s"
        return kwargs

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        context["signed_out"] = self.account_that_was_signed_out()
        # Then the password alone is asked for, unless another address was sent.
        known, typed = self.known_account(), context["form"]["username"].value()
        if known is not None and known.user is not None and known.user.get_username() == typed:
            context["known"] = known
        elif (
            not (wants_partial(self.request) or context["form"].is_bound)
            and self.request.multisession.sessions
        ):
            # The focus would scroll the accounts above the form out of sight, on a phone at least.
            context["form"].fields["username"].widget.attrs.pop("autofocus", None)
        if wants_partial(self.request):
            context.pop("known", None)
            focus_when_swapped_in(context["form"])
        if settings.DEBUG:
            context |= {"demo_accounts": demo.ACCOUNTS, "demo_password": demo.PASSWORD}
        return context

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        announce(self.request, form.get_user())
        if wants_partial(self.request):
            # A change of account needs a full page load.
            return HttpResponseClientRedirect(response["Location"])
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        response = super().form_invalid(form)
        if wants_partial(self.request):
            response.status_code = UNPROCESSABLE
        return response


@require_POST
@any_account
def demo_sign_in(request: DemoRequest) -> HttpResponse:
    """Sign in to a demo account by one click. Only while DEBUG is on.

    The password is checked: a developer may have given the account another one.
    """
    email = request.POST.get("account", "")
    if not settings.DEBUG or email not in {account.email for account in demo.ACCOUNTS}:
        raise Http404("This is for the demo accounts, while DEBUG is on.")
    user = authenticate(request, username=email, password=demo.PASSWORD)
    if not isinstance(user, User):
        text = _("This account doesn't exist or has another password now: run “make run” again.")
        messages.error(request, text)
        return redirect("accounts:sign_in")
    login(request, user)
    announce(request, user)
    request.session.save()  # The organization needs the session of the new account.
    with suppress(OrganizationNotFound):  # not a member, or the team is gone
        set_active(request, organization=demo.TEAM[1])
    return redirect(requested_next(request) or settings.LOGIN_REDIRECT_URL)


@method_decorator(sensitive_post_parameters("password1", "password2"), name="dispatch")
class SignUpView(FocusFirstErrorMixin, auth_views.RedirectURLMixin, CreateView):
    """Make an account and sign in to it. Other accounts stay signed in."""

    model = User
    form_class = SignUpForm
    template_name = "accounts/sign_up.html"

    def get_default_redirect_url(self) -> str:
        return resolve_url(settings.LOGIN_REDIRECT_URL)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs, next=self.get_redirect_url())

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        login(self.request, form.instance, backend=MODEL_BACKEND)
        announce(self.request, form.instance)
        return response


class ProfileView(LoginRequiredMixin, SuccessMessageMixin, FocusFirstErrorMixin, UpdateView):
    """The page *Manage account*, with forms for name and e-mail address and for the password."""

    request: SignedInRequest
    form_class = ProfileForm
    template_name = "accounts/profile.html"
    #: Not "user", the default: the page would name the form's instance, which has the address that
    #: was typed, also a refused one.
    context_object_name = "edited"
    success_url = reverse_lazy("accounts:profile")
    success_message = gettext_lazy("Your details have been saved.")

    def get_object(self, queryset: Any = None) -> User:
        # A copy, because even an invalid form changes its instance.
        return User.objects.get(pk=self.request.user.pk)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        password_form = PasswordForm(self.request.user)
        password_form.fields["old_password"].widget.attrs.pop("autofocus", None)
        return super().get_context_data(
            **kwargs,
            password_form=password_form,
            password_changed=PASSWORD_CHANGED in self.request.GET,
        )


class PasswordView(SuccessMessageMixin, FocusFirstErrorMixin, auth_views.PasswordChangeView):
    """Change the password, from the form on the same page. Then offer to sign out elsewhere."""

    request: SignedInRequest
    form_class = PasswordForm
    template_name = "accounts/profile.html"
    success_url = reverse_lazy("accounts:profile")
    success_message = gettext_lazy("Your password has been changed.")

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        passwords.note(self.request)  # The form has just asked for it.
        return response

    def get_success_url(self) -> str:
        return f"{super().get_success_url()}?{PASSWORD_CHANGED}"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        profile_form = ProfileForm(instance=self.request.user)
        return context | {"form": profile_form, "password_form": context["form"]}
