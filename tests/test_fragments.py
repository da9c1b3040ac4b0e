"""A fragment behind a sign-in: the browser loads the sign-in page instead of swapping it in."""

import pytest
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpResponse, HttpResponseRedirect
from django.test import Client
from django.urls import include, path
from django.utils import timezone
from django.views import View

from multisession.models import Session


@login_required
def decorated(request):
    return HttpResponse("<li>mine</li>")


@login_required(login_url="/accounts/sign-in/?hint=1")
def with_a_hint(request):
    return HttpResponse("<li>mine</li>")


class Inherited(LoginRequiredMixin, View):
    def get(self, request):
        return HttpResponse("<li>mine</li>")

    post = get


def moved(request):
    return HttpResponseRedirect("/?next=/elsewhere/")


urlpatterns = [
    path("decorated/", decorated),
    path("with-a-hint/", with_a_hint),
    path("inherited/", Inherited.as_view()),
    path("moved/", moved),
    path("", include("config.urls")),
]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

HTMX = {"HX-Request": "true", "HX-Current-URL": "http://testserver/notes/?page=2"}


@pytest.fixture
def browser(client: Client, ada) -> Client:
    """Ada's session has expired while her page was open."""
    client.force_login(ada)
    client.get("/whoami")
    Session.objects.update(expire_at=timezone.now())
    return client


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("url", ["/decorated/?q=1", "/inherited/"])
def test_the_page_is_taken_to_the_sign_in_page_and_back_to_itself(browser, url, method):
    answer = getattr(browser, method)(url, headers=HTMX)
    assert answer.status_code == 200
    assert answer["HX-Redirect"] == "/accounts/sign-in/?next=/notes/%3Fpage%3D2"
    assert answer.content == b""
    assert "HX-Request" in answer["Vary"]


def test_the_projects_own_query_stays(browser):
    answer = browser.get("/with-a-hint/", headers=HTMX)
    assert answer["HX-Redirect"] == "/accounts/sign-in/?hint=1&next=/notes/%3Fpage%3D2"


def test_a_page_of_another_site_is_not_come_back_to(browser):
    evil = HTMX | {"HX-Current-URL": "https://evil.example/"}
    answer = browser.get("/decorated/", headers=evil)
    assert answer["HX-Redirect"] == "/accounts/sign-in/?next=/decorated/"


def test_a_poll_changes_nothing_on_the_screen(browser):
    answer = browser.get("/decorated/", headers=HTMX | {"X-Multisession-Background": "true"})
    assert (answer.status_code, answer["HX-Reswap"]) == (403, "none")
    assert answer["X-Multisession"] == "signed-out"
    assert "HX-Redirect" not in answer


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true", "HX-Boosted": "true"}])
def test_pages_are_redirected_as_ever(browser, headers):
    answer = browser.get("/decorated/", headers=headers)
    assert (answer.status_code, answer["Location"]) == (
        302,
        "/accounts/sign-in/?next=/decorated/",
    )


def test_other_redirects_are_the_views_own(browser):
    assert browser.get("/moved/", headers=HTMX)["Location"] == "/?next=/elsewhere/"
