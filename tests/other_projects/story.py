"""The story that runs in every other project, through its pages, with CSRF checks.

``tell`` returns what each step showed. It must be the same everywhere: see
``tests/test_other_projects.py``.
"""

import contextlib
import datetime
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from django.contrib import admin
from django.contrib.auth import get_user_model, update_session_auth_hash
from django.contrib.auth.views import LoginView
from django.core.management import call_command
from django.db import connections
from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.template import engines
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django.utils import timezone

from multisession import lists
from multisession.models import Client as ClientRow
from multisession.models import Event, Session
from multisession.models.tokens import Token

PASSWORD = "correct horse battery staple"
LIST = "/admin/multisession/session/"
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


# The project


class SignIn(LoginView):
    def render_to_response(self, context: Any, **kwargs: Any) -> Any:
        form = "<form method=post>{% csrf_token %}{{ form }}</form>"
        return HttpResponse(engines["django"].from_string(form).render(context, self.request))


def who(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"user": name_of(request.user)})


def accounts(request: Any) -> HttpResponse:
    found = [name_of(session.user) for session in request.multisession.sessions]
    return JsonResponse({"accounts": sorted(found), "token": get_token(request)})


def change_password(request: Any) -> HttpResponse:
    request.user.set_password(f"another {PASSWORD}")
    request.user.save()
    update_session_auth_hash(request, request.user)
    return HttpResponse(get_token(request))


def name_of(user: Any) -> str:
    return str(user.get_username())


urlpatterns = [
    path("", who),
    path("accounts/", accounts),
    path("change-password/", change_password),
    path("sign-in/", SignIn.as_view()),
    path("multisession/", include("multisession.urls")),
    path("v1/", include("multisession.api.urls")),
    path("admin/", admin.site.urls),
]


# The people


class Browser:
    def __init__(self) -> None:
        self.client = Client(enforce_csrf_checks=True)

    def get(self, url: str, **extra: Any) -> Any:
        return self.client.get(url, **extra)

    def text(self, url: str) -> str:
        answer = self.get(url)
        assert answer.status_code == 200, (url, answer.status_code)
        found = b"".join(answer.streaming_content) if answer.streaming else answer.content
        return str(found.decode())

    def reads(self, word: str, url: str) -> bool:
        return re.search(rf"\b{word}\b", self.text(url)) is not None

    def post(self, url: str, form: dict[str, str] | None = None, *, page: str = "") -> int:
        """Send a form with the token of a page (mostly its own): what that page would send."""
        token = (
            self.get("/accounts/").json()["token"]
            if not page
            else TOKEN.findall(self.text(page))[0]
        )
        return int(
            self.client.post(url, {**(form or {}), "csrfmiddlewaretoken": token}).status_code
        )

    def sign_in(self, name: str, page: str = "/sign-in/", password: str = PASSWORD) -> None:
        form = {"username": name, "password": password}
        assert self.post(page, form, page=page) == 302, name

    def shows(self) -> list[Any]:
        """Who is active, and who is signed in."""
        return [self.who(), self.get("/accounts/").json()["accounts"]]

    def who(self) -> str:
        return str(self.get("/").json()["user"])

    def act(self, what: str, session: Session, page: str = "") -> None:
        assert self.post(f"/multisession/{what}/", {"session": session.public_id}, page=page) == 302


def person(name: str, **fields: Any) -> Any:
    return get_user_model()._default_manager.create_user(username=name, password=PASSWORD, **fields)


def session_of(user: Any) -> Session:
    return Session.objects.filter(user_id=user.pk).order_by("-pk")[0]


def statuses(user: Any) -> list[str]:
    found = Session.objects.filter(user_id=user.pk).order_by("pk")
    return [str(session.current_status.value) for session in found]


def said(*command: str) -> str:
    out = io.StringIO()
    call_command(*command, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def statements(ask: Callable[[], Any]) -> dict[str, int]:
    """How many statements this asks of each database."""
    with contextlib.ExitStack() as stack:
        captured = {
            alias: stack.enter_context(CaptureQueriesContext(connections[alias]))
            for alias in connections
        }
        ask()
    return {alias: len(found) for alias, found in captured.items() if len(found)}


# The story


def tell(path: str, layout: str) -> dict[str, Any]:
    with override_settings(
        SESSION_ENGINE=f"multisession.backends.{'cached_db' if path == 'cached' else 'db'}",
        MULTISESSION={"_QUICK": path != "ordinary"},
    ):
        names = ("root", "ada", "grace", "alan", "joan")
        people = {name: person(name) for name in names}
        for right in ("is_staff", "is_superuser"):
            setattr(people["root"], right, True)
        people["root"].save()
        with lagging(people) if layout.startswith("replica") else contextlib.nullcontext():
            told = dict(_steps(people))
        if get_user_model().__name__ == "Member":
            told["through relatives"] = dict(_relatives())
        if layout == "plain" and get_user_model().__name__ == "User":
            told["swapped"] = dict(_swapped())
        for model in (Event, Session, Token, ClientRow):
            model.objects.all().delete()
        for user in get_user_model()._default_manager.all():
            user.delete()
        return told


@contextlib.contextmanager
def lagging(people: dict[str, Any]) -> Iterator[None]:
    """The replica knows these people as they are now, and refuses to write."""
    for user in get_user_model()._base_manager.using("other"):
        user.delete(using="other")
    for user in people.values():
        user.save(using="other", force_insert=True)
        user._state.db = "default"

    def only_read(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith(("INSERT", "UPDATE", "DELETE")) or "FOR UPDATE" in sql:
            raise AssertionError(f"to a replica: {sql}")
        return execute(sql, *args)

    with connections["other"].execute_wrapper(only_read):
        yield


def _steps(people: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    root, ada, grace, alan, joan = people.values()
    firefox, phone, office = Browser(), Browser(), Browser()

    yield "nobody", firefox.shows()
    firefox.sign_in("ada")
    yield "ada", firefox.shows()
    yield "statements of a page", statements(firefox.who)
    firefox.sign_in("grace")
    yield "grace, too", firefox.shows()
    minute = datetime.timedelta(seconds=61)
    times = {name: F(name) - minute for name in ("created_at", "presented_at")}
    Token.objects.update(**times)  # Then the newest value of the cookie has arrived for good.
    firefox.who()
    yield "a few more", statements(lambda: firefox.get("/accounts/"))
    yield "menu", firefox.reads("ada", "/multisession/menu/")
    yield "chooser", firefox.reads("ada", "/multisession/choose/")
    of_ada = session_of(ada)
    firefox.act("set-active", of_ada)
    yield "switched", firefox.shows()
    firefox.sign_in("grace")
    yield "grace again", (firefox.shows(), statuses(grace))
    firefox.act("sign-out", session_of(grace))
    yield "grace signed out", firefox.shows()
    yield "remembered", firefox.reads("grace", "/multisession/choose/")
    firefox.sign_in("grace")
    firefox.act("set-active", of_ada)

    phone.sign_in("ada")
    yield "elsewhere", firefox.text("/multisession/sessions/").count("ms-choice")
    firefox.act("sessions/sign-out", session_of(ada), page="/multisession/sessions/")
    yield "signed out elsewhere", phone.shows()
    phone.sign_in("ada")

    office.sign_in("root", page="/admin/login/")
    yield "the admin", office.shows()
    yield "its list", shown(office, LIST)
    yield "by user", shown(office, f"{LIST}?user={_quoted(ada.pk)}")
    yield "by name", shown(office, f"{LIST}?q=ad")
    yield "by status", shown(office, f"{LIST}?status=active")
    admin.site.get_model_admin(Session).list_per_page = 2
    yield "page by page", list(_pages(office, f"{LIST}?user={_quoted(ada.pk)}"))
    admin.site.get_model_admin(Session).list_per_page = 50
    story = re.sub(
        r"\s+", " ", office.text(f"{LIST}{of_ada.pk}/change/").split("field-timeline")[1]
    )
    yield "timeline", ["Signed in" in story, "Switched to" in story]
    yield "trail", office.text("/admin/multisession/event/").count(">ada<") > 0
    exported = json.loads(office.text(f"{LIST}export.json"))
    yield "moments", all(_is_now(row["created_at"]) for row in exported)
    moments = re.findall(r'<time datetime="([^"]+)"', story)
    yield "moments of the timeline", [len(moments) > 1, all(map(_is_now, moments))]
    yield "csv", len(re.findall(r",ada,", office.text(f"{LIST}export.csv")))
    yield "json", [row["account"] for row in exported]
    yield "statements of an export", statements(lambda: office.text(f"{LIST}export.json"))
    yield (
        "revoked in the admin",
        [
            office.post(
                f"{LIST}{session_of(ada).pk}/revoke/", page=f"{LIST}{session_of(ada).pk}/revoke/"
            ),
            phone.shows(),
        ],
    )
    phone.sign_in("ada")

    made = said("multisession_keys", "create", "k", "--scope", "revoke")
    secret = {"authorization": f"Bearer {made.strip()}"}
    found = Client().get(
        "/v1/sessions", {"user_id": f"user_{ada.pk}", "paginated": "true"}, headers=secret
    )
    data = found.json()["data"]
    yield (
        "api",
        [
            len(data),
            found.json()["total_count"],
            {row["user_id"] == f"user_{ada.pk}" for row in data} == {True},
        ],
    )
    yield "its moments", all(abs(row["created_at"] / 1000 - time.time()) < 300 for row in data)
    yield "its clients", len(Client().get("/v1/clients", headers=secret).json())
    newest = f"/v1/sessions/{data[0]['id']}/revoke"
    yield (
        "revoked by the api",
        [Client().post(newest, headers=secret).json()["status"], phone.shows()],
    )
    phone.sign_in("ada")
    yield (
        "in python",
        [
            lists.get_session_list(user_id=given, status="active").total_count
            for given in (ada, f"user_{ada.pk}", f"user_{root.pk}")
        ],
    )
    told = json.loads(said("listsessions", "--user", f"user_{ada.pk}", "--json"))
    yield (
        "in the terminal",
        [told["total_count"], f"user_{ada.pk}" in said("listsessions", "--user", f"user_{ada.pk}")],
    )
    listed = said("listsessions", "--user", f"user_{ada.pk}").splitlines()[1]
    minutes = [time.gmtime(time.time() - ago) for ago in range(0, 300, 60)]
    yield "its times", any(time.strftime("%Y-%m-%d %H:%MZ", then) in listed for then in minutes)
    yield (
        "revoked there",
        [
            said("revokesessions", "--user", f"user_{ada.pk}", "--noinput").strip(),
            phone.shows(),
            firefox.shows(),
        ],
    )
    yield "keys", "k" in said("multisession_keys", "list")

    firefox.sign_in("ada")
    phone.sign_in("ada")
    yield (
        "a new password",
        [firefox.post("/change-password/"), firefox.who(), phone.who(), statuses(ada)[-2:]],
    )
    alan_s = Browser()
    alan_s.sign_in("alan")
    alan.is_active = False
    alan.save()
    yield "deactivated", [alan_s.shows(), statuses(alan)]
    firefox.act("set-active", session_of(grace))
    key = grace.pk
    grace.delete()
    yield (
        "deleted",
        [
            firefox.who(),
            Session.objects.filter(user_id=key).count(),
            Event.objects.filter(user_id=str(key)).count(),  # It names nobody any more.
            Event.objects.latest("pk").kind,
        ],
    )
    yield (
        "and through a list",
        [
            get_user_model()._default_manager.filter(pk=alan.pk).delete()[0] > 0,
            statuses(alan),
        ],
    )
    yield "expired", _expired(joan, Browser(), office)
    yield (
        "purged",
        re.findall(r"(visitors|marked as expired or abandoned): (\d+)", said("clearsessions")),
    )
    yield "all signed out", [firefox.post("/multisession/sign-out-all/"), firefox.shows()]
    yield "the trail knows", sorted(set(Event.objects.values_list("account", flat=True)))


def _is_now(moment: str) -> bool:
    return abs(datetime.datetime.fromisoformat(moment).timestamp() - time.time()) < 300


def _swapped() -> Iterator[tuple[str, Any]]:
    """A test swaps the user model while it runs. Its users have keys that others have, too."""
    from .models import Coded

    firefox, user = Browser(), person("sam")
    firefox.sign_in("sam")
    with override_settings(AUTH_USER_MODEL="other_projects.Coded"):
        Coded.objects.create_user("sam", PASSWORD, code=user.pk)
        yield "the old user's browser", firefox.shows()
        firefox.sign_in("sam")
        yield "the new user", firefox.who()
        firefox.sign_in("sam")
        yield "again", firefox.who()
        konqueror = Browser()
        konqueror.sign_in("sam")
        yield "elsewhere", [konqueror.who(), konqueror.get("/multisession/menu/").status_code]
        yield "signed out", [konqueror.post("/multisession/sign-out-all/"), konqueror.who()]
        Coded.objects.all().delete()
    yield "swapped back", [firefox.who(), statuses(user)]


def _relatives() -> Iterator[tuple[str, Any]]:
    """Changes of users through models that share a table with theirs."""
    from .models import Director, Entry, Member, Supplier

    def signed_in(model: Any = Member, **fields: Any) -> Any:
        user = model.objects.create_user("mia", PASSWORD, **fields)
        Browser().sign_in("mia")
        return user

    def ends(user: Any) -> list[str]:
        found = statuses(user)
        Entry.objects.filter(pk=user.pk).delete()
        return found

    user = signed_in()
    Entry(pk=user.pk, is_active=False).save()
    yield "deactivated in the parent", ends(user)
    user = signed_in(Director)
    user.is_active = False
    user.save()
    yield "deactivated through a child", ends(user)
    user = signed_in()
    Supplier(pk=user.pk, is_active=False).save()
    yield "deactivated through another child of the parent", ends(user)
    user = signed_in()
    supplier = Supplier(pk=user.pk)
    supplier.save()
    supplier.is_staff = True
    supplier.save()
    yield "another field of the same name", ends(user)
    user = signed_in(Director)
    key = user.pk
    user.delete(keep_parents=True)
    user = Member.objects.get(pk=key)
    yield "a child deleted, the user kept", ends(user)
    for model, way in (
        (Director, "deleted through a child"),
        (Entry, "deleted through the parent"),
    ):
        user = signed_in(Director)
        model.objects.get(pk=user.pk).delete()
        yield way, ends(user)


def shown(office: Browser, url: str) -> int:
    return office.text(url).count('class="field-person')


def _quoted(key: Any) -> str:
    return quote(str(key), safe="")


def _pages(browser: Browser, url: str) -> Iterator[int]:
    while url:
        html = browser.text(url)
        yield html.count('class="field-person')
        found = re.search(r'href="([^"]*before=[^"]*)"', html)
        url = LIST + found[1].replace("&amp;", "&") if found else ""


def _expired(joan: Any, browser: Browser, office: Browser) -> list[Any]:
    browser.sign_in("joan")
    passed = timezone.now() - timezone.timedelta(minutes=1)
    Session.objects.filter(pk=session_of(joan).pk).update(expire_at=passed)
    return [browser.shows(), statuses(joan)[-1], shown(office, f"{LIST}?status=expired")]
