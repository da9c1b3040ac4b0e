"""Signing in, signing up and managing an account; and attacks on these pages."""

import re

import pytest
from django.contrib.auth import SESSION_KEY
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts.demo import ACCOUNTS
from accounts.demo import PASSWORD as DEMO_PASSWORD
from accounts.models import User
from tests.conftest import PASSWORD
from tests.stories import later

SIGN_IN = "/accounts/sign-in/"
SIGN_UP = "/accounts/sign-up/"
PROFILE = "/accounts/profile/"
DEMO_SIGN_IN = "/accounts/sign-in/demo/"
HTMX = {"HX-Request": "true"}

pytestmark = pytest.mark.django_db


def sign_in(browser: Client, user: User, password: str = PASSWORD, **options):
    return browser.post(SIGN_IN, {"username": user.email, "password": password}, **options)


def who(browser: Client) -> str | None:
    return browser.get("/whoami").json()["user"]


#: The e-mail address is there, hidden, so that a password manager knows whose password changes.
CHANGE_PASSWORD = ["username", "current-password", "new-password", "new-password"]


def autocomplete(response) -> list[str]:
    """What each field in which one types says that it is for; "" for one that says nothing."""
    fields = re.findall(r"<input(?![^>]*type=\"hidden\")[^>]*>", response.text)
    return ["".join(re.findall(r'autocomplete="([^"]*)"', field)) for field in fields]


def names_on_the_profile(page: str) -> list[str]:
    """Whom the page *Manage account* names: title, heading, and the password manager's field."""
    return [
        re.search(pattern, page, re.DOTALL)[1]
        for pattern in (
            r"<title>(.*?)</title>",
            r'<p class="quiet"><bdi>(.*?)</bdi>',
            r'autocomplete="username" value="(.*?)" readonly',
        )
    ]


class TestSigningIn:
    def test_the_stable_addresses_have_the_documented_names(self):
        assert reverse("accounts:sign_in") == SIGN_IN
        assert reverse("accounts:sign_up") == SIGN_UP
        assert reverse("accounts:choose") == "/accounts/choose/"
        assert reverse("accounts:profile") == PROFILE

    def test_a_person_signs_in_and_is_told_as_whom(self, client, ada):
        assert client.get(SIGN_IN).status_code == 200
        response = sign_in(client, ada, follow=True)
        assert response.redirect_chain == [("/", 302)]
        assert b"You are now using ada@example.com." in response.content
        assert who(client) == "ada@example.com"

    def test_capitals_in_the_address_do_not_matter(self, client, ada):
        client.post(SIGN_IN, {"username": " ADA@Example.COM ", "password": PASSWORD})
        assert who(client) == "ada@example.com"

    def test_a_second_sign_in_adds_an_account(self, client, ada, grace):
        sign_in(client, ada)
        response = sign_in(client, grace, follow=True)
        assert b"You are now using grace@example.com." in response.content
        assert {s.user for s in response.wsgi_request.multisession.sessions} == {ada, grace}

    def test_the_sign_in_page_shows_who_is_signed_in_already(self, client, ada, grace):
        sign_in(client, ada)
        sign_in(client, grace)
        page = client.get(SIGN_IN).content.decode()
        assert "Add another account" in page
        assert "Switch to Ada Lovelace, ada@example.com" in page
        assert "Switch to Grace Hopper, grace@example.com" not in page

    def test_next_is_followed_on_this_site(self, client, ada):
        response = client.post(
            f"{SIGN_IN}?next={PROFILE}", {"username": ada.email, "password": PASSWORD}
        )
        assert response["Location"] == PROFILE

    def test_password_managers_are_told_what_every_field_is(self, client, ada):
        stranger = Client()
        client.force_login(ada)
        for person, url, wanted in (
            (stranger, SIGN_IN, ["username", "current-password"]),
            (stranger, SIGN_UP, ["username", "name", "new-password", "new-password"]),
            (client, PROFILE, ["name", "username", *CHANGE_PASSWORD]),
        ):
            assert autocomplete(person.get(url)) == wanted, url
        confirm = client.post("/multisession/sessions/sign-out-others/")
        assert autocomplete(confirm) == ["username", "current-password"]
        added = client.get(SIGN_IN, headers={"HX-Request": "true"})
        assert autocomplete(added) == ["username", "current-password"]

    def test_an_error_stands_by_its_field(self, client, ada):
        page = sign_in(client, ada, "wrong").content.decode()
        assert "Wrong e-mail address or password" in page
        assert 'aria-invalid="true"' in page
        assert 'aria-describedby="id_password_error"' in page
        assert 'id="id_password_error"' in page

    def test_a_known_account_has_its_address_filled_in(self, client, ada):
        sign_in(client, ada)
        session = client.get("/").wsgi_request.multisession.session
        client.post("/multisession/sign-out/", {"session": session.public_id})
        page = client.get(f"{SIGN_IN}?session={session.public_id}").content.decode()
        assert 'value="ada@example.com"' in page

    def test_after_signing_out_one_chooses(self, client, ada, grace):
        sign_in(client, ada)
        sign_in(client, grace)
        sid = client.get("/whoami").json()["sid"]
        response = client.post("/multisession/sign-out/", {"session": sid}, follow=True)
        assert response.redirect_chain == [("/accounts/choose/", 302)]
        assert who(client) is None
        assert ada.email in response.content.decode()

    def test_signed_out_pages_lead_to_the_sign_in_page(self, client):
        response = client.get(PROFILE)
        assert response["Location"] == f"{SIGN_IN}?next={PROFILE}"


class TestAddAccountInPlace:
    """What the menu does with htmx: the same view, the form alone."""

    def test_the_form_comes_without_a_page_around_it(self, client):
        response = client.get(SIGN_IN, headers=HTMX)
        assert [t.name for t in response.templates][0] == "accounts/_sign_in_form.html"
        assert b"<html" not in response.content
        assert "HX-Request" in response["Vary"]

    def test_the_menus_script_gives_the_form_the_focus(self, client, ada):
        fresh = client.get(SIGN_IN, headers=HTMX)
        for response in (fresh, sign_in(client, ada, "?", headers=HTMX)):
            assert "data-multisession-focus" in response.text
            assert "autofocus" not in response.text
        assert "autofocus" in client.get(SIGN_IN).text

    def test_ids_of_the_form_in_the_menu_differ_from_those_of_the_page(self, client):
        assert b'id="id_username"' in client.get(SIGN_IN).content
        assert b'id="id_username"' not in client.get(SIGN_IN, headers=HTMX).content

    def test_history_gets_a_whole_page(self, client):
        restored = {**HTMX, "HX-History-Restore-Request": "true"}
        assert b"<html" in client.get(SIGN_IN, headers=restored).content

    def test_success_is_a_new_page(self, client, ada):
        response = sign_in(client, ada, headers=HTMX)
        assert (response.status_code, response["HX-Redirect"]) == (200, "/")

    def test_failure_is_the_form_again(self, client, ada):
        response = sign_in(client, ada, "wrong", headers=HTMX)
        assert response.status_code == 422
        assert b"Wrong e-mail address or password" in response.content
        assert b"<html" not in response.content
        assert who(client) is None


class TestSigningUp:
    NEW = {
        "email": "Edsger@Example.com",
        "name": "Edsger",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }

    def test_a_new_account_is_signed_in_to_beside_the_others(self, client, ada):
        sign_in(client, ada)
        response = client.post(SIGN_UP, self.NEW, follow=True)
        assert who(client) == "edsger@example.com"
        assert b"You are now using edsger@example.com." in response.content
        assert {s.user.email for s in response.wsgi_request.multisession.sessions} == {
            "ada@example.com",
            "edsger@example.com",
        }

    def test_next_is_followed_on_this_site_only(self, client):
        stay = client.post(f"{SIGN_UP}?next={PROFILE}", self.NEW)
        assert stay["Location"] == PROFILE
        other = {**self.NEW, "email": "other@example.com", "next": "https://evil.example/"}
        assert client.post(SIGN_UP, other)["Location"] == "/"

    def test_an_address_is_taken_whatever_its_capitals(self, client, ada):
        response = client.post(SIGN_UP, {**self.NEW, "email": "ADA@EXAMPLE.COM"})
        assert "There is already an account" in response.content.decode()
        assert User.objects.count() == 1

    def test_a_weak_password_is_refused(self, client):
        weak = {"password1": "12345678", "password2": "12345678"}
        response = client.post(SIGN_UP, {**self.NEW, **weak})
        assert response.context["form"].errors["password1"]
        assert not User.objects.exists()


class TestManagingAnAccount:
    def test_name_and_address_are_changed(self, client, ada):
        sign_in(client, ada)
        response = client.post(
            PROFILE, {"name": "Countess Lovelace", "email": "Countess@example.com"}, follow=True
        )
        assert b"Your details have been saved." in response.content
        ada.refresh_from_db()
        assert (ada.name, ada.email) == ("Countess Lovelace", "countess@example.com")

    def test_a_villain_who_asks_for_anothers_address_is_not_shown_as_that_person(
        self, client, ada, grace
    ):
        client.force_login(ada)
        response = client.post(PROFILE, {"name": "Ada", "email": grace.email})
        assert response.status_code == 200
        assert response.wsgi_request.user.email == ada.email
        title, heading, manager = names_on_the_profile(response.text)
        assert ada.email in title
        assert (heading, manager) == (ada.email, ada.email)
        # It stands where it was typed, and nowhere else.
        assert response.text.count(grace.email) == 1

    def test_an_address_in_capitals_of_another_person_is_no_disguise(self, client, ada, grace):
        client.force_login(ada)
        response = client.post(PROFILE, {"name": "", "email": grace.email.upper()})
        assert names_on_the_profile(response.text)[1:] == [ada.email, ada.email]
        assert grace.email not in response.text.replace(f'value="{grace.email}"', "", 1)

    def test_a_new_password_keeps_this_browser_signed_in_and_no_other(self, client, ada):
        elsewhere = Client()
        sign_in(client, ada)
        sign_in(elsewhere, ada)
        new = "a brand new pass phrase"
        response = client.post(
            f"{PROFILE}password/",
            {"old_password": PASSWORD, "new_password1": new, "new_password2": new},
            follow=True,
        )
        assert b"Your password has been changed." in response.content
        assert who(client) == ada.email
        assert who(elsewhere) is None

    def test_a_wrong_old_password_changes_nothing(self, client, ada):
        sign_in(client, ada)
        response = client.post(
            f"{PROFILE}password/",
            {
                "old_password": "wrong",
                "new_password1": "whatever 123",
                "new_password2": "whatever 123",
            },
        )
        assert response.status_code == 200
        assert response.context["password_form"].errors["old_password"]
        ada.refresh_from_db()
        assert ada.check_password(PASSWORD)


class TestUsers:
    def test_an_address_is_stored_in_lower_case_and_found_in_any(self):
        user = User.objects.create_user("Ada@Example.com", PASSWORD)
        assert user.email == "ada@example.com"
        assert User.objects.get(email="ADA@example.com") == user

    def test_a_user_needs_an_address(self):
        with pytest.raises(ValueError, match="e-mail address"):
            User.objects.create_user("")

    def test_a_user_has_something_to_be_called(self):
        assert User(email="ada@example.com").get_short_name() == "ada@example.com"
        assert User(email="ada@example.com", name="Ada").get_short_name() == "Ada"


class TestStaff:
    @pytest.fixture
    def staff(self, client):
        client.force_login(User.objects.create_superuser("root@example.com", PASSWORD))
        return client

    def test_staff_add_a_user_without_a_user_name(self, staff):
        new = {"email": "New@example.com", "name": "New", "usable_password": "true"}
        passwords = {"password1": PASSWORD, "password2": PASSWORD}
        assert staff.post("/admin/accounts/user/add/", new | passwords).status_code == 302
        assert User.objects.get(email="new@example.com").check_password(PASSWORD)

    def test_staff_find_and_change_a_user(self, staff, ada):
        assert ada.email in staff.get("/admin/accounts/user/?q=lovelace").content.decode()
        page = staff.get(f"/admin/accounts/user/{ada.pk}/change/").content.decode()
        assert 'value="ada@example.com"' in page
        form = {"email": "ada@example.org", "name": "Ada", "is_active": "on"}
        assert staff.post(f"/admin/accounts/user/{ada.pk}/change/", form).status_code == 302
        ada.refresh_from_db()
        assert ada.email == "ada@example.org"

    def test_other_people_are_not_staff(self, client, ada):
        client.force_login(ada)
        assert client.get("/admin/accounts/user/").status_code == 302


class TestDemoAccounts:
    def test_there_are_four_demo_accounts_one_of_them_staff(self, settings, capsys):
        settings.DEBUG = True
        call_command("demo_accounts", address="http://127.0.0.1:8000/")
        said = capsys.readouterr().out
        assert "http://127.0.0.1:8000/" in said
        assert DEMO_PASSWORD in said
        assert User.objects.count() == len(ACCOUNTS) == 4
        assert User.objects.filter(is_staff=True, is_superuser=True).count() == 1
        assert all(user.check_password(DEMO_PASSWORD) for user in User.objects.all())

    def test_running_demo_accounts_again_keeps_what_was_changed(self, settings, capsys):
        settings.DEBUG = True
        call_command("demo_accounts")
        User.objects.filter(email=ACCOUNTS[0].email).update(name="Somebody else")
        call_command("demo_accounts")
        assert User.objects.count() == 4
        assert User.objects.get(email=ACCOUNTS[0].email).name == "Somebody else"

    def test_the_sign_in_page_shows_the_demo_accounts_while_debugging(self, client, settings):
        settings.DEBUG = True
        page = client.get(SIGN_IN).content.decode()
        assert DEMO_PASSWORD in page
        assert all(account.email in page for account in ACCOUNTS)

    def test_one_click_signs_in_each_of_them_while_debugging(self, client, settings):
        settings.DEBUG = True
        call_command("demo_accounts")
        for account in ACCOUNTS:
            page = client.get(SIGN_IN, {"next": PROFILE, "session": ""}).text
            assert f'name="account" value="{account.email}"' in page
            answer = client.post(DEMO_SIGN_IN, {"account": account.email, "next": PROFILE})
            assert answer["Location"] == PROFILE
            assert who(client) == account.email
        assert len(client.get("/").wsgi_request.multisession.sessions) == len(ACCOUNTS)

    def test_the_one_click_is_for_demo_accounts_with_the_demo_password_while_debugging(
        self, client, settings, ada
    ):
        ada.email = "countess@example.com"
        ada.save()
        settings.DEBUG = True
        call_command("demo_accounts")
        admin = User.objects.get(email="admin@example.com")
        admin.set_password("a developer's own")
        admin.save()
        assert client.post(DEMO_SIGN_IN, {"account": admin.email})["Location"] == SIGN_IN
        assert client.post(DEMO_SIGN_IN, {"account": ada.email}).status_code == 404
        assert client.get(DEMO_SIGN_IN).status_code == 405
        settings.DEBUG = False
        for email in ("ada@example.com", "", "\x00"):
            assert client.post(DEMO_SIGN_IN, {"account": email}).status_code == 404
        assert who(client) is None
        assert "demo-accounts" not in client.get(SIGN_IN).text

    def test_another_site_signs_nobody_in_to_a_demo_account(self, settings):
        settings.DEBUG = True
        call_command("demo_accounts")
        browser = Client(enforce_csrf_checks=True)
        assert browser.post(DEMO_SIGN_IN, {"account": "ada@example.com"}).status_code == 403
        assert who(browser) is None

    def test_home_shows_what_the_team_wrote_and_invites_to_try(self, client, settings):
        settings.DEBUG = True
        call_command("demo_accounts")
        for email in ("grace@example.com", "ada@example.com"):
            client.post(DEMO_SIGN_IN, {"account": email})
        page = client.get("/").text
        assert "Found a moth in relay 70" in page
        offered = re.search(r'<a href="(/notes/\d+/)">Open a private note of', page)[1]
        assert "nanosecond" not in page
        assert "Open this page with another account?" in client.get(offered).text

    def test_known_passwords_never_reach_a_deployment(self, client):
        assert DEMO_PASSWORD not in client.get(SIGN_IN).content.decode()
        with pytest.raises(CommandError):
            call_command("demo_accounts")
        assert not User.objects.exists()


class TestVillains:
    @pytest.fixture
    def throttled(self, settings):
        settings.AXES_ENABLED = True

    def guess(self, browser: Client, user: User, times: int, **options):
        for _ in range(times):
            response = sign_in(browser, user, "wrong", **options)
        return response

    @pytest.mark.usefixtures("throttled")
    def test_guessing_a_password_is_stopped_with_a_clear_answer(self, client, ada):
        response = self.guess(client, ada, 5)
        assert response.status_code == 429
        assert 14 * 60 < int(response["Retry-After"]) <= 15 * 60
        assert b"Too many attempts" in response.content
        assert b"Try again in 15 minutes" in response.content
        # The right password does not help now, so the answer tells nothing about it.
        assert sign_in(client, ada).status_code == 429
        assert who(client) is None

    @pytest.mark.usefixtures("throttled")
    def test_in_the_menu_the_answer_is_a_partial(self, client, ada):
        response = self.guess(client, ada, 5, headers=HTMX)
        assert response.status_code == 429
        assert b"data-sign-in" in response.content
        assert b"<html" not in response.content

    @pytest.mark.usefixtures("throttled")
    def test_capitals_give_no_new_attempts(self, client, ada):
        self.guess(client, ada, 4)
        response = client.post(SIGN_IN, {"username": "ADA@EXAMPLE.COM", "password": "wrong"})
        assert response.status_code == 429

    @pytest.mark.usefixtures("throttled")
    def test_an_unknown_account_is_throttled_with_the_same_words(self, client, ada):
        known = self.guess(client, ada, 5)
        nobody = self.guess(client, User(email="nobody@example.com"), 5)
        assert nobody.status_code == known.status_code
        assert nobody.content == known.content

    @pytest.mark.usefixtures("throttled")
    def test_a_stranger_does_not_lock_the_owner_out(self, client, ada, grace):
        self.guess(Client(REMOTE_ADDR="192.0.2.66"), ada, 6)
        sign_in(client, ada)
        assert who(client) == ada.email
        # Nor does trying one account touch another.
        sign_in(Client(REMOTE_ADDR="192.0.2.66"), grace)

    @pytest.fixture
    def proxied(self, settings, throttled):
        settings.MULTISESSION = {**settings.MULTISESSION, "CLIENT_ADDRESS": 1}

        def browser(address: str) -> Client:
            forwarded = f"203.0.113.99, {address}"  # the first is what the client claims
            return Client(REMOTE_ADDR="10.0.0.1", headers={"x-forwarded-for": forwarded})

        return browser

    def test_behind_a_proxy_a_stranger_does_not_lock_everybody_out(self, proxied, ada):
        stranger, owner = proxied("192.0.2.66"), proxied("198.51.100.1")
        assert self.guess(stranger, ada, 6).status_code == 429
        sign_in(owner, ada)
        assert who(owner) == ada.email
        assert sign_in(stranger, ada).status_code == 429

    def test_another_claimed_address_gives_no_new_attempts(self, proxied, ada):
        for number in range(6):
            stranger = proxied("192.0.2.66")
            stranger.defaults["HTTP_X_FORWARDED_FOR"] = f"203.0.113.{number}, 192.0.2.66"
            response = sign_in(stranger, ada, "wrong")
        assert response.status_code == 429

    @pytest.mark.usefixtures("throttled")
    def test_an_ipv6_network_is_one_address(self, ada):
        for number in range(5):
            response = sign_in(Client(REMOTE_ADDR=f"2001:db8:1:2::{number}"), ada, "wrong")
        assert response.status_code == 429
        elsewhere = Client(REMOTE_ADDR="2001:db8:1:3::1")
        sign_in(elsewhere, ada)
        assert who(elsewhere) == ada.email

    @pytest.mark.usefixtures("throttled")
    def test_an_address_that_tries_many_accounts_is_slowed(self, settings, ada):
        settings.SPRAY_LIMIT = 4
        sprayer, neighbour = (Client(REMOTE_ADDR=f"192.0.2.{n}") for n in (66, 67))
        for name in "abcd":
            response = sign_in(sprayer, User(email=f"{name}@example.com"), "Summer2026")
            assert response.status_code == 200
        refused = sign_in(sprayer, ada)  # even the right password of somebody
        assert refused.status_code == 429
        assert 14 * 60 < int(refused["Retry-After"]) <= 15 * 60
        assert who(sprayer) is None
        sign_in(neighbour, ada)
        assert who(neighbour) == ada.email

    @pytest.mark.usefixtures("throttled")
    def test_a_slowed_address_gets_out_by_waiting_however_often_it_tries(self, settings, ada):
        settings.SPRAY_LIMIT = 2
        sprayer = Client(REMOTE_ADDR="192.0.2.66")
        for name in "abcdef":
            sign_in(sprayer, User(email=f"{name}@example.com"), "Summer2026")
        with later(minutes=14):
            assert sign_in(sprayer, User(email="g@example.com"), "x").status_code == 429
        with later(minutes=16):
            sign_in(sprayer, ada)
            assert who(sprayer) == ada.email

    @pytest.mark.usefixtures("throttled")
    def test_a_few_people_at_one_address_may_mistype(self, settings, ada, grace):
        settings.SPRAY_LIMIT = 4
        office = Client(REMOTE_ADDR="192.0.2.10")
        for user in (ada, grace, ada):
            sign_in(office, user, "wrong")
        sign_in(office, ada)
        assert who(office) == ada.email

    @pytest.mark.usefixtures("throttled")
    def test_the_admin_has_no_door_of_its_own(self, client, ada):
        for _ in range(5):
            response = client.post("/admin/login/", {"username": ada.email, "password": "wrong"})
        assert response.status_code == 429

    @pytest.mark.usefixtures("throttled")
    def test_the_throttle_keeps_no_secret(self, client, ada):
        from axes.models import AccessAttempt, AccessLog

        self.guess(client, ada, 1)
        sign_in(client, ada)
        self.guess(client, ada, 1)
        kept = AccessAttempt.objects.get()
        assert "wrong" not in kept.post_data
        assert not AccessLog.objects.exists()  # it would hold a hash of the cookie

    def test_a_known_and_an_unknown_account_are_refused_alike(self, client, ada):
        known = sign_in(client, ada, "wrong").content.decode()
        unknown = sign_in(client, User(email="eve@example.com"), "wrong").content.decode()
        assert "Wrong e-mail address or password" in known
        assert "Wrong e-mail address or password" in unknown

    def test_a_deactivated_account_does_not_sign_in(self, client, ada):
        User.objects.update(is_active=False)
        sign_in(client, ada)
        assert who(client) is None

    @pytest.mark.parametrize("url", [SIGN_IN, SIGN_UP])
    @pytest.mark.parametrize(
        "target",
        [
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "javascript:alert(1)",
            "http:///evil",
        ],
    )
    def test_next_never_leaves_the_site(self, client, ada, url, target):
        form = {"username": ada.email, "password": PASSWORD, **TestSigningUp.NEW, "next": target}
        assert client.post(url, form)["Location"] == "/"

    def test_next_never_leaves_the_site_under_htmx(self, client, ada):
        form = {"username": ada.email, "password": PASSWORD, "next": "https://evil.example/"}
        assert client.post(SIGN_IN, form, headers=HTMX)["HX-Redirect"] == "/"

    @pytest.mark.parametrize("url", [SIGN_IN, SIGN_UP, "/note", "/notes/", f"{PROFILE}password/"])
    def test_another_site_cannot_send_our_forms(self, ada, url):
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(ada)
        response = browser.post(url, {"username": ada.email, "password": PASSWORD, "note": "x"})
        assert response.status_code == 403
        assert b"This form has expired" in response.content

    def test_a_stale_form_in_the_menu_loads_the_page_again(self, ada):
        browser = Client(enforce_csrf_checks=True)
        response = sign_in(browser, ada, headers=HTMX)
        assert (response.status_code, response["HX-Refresh"]) == (403, "true")

    @pytest.mark.parametrize("guess", ["sess_unknown", "", "x" * 4000, "sess_\0"])
    def test_the_sign_in_page_fills_in_no_stranger(self, client, ada, guess):
        elsewhere = Client()
        sign_in(elsewhere, ada)
        foreign = elsewhere.get("/whoami").json()["sid"]
        for session in (guess, foreign):
            page = client.get(SIGN_IN, {"session": session})
            assert page.status_code == 200
            assert ada.email not in page.content.decode()

    @pytest.mark.parametrize(
        "value", ["\0", "a@b.c\0", "x" * 5000, "٣@example.com", "not an address"]
    )
    def test_odd_input_is_an_error_of_the_form(self, client, value):
        assert client.post(SIGN_IN, {"username": value, "password": value}).status_code == 200
        new = {"email": value, "name": value, "password1": value, "password2": value}
        assert client.post(SIGN_UP, new).status_code == 200
        assert not User.objects.exists()

    def test_looking_at_the_forms_writes_no_session(self, client):
        for url in ("/", SIGN_IN, SIGN_UP, "/whoami"):
            client.get(url)
        assert "sessionid" not in client.cookies
        assert SESSION_KEY not in client.session
