"""The pages and actions behind the menu. The logic is in ``actions``.

Every action is a plain POST form that answers with a redirect. For htmx the same views answer
with ``HX-Redirect``: a change of account is always a full page load, so no forms, tokens or
fragments of the previous account stay on the screen.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings as django_settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from multisession import actions, passwords, paths
from multisession.conf import settings
from multisession.ground import asking
from multisession.ground.asking import is_htmx
from multisession.ground.colours import COLOURS
from multisession.guard import guard, page_tokens
from multisession.guard.any_page import any_account
from multisession.models import Session
from multisession.organizations import KEEP, Keep
from multisession.request import MultiSessionRequest

from . import confirmation, refusal
from .badges import note_badges
from .links import after_switch_url, current_page, on_site, sign_in_link, url_of
from .menu import Options, account_list_context, button_context, menu_context
from .organization_menu import page_context
from .profiles import profile_of

#: The tag of the message after a switch.
SWITCHED = "multisession-switched"


def personal(view: Callable[[MultiSessionRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Make a view that no cache stores and that LoginRequiredMiddleware lets through.

    The answer depends on the account, and on whether htmx asks.
    """
    return login_not_required(never_cache(vary_on_headers("Cookie", "HX-Request")(view)))


def action(view: Callable[[MultiSessionRequest, str], HttpResponse]) -> Callable[..., HttpResponse]:
    """Make a POST view that gets the id from the field ``session``; 404 for other browsers' ids."""

    @wraps(view)
    def with_session_id(request: MultiSessionRequest) -> HttpResponse:
        try:
            return view(request, request.POST.get("session", ""))
        except actions.SessionNotFound:
            if not is_htmx(request):
                raise
            # The page is out of date. htmx 2 ignores a 404, so load the current list.
            if request.multisession.session is not None:
                text = _("That account is no longer signed in here. These are:")
                messages.info(request, text, fail_silently=True)
            return HttpResponse(status=404, headers={"HX-Redirect": choose_url()})
        except actions.OrganizationNotFound:
            if not is_htmx(request):
                raise
            text = _("You are no longer a member of that organization.")
            messages.info(request, text, fail_silently=True)
            return HttpResponse(status=404, headers={"HX-Redirect": choose_url()})
        except actions.UpdateError:
            # A concurrent click came first, and this one has changed nothing: show the chooser.
            return go_to(request, choose_url())

    return any_account(personal(require_POST(csrf_protect(with_session_id))))


@personal
@require_safe
@csrf_protect
def button(request: MultiSessionRequest) -> HttpResponse:
    """Show the UserButton, for ``{% user_button_mount %}``."""
    if refusal.QUIET in request.GET:
        refusal.keep_quiet(request)
    context = button_context(request, Options.from_query(request.GET))
    return render(request, "multisession/user_button.html", context)


@personal
@require_safe
@csrf_protect  # the forms in it need the cookie, whatever middleware the project has
def menu(request: MultiSessionRequest) -> HttpResponse:
    """Show the menu's panel, which the UserButton loads when it is first opened."""
    return render_menu(request)


@personal
@require_safe
def icon(request: MultiSessionRequest) -> HttpResponse:
    """Draw the active account's initials in its colour, as a tab's icon; 204 for nobody."""
    session = request.multisession.session
    if session is None:
        return HttpResponse(status=204)
    profile = profile_of(session)
    context = {"profile": profile, "colour": COLOURS[profile.hue]}
    return render(request, "multisession/icon.svg", context, content_type="image/svg+xml")


@personal
@require_safe
@csrf_protect
def choose(request: MultiSessionRequest) -> HttpResponse:
    """Show the chooser: the accounts of this browser, signed in or remembered."""
    next_url = requested_next(request)
    context = account_list_context(request, next_url)
    context["sign_in_url"] = sign_in_link(None, next=next_url)
    context["sessions_url"] = url_of(settings.SESSIONS_URL)
    context["nickname_url"] = url_of("multisession:nickname")
    context["multiple"] = settings.MAX_ACCOUNTS > 1
    return render(request, "multisession/choose.html", context)


@personal
@require_safe
@csrf_protect  # for the sheet of a forgotten account
def notice(request: MultiSessionRequest) -> HttpResponse:
    """Show the notice for an open page after a change in another tab; 204 if there is none.

    ``session``: the id of the page's session, empty if no account was active. ``refused``: a click
    on the page was refused, so show the sheet. If the page's account is signed out, show the cover,
    which lets nobody read on. A header names the active session, because what the page hears from
    other tabs may be out of date.
    """
    response = _notice(request)
    response[asking.PAGE_HEADER] = page_tokens.page_name(page_tokens.effective_session(request))
    response[guard.REASON_HEADER] = "notice"  # notice.js shows nothing else.
    return response


def _notice(request: MultiSessionRequest) -> HttpResponse:
    said, active = request.GET.get("session", ""), page_tokens.effective_session(request)
    if said == page_tokens.page_name(active):
        return HttpResponse(status=204)
    said_session, said_organization = page_tokens.parts_of(said)
    drawn_for = guard.known_session(request, said_session)
    wrong = guard.wrong(request, drawn_for, active, organization=said_organization)
    if wrong.is_of_same_user and (active is None or active.organization == said_organization):
        return HttpResponse(status=204)  # The account has signed in again since.
    page = wrong.page
    is_live = wrong.is_of_same_user or (page is not None and guard.can_act(page))
    if said and not is_live:
        context = refusal.context(request, wrong) | {
            "refused": "refused" in request.GET,
            "next": requested_next(request),
            "choose_url": choose_url(),
            "is_anyone_signed_in": bool(page is None and request.multisession.sessions),
        }
        return render(request, "multisession/_cover.html", context)
    if "refused" in request.GET and said:
        return refusal.sheet(request, wrong)
    if wrong.is_of_same_user:
        page_name, active_name = refusal.place_names(wrong)
    else:
        page_name, active_name = refusal.short_names(page, active)
    to_enter = wrong.organization_to_enter
    context = {
        "page": page,
        "is_other_organization": wrong.is_of_same_user,
        "is_left": wrong.is_left,
        "page_organization": None if isinstance(to_enter, Keep) else to_enter and to_enter.id or "",
        "page_name": page_name,
        "active_name": active_name,
        "active": active,
        "next": requested_next(request),
        "token": page_tokens.token_for(page) if page else "",
        "choose_url": choose_url(),
    }
    return render(request, "multisession/_notice.html", context)


@sensitive_post_parameters(confirmation.PASSWORD)
@action
def set_active(request: MultiSessionRequest, session_id: str) -> HttpResponse:
    """Switch to an account of this browser.

    ``organization``: the id of the organization to enter, empty for none. ``stay``: answer without
    a redirect, for a page of that account that keeps its typed text. ``multisession-password``: the
    password of that account, if ``ASK_AT_SWITCH`` asks for it.
    """
    stays, before = "stay" in request.POST, request.multisession.session
    said = request.POST.get("organization", KEEP)
    try:
        actions.set_active(request, session_id, organization=said or None)
    except actions.SignInAgain as refused:
        if stays:
            return HttpResponse(status=409)
        return ask_to_sign_in_again(request, refused)
    except actions.ConfirmationNeeded as needed:
        if stays:
            return HttpResponse(status=409)
        typed = request.POST.get(confirmation.PASSWORD)
        if typed is None:
            raise
        if not passwords.is_password_of(request, needed.session.user, typed):
            return confirmation.switch_page(
                request, needed.session, _switch_fields(request), is_wrong=True
            )
        actions.set_active(request, session_id, organization=said or None, confirmed=True)
        passwords.note(request)
    if stays:
        # htmx removes the sheet after a 200; a browser keeps the page after a 204.
        return HttpResponse(status=200 if is_htmx(request) else 204)
    say_switched(request, before)
    return go_to(request, requested_next(request) or after_switch_url())


def say_switched(request: MultiSessionRequest, before: Session | None) -> None:
    """Add the message "Now Grace". Its tags name the account before, for ``{% switch_back %}``."""
    active = request.multisession.session
    name, _before = refusal.short_names(active, before)
    tags = f"{SWITCHED} {before.public_id}" if before is not None and before != active else ""
    text = _("Now %(account)s") % {"account": name}
    messages.success(request, text, extra_tags=tags, fail_silently=True)


@personal
@require_safe
@csrf_protect
def confirm_switch(request: MultiSessionRequest) -> HttpResponse:
    """Ask for the password of an account that is signed in here, to switch to it."""
    wanted = request.GET.get("session", "")
    found = next((row for row in request.multisession.sessions if row.public_id == wanted), None)
    if found is None:
        raise actions.SessionNotFound("No such session in this browser.")
    return confirmation.switch_page(request, found, _switch_fields(request))


def _switch_fields(request: MultiSessionRequest) -> dict[str, str]:
    """Return the parameters of a switch, to send them with the password."""
    parameters = request.POST if request.method == "POST" else request.GET
    fields = {REDIRECT_FIELD_NAME: requested_next(request)}
    if (organization := parameters.get("organization")) is not None:
        fields["organization"] = organization
    return fields


@personal
@require_safe
@csrf_protect
def organization_list(request: MultiSessionRequest) -> HttpResponse:
    """Show the organizations of the active account, to choose one."""
    if request.multisession.session is None:
        return redirect(sign_in_link(None, next=request.get_full_path()) or choose_url())
    return render(request, "multisession/organizations.html", page_context(request))


@action
def set_organization(request: MultiSessionRequest, session_id: str) -> HttpResponse:
    """Enter an organization, or none, with the account that the form was drawn for."""
    said = request.POST.get("organization", KEEP)
    try:
        actions.set_active(request, session_id, organization=said or None)
    except actions.SignInAgain as refused:
        return ask_to_sign_in_again(request, refused)
    found = request.multisession.organization
    name = found.name if found is not None else _("Personal account")
    messages.success(
        request, _("You are now using %(account)s.") % {"account": name}, fail_silently=True
    )
    return go_to(request, requested_next(request) or after_switch_url())


@action
def sign_out(request: MultiSessionRequest, session_id: str) -> HttpResponse:
    """Sign out of one account; the others stay signed in."""
    active = request.multisession.session
    actions.sign_out(request, session_id)
    next_url = requested_next(request)
    if active is not None and active.public_id == session_id:
        return go_to(request, next_url or after_sign_out_url(request))
    if is_htmx(request) and not next_url:
        return render_menu(request)
    return go_to(request, next_url or choose_url())


@action
def forget(request: MultiSessionRequest, session_id: str) -> HttpResponse:
    """Take an account off this browser's list."""
    actions.forget(request, session_id)
    return go_to(request, requested_next(request) or choose_url())


@any_account
@personal
@require_POST
@csrf_protect
def add_account(request: MultiSessionRequest) -> HttpResponse:
    """Step aside and redirect to the project's sign-in page, to add an account.

    ``session``: the id of the session that has to sign in again, if any. ``next``: the page after
    the sign-in. ``page``: the current page, for *Back to Ada*.
    """
    options = Options.from_query(request.GET)
    session_id, next_url = request.POST.get("session", ""), requested_next(request)
    sign_in_url = sign_in_link(options.sign_in_url, session=session_id, next=next_url)
    if sign_in_url:
        try:
            sign_in_url = beside(request, sign_in_url, on_site(request, request.POST.get("page")))
        except actions.UpdateError:
            # A concurrent click came first, and this one has changed nothing: show the chooser.
            sign_in_url = ""
    return go_to(request, sign_in_url or choose_url())


def beside(request: MultiSessionRequest, sign_in_url: str, page: str = "") -> str:
    """Return the URL of a sign-in page on which no account is active. Raises UpdateError.

    The active account steps aside; one that has a tab of its own (paths.py) stays in it.
    """
    if paths.number_of(request) is not None:
        return paths.account_url(request, paths.NOBODY, sign_in_url)
    actions.step_aside(request, page=page)
    return sign_in_url


@any_account
@personal
@require_POST
@csrf_protect
def sign_out_all(request: MultiSessionRequest) -> HttpResponse:
    """Sign out of every account of this browser, and forget them."""
    actions.sign_out_all(request)
    response = go_to(request, requested_next(request) or after_sign_out_of_all_url())
    # Clear the browser's cache of all accounts' pages. Not "cookies" and "storage", which belong to
    # the whole site; our own cookie is deleted by name.
    response["Clear-Site-Data"] = '"cache"'
    return response


def ask_to_sign_in_again(
    request: MultiSessionRequest, refused: actions.SignInAgain
) -> HttpResponse:
    """Redirect to the sign-in page, with the id of the session that has to sign in again."""
    session = refused.session
    sign_in_url = sign_in_link(None, session=session.public_id, next=requested_next(request))
    sign_in_url = beside(request, sign_in_url)
    text = _("Sign in again to use %(account)s.") % {"account": profile_of(session).label}
    messages.info(request, text, fail_silently=True)
    return go_to(request, sign_in_url)


def render_menu(request: MultiSessionRequest) -> HttpResponse:
    context = menu_context(request, Options.from_query(request.GET))
    note_badges([request.multisession.session, *request.multisession.sessions])
    context["other_sessions"] = request.multisession.other_sessions
    if not context["other_sessions"]:
        context["sign_out_next"] = context["after_sign_out_url"]
    context["focus_add"] = request.GET.get("focus") == "add"  # The sign-in form leads back here.
    context |= left_context(request)
    return render(request, "multisession/_menu.html", context)


def left_context(request: MultiSessionRequest) -> dict[str, Any]:
    """Return the context for a menu that opens on a page of another account than the active one."""
    said, active = request.GET.get("session", ""), request.multisession.session
    if not said or (active is not None and active.public_id == said):
        return {}
    left = guard.named(request, guard.known_session(request, said))
    if left is None or (active is not None and active.user_id == left.user_id):
        return {}  # The same user has signed in again since.
    return {
        "left": left,
        "left_is_live": guard.can_act(left),
        "sign_in_again_url": sign_in_link(None, session=said, next=current_page(request)),
        "reload_url": current_page(request) or after_switch_url(),
    }


def go_to(request: MultiSessionRequest, url: str) -> HttpResponse:
    """Answer with a full page load of a URL or URL name, also for htmx.

    Requests can't name a URL here, as ``on_site`` refuses names. For a name that does not exist, go
    to ``after_switch_url()``, as the action has been done already.
    """
    response = redirect(url_of(url) or after_switch_url())
    if is_htmx(request):
        return HttpResponse(headers={"HX-Redirect": response["Location"]})
    return response


def requested_next(request: MultiSessionRequest) -> str:
    """Return the request's ``next`` parameter; "" unless it is on this site."""
    parameters = request.POST if request.method == "POST" else request.GET
    return on_site(request, parameters.get(REDIRECT_FIELD_NAME))


def after_sign_out_url(request: MultiSessionRequest) -> str:
    """Return the page to show after signing out of the active account."""
    if settings.AFTER_SIGN_OUT == "next" and request.multisession.sessions:
        return after_switch_url()
    return choose_url()


def after_sign_out_of_all_url() -> str:
    """Return ``LOGOUT_REDIRECT_URL``, or else the chooser, which says "You are signed out"."""
    return url_of(str(django_settings.LOGOUT_REDIRECT_URL or "")) or choose_url()


def choose_url() -> str:
    return url_of(settings.CHOOSE_URL)
