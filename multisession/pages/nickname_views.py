"""The page *Nickname and colour*: how a person tells the accounts of a browser apart."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from multisession import actions
from multisession.conf import settings
from multisession.ground.asking import is_htmx
from multisession.guard.any_page import any_account
from multisession.models import Session
from multisession.models.nicknames import LONGEST_NICKNAME
from multisession.request import MultiSessionRequest

from .links import url_of
from .profiles import one_line, profile_of
from .views import choose_url, go_to, personal, requested_next

UNPROCESSABLE = 422

#: The names of the colours in ground/colours.py.
COLOUR_NAMES = (
    gettext_lazy("Red"),
    gettext_lazy("Brown"),
    gettext_lazy("Olive"),
    gettext_lazy("Green"),
    gettext_lazy("Emerald"),
    gettext_lazy("Teal"),
    gettext_lazy("Sky blue"),
    gettext_lazy("Blue"),
    gettext_lazy("Indigo"),
    gettext_lazy("Violet"),
    gettext_lazy("Purple"),
    gettext_lazy("Pink"),
)


class NicknameForm(forms.Form):
    """A nickname, which may be empty, and one of the colours."""

    nickname = forms.CharField(
        label=gettext_lazy("Nickname"),
        required=False,
        max_length=LONGEST_NICKNAME,
        widget=forms.TextInput(attrs={"class": "ms-input", "autocomplete": "off", "dir": "auto"}),
    )
    hue = forms.TypedChoiceField(
        label=gettext_lazy("Colour"),
        choices=list(enumerate(COLOUR_NAMES)),
        coerce=int,
        widget=forms.RadioSelect,
    )

    def clean_nickname(self) -> str:
        """Return it in one line; "" if there is nothing in it to see."""
        return one_line(self.cleaned_data["nickname"])


# The form names its account, so a page of any account of this browser may send it.
@any_account
@personal
@require_http_methods(["GET", "HEAD", "POST"])
@csrf_protect
def nickname(request: MultiSessionRequest) -> HttpResponse:
    """Show the form for one account that is signed in here, by default the active one; save it."""
    is_sent = request.method == "POST"
    said = (request.POST if is_sent else request.GET).get("session", "")
    accounts = request.multisession
    known = nameable(request)
    edited = next((row for row in known if row.public_id == said), None)
    if edited is None and (said or is_sent):
        raise actions.SessionNotFound("No such session in this browser.")
    if not known:
        return redirect(choose_url())
    if edited is None:
        edited = next((row for row in known if row == accounts.session), None)
    if edited is None:
        return _page(request, None, None)
    shown = {"nickname": edited.nickname, "hue": profile_of(edited).hue}
    form = NicknameForm(request.POST if is_sent else None, initial=shown, label_suffix="")
    if not is_sent or not form.is_valid():
        return _page(request, edited, form, status=UNPROCESSABLE if is_sent else 200)
    # A colour that was only left as it is stays a matter of this browser.
    colour = None if form.cleaned_data["hue"] == shown["hue"] else form.cleaned_data["hue"]
    actions.set_nickname(request, edited, form.cleaned_data["nickname"], colour=colour)
    messages.success(request, _("Saved."), fail_silently=True)
    return go_to(request, requested_next(request) or choose_url())


def nameable(request: MultiSessionRequest) -> list[Session]:
    """List the accounts of this browser, without those as whom an administrator acts."""
    return [row for row in request.multisession.sessions if not row.actor_id]


def _page(
    request: MultiSessionRequest,
    edited: Session | None,
    form: NicknameForm | None,
    status: int = 200,
) -> HttpResponse:
    others = [row for row in nameable(request) if row != edited]
    context: dict[str, Any] = {
        "edited": edited,
        "form": form,
        "chosen": form and form["hue"].value(),
        "others": others,
        "next": requested_next(request),
        "choose_url": url_of(settings.CHOOSE_URL),
    }
    if is_htmx(request):
        # 200 even for an error: by default htmx swaps no other answer.
        return render(request, "multisession/_nickname.html", context)
    return render(request, "multisession/nickname.html", context, status=status)
