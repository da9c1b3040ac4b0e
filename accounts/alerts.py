"""Tell a person of a sign-in on a new browser, by an e-mail with a link: "This wasn't me".

The link needs no sign-in, because the person may be where no account is. It is signed, expires, and
works once: it holds a hash of the password of that time, which the link takes away. Opening it
changes nothing, as mail scanners open every link; the page has a button.
"""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import views as auth_views
from django.contrib.auth.tokens import default_token_generator
from django.core import signing
from django.core.exceptions import ObjectDoesNotExist
from django.core.mail import send_mail
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse, reverse_lazy
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.forms import NewPasswordForm
from accounts.models import User
from multisession import actions, lists
from multisession.ground.origin import Origin
from multisession.guard import any_account
from multisession.models import Session
from multisession.pages.browsers import browser_name
from multisession.pages.places import place_of

logger = logging.getLogger(__name__)

SALT = "accounts.alerts"
#: How long the link works, in seconds.
MAX_AGE = 7 * 24 * 60 * 60
GONE = 410


def tell_of_new_browser(session: Session, is_first: bool, **kwargs: Any) -> None:
    """Receive ``signed_in_on_new_browser``: write to the person. Not after a sign-up.

    A site with many sign-ins hands this to its task queue.
    """
    user = session.user
    if is_first or not isinstance(user, User):
        return
    link = reverse("accounts:not_me", args=[link_token(session, user)])
    _write_to(user, _("New sign-in to your account"), "new_browser", session, link)


def link_token(session: Session, user: User) -> str:
    """Return what the link holds: the session, and a hash of the password of now."""
    return signing.dumps([session.public_id, _hash_of(user)], salt=SALT)


def session_of(token: str) -> tuple[Session, User] | None:
    """Return the session that the link is about, and its user. None if the link is over."""
    try:
        public_id, password_hash = signing.loads(token, salt=SALT, max_age=MAX_AGE)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    session = lists.find_session(public_id)
    try:
        user = session.user if session is not None else None
    except ObjectDoesNotExist:
        return None
    if session is None or not isinstance(user, User) or not user.is_active:
        return None
    return (session, user) if constant_time_compare(password_hash, _hash_of(user)) else None


@never_cache
@any_account  # It is about the account in the link, whichever is active here.
@require_http_methods(["GET", "HEAD", "POST"])
def not_me(request: HttpRequest, token: str) -> HttpResponse:
    """Ask, by a button, if a sign-in was somebody else's; then end it and ask for a new password.

    The old password may be known to a stranger, so it is taken away, which ends every session of
    the account. The way to the new one is also sent by e-mail, for whoever closes the page. If that
    fails, the page says so: it is then the only way.
    """
    found = session_of(token)
    if found is None:
        return render(request, "accounts/link_is_over.html", status=GONE)
    session, user = found
    if request.method != "POST":
        context = {"session": session, "account": user, **_about(session)}
        return render(request, "accounts/not_me.html", context)
    if not _take_password_away(user):
        return render(request, "accounts/link_is_over.html", status=GONE)
    live = Session.objects.filter(user=user).live()
    actions.revoke_all([session, *live], by=user, origin=Origin.of(request))
    user.refresh_from_db()
    key = urlsafe_base64_encode(force_bytes(user.pk))
    link = reverse("accounts:new_password", args=[key, default_token_generator.make_token(user)])
    if not _write_to(user, _("Set a new password"), "new_password", session, link):
        text = _("We couldn't send you an e-mail. Set a new password before you close this page.")
        messages.warning(request, text)
    return redirect(link)


class NewPasswordView(auth_views.PasswordResetConfirmView):
    """Set a new password, by Django's own link. The person signs in with it afterwards."""

    form_class = NewPasswordForm
    template_name = "accounts/new_password.html"
    success_url = reverse_lazy("accounts:sign_in")

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        """Answer 404 with the same page if the link is not valid any more."""
        status = 200 if context["validlink"] else 404
        return super().render_to_response(context, status=status, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        messages.success(self.request, _("Your password has been changed."))
        return response


def _take_password_away(user: User) -> bool:
    """Make the password unusable. Return False if another request has used the link meanwhile."""
    with transaction.atomic():
        locked = User.objects.select_for_update().get(pk=user.pk)
        if not constant_time_compare(_hash_of(locked), _hash_of(user)):
            return False
        locked.set_unusable_password()
        locked.save(update_fields=["password"])
    return True


def _hash_of(user: User) -> str:
    return salted_hmac(SALT, f"{user.pk} {user.password}", algorithm="sha256").hexdigest()


def _about(session: Session) -> dict[str, Any]:
    return {
        "browser": browser_name(session.client.user_agent),
        "at": session.created_at,
        "address": session.ip_address,
        "place": place_of(session.ip_address),
    }


def _write_to(user: User, subject: str, name: str, session: Session, path: str) -> bool:
    """Send an e-mail with one link. Return False, and log why, if the mail server doesn't take it.

    The link's host is a setting: a request's may be forged.
    """
    context = {"account": user, "link": f"{settings.SITE_URL}{path}", **_about(session)}
    text = render_to_string(f"accounts/mail/{name}.txt", context)
    try:
        send_mail(subject, text, None, [user.email])
    except Exception:  # Each backend has errors of its own. What the mail tells of has happened.
        logger.exception("No mail server took the e-mail %r to user %s.", name, user.pk)
        return False
    return True
