"""A sign-out is final, even if the view's transaction is rolled back."""

import pytest
from django.contrib import auth
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from multisession import signals
from multisession.models import Event
from tests.stories import COOKIE, NOBODY, listening, signed_in, statuses

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls(__name__),
    pytest.mark.parametrize("trouble", ["boom", "undone"]),
]


def part(request: HttpRequest) -> HttpResponse:
    """The sign-out is committed; what follows fails."""
    with transaction.atomic():
        auth.logout(request)
    if request.GET["trouble"] == "boom":
        raise RuntimeError("boom")
    return HttpResponse("out")


urlpatterns = [path("part/", part), path("", include("tests.engine_urls"))]


def test_a_sign_out_of_the_active_account_survives_a_rollback(ada, grace, trouble):
    firefox = signed_in(grace, ada)
    late = firefox.late()
    firefox.sign_out(trouble=trouble)
    assert statuses(ada) == ["ended"]
    assert (firefox.who(), late.who(), firefox.accounts()) == (NOBODY, NOBODY, ["grace"])


def test_a_bare_flush_that_was_rolled_back_removes_the_account(ada, grace, trouble):
    firefox = signed_in(grace, ada)
    firefox.flush(trouble=trouble)
    assert statuses(ada) == ["removed"]
    assert (firefox.who(), firefox.accounts()) == (NOBODY, ["grace"])


def test_a_sign_out_of_another_account_survives_a_rollback(ada, grace, trouble):
    firefox = signed_in(grace, ada)
    firefox.verb("sign_out", firefox.id_of(grace), trouble=trouble)
    assert statuses(grace) == ["ended"]
    assert (firefox.who(), firefox.accounts()) == ("ada", ["ada"])


@pytest.mark.parametrize("verb", ["forget", "set_active"])
def test_an_account_stays_forgotten_and_a_switch_ends_nobody_if_rolled_back(
    ada, grace, trouble, verb
):
    firefox = signed_in(grace, ada)
    sid = firefox.id_of(grace)
    if verb == "forget":
        firefox.verb("forget", sid, trouble=trouble)
        assert (statuses(grace), firefox.who()) == (["removed"], "ada")
    else:
        firefox.verb("set_active", sid, trouble=trouble)
        assert firefox.accounts() == ["ada", "grace"]  # A switch ends nobody.


def test_a_sign_out_of_all_that_was_rolled_back_deletes_the_cookie(ada, grace, trouble):
    firefox = signed_in(grace, ada)
    late = firefox.late()
    answer = firefox.verb("sign_out_all", trouble=trouble)
    assert answer.cookies[COOKIE]["max-age"] == 0
    assert (statuses(ada), statuses(grace)) == (["removed"], ["removed"])
    assert (firefox.cookie, late.accounts()) == (None, [])


def test_a_sign_in_that_fails_ends_nobody(ada, grace, alan, trouble):
    firefox = signed_in(grace, ada)
    firefox.sign_in(alan, trouble=trouble)
    assert statuses(ada) == ["active"]
    assert {"ada", "grace"} <= set(firefox.accounts())


def test_a_rolled_back_end_is_signalled_and_recorded_once(ada, grace, trouble):
    firefox = signed_in(grace, ada)
    ended = []
    with listening(signals.session_ended, lambda session, status, **_: ended.append(status)):
        firefox.sign_out(trouble=trouble)
        firefox.flush(trouble=trouble)
        firefox.verb("sign_out", firefox.id_of(grace), trouble=trouble)
    assert ended == ["ended", "ended"]
    kinds = list(Event.objects.filter(kind="ended").values_list("account", flat=True))
    assert sorted(kinds) == ["ada@example.com", "grace@example.com"]


def test_what_was_committed_is_not_done_twice(ada, grace, trouble):
    firefox = signed_in(grace, ada)
    firefox.post("/part/", query={"trouble": trouble})
    assert statuses(ada) == ["ended"]
    assert Event.objects.filter(kind="ended").count() == 1
