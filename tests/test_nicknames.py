"""The nickname and the colour of an account; and people who would misuse them."""

import re

import pytest
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import Client, RequestFactory
from django.utils.html import escape

from accounts.models import User
from multisession.ground.colours import APART, HUES, free_hue, own_hue
from multisession.middleware import SessionMiddleware
from multisession.models import Session
from multisession.models.nicknames import Nickname, look_of, set_look
from multisession.pages.badges import badge

NICKNAME = "/multisession/nickname/"
CHOOSE = "/accounts/choose/"
MENU = "/multisession/menu/"

pytestmark = pytest.mark.django_db


def sid(browser: Client) -> str:
    """The public id of the active session."""
    found: str = browser.get("/whoami").json()["sid"]
    return found


def give(browser: Client, nickname: str, hue: int | str = 3, *, session: str = "", **options):
    form = {"session": session or sid(browser), "nickname": nickname, "hue": hue}
    return browser.post(NICKNAME, form, **options)


def hues_in(page: str) -> list[int]:
    return [int(hue) for hue in re.findall(r'class="ms-avatar ms-hue-(\d+)"', page)]


@pytest.fixture
def both(client, ada, grace) -> Client:
    """A browser with Grace and Ada, who is active."""
    client.force_login(grace)
    client.force_login(ada)
    return client


class TestNicknames:
    def test_a_nickname_is_the_name_wherever_the_account_is_shown(self, both, ada, grace):
        answer = give(both, "  Work  ", 5, follow=True)
        assert answer.redirect_chain == [(CHOOSE, 302)]
        assert "Saved." in answer.text
        for url in ("/", MENU, CHOOSE, NICKNAME):
            page = both.get(url).text
            assert '<bdi class="ms-name">Work</bdi>' in page, url
            assert '<bdi class="ms-identifier">ada@example.com</bdi>' in page, url
            assert 5 in hues_in(page), url
        assert "Open user menu: Work, ada@example.com" in both.get("/").text
        both.post("/multisession/set-active/", {"session": sid_of(both, grace)})
        assert "Switch to Work, ada@example.com" in both.get(MENU).text
        assert "Sign out of Work, ada@example.com" in both.get(CHOOSE).text

    def test_it_is_there_in_every_browser(self, client, ada):
        other, later = Client(), Client()
        other.force_login(ada)
        client.force_login(ada)
        give(client, "Work", 7)
        later.force_login(ada)
        for browser in (other, later):
            assert "Open user menu: Work, ada@example.com" in browser.get("/").text
            assert hues_in(browser.get(MENU).text) == [7]

    def test_a_signed_out_account_keeps_it(self, both, ada):
        give(both, "Work")
        both.post("/multisession/sign-out/", {"session": sid(both)})
        page = both.get(CHOOSE).text
        assert "Sign in again as Work, ada@example.com" in page
        both.force_login(ada)
        assert "Open user menu: Work, ada@example.com" in both.get("/").text

    def test_an_empty_one_gives_the_name_back(self, both):
        give(both, "Work")
        give(both, "")
        assert "Open user menu: Ada Lovelace, ada@example.com" in both.get("/").text

    def test_a_page_costs_one_statement(self, both, django_assert_num_queries):
        give(both, "Work", follow=True)  # with the message
        with django_assert_num_queries(1):
            button = both.get("/multisession/button/")
        assert "Open user menu: Work, ada@example.com" in button.text

    def test_saving_the_nickname_alone_fixes_no_colour(self, both, ada):
        shown = hues_in(both.get("/").text)[0]
        give(both, "Work", shown)
        assert Nickname.objects.get(user_id=ada.pk).hue is None
        give(both, "Work", (shown + 1) % HUES)
        assert Nickname.objects.get(user_id=ada.pk).hue == (shown + 1) % HUES
        give(both, "Job", (shown + 1) % HUES)
        assert Nickname.objects.get(user_id=ada.pk).hue == (shown + 1) % HUES

    def test_another_account_of_the_browser_is_named_from_the_same_page(self, both, grace):
        other = sid_of(both, grace)
        assert f'href="{NICKNAME}?session={other}"' in both.get(NICKNAME).text
        assert 'value="' + other + '"' in both.get(NICKNAME, {"session": other}).text
        give(both, "Navy", session=other)
        assert both.get("/whoami").json()["user"] == "ada@example.com"
        assert "Switch to Navy, grace@example.com" in both.get(MENU).text

    def test_while_nobody_is_active_one_says_first_which(self, both):
        both.post("/multisession/add-account/")
        page = both.get(NICKNAME).text
        assert page.count(f'href="{NICKNAME}?session=') == 2
        assert 'name="hue"' not in page

    def test_without_accounts_there_is_nothing_to_name(self, client):
        assert client.get(NICKNAME)["Location"] == CHOOSE

    def test_it_goes_with_the_user(self, both, ada):
        give(both, "Work")
        ada.delete()
        assert not Nickname.objects.exists()


def sid_of(browser: Client, user: User) -> str:
    here = browser.get("/").wsgi_request.multisession.sessions
    return next(row.public_id for row in here if row.user_id == user.pk)


class TestColours:
    def test_two_accounts_of_one_browser_do_not_look_alike(self, client, ada):
        client.force_login(ada)
        alike = own_hue(ada.pk)
        twin = next(
            user
            for user in (User.objects.create_user(f"{n}@example.com") for n in range(200))
            if own_hue(user.pk) == alike
        )
        client.force_login(twin)
        hues = hues_in(client.get(MENU).text)
        assert len(set(hues)) == 2
        steps = abs(hues[0] - hues[1])
        assert min(steps, HUES - steps) >= APART
        # On its own it has its own colour.
        alone = Client()
        alone.force_login(twin)
        assert hues_in(alone.get(MENU).text) == [alike]

    def test_ten_accounts_have_ten_colours(self, client):
        for number in range(10):
            client.force_login(User.objects.create_user(f"{number}@example.com"))
        hues = hues_in(client.get(CHOOSE).text)
        assert len(set(hues)) == 10

    @pytest.mark.parametrize("wanted", range(HUES))
    def test_the_thirteenth_repeats_one(self, wanted):
        assert free_hue(wanted, set()) == wanted
        assert free_hue(wanted, set(range(HUES)) - {4}) == 4
        assert free_hue(wanted, set(range(HUES))) == wanted

    def test_a_sign_in_looks_at_all_of_that_in_one_query(
        self, client, ada, grace, django_assert_num_queries
    ):
        client.force_login(ada)
        here = Session.objects.get(user=ada)
        with django_assert_num_queries(1):
            look = look_of(grace.pk, here.client_id, "default")
        assert look.hue != here.hue


class TestVillains:
    """The page is for the accounts of this browser that are signed in, and for nobody else."""

    def test_an_account_of_another_browser_is_not_renamed(self, both, alan):
        stranger = Client()
        stranger.force_login(alan)
        foreign = sid(stranger)
        for session in (foreign, "", "sess_", "\x00", "x" * 5000):
            assert both.get(NICKNAME, {"session": session or "?"}).status_code == 404
            answer = both.post(NICKNAME, {"session": session, "nickname": "Fool", "hue": 1})
            assert answer.status_code == 404
        assert not Nickname.objects.exists()

    def test_after_the_sign_out_nobody_renames_the_account_on_that_computer(self, both):
        session = sid(both)
        both.post("/multisession/sign-out/", {"session": session})
        assert give(both, "Fool", session=session).status_code == 404
        assert Client().post(NICKNAME, {"session": session, "nickname": "x"}).status_code == 404
        assert not Nickname.objects.exists()

    def test_another_site_can_not_send_the_form(self, ada):
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(ada)
        form = {"session": sid(browser), "nickname": "Fool", "hue": 1}
        assert browser.post(NICKNAME, form).status_code == 403
        assert browser.get(NICKNAME, form).status_code == 200
        assert not Nickname.objects.exists()

    @pytest.mark.parametrize(
        ("nickname", "hue"),
        [("x" * 41, 1), ("a\x00b", 1), ("Work", 12), ("Work", -1), ("Work", "red"), ("Work", "")],
    )
    def test_bad_input_is_an_error_of_the_form(self, both, nickname, hue):
        answer = give(both, nickname, hue)
        assert answer.status_code == 422
        assert 'class="ms-error"' in answer.text
        assert not Nickname.objects.exists()

    def test_a_nickname_is_text_and_hides_no_address(self, both):
        evil = "<b>Grace Hopper</b>\u202e\n"
        give(both, evil)
        page = both.get(MENU).text
        assert "<b>Grace" not in page
        assert escape("<b>Grace Hopper</b>\u202e") in page
        assert "Grace Hopper&lt;/b&gt;\u202e, ada@example.com" in both.get("/").text

    @pytest.mark.parametrize("nothing", ["\u200b\u200d", "\u3164", " \t\n"])
    def test_a_nickname_that_nobody_can_see_is_none(self, both, nothing):
        give(both, nothing)
        assert Session.objects.get(public_id=sid(both)).nickname == ""

    def test_programs_are_told_what_is_wrong(self, ada):
        with pytest.raises(ValueError, match="41 characters; it may have 40"):
            set_look(ada.pk, nickname="x" * 41)
        with pytest.raises(ValueError, match="0 to 11"):
            set_look(ada.pk, hue=12)

    def test_an_administrator_who_acts_as_the_person_neither_sees_nor_changes_it(
        self, client, ada, grace
    ):
        client.force_login(grace)
        give(client, "Navy")
        admin = Client()
        admin.force_login(ada)
        act_as(admin, grace, by=ada)
        assert admin.get("/whoami").json()["user"] == grace.email
        row = Session.objects.get(user=grace, actor_id=str(ada.pk))
        assert row.nickname == ""
        assert give(admin, "Fool").status_code == 404
        give(client, "Sea")
        row.refresh_from_db()
        assert row.nickname == ""


def act_as(browser: Client, user: User, *, by: User) -> None:
    """Sign in as the user, as a project's own "login as" does."""

    def view(request: HttpRequest) -> HttpResponse:
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        request.session["multisession_actor"] = str(by.pk)
        return HttpResponse()

    cookies = "; ".join(f"{name}={each.value}" for name, each in browser.cookies.items())
    request = RequestFactory(headers={"cookie": cookies}).post("/")
    browser.cookies.update(SessionMiddleware(view)(request).cookies)


ASKED: list[list[str]] = []


def waiting(users) -> dict:
    """What a project's hook says; ``ASKED`` has whom it was asked about."""
    ASKED.append(sorted(user.email for user in users))
    said = {"ada@example.com": 3, "grace@example.com": 1000, "alan@example.com": "\x00a long text"}
    return {user.pk: said[user.email] for user in users}


def nothing_works(users) -> dict:
    raise RuntimeError("The mail server is away.")


class TestBadges:
    @pytest.fixture(autouse=True)
    def hook(self, settings):
        settings.MULTISESSION = {**settings.MULTISESSION, "BADGES": f"{__name__}.waiting"}
        ASKED.clear()

    def test_the_project_is_asked_once_for_all_accounts_of_a_menu(self, both, alan, ada, grace):
        both.force_login(alan)
        for url in (MENU, CHOOSE):
            ASKED.clear()
            page = both.get(url).text
            assert [[ada.email, alan.email, grace.email]] == ASKED, url
            shown = re.findall(r"New:</span> ([^<]*)</span>", page)
            assert set(shown) == {"3", "99+", "a long t"}, url

    def test_a_page_asks_only_if_its_button_shows_the_badge(self, both):
        assert "New:" not in both.get("/").text
        assert ASKED == []
        page = button(both, "show_badge=True")
        assert ASKED == [["ada@example.com"]]
        assert "New:</span> 3</span>" in page

    def test_a_signed_out_account_has_none(self, both, grace):
        both.post("/multisession/sign-out/", {"session": sid_of(both, grace)})
        ASKED.clear()
        assert "99+" not in both.get(CHOOSE).text
        assert ASKED == [["ada@example.com"]]

    def test_a_hook_that_fails_takes_nothing_else_away(self, both, settings, caplog):
        settings.MULTISESSION = {**settings.MULTISESSION, "BADGES": f"{__name__}.nothing_works"}
        page = both.get(MENU).text
        assert "New:" not in page
        assert "Switch to Grace Hopper" in page
        assert "nothing_works failed" in caplog.text

    @pytest.mark.parametrize("value", [0, None, "", -1, False, "\u200b"])
    def test_nothing_waits(self, value):
        assert badge(value) == ""


def button(browser: Client, options: str) -> str:
    request = browser.get("/").wsgi_request
    tag = "{% load multisession %}{% user_button " + options + " %}"
    return engines["django"].from_string(tag).render({"csrf_token": "x"}, request)


class TestTheClosedButton:
    def test_two_accounts_of_one_name_are_told_apart(self, both):
        User.objects.update(name="Ada Lovelace")
        closed = button(both, "show_name=True").split("</summary>")[0]
        assert 'aria-hidden="true">Ada Lovelace</bdi>' in closed
        assert 'aria-hidden="true">ada@example.com</bdi>' in closed
        closed = button(both, "show_name=True show_identifier=False").split("</summary>")[0]
        assert 'aria-hidden="true">ada@example.com' not in closed
        closed = button(both, "show_identifier=True").split("</summary>")[0]
        assert 'aria-hidden="true">ada@example.com' in closed
        assert "ms-trigger-name" not in closed

    def test_a_long_address_keeps_its_domain_and_is_read_out_as_a_whole(self, both, ada):
        ada.email = "augusta.ada.king.countess.of.lovelace@example.com"
        ada.save()
        cut = "<span>augusta.ada.king.countess.of.lovelace</span><span>@example.com</span>"
        page = both.get(MENU).text
        assert f'<span class="ms-cut" aria-hidden="true">{cut}</span>' in page
        assert f'<span class="ms-visually-hidden">{ada.email}</span>' in page
        assert f"Open user menu: Ada Lovelace, {ada.email}" in both.get("/").text
        assert f'<span class="ms-cut">{cut}</span>' in button(both, "show_name=True")
