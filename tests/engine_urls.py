"""A minimal project around the engine, with one view for each kind of action.

The query string of a view that changes something can cause trouble: ``status=500`` answers with
that status after the work is done, ``trouble=boom`` raises inside a transaction (as
``ATOMIC_REQUESTS`` does), ``trouble=undone`` rolls the transaction back and answers normally.

Below ``async/`` are the same views as coroutines, with Django's and our own async functions.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import auth, messages
from django.contrib.auth import get_user_model, update_session_auth_hash
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.urls import include, path

from multisession import actions
from multisession.models import Session

BACKEND = "django.contrib.auth.backends.ModelBackend"


def name_of(user: Any) -> str:
    """``ada`` for ada@example.com, the empty string for nobody."""
    return user.email.partition("@")[0] if user.is_authenticated else ""


def names(sessions: Iterable[Session]) -> list[str]:
    return [name_of(session.user) for session in sessions]


def meanwhile(request: HttpRequest) -> None:
    """What happens while a slow request runs. A test puts its own story here."""


def own_data(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in items if not key.startswith("_")}


def troubled(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Let ``view`` run into the trouble that the query string asks for."""

    @wraps(view)
    def run(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        trouble = request.GET.get("trouble")
        if trouble is None:
            response = view(request, *args, **kwargs)
        else:
            with transaction.atomic():
                response = view(request, *args, **kwargs)
                if trouble == "boom":
                    raise RuntimeError("boom")
                transaction.set_rollback(True)
        return with_status(request, response)

    return run


def with_status(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    response.status_code = int(request.GET.get("status", response.status_code))
    return response


# --- Looking ------------------------------------------------------------------------------


def nothing(request: HttpRequest) -> HttpResponse:
    """A page that touches neither the session nor the user."""
    return HttpResponse("nothing")


def who(request: HttpRequest) -> HttpResponse:
    data = own_data(request.session.items())
    return JsonResponse({"user": name_of(request.user), "data": data})


def who_by_sid(request: HttpRequest) -> HttpResponse:
    """What costs a signed-in page nothing more: the active session beside the user."""
    active = request.multisession.session
    return JsonResponse({"user": name_of(request.user), "sid": active and active.public_id})


def accounts(request: HttpRequest) -> HttpResponse:
    return JsonResponse(describe_accounts(request))


def describe_accounts(request: HttpRequest) -> dict[str, Any]:
    found = request.multisession
    return {
        "client": found.client and found.client.public_id,
        "active": found.session and found.session.public_id,
        "sessions": names(found.sessions),
        "others": names(found.other_sessions),
        "signed_out": names(found.signed_out_sessions),
        "stepped_aside": names(filter(None, [found.stepped_aside])),
        "ids": {
            name_of(session.user): session.public_id
            for session in [*found.signed_out_sessions, *found.sessions]
        },
    }


def form(request: HttpRequest) -> HttpResponse:
    """A form drawn for whoever is signed in: all that matters of it is its token."""
    return HttpResponse(get_token(request))


def read_messages(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"messages": [str(message) for message in messages.get_messages(request)]})


# --- Django's own functions ---------------------------------------------------------------


@troubled
def sign_in(request: HttpRequest, pk: int) -> HttpResponse:
    """``first``: what happens to the session just before. ``expiry``, ``mode``, ``message``.

    ``before``: a user who signs in just before, in the same request. ``undone``: that one is rolled
    back after its session was saved.
    """
    query = request.GET
    if first := query.get("first"):
        {"flush": request.session.flush, "logout": lambda: auth.logout(request)}[first]()
    if mode := query.get("mode"):
        request.session.login_mode = mode
    if before := query.get("before"):
        with transaction.atomic():
            auth.login(request, get_user_model().objects.get(pk=before), backend=BACKEND)
            request.session.save()
            transaction.set_rollback("undone" in query)
    if "count" in query:
        len(messages.get_messages(request))  # loads the unread ones, and leaves them unread
    auth.login(request, get_user_model().objects.get(pk=pk), backend=BACKEND)
    if expiry := query.get("expiry"):
        request.session.set_expiry(int(expiry))
    if message := query.get("message"):
        messages.info(request, message)
    return JsonResponse({"user": name_of(request.user)})


@troubled
def sign_out(request: HttpRequest) -> HttpResponse:
    auth.logout(request)
    if key := request.GET.get("put"):
        request.session[key] = "written after the sign-out"
    return JsonResponse({"user": name_of(request.user)})


@troubled
def flush(request: HttpRequest) -> HttpResponse:
    request.session.flush()
    return HttpResponse("flushed")


@troubled
def cycle_key(request: HttpRequest) -> HttpResponse:
    request.session.cycle_key()
    return HttpResponse("cycled")


@troubled
def put(request: HttpRequest, key: str, value: str) -> HttpResponse:
    request.session[key] = value
    return HttpResponse("written")


@troubled
def slow_put(request: HttpRequest, key: str, value: str) -> HttpResponse:
    request.session[key] = value
    meanwhile(request)
    return HttpResponse("written at last")


@troubled
def set_expiry(request: HttpRequest, seconds: int) -> HttpResponse:
    request.session.set_expiry(seconds)
    return HttpResponse("expiry set")


@troubled
def change_password(request: HttpRequest) -> HttpResponse:
    """As Django's password change view does it: this session stays, all others end."""
    request.user.set_password("a new password")
    request.user.save()
    update_session_auth_hash(request, request.user)
    return HttpResponse("changed")


@troubled
def add_message(request: HttpRequest, text: str) -> HttpResponse:
    messages.info(request, text)
    return HttpResponse("noted")


def explode(request: HttpRequest) -> HttpResponse:
    """An error page, with whatever the traceback shows of our own frames."""
    active = request.multisession.session
    signed_in = name_of(request.user)
    raise RuntimeError(f"boom for {signed_in or 'nobody'} in {active}")


# --- The verbs ----------------------------------------------------------------------------


def argument(request: HttpRequest, name: str) -> list[Any]:
    """The session that the form names; none for a verb about the whole client."""
    return [] if name in ("step_aside", "sign_out_all", "touch") else [request.POST.get("session")]


def refusal(error: Exception) -> HttpResponse:
    if isinstance(error, actions.SignInAgain):
        return JsonResponse(
            {"refused": "sign in again", "user": error.session.user.email}, status=404
        )
    if isinstance(error, actions.SessionNotFound):
        return JsonResponse({"refused": "not found"}, status=404)
    return JsonResponse({"refused": "superseded"}, status=409)


REFUSALS = (actions.SessionNotFound, actions.UpdateError)


@troubled
def verb(request: HttpRequest, name: str) -> HttpResponse:
    """``put``, ``message``: what the view has written for the account before it runs the verb."""
    if key := request.GET.get("put"):
        request.session[key] = "unsaved"
    if message := request.GET.get("message"):
        messages.info(request, message)
    try:
        result = getattr(actions, name)(request, *argument(request, name))
    except REFUSALS as error:
        return refusal(error)
    status = result.status if isinstance(result, Session) else None
    return JsonResponse({"user": name_of(request.user), "status": status})


# --- The same, asynchronous ---------------------------------------------------------------


async def awho(request: HttpRequest) -> HttpResponse:
    data = own_data(await request.session.aitems())
    return JsonResponse({"user": name_of(await request.auser()), "data": data})


async def aaccounts(request: HttpRequest) -> HttpResponse:
    return JsonResponse(await sync_to_async(describe_accounts)(request))


async def asign_in(request: HttpRequest, pk: int) -> HttpResponse:
    query = request.GET
    if first := query.get("first"):
        await {"flush": request.session.aflush, "logout": lambda: auth.alogout(request)}[first]()
    if mode := query.get("mode"):
        request.session.login_mode = mode
    await auth.alogin(request, await get_user_model().objects.aget(pk=pk), backend=BACKEND)
    if expiry := query.get("expiry"):
        await request.session.aset_expiry(int(expiry))
    return with_status(request, JsonResponse({"user": name_of(request.user)}))


async def asign_out(request: HttpRequest) -> HttpResponse:
    await auth.alogout(request)
    if key := request.GET.get("put"):
        await request.session.aset(key, "written after the sign-out")
    return with_status(request, HttpResponse("signed out"))


async def aflush(request: HttpRequest) -> HttpResponse:
    await request.session.aflush()
    return with_status(request, HttpResponse("flushed"))


async def acycle_key(request: HttpRequest) -> HttpResponse:
    await request.session.acycle_key()
    return with_status(request, HttpResponse("cycled"))


async def aput(request: HttpRequest, key: str, value: str) -> HttpResponse:
    await request.session.aset(key, value)
    return with_status(request, HttpResponse("written"))


async def averb(request: HttpRequest, name: str) -> HttpResponse:
    """Answers as whom ``request.auser()`` is, before and after."""
    before = name_of(await request.auser())
    if key := request.GET.get("put"):
        await request.session.aset(key, "unsaved")
    try:
        result = await getattr(actions, f"a{name}")(request, *argument(request, name))
    except REFUSALS as error:
        return refusal(error)
    status = result.status if isinstance(result, Session) else None
    after = name_of(await request.auser())
    return with_status(request, JsonResponse({"before": before, "user": after, "status": status}))


urlpatterns = [
    path("nothing/", nothing),
    path("who/", who),
    path("who-by-sid/", who_by_sid),
    path("form/", form),
    path("list/", accounts),
    path("messages/", read_messages),
    path("messages/<text>/", add_message),
    path("sign-in/<int:pk>/", sign_in),
    path("sign-out/", sign_out),
    path("flush/", flush),
    path("cycle-key/", cycle_key),
    path("put/<key>/<value>/", put),
    path("slow-put/<key>/<value>/", slow_put),
    path("set-expiry/<int:seconds>/", set_expiry),
    path("change-password/", change_password),
    path("explode/", explode),
    path("verb/<name>/", verb),
    path("async/who/", awho),
    path("async/list/", aaccounts),
    path("async/sign-in/<int:pk>/", asign_in),
    path("async/sign-out/", asign_out),
    path("async/flush/", aflush),
    path("async/cycle-key/", acycle_key),
    path("async/put/<key>/<value>/", aput),
    path("async/verb/<name>/", averb),
    # The admin, the package's own pages, and what the error pages link to.
    path("", include("config.urls")),
]
