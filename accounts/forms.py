"""Forms to sign in, to sign up, and to manage an account.

They extend Django's own, with e-mail addresses and attributes for password managers.
"""

from typing import Any

from django import forms
from django.contrib.auth import forms as auth_forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.models import Note, Team, User

EMAIL_ATTRS = {"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}


def focus(form: forms.BaseForm, name: str) -> None:
    """Set ``autofocus`` on this field and on no other."""
    for field in form.fields.values():
        field.widget.attrs.pop("autofocus", None)
    form.fields[name].widget.attrs["autofocus"] = True


def focus_when_swapped_in(form: forms.BaseForm) -> None:
    """Let ``user_button.js`` set the focus: browsers log an error for autofocus in a fragment."""
    for field in form.fields.values():
        if field.widget.attrs.pop("autofocus", None):
            field.widget.attrs["data-multisession-focus"] = True


def focus_first_error(form: forms.BaseForm) -> None:
    """Set ``autofocus`` on the first field with an error."""
    wrong = next((name for name in form.fields if name in form.errors), None)
    if wrong:
        focus(form, wrong)


class SignInForm(auth_forms.AuthenticationForm):
    """E-mail address and password."""

    username = forms.EmailField(
        label=_("E-mail address"), widget=forms.EmailInput(attrs={**EMAIL_ATTRS, "autofocus": True})
    )
    error_messages = {
        "invalid_login": _("Wrong e-mail address or password."),
        "inactive": _("This account is not active."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.initial.get("username"):
            focus(self, "password")

    def get_invalid_login_error(self) -> ValidationError:
        """Return Django's error, attached to the password field."""
        return ValidationError({"password": super().get_invalid_login_error()})


class PasswordErrorMixin(auth_forms.SetPasswordMixin):
    """Attach errors of a new password to the first of its two fields."""

    fields: dict[str, forms.Field]

    def validate_password_for_user(self, user: User, password_field_name: str = "") -> None:
        first = "password1" if "password1" in self.fields else "new_password1"
        super().validate_password_for_user(user, first)


class PasswordForm(PasswordErrorMixin, auth_forms.PasswordChangeForm):
    """Change the password of an account."""


class NewPasswordForm(PasswordErrorMixin, auth_forms.SetPasswordForm):
    """Set a password without the old one."""


class SignUpForm(PasswordErrorMixin, auth_forms.BaseUserCreationForm):
    """Make an account."""

    class Meta:
        model = User
        fields = ("email", "name")
        widgets = {
            "email": forms.EmailInput(attrs=EMAIL_ATTRS),
            "name": forms.TextInput(attrs={"autocomplete": "name", "dir": "auto"}),
        }


class ProfileForm(forms.ModelForm):
    """Change the name and the e-mail address of an account."""

    class Meta:
        model = User
        fields = ("name", "email")
        widgets = SignUpForm.Meta.widgets


class ScratchpadForm(forms.Form):
    """Change the scratchpad: any text of limited length."""

    note = forms.CharField(
        label=_("Anything you like"),
        required=False,
        strip=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4, "dir": "auto"}),
    )


class NoteForm(forms.ModelForm):
    """Write a private note."""

    class Meta:
        model = Note
        fields = ("text",)
        labels = {"text": _("New note")}
        widgets = {"text": forms.TextInput(attrs={"autocomplete": "off", "dir": "auto"})}


class TeamForm(forms.ModelForm):
    """Name and short name of a new team."""

    class Meta:
        model = Team
        fields = ("name", "slug")

    def clean_slug(self) -> str:
        """Keep the addresses of other pages free."""
        slug: str = self.cleaned_data["slug"]
        if slug in ("new", "leave"):
            raise ValidationError(_("This short name is taken."))
        return slug
