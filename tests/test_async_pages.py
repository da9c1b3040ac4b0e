"""Coroutine views whose templates have forms and our tags, under ASGI."""

import re

import pytest
from asgiref.sync import async_to_sync
from django.contrib import auth
from django.db import connection
from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.template import engines
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django.views.decorators.csrf import csrf_protect, ensure_csrf_cookie

from accounts.models import User
from multisession import actions
from multisession.models import Session

from .conftest import PASSWORD

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls(__name__),
    pytest.mark.parametrize("quick", [True, False], ids=["quick", "orm"]),
]

BACKEND = "django.contrib.auth.backends.ModelBackend"


def drawn(request, text):
    made = engines["django"].from_string("{% load multisession %}" + text)
    return HttpResponse(made.render({}, request))


def template(text):
    async def view(request):
        return drawn(request, text)

    return view


async def token(request):
    return HttpResponse(get_token(request))


async def form(request):
    if request.method == "POST":
        return HttpResponse(f"written as {await request.auser()}")
    return drawn(request, "{% csrf_token %}")


#: Everything that depends on who is active.
ALL = (
    "{% csrf_token %}{% user_button %}{% account_list %}"
    "{% session_list as found %}<i>{% for s in found %}{{ s.user.email }};{% endfor %}</i>"
)


async def sign_in(request, pk):
    """The page right after the sign-in is drawn by the same coroutine."""
    await request.auser()
    await auth.alogin(request, await User.objects.aget(pk=pk), backend=BACKEND)
    return drawn(request, ALL + "<p>" + str(await request.auser()) + "</p>")


async def sign_out(request):
    await request.auser()
    await auth.alogout(request)
    return drawn(request, ALL + "<p>" + str(await request.auser()) + "</p>")


async def switch(request, public_id):
    await actions.aset_active(request, public_id)
    return drawn(request, ALL + "<p>" + str(await request.auser()) + "</p>")


async def quiet(request):
    return HttpResponse()


async def asks_twice(request):
    return HttpResponse(f"{await request.auser()} {await request.auser()}")


urlpatterns = [
    path("quiet/", quiet),
    path("asks-twice/", asks_twice),
    path("token/", token),
    path("form/", form),
    path("protected/", csrf_protect(form)),
    path("cookie/", ensure_csrf_cookie(quiet)),
    path("in/<int:pk>/", sign_in),
    path("out/", sign_out),
    path("switch/<public_id>/", switch),
    path("button/", template("{% user_button %}")),
    path("active/", template("{% active_session as s %}{{ s.user.email }}")),
    path("list/", template("{% session_list as found %}{{ found|length }}")),
    path("choose/", template("{% account_list %}")),
    path("page/", template("<body {% page_attributes %}>")),
    path("", include("config.urls")),
]


class Surfer(AsyncClient):
    def __init__(self):
        super().__init__(enforce_csrf_checks=True)

    def look(self, url):
        return async_to_sync(self.get)(url)

    def send(self, url, token):
        return async_to_sync(self.post)(url, {"csrfmiddlewaretoken": token})


def token_of(page):
    return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())[1]


@pytest.fixture(autouse=True)
def path_of_queries(settings, quick):
    settings.MULTISESSION = {"_QUICK": quick}


@pytest.fixture
def surfer(ada, grace):
    """A browser on which Ada and Grace have signed in; Grace is active."""
    surfer = Surfer()
    surfer.look(f"/in/{ada.pk}/")
    surfer.look(f"/in/{grace.pk}/")
    return surfer


@pytest.mark.parametrize("url", ["/token/", "/form/", "/protected/", "/cookie/", "/quiet/"])
@pytest.mark.parametrize("known", [True, False])
def test_a_coroutine_may_use_djangos_csrf_protection(surfer, url, known):
    assert (surfer if known else Surfer()).look(url).status_code == 200


@pytest.mark.parametrize("url", ["/button/", "/active/", "/list/", "/choose/", "/page/"])
@pytest.mark.parametrize("known", [True, False])
def test_a_coroutines_template_may_use_our_tags(surfer, url, known):
    assert (surfer if known else Surfer()).look(url).status_code == 200


def test_the_tags_say_who_is_there(surfer, grace):
    assert surfer.look("/active/").content.decode() == grace.email
    assert surfer.look("/list/").content.decode() == "2"


@pytest.mark.parametrize("url", ["/form/", "/protected/"])
def test_a_form_that_a_coroutine_drew_is_the_accounts(surfer, ada, grace, url):
    page = surfer.look(url)
    assert surfer.send(url, token_of(page)).content.decode() == f"written as {grace.email}"
    surfer.look(f"/in/{ada.pk}/")
    assert surfer.send(url, token_of(page)).status_code == 409


def test_the_page_right_after_a_sign_in_has_a_good_form(ada, surfer):
    page = surfer.look(f"/in/{ada.pk}/")
    assert f"<p>{ada.email}</p>" in page.content.decode()
    assert "<i>ada@example.com;grace@example.com;</i>" in page.content.decode()
    assert surfer.send("/form/", token_of(page)).content.decode() == f"written as {ada.email}"


def test_the_page_right_after_a_sign_out_is_nobodys(surfer):
    page = surfer.look("/out/")
    assert "<p>AnonymousUser</p>" in page.content.decode()
    assert "<i>ada@example.com;</i>" in page.content.decode()
    assert surfer.send("/form/", token_of(page)).content.decode() == "written as AnonymousUser"


def test_the_page_right_after_a_switch_is_the_other_accounts(surfer, ada):
    session = Session.objects.get(user=ada, status="active")
    page = surfer.look(f"/switch/{session.public_id}/")
    assert f"<p>{ada.email}</p>" in page.content.decode()
    assert surfer.send("/form/", token_of(page)).content.decode() == f"written as {ada.email}"


def test_reading_ahead_is_one_statement_and_no_use_of_the_session(surfer, quick):
    surfer.look("/quiet/")
    with CaptureQueriesContext(connection) as queries:
        answer = surfer.look("/quiet/")
    assert len(queries) == (1 if quick else 2)
    assert "Cookie" not in answer.get("Vary", "")
    with CaptureQueriesContext(connection) as queries:
        assert surfer.look("/asks-twice/").status_code == 200
    assert len(queries) == (1 if quick else 2)


def test_a_browser_without_a_cookie_costs_a_coroutine_nothing(quick, django_assert_num_queries):
    with django_assert_num_queries(0):
        Surfer().look("/quiet/")


def test_a_sign_in_through_djangos_own_page_shows_on_coroutines_pages(ada, quick):
    surfer = Surfer()
    page = surfer.look("/admin/login/")
    form = {"username": ada.email, "password": PASSWORD, "csrfmiddlewaretoken": token_of(page)}
    ada.is_staff = True
    ada.save()
    assert async_to_sync(surfer.post)("/admin/login/", form).status_code == 302
    assert surfer.look("/active/").content.decode() == ada.email
