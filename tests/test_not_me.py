"""The e-mail after a sign-in on a new browser, and its link "This wasn't me"."""

import re
import socket
from unittest import mock

import django
import pytest
from django.core import signing
from django.core.mail.backends.base import BaseEmailBackend
from django.test import Client

from accounts import alerts
from accounts.models import User
from multisession.models import Session
from tests.conftest import PASSWORD
from tests.stories import later, session_of

pytestmark = pytest.mark.django_db

NEW = "a much better password 1"


@pytest.fixture
def sign_in(django_capture_on_commit_callbacks):
    """Sign in on a new browser, through the sign-in page."""

    def sign_in(user: User, browser: Client | None = None, password: str = PASSWORD) -> Client:
        browser = browser or Client(headers={"user-agent": "Mozilla/5.0 (Windows) Firefox/140.0"})
        with django_capture_on_commit_callbacks(execute=True):
            form = {"username": user.email, "password": password}
            browser.post("/accounts/sign-in/", form)
        return browser

    return sign_in


def who(browser: Client) -> str | None:
    return browser.get("/whoami").json()["user"]


def link_in(mail) -> str:
    found = re.search(r"http://127\.0\.0\.1:8000(/\S+)", mail.body)
    assert found is not None
    return found[1]


class Broken(BaseEmailBackend):
    """A way to send mail with an error of its own, as those of packages have."""

    def send_messages(self, email_messages):
        raise LookupError("no quota left")


@pytest.fixture(params=["its own error", "nobody answers"])
def no_mail(request, settings, caplog):
    """No mail can be sent, from now on; the log says so."""
    with socket.socket() as silent:  # Bound, but it doesn't listen: connections are refused.
        silent.bind(("127.0.0.1", 0))
        backend, options = f"{__name__}.Broken", {}
        if request.param == "nobody answers":
            backend = "django.core.mail.backends.smtp.EmailBackend"
            options = {"host": "127.0.0.1", "port": silent.getsockname()[1]}
        if django.VERSION >= (6, 1):
            settings.MAILERS = {"default": {"BACKEND": backend, "OPTIONS": options}}
        else:
            settings.EMAIL_BACKEND = backend
            for name, value in options.items():
                setattr(settings, f"EMAIL_{name.upper()}", value)
        yield caplog


@pytest.fixture
def thief(sign_in, ada, mailoutbox) -> Client:
    """Ada has been here on a browser of her own; now somebody else knows her password."""
    sign_in(ada)
    return sign_in(ada)


@pytest.fixture
def link(thief, mailoutbox) -> str:
    [mail] = mailoutbox
    return link_in(mail)


class TestTheMail:
    def test_the_first_sign_in_sends_none(self, sign_in, ada, mailoutbox):
        sign_in(ada)
        assert mailoutbox == []

    def test_a_new_browser_is_told_with_its_name_and_address(self, thief, ada, mailoutbox):
        [mail] = mailoutbox
        assert mail.to == ["ada@example.com"]
        for told in ("ada@example.com", "Firefox on Windows", "127.0.0.1", "wasn't you"):
            assert told in mail.body
        assert session_of(ada).public_id not in mail.subject

    def test_a_known_browser_sends_none(self, sign_in, ada, mailoutbox):
        browser = sign_in(ada)
        session_of(ada).end()
        assert who(sign_in(ada, browser)) == "ada@example.com"
        assert mailoutbox == []

    def test_a_forged_host_is_not_in_the_link(self, sign_in, ada, mailoutbox, settings):
        settings.ALLOWED_HOSTS = ["*"]
        sign_in(ada)
        sign_in(ada, Client(headers={"host": "evil.example"}))
        assert "evil.example" not in mailoutbox[0].body

    def test_a_mail_server_that_is_down_costs_nobody_the_sign_in(self, sign_in, ada, no_mail):
        sign_in(ada)
        assert who(sign_in(ada)) == "ada@example.com"
        assert "No mail server took the e-mail 'new_browser'" in no_mail.text


class TestTheLink:
    def test_the_owner_ends_that_session_and_sets_a_new_password(
        self, thief, link, ada, mailoutbox, sign_in
    ):
        owner = Client()
        page = owner.get(link)
        assert (page.status_code, who(thief)) == (200, "ada@example.com")
        assert "Firefox on Windows" in page.content.decode()
        asked = owner.post(link, follow=True)
        assert who(thief) is None
        assert session_of(ada).status == "revoked"
        assert "Set a new password" in asked.content.decode()
        set_to = asked.request["PATH_INFO"]
        done = owner.post(set_to, {"new_password1": NEW, "new_password2": NEW}, follow=True)
        assert "Your password has been changed." in done.content.decode()
        assert who(sign_in(ada, password=PASSWORD)) is None
        assert who(sign_in(ada, owner, password=NEW)) == "ada@example.com"

    def test_the_old_password_opens_nothing_meanwhile(self, thief, link, ada, sign_in):
        Client().post(link)
        assert who(sign_in(ada)) is None

    def test_whoever_closes_the_page_finds_the_way_in_a_second_mail(self, link, ada, mailoutbox):
        Client().post(link)
        page = Client().get(link_in(mailoutbox[1]), follow=True)
        assert "Set a new password" in page.content.decode()

    def test_without_a_mail_server_the_page_is_the_way_in_and_says_so(
        self, thief, link, ada, sign_in, no_mail
    ):
        owner = Client()
        page = owner.post(link, follow=True)
        assert page.status_code == 200
        assert "couldn&#x27;t send you an e-mail" in page.content.decode()
        assert (who(thief), who(sign_in(ada))) == (None, None)
        set_to = page.request["PATH_INFO"]
        owner.post(set_to, {"new_password1": NEW, "new_password2": NEW})
        assert who(sign_in(ada, owner, password=NEW)) == "ada@example.com"

    def test_without_a_mail_server_the_link_works_no_second_time(self, thief, link, no_mail):
        Client().post(link)
        for method in ("get", "post"):
            assert getattr(Client(), method)(link).status_code == 410

    def test_no_link_to_a_new_password_is_in_the_log(self, thief, link, no_mail):
        page = Client().post(link)
        assert page.status_code == 302
        assert "No mail server took the e-mail 'new_password'" in no_mail.text
        assert page["Location"].split("/")[-2] not in no_mail.text

    def test_a_scanner_that_opens_the_link_changes_nothing(self, thief, link, ada):
        for method in ("get", "head"):
            response = getattr(Client(), method)(link)
            assert response.status_code == 200
            assert "no-store" in response["Cache-Control"]
        assert Client().put(link).status_code == 405
        assert who(thief) == "ada@example.com"
        assert User.objects.get(pk=ada.pk).check_password(PASSWORD)

    def test_it_needs_a_csrf_token(self, thief, link):
        strict = Client(enforce_csrf_checks=True)
        strict.get(link)
        assert strict.post(link).status_code == 403
        assert who(thief) == "ada@example.com"

    def test_it_works_once(self, link, ada):
        assert Client().post(link).status_code == 302
        for method in ("get", "post"):
            assert getattr(Client(), method)(link).status_code == 410

    def test_it_expires(self, thief, link):
        with (
            later(seconds=alerts.MAX_AGE + 1),
            mock.patch("django.core.signing.time.time", return_value=_in(alerts.MAX_AGE + 1)),
        ):
            assert Client().post(link).status_code == 410
        assert who(thief) == "ada@example.com"

    def test_it_is_over_once_the_owner_has_changed_the_password(self, link, ada):
        ada.set_password(NEW)
        ada.save()
        assert Client().post(link).status_code == 410
        assert User.objects.get(pk=ada.pk).check_password(NEW)

    def test_it_is_over_once_the_user_is_deleted(self, link, ada):
        ada.delete()
        assert Client().get(link).status_code == 410

    @pytest.mark.parametrize(
        "forge",
        [
            lambda token: token[:-1],
            lambda token: "x" * 5000,
            lambda token: "%00",
            lambda token: signing.dumps(["sess_1", ""], salt="another"),
            lambda token: signing.dumps("text", salt=alerts.SALT),
            lambda token: signing.dumps({"a": 1}, salt=alerts.SALT),
            lambda token: signing.dumps([["a"], ["b"]], salt=alerts.SALT),
        ],
        ids=["cut", "long", "NUL", "another salt", "a text", "a dict", "lists"],
    )
    def test_a_forged_link_is_over(self, thief, link, forge):
        token = link.split("/")[3]
        response = Client().post(f"/accounts/not-me/{forge(token)}/")
        assert response.status_code == 410
        assert who(thief) == "ada@example.com"

    def test_it_is_about_its_account_whichever_is_active(self, thief, link, ada, grace):
        browser = Client()
        browser.force_login(grace)
        browser.post(link)
        assert (who(browser), who(thief)) == ("grace@example.com", None)
        assert User.objects.get(pk=grace.pk).check_password(PASSWORD)
        assert Session.objects.filter(user=grace).live().count() == 1

    def test_the_thief_who_signed_out_first_gains_nothing(self, thief, link, ada):
        session_of(ada).end()
        assert who(thief) is None
        assert Client().post(link).status_code == 302
        assert not User.objects.get(pk=ada.pk).has_usable_password()


def _in(seconds: int) -> float:
    import time

    return time.time() + seconds
