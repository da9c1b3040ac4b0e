"""Check every cell of the table in docs/explanation/wrong-account.md."""

import json
import re
from pathlib import Path

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.models import User
from multisession.models import Session
from tests.conftest import PASSWORD
from tests.guarded_urls import WRITTEN
from tests.test_guard import Tab, switch_to

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.guarded_urls")]

PAGE = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "wrong-account.md"
HEAD = "| Who sends it |"

AS_FORM = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
AS_SCRIPT = {"Sec-Fetch-Mode": "cors", "Accept": "*/*"}

#: Each kind of request, by the first words of its row: an address, and what tells who sends it.
KINDS = {
    "A form": ("/write/", AS_FORM),
    "htmx": ("/write/", AS_SCRIPT | {"HX-Request": "true"}),
    "Turbo": ("/write/", {**AS_SCRIPT, "Accept": "text/vnd.turbo-stream.html, text/html"}),
    "Inertia": ("/write/", AS_SCRIPT | {"X-Inertia": "true"}),
    "A script": ("/write/", AS_SCRIPT),
    "In the background": (
        "/write/",
        AS_SCRIPT | {"HX-Request": "true", "X-Multisession-Background": "true"},
    ),
    "A beacon": ("/write/", {"Sec-Fetch-Mode": "no-cors", "Accept": "*/*"}),
    "To a view about the browser": ("/about-the-browser/", AS_FORM),
    "To the sign-in page": ("/enter/", AS_FORM),
    "To the sign-out view": ("/leave/", AS_FORM),
    "To an exempt view": ("/exempt/", AS_SCRIPT),
    "To an exempt view with a check": ("/own-check/", AS_SCRIPT),
}


def table() -> dict[str, dict[str, str]]:
    """Return the cells of the table by row and column."""
    lines = PAGE.read_text(encoding="utf-8").split(HEAD)[1].splitlines()
    columns = [cell.strip() for cell in lines[0].strip("| ").split("|")]
    rows = {}
    for line in lines[2:]:
        if not line.startswith("|"):
            break
        kind, *cells = [cell.strip() for cell in line.strip("| ").split("|")]
        rows[kind] = dict(zip(columns, cells, strict=True))
    return rows


TABLE = table()


@pytest.fixture
def client() -> Client:
    return Client(enforce_csrf_checks=True)


@pytest.fixture(autouse=True)
def nothing_is_written():
    WRITTEN.clear()


def sign_in(client: Client, user: User) -> None:
    tab = Tab(client, "/accounts/sign-in/")
    form = {"username": user.email, "password": PASSWORD}
    assert tab.send("/accounts/sign-in/", form).status_code == 302
    client.get("/whoami")


def step_aside(client: Client) -> None:
    Tab(client).send("/multisession/add-account/", {})
    assert client.get("/whoami").json()["user"] is None


def expire(user: User) -> None:
    Session.objects.filter(user=user).update(expire_at=timezone.now())


def forget(client: Client, user: User) -> None:
    session = Session.objects.filter(user=user).latest("pk")
    Tab(client, "/accounts/choose/").send("/multisession/forget/", {"session": session.public_id})
    assert not Session.objects.filter(user=user).remembered().exists()


def bring_about(situation: str, client: Client, ada: User, grace: User) -> Tab:
    """Return Ada's page, in this situation."""
    sign_in(client, grace)
    sign_in(client, ada)
    tab = Tab(client)
    if "another" in situation:
        switch_to(client, grace)
    if situation.startswith("signed in"):
        if "nobody" in situation:
            step_aside(client)
    elif situation.startswith("over"):
        expire(ada)
    elif situation.startswith("forgotten"):
        if "nobody" in situation:
            step_aside(client)
        forget(client, ada)
    return tab


def what_it_is(response: HttpResponse) -> str:
    """Return what this answer is, in the words of the table."""
    told = response.headers.get("X-Multisession")
    kind = response["Content-Type"].partition(";")[0]
    if response.status_code != 409:
        if response.status_code == 403:
            return "its own 403" + (", told" if told else "")
        if WRITTEN:
            return f"runs as {WRITTEN[-1][0] or 'nobody'}"
        if response.status_code == 401:
            return "its own 401" + (", told" if told else "")
        return "runs"
    assert told == "wrong-account"
    assert "no-store" in response["Cache-Control"]
    if kind == "application/json":
        assert set(json.loads(response.content)) >= {"error", "page_session", "active_session"}
        return "JSON"
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.text))
    if kind == "text/vnd.turbo-stream.html":
        assert response.text.startswith("<turbo-stream")
        form = "stream"
    elif "<!doctype" in response.text:
        form = "page"
    else:
        assert response.text.strip().startswith("<dialog")
        assert response["HX-Retarget"] == "body"
        form = "sheet"
    named = "Ada" in response.text
    offer = "sign in"
    if named:
        wanted = r"Switch to Ada Lovelace and send" if form == "page" else r"Switch to Ada Lovelace"
        offer = "switch" if wanted in words else "sign in as"
        assert offer == "switch" or "Sign in as Ada Lovelace" in words
    return f"{form}: {offer}"


@pytest.mark.parametrize("kind", TABLE)
@pytest.mark.parametrize("situation", next(iter(TABLE.values())))
def test_each_request_gets_the_answer_of_the_table(client, ada, grace, kind, situation):
    tab = bring_about(situation, client, ada, grace)
    before = client.get("/whoami").json()["user"]
    address, headers = KINDS[kind]
    data = {"text": "typed"}
    if address == "/enter/":
        data = {"username": grace.email, "password": PASSWORD}
    data["csrfmiddlewaretoken"] = tab.token
    token = {"X-CSRFToken": tab.token} if "exempt" in address or "own" in address else {}
    origin = {"Origin": "http://testserver", "Referer": "http://testserver/"}
    response = client.post(address, data, headers={**origin, **token, **headers})
    said = what_it_is(response).replace(grace.email, "the active").replace(ada.email, "Ada")
    assert said == TABLE[kind][situation].strip("*"), response.status_code
    assert all(who in (None, before) for who, _said in WRITTEN), "written as the wrong account"
    if said.startswith("page") or "JSON" in said:
        assert WRITTEN == []


def test_every_kind_of_request_is_in_the_table():
    assert list(TABLE) == list(KINDS)
