"""The keys of programs in the admin: who makes, reads and revokes them, where the secret goes."""

import re

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages

from accounts.models import User
from multisession.admin.events import EventAdmin
from multisession.admin.sessions import SessionAdmin
from multisession.api import keys
from multisession.models import ApiKey, Event, Session
from tests.stories import later, session_of, signed_in, statuses, with_engine_urls

pytestmark = with_engine_urls

LIST = "/admin/multisession/apikey/"
ADD = f"{LIST}add/"
MAKE = ("add_apikey", "view_apikey", "view_session", "view_event")


def staff(*permissions: str, **fields) -> User:
    user = User.objects.create_user("office@example.com", is_staff=True, **fields)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def filled_in(**fields) -> dict[str, str]:
    return {"name": "Nightly report", "scope": "read", "days": "90", **fields}


def secret_in(response) -> str:
    assert response.status_code == 200
    [secret] = re.findall(r'value="(sk_[^"]+)"', response.content.decode())
    return secret


def ask(client, secret: str, path: str, method: str = "get"):
    return getattr(client, method)(path, headers={"authorization": f"Bearer {secret}"})


@pytest.fixture
def office(db):
    return signed_in(staff(*MAKE, "revoke_apikey", "revoke_session"))


class TestMaking:
    def test_a_new_key_opens_the_api_until_it_expires(self, office, client, ada):
        signed_in(ada)
        secret = secret_in(office.post(ADD, filled_in(days="30")))
        path = f"/v1/sessions/{session_of(ada).public_id}"
        with later(days=29):
            assert ask(client, secret, path).status_code == 200
        with later(days=31):
            assert ask(client, secret, path).status_code == 401

    def test_a_key_that_may_read_revokes_nothing(self, office, client, ada):
        signed_in(ada)
        path = f"/v1/sessions/{session_of(ada).public_id}/revoke"
        reading = secret_in(office.post(ADD, filled_in()))
        assert ask(client, reading, path, "post").status_code == 403
        assert statuses(ada) == ["active"]
        revoking = secret_in(office.post(ADD, filled_in(scope="revoke", days="0")))
        assert ask(client, revoking, path, "post").status_code == 200
        assert statuses(ada) == ["revoked"]

    def test_the_secret_is_in_that_one_answer_and_nowhere_else(self, office):
        answer = office.post(ADD, filled_in())
        secret = secret_in(answer)
        assert "no-store" in answer["Cache-Control"]
        key = ApiKey.objects.get()
        assert secret not in str(vars(key))
        assert secret not in "".join(str(vars(entry)) for entry in LogEntry.objects.all())
        assert not [m for m in get_messages(answer.wsgi_request) if secret in str(m)]
        for path in (LIST, f"{LIST}{key.pk}/change/", f"{LIST}{key.pk}/history/", "/admin/"):
            shown = office.get(path)
            assert shown.status_code == 200
            assert secret not in shown.content.decode()
        assert secret not in str([row.session_data for row in Session.objects.all()])

    def test_the_admins_log_says_who_made_it_and_who_revoked_it(self, office):
        office.post(ADD, filled_in())
        key = ApiKey.objects.get()
        office.post(f"{LIST}{key.pk}/revoke/")
        assert set(LogEntry.objects.values_list("user__email", "object_id")) == {
            ("office@example.com", str(key.pk))
        }
        assert LogEntry.objects.count() == 2

    @pytest.mark.parametrize(
        "wrong",
        [
            {"name": ""},
            {"name": "two\nlines"},
            {"name": "x" * 101},
            {"scope": "all"},
            {"days": "5"},
        ],
    )
    def test_a_form_that_is_wrong_makes_no_key(self, office, wrong):
        answer = office.post(ADD, filled_in(**wrong))
        assert "errorlist" in answer.content.decode()
        assert not ApiKey.objects.exists()


class TestRevoking:
    def test_a_revoked_key_opens_nothing_and_stays_in_the_list(self, office, client, ada):
        signed_in(ada)
        secret = secret_in(office.post(ADD, filled_in()))
        key = ApiKey.objects.get()
        path = f"{LIST}{key.pk}/revoke/"
        assert "Nightly report" in office.get(path).content.decode()
        assert ApiKey.objects.get().is_valid  # A GET asks.
        office.post(path)
        assert ask(client, secret, "/v1/sessions?user_id=1").status_code == 401
        assert "Revoked" in office.get(LIST).content.decode()
        again = office.post(path)
        assert again["Location"] == f"{LIST}{key.pk}/change/"

    def test_a_key_is_neither_changed_nor_deleted(self, office):
        office.post(ADD, filled_in())
        key = ApiKey.objects.get()
        changed = office.post(f"{LIST}{key.pk}/change/", filled_in(scope="revoke"))
        assert changed.status_code == 403
        assert office.post(f"{LIST}{key.pk}/delete/", {"post": "yes"}).status_code == 403
        assert ApiKey.objects.get().scope == "read"

    def test_the_page_of_a_key_shows_it_and_leads_to_its_end(self, office):
        office.post(ADD, filled_in())
        key = ApiKey.objects.get()
        page = f"{LIST}{key.pk}/change/"
        assert f'href="{page}"' in office.get(LIST).content.decode()
        shown = office.get(page)
        assert shown.status_code == 200
        assert "Nightly report" in shown.content.decode()
        assert "<input" not in shown.content.decode().partition('id="apikey_form"')[2].replace(
            '<input type="hidden" name="csrfmiddlewaretoken"', ""
        )
        assert f'href="{LIST}{key.pk}/revoke/"' in shown.content.decode()
        office.post(f"{LIST}{key.pk}/revoke/")
        ended = office.get(page)
        assert ended.status_code == 200
        assert f'href="{LIST}{key.pk}/revoke/"' not in ended.content.decode()

    @pytest.mark.parametrize("pk", ["0", "999999", "x", "9" * 30])
    def test_an_unknown_key_is_not_found(self, office, pk):
        assert office.post(f"{LIST}{pk}/revoke/").status_code == 404


class TestVillains:
    """A key sees every session: it must not be a way to more than one has."""

    def test_who_may_not_revoke_sessions_makes_no_key_that_does(self, ada):
        office = signed_in(staff(*MAKE))
        assert 'value="revoke"' not in office.get(ADD).content.decode()
        office.post(ADD, filled_in(scope="revoke"))
        assert not ApiKey.objects.exists()
        assert office.post(ADD, filled_in()).status_code == 200
        assert ApiKey.objects.get().scope == "read"

    @pytest.mark.parametrize("missing", ["view_session", "view_event"])
    def test_who_may_not_see_sessions_and_the_trail_makes_no_key(self, missing):
        office = signed_in(staff(*{*MAKE, "revoke_session"} - {missing}))
        assert office.get(ADD).status_code == 403
        assert office.post(ADD, filled_in()).status_code == 403

    @pytest.mark.parametrize(("model", "base"), [(Session, SessionAdmin), (Event, EventAdmin)])
    def test_a_tenants_staff_make_no_key_because_it_would_see_the_others(
        self, monkeypatch, model, base
    ):
        class TenantAdmin(base):
            def get_queryset(self, request):
                return super().get_queryset(request).none()

        monkeypatch.setattr(admin.site._registry[model], "__class__", TenantAdmin)
        office = signed_in(staff(*MAKE, "revoke_session"))
        assert office.post(ADD, filled_in()).status_code == 403

    @pytest.mark.parametrize("permissions", [(), ("view_session",), ("view_apikey",)])
    def test_without_the_permission_no_key_is_made_or_revoked(self, permissions):
        key, _secret = keys.issue("report")
        office = signed_in(staff(*permissions))
        assert office.post(ADD, filled_in()).status_code == 403
        assert office.post(f"{LIST}{key.pk}/revoke/").status_code == 403
        assert office.get(LIST).status_code == (200 if "view_apikey" in permissions else 403)
        assert ApiKey.objects.get().is_valid

    def test_visitors_and_other_people_are_led_to_the_sign_in_page(self, client, ada):
        key, _secret = keys.issue("report")
        for browser in (client, signed_in(ada)):
            assert browser.post(f"{LIST}{key.pk}/revoke/").status_code == 302
        assert ApiKey.objects.get().is_valid
