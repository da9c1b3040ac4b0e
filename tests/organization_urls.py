"""A project with organizations, for the tests: Django's groups, and views that ask or do not."""

from typing import Any

from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.template import engines
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from multisession import actions
from multisession.decorators import organization_required
from multisession.guard import any_account
from multisession.organizations import Organization

#: What was written: by whom, and in which organization.
WRITTEN: list[tuple[str, str | None]] = []

PROVIDER = {"ORGANIZATIONS": "tests.organization_urls.Groups"}


class Groups:
    """The provider: a group is an organization, its name is the id."""

    def organizations_of(self, user: Any) -> list[Organization]:
        return [of_group(group) for group in user.groups.order_by("name")]

    def get(self, user: Any, id: str) -> Organization | None:
        group = user.groups.filter(name=id).first()
        return None if group is None else of_group(group)


def of_group(group: Group) -> Organization:
    role = "admin" if group.name == "acme" else "member"
    url = f"/{group.name}/"
    return Organization(id=group.name, name=group.name.title(), role=role, url=url, object=group)


def join(user: Any, *names: str) -> None:
    for name in names:
        user.groups.add(Group.objects.get_or_create(name=name)[0])


def leave(user: Any, name: str) -> None:
    user.groups.remove(Group.objects.get(name=name))


def plain(request: HttpRequest) -> JsonResponse:
    """A page that knows its user, and asks for no organization."""
    return JsonResponse({"user": request.user.is_authenticated})


def where(request: HttpRequest) -> JsonResponse:
    """Who is active, and in which organization; those that there are, if asked for."""
    user: Any = request.user
    accounts: Any = request.multisession  # type: ignore[attr-defined]
    found = accounts.organization
    said = {"user": user.is_authenticated and user.email, "in": found and found.id}
    if "all" in request.GET:
        said["all"] = [each.id for each in accounts.organizations]
    return JsonResponse(said)


async def awhere(request: HttpRequest) -> JsonResponse:
    """The same, by the async twins; ``?enter=`` changes it first."""
    user: Any = await request.auser()
    accounts: Any = request.multisession  # type: ignore[attr-defined]
    if "enter" in request.GET:
        await actions.aset_active(request, organization=request.GET["enter"] or None)
    found = await accounts.aorganization()
    everything = [each.id for each in await accounts.aorganizations()]
    said = {"user": user.email, "in": found and found.id, "all": everything}
    return JsonResponse(said | {"token": get_token(request)})


def enter(request: HttpRequest) -> JsonResponse:
    """Call the verb; ``session`` is another account, if given."""
    session = request.POST.get("session", actions.KEEP)
    to = request.POST.get("to", actions.KEEP)
    actions.set_active(request, session, organization=to or None)
    return where(request)


def form(request: HttpRequest) -> HttpResponse:
    return HttpResponse(get_token(request))


def write(request: HttpRequest) -> JsonResponse:
    user: Any = request.user
    found = request.multisession.organization  # type: ignore[attr-defined]
    WRITTEN.append((user.email, found and found.id))
    return JsonResponse({})


urlpatterns = [
    path("plain/", plain),
    path("where/", where),
    path("awhere/", awhere),
    path("enter/", csrf_exempt(enter)),
    path("form/", form),
    path("write/", write),
    path("any/", any_account(write)),
    path("", include("config.urls")),
]


@organization_required()
def members_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("for members")


@organization_required(role=["admin", "owner"])
def admins_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("for admins")


@organization_required("admin")
async def admins_async_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("for admins")


def switcher(request: HttpRequest) -> HttpResponse:
    """A page with the switcher and nothing else; ``?…`` are its options."""
    options = " ".join(f"{name}={value}" for name, value in request.GET.items())
    source = "{% load multisession %}{% organization_switcher " + options + " %}"
    return HttpResponse(engines["django"].from_string(source).render({}, request))


urlpatterns += [
    path("members/", members_page),
    path("admins/", admins_page),
    path("async-admins/", admins_async_page),
    path("switcher/", switcher),
]
