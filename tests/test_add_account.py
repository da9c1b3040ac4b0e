"""*Add account* with sign-in pages that redirect signed-in users, and the way back.

Each client enforces CSRF, and submits the forms of its pages.
"""

import re
from html import unescape

import pytest
from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.contrib.sessions.backends.base import UpdateError
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template import RequestContext, Template
from django.test import Client
from django.urls import include, path, reverse
from django.utils.html import strip_tags

from accounts.models import User
from multisession import actions, signals
from multisession.models import Session
from tests.conftest import PASSWORD
from tests.stories import listening, settled
from tests.test_guard import Forms, Tab
from tests.test_views import Buttons

PAGE = "{% load multisession %}{% user_button %}<p>{{ request.user }}</p>"
FORM = "<form method=post id=project>{% csrf_token %}<input name=username><input name=password>"
MENU = "/multisession/menu/"
ADD = "/multisession/add-account/"


def page(request: HttpRequest, pk: int = 0) -> HttpResponse:
    return HttpResponse(Template(PAGE).render(RequestContext(request)))


@login_required
def own_page(request: HttpRequest, pk: int) -> HttpResponse:
    """A page of one account: to anybody else it is forbidden."""
    if request.user.pk != pk:
        raise PermissionDenied
    return page(request)


class ProjectsLoginView(LoginView):
    """Django's own, which sends signed-in people away; the template knows nothing of us."""

    redirect_authenticated_user = True

    def render_to_response(self, context, **kwargs):
        field = '{% if next %}<input type="hidden" name="next" value="{{ next }}">{% endif %}'
        template = Template(FORM + field + "</form>")
        return HttpResponse(template.render(RequestContext(self.request, context)))


class LoginViewWithOurTag(ProjectsLoginView):
    def render_to_response(self, context, **kwargs):
        tag = "{% load multisession %}{% account_list next=next %}"
        template = Template(tag + FORM + "</form>")
        return HttpResponse(template.render(RequestContext(self.request, context)))


urlpatterns = [
    path("", page, name="home"),
    path("users/<int:pk>/", own_page),
    path("login/", ProjectsLoginView.as_view(), name="login"),
    path("login-with-list/", LoginViewWithOurTag.as_view(), name="login_with_list"),
    path("logout/", LogoutView.as_view(next_page="home"), name="logout"),
    path("admin/", admin.site.urls),
    path("multisession/", include("multisession.urls")),
]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture(autouse=True)
def _a_project_of_a_stranger(settings):
    """Nothing but what the README says: no page of ours is the project's."""
    settings.MULTISESSION = {}
    settings.LOGIN_URL = "login"
    settings.LOGIN_REDIRECT_URL = "/"
    settings.LOGOUT_REDIRECT_URL = "/"
    settings.CSRF_FAILURE_VIEW = "django.views.csrf.csrf_failure"
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]


@pytest.fixture
def browser(ada: User) -> Client:
    """Ada is signed in, and on her own page."""
    browser = Client(enforce_csrf_checks=True)
    sign_in(browser, browser.get("/login/"), ada)
    assert whoami(browser) == ada.email
    return browser


def whoami(browser: Client) -> str | None:
    """As whom the next page is shown."""
    user = browser.get("/").wsgi_request.user
    return user.email if user.is_authenticated else None


def accounts(browser: Client) -> list[str]:
    sessions = browser.get("/").wsgi_request.multisession.sessions
    return sorted(session.user.email for session in sessions)


def sign_in(browser: Client, form, user: User, follow: bool = False):
    """Fill in the sign-in form of this page, and send it with all that it holds."""
    assert 'name="password"' in form.text.replace("name=password", 'name="password"'), form.text
    found = [fields for _action, fields in Forms(form.text).forms if "password" in fields]
    given = {name: values[0] for name, values in found[-1].items()}
    given |= {"username": user.email, "password": PASSWORD}
    return browser.post(form.wsgi_request.get_full_path(), given, follow=follow)


def press(browser: Client, page, words: str, **kwargs):
    """Press the button with these words: send what its form holds to where it goes."""
    for form in re.findall(r"<form.*?</form>", page.text, re.DOTALL):
        if words in " ".join(unescape(strip_tags(form)).split()):
            ((action, fields),) = Forms(form).forms
            return browser.post(unescape(action), fields, **kwargs)
    raise AssertionError(f"no button {words!r} among {Buttons(page).names}")


def menu_on(browser: Client, url: str):
    """The menu, as htmx loads it into the page at ``url``."""
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{url}"}
    return browser.get(MENU, headers=headers)


def add_account(browser: Client, url: str = "/"):
    """Press *Add account* in the menu of this page, as a browser without scripts would send it."""
    return press(browser, menu_on(browser, url), "Add account", follow=True)


def links(page) -> dict[str, str]:
    """Where the links of a page lead, by what they say."""
    found = re.findall(r'<a [^>]*href="([^"]*)"[^>]*>(.*?)</a>', page.text, re.DOTALL)
    return {" ".join(strip_tags(words).split()): unescape(url) for url, words in found}


class TestThroughAPageThatSendsSignedInPeopleAway:
    def test_the_sign_in_form_is_shown_and_a_sign_in_adds_an_account(self, browser, ada, grace):
        form = add_account(browser)
        assert form.redirect_chain == [("/login/?next=/", 302)]
        assert sign_in(browser, form, grace).status_code == 302
        assert (whoami(browser), accounts(browser)) == (grace.email, [ada.email, grace.email])

    def test_add_account_stays_on_the_page_as_a_switch_does(self, browser, ada, grace):
        form = add_account(browser, "/a/?b=1")
        assert form.redirect_chain == [("/login/?next=/a/%3Fb%3D1", 302)]
        assert sign_in(browser, form, grace)["Location"] == "/a/?b=1"

    def test_a_page_that_is_not_the_new_account_s_shows_nothing_of_the_other(
        self, browser, ada, grace
    ):
        form = add_account(browser, f"/users/{ada.pk}/")
        landed = sign_in(browser, form, grace, follow=True)
        assert landed.status_code == 403
        assert ada.email not in landed.text
        assert whoami(browser) == grace.email

    def test_from_the_answer_to_a_form_it_leads_to_the_site_s_own_page(self, browser, grace):
        headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/a/"}
        menu = browser.get(MENU, {"posted": "1"}, headers=headers)
        form = press(browser, menu, "Add account", follow=True)
        assert form.redirect_chain == [("/login/", 302)]
        assert sign_in(browser, form, grace)["Location"] == "/"

    def test_without_htmx_it_never_leads_to_the_menu_s_own_url(self, browser, grace):
        form = press(browser, browser.get(MENU), "Add account", follow=True)
        assert form.redirect_chain == [("/login/", 302)]
        assert sign_in(browser, form, grace)["Location"] == "/"

    def test_cancelled_halfway_one_is_back_where_one_was(self, browser, ada, grace):
        form = add_account(browser, f"/users/{ada.pk}/?tab=2")
        assert whoami(browser) is None
        back = press(browser, browser.get("/"), "Back to Ada Lovelace", follow=True)
        assert back.redirect_chain == [(f"/users/{ada.pk}/?tab=2", 302)]
        assert ada.email in back.text
        again = add_account(browser)
        assert again.redirect_chain == [("/login/?next=/", 302)]
        assert sign_in(browser, again, grace).status_code == 302
        assert accounts(browser) == [ada.email, grace.email]
        assert form.status_code == 200

    def test_a_third_and_a_fourth(self, browser, ada, grace, alan):
        for user in (grace, alan):
            sign_in(browser, add_account(browser), user)
        assert accounts(browser) == [ada.email, alan.email, grace.email]

    def test_the_same_account_signs_in_again(self, browser, ada):
        sign_in(browser, add_account(browser), ada)
        assert (whoami(browser), accounts(browser)) == (ada.email, [ada.email])
        assert Session.objects.accounts().count() == 1

    def test_a_wrong_password_leaves_the_way_back(self, browser, ada):
        form = add_account(browser)
        answer = browser.post(
            "/login/",
            {
                "username": ada.email,
                "password": "wrong",
                "csrfmiddlewaretoken": Forms(form.text).forms[0][1]["csrfmiddlewaretoken"][0],
            },
        )
        assert answer.status_code == 200
        assert "Back to Ada Lovelace" in strip_tags(browser.get("/").text)
        press(browser, browser.get("/"), "Back to Ada Lovelace")
        assert whoami(browser) == ada.email

    def test_htmx_is_told_to_load_the_page(self, browser):
        answer = press(
            browser, menu_on(browser, "/"), "Add account", headers={"HX-Request": "true"}
        )
        assert (answer.status_code, answer["HX-Redirect"]) == (200, "/login/?next=/")

    def test_an_account_is_added_through_the_stock_admin(self, ada, grace, settings):
        settings.LOGIN_URL = "admin:login"
        User.objects.update(is_staff=True, is_superuser=True)
        browser = Client(enforce_csrf_checks=True)
        sign_in(browser, browser.get("/admin/login/"), ada)
        assert whoami(browser) == ada.email
        assert browser.get("/admin/login/").status_code == 302  # it sends her away
        form = add_account(browser, "/admin/")
        assert form.redirect_chain == [("/admin/login/?next=/admin/", 302)]
        landed = sign_in(browser, form, grace, follow=True)
        assert landed.redirect_chain == [("/admin/", 302)]
        assert (whoami(browser), accounts(browser)) == (grace.email, [ada.email, grace.email])

    def test_an_account_that_was_signed_out_signs_in_again(self, browser, ada, grace):
        sign_in(browser, add_account(browser), grace)
        press(browser, browser.get("/multisession/choose/"), f"Sign out of {ada.name}")
        chooser = browser.get("/multisession/choose/?next=/users/1/")
        form = press(browser, chooser, f"Sign in again as {ada.name}", follow=True)
        [(url, _status)] = form.redirect_chain
        assert url.startswith("/login/?session=sess_")
        assert url.endswith("&next=/users/1/")
        sign_in(browser, form, ada)
        assert (whoami(browser), accounts(browser)) == (ada.email, [ada.email, grace.email])

    def test_an_account_whose_password_has_changed_signs_in_again(self, browser, ada, grace):
        sign_in(browser, add_account(browser), grace)
        chooser = browser.get("/multisession/choose/")
        ada.set_password("another long password")
        ada.save()
        form = press(browser, chooser, f"Switch to {ada.name}", follow=True)
        assert form.redirect_chain[0][0].startswith("/login/?session=sess_")
        assert "name=password" in form.text
        press(browser, browser.get("/"), f"Back to {grace.name}")
        assert whoami(browser) == grace.email

    def test_an_account_whose_page_is_refused_signs_in_again(self, browser, ada, grace):
        """Ada's page is open, she is signed out and Grace is active: the 409 leads to the form."""
        tab = Tab(browser, "/multisession/choose/")
        sign_in(browser, add_account(browser), grace)
        press(browser, browser.get("/multisession/choose/"), f"Sign out of {ada.name}")
        refused = tab.send(f"/users/{ada.pk}/", {"text": "hers"})
        assert refused.status_code == 409
        assert 'target="_blank"' in refused.text
        form = press(browser, refused, f"Sign in as {ada.name}", follow=True)
        assert form.redirect_chain[0][0].startswith("/login/?session=sess_")
        assert sign_in(browser, form, ada).status_code == 302
        assert accounts(browser) == [ada.email, grace.email]
        sent = press(browser, refused, f"Send as {ada.name}")
        # It goes to where it was going: as Ada, who has signed in again, the view is reached.
        assert (sent.status_code, ada.email in sent.text) == (200, True)

    def test_an_account_that_the_notice_names_signs_in_again(self, browser, ada, grace):
        session = Session.objects.get(user=ada).public_id
        sign_in(browser, add_account(browser), grace)
        press(browser, browser.get("/multisession/choose/"), f"Sign out of {ada.name}")
        notice = browser.get("/multisession/notice/", {"session": session, "next": "/users/1/"})
        form = press(browser, notice, f"Sign in as {ada.name}", follow=True)
        # In a new tab: the page stays with all that was typed, and the notice goes by itself.
        assert 'target="_blank"' in notice.text
        assert form.redirect_chain == [(f"/login/?session={session}", 302)]


class TestWhereItLeads:
    def test_add_account_leads_to_the_page_that_had_asked_nobody_to_sign_in(
        self, browser, ada, grace
    ):
        add_account(browser)
        asked = browser.get(f"/users/{grace.pk}/", follow=True)
        assert asked.redirect_chain == [(f"/login/?next=/users/{grace.pk}/", 302)]
        chooser = browser.get("/multisession/choose/", {"next": f"/users/{grace.pk}/"})
        form = browser.get(links(chooser)["Add account"])
        landed = sign_in(browser, form, grace, follow=True)
        assert landed.redirect_chain == [(f"/users/{grace.pk}/", 302)]

    def test_add_account_on_the_chooser_leads_to_the_page_of_its_next(self, browser, ada, grace):
        """As after a 403: the page wants another account than Ada's."""
        chooser = browser.get("/multisession/choose/", {"next": f"/users/{grace.pk}/"})
        form = press(browser, chooser, "Add account", follow=True)
        assert form.redirect_chain == [(f"/login/?next=/users/{grace.pk}/", 302)]
        assert sign_in(browser, form, grace, follow=True).status_code == 200

    def test_the_sign_in_url_of_the_button(self, browser, settings):
        tag = PAGE.replace("user_button ", 'user_button sign_in_url="/login-with-list/?hint=1" ')
        html = Template(tag).render(RequestContext(browser.get("/").wsgi_request))
        url = re.search('hx-get="([^"]*)"', html)
        assert url is not None
        menu = browser.get(unescape(url[1]), headers={"HX-Request": "true"})
        assert press(browser, menu, "Add account")["Location"] == "/login-with-list/?hint=1"

    @pytest.mark.parametrize(
        "away",
        ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"],
    )
    def test_add_account_leads_to_no_other_site(self, browser, ada, away):
        token = Tab(browser, "/multisession/choose/").token
        form = {"csrfmiddlewaretoken": token, "next": away, "page": away}
        assert browser.post(ADD, form)["Location"] == "/login/"
        back = press(browser, browser.get("/"), "Back to Ada Lovelace")
        assert back["Location"] == "/"


class TestBackTo:
    def test_back_to_is_offered_in_the_button_the_chooser_and_above_a_form_with_our_tag(
        self, browser, ada, grace
    ):
        add_account(browser)
        for url in ("/", "/multisession/choose/", "/login-with-list/"):
            page = browser.get(url)
            names = Buttons(page).names
            assert f"Back to {ada.name}, {ada.email}" in names, url
            press(browser, page, f"Back to {ada.name}")
            assert whoami(browser) == ada.email, url
            add_account(browser)

    def test_back_to_goes_to_the_page_that_had_asked(self, browser, ada):
        add_account(browser, "/users/99/")
        page = browser.get("/login-with-list/", {"next": f"/users/{ada.pk}/"})
        back = press(browser, page, f"Back to {ada.name}", follow=True)
        assert back.redirect_chain == [(f"/users/{ada.pk}/", 302)]
        assert back.status_code == 200

    def test_back_to_is_offered_until_somebody_is_active(self, browser, ada, grace):
        sign_in(browser, add_account(browser), grace)
        add_account(browser)
        assert "Back to Grace Hopper" in browser.get("/").text
        press(browser, browser.get("/multisession/choose/"), f"Continue as {ada.name}")
        assert whoami(browser) == ada.email
        assert "Back to" not in browser.get("/").text
        assert "Back to" not in browser.get("/multisession/choose/").text

    def test_back_to_comes_first_in_the_chooser_and_only_once(self, browser, ada, grace):
        sign_in(browser, add_account(browser), grace)
        press(browser, browser.get("/multisession/choose/"), f"Switch to {ada.name}")
        whoami(browser)
        add_account(browser)
        names = Buttons(browser.get("/multisession/choose/")).names
        assert names[:4] == [
            f"Back to {ada.name}, {ada.email}",
            f"Sign out of {ada.name}, {ada.email}",
            f"Continue as {grace.name}, {grace.email}",
            f"Sign out of {grace.name}, {grace.email}",
        ]
        assert not [name for name in names[4:] if ada.name in name]

    @pytest.mark.parametrize("die", ["revoke", "password", "deactivate", "sign out of all"])
    def test_back_to_is_not_offered_for_an_account_that_cannot_act(self, browser, ada, die):
        add_account(browser)
        if die == "revoke":
            Session.objects.get(user=ada).revoke()
        elif die == "password":
            ada.set_password("another long password")
            ada.save()
        elif die == "deactivate":
            User.objects.update(is_active=False)
        else:
            chooser = Tab(browser, "/multisession/choose/")
            chooser.send("/multisession/sign-out-all/", {})
        assert "Back to" not in browser.get("/").text
        assert "Back to" not in browser.get("/multisession/choose/").text
        assert links(browser.get("/")) == {"Sign in": "/login/?next=/"}

    def test_back_to_shows_a_name_with_a_script_as_text(self, browser, ada):
        User.objects.update(name="<script>alert(1)</script>")
        add_account(browser)
        assert "<script>alert" not in browser.get("/").text
        assert "&lt;script&gt;alert" in browser.get("/").text


class TestTwoTabs:
    @pytest.fixture
    def other(self, browser) -> Tab:
        """Another tab, open on a page of Ada's."""
        return Tab(browser, "/multisession/choose/")

    def test_a_form_of_another_tab_is_not_executed_without_an_account(self, browser, other, ada):
        add_account(browser)
        refused = other.send(f"/users/{ada.pk}/", {"text": "hers"})
        assert refused.status_code == 409
        assert "This page belongs to Ada Lovelace" in refused.text
        sent = press(browser, refused, "Switch to Ada Lovelace and send")
        assert (sent.status_code, sent["Location"]) == (307, f"/users/{ada.pk}/")
        assert whoami(browser) == ada.email

    def test_a_second_tab_may_add_an_account(self, browser, other, ada, grace):
        add_account(browser, f"/users/{ada.pk}/")
        assert other.send(ADD, {})["Location"] == "/login/"
        back = press(browser, browser.get("/"), "Back to Ada Lovelace")
        assert back["Location"] == f"/users/{ada.pk}/"

    def test_the_menu_of_a_second_tab_says_that_nobody_is_active_and_switches(
        self, browser, other, ada
    ):
        add_account(browser)
        session = Session.objects.get(user=ada).public_id
        menu = browser.get(MENU, {"session": session}, headers={"HX-Request": "true"})
        assert "No account is active." in menu.text
        press(browser, menu, f"Switch to {ada.name}")
        assert whoami(browser) == ada.email

    @pytest.mark.parametrize("sends_away", [False, True])
    def test_two_tabs_may_both_sign_in(
        self, browser, other, ada, grace, alan, monkeypatch, sends_away
    ):
        """Two sign-in pages were opened as nobody: one account after the other is added.

        Also where Django's page sends people away who are signed in: this one was nobody's.
        """
        monkeypatch.setattr(ProjectsLoginView, "redirect_authenticated_user", sends_away)
        first = add_account(browser)
        second = browser.get(other.send(ADD, {})["Location"])
        assert sign_in(browser, first, grace).status_code == 302
        assert whoami(browser) == grace.email
        assert sign_in(browser, second, alan).status_code == 302
        assert whoami(browser) == alan.email
        assert accounts(browser) == [ada.email, alan.email, grace.email]


class TestChooseAnAccount:
    """The button while nobody is active and accounts are signed in."""

    def test_the_button_says_choose_an_account_after_the_projects_own_log_out(
        self, browser, ada, grace
    ):
        sign_in(browser, add_account(browser), grace)
        form = Tab(browser, "/multisession/choose/")
        assert form.send("/logout/", {}).status_code == 302
        [(words, url)] = links(browser.get("/")).items()
        assert words.endswith("No account is active. Choose an account")
        assert url == "/multisession/choose/?next=/"
        press(browser, browser.get(url), f"Continue as {ada.name}")
        assert whoami(browser) == ada.email

    def test_the_chooser_leads_back_to_the_page_that_one_is_on(self, browser, ada, grace):
        sign_in(browser, add_account(browser), grace)
        Tab(browser, "/multisession/choose/").send("/logout/", {})
        menu = links(browser.get("/?q=1"))
        assert list(menu.values()) == ["/multisession/choose/?next=/%3Fq%3D1"]

    def test_the_button_says_sign_in_where_everybody_has_signed_out(self, browser):
        Tab(browser, "/multisession/choose/").send("/logout/", {})
        assert links(browser.get("/")) == {"Sign in": "/login/?next=/"}

    def test_the_button_that_is_fetched_says_the_same(self, browser, ada):
        add_account(browser)
        headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/a/?b=1"}
        button = browser.get("/multisession/button/", headers=headers)
        assert links(button) == {"Choose an account": "/multisession/choose/?next=/a/%3Fb%3D1"}
        press(browser, button, "Back to Ada Lovelace")
        assert whoami(browser) == ada.email

    def test_the_button_costs_one_more_query_while_nobody_is_active(
        self, browser, ada, grace, django_assert_num_queries
    ):
        sign_in(browser, add_account(browser), grace)
        settled(browser, "/")
        with django_assert_num_queries(1):  # a signed-in page: the token, session and user
            browser.get("/")
        add_account(browser)
        browser.get("/")
        with django_assert_num_queries(2):  # nobody is active: and the accounts
            browser.get("/")
        with django_assert_num_queries(2):
            browser.get("/multisession/choose/")
        with django_assert_num_queries(0):  # a stranger
            Client().get("/")

    def test_a_visitor_who_never_had_an_account_costs_no_list(self, django_assert_num_queries):
        browser = Client()
        session = browser.session
        session["basket"] = "full"
        session.save()
        browser.get("/")
        with django_assert_num_queries(1):
            page = browser.get("/")
        assert page.wsgi_request.session["basket"] == "full"
        assert links(page) == {"Sign in": "/login/?next=/"}


class TestVillains:
    @pytest.mark.parametrize("method", ["get", "head", "put", "delete"])
    def test_only_a_post_steps_aside(self, browser, ada, method):
        assert getattr(browser, method)(ADD).status_code in (403, 405)
        assert browser.get(ADD).status_code == 405
        assert whoami(browser) == ada.email

    def test_add_account_without_a_token_does_nothing(self, browser, ada):
        assert browser.post(ADD).status_code == 403
        assert whoami(browser) == ada.email

    def test_a_stranger_gets_the_sign_in_page_and_no_row(self):
        stranger = Client()
        assert stranger.post(ADD)["Location"] == "/login/"
        assert Session.objects.count() == 0

    def test_a_receiver_that_refuses_keeps_the_active_account(self, browser, ada):
        def refuse(**kwargs):
            raise PermissionDenied

        tab = Tab(browser, "/multisession/choose/")
        with listening(signals.active_session_changing, refuse):
            assert tab.send(ADD, {}).status_code == 403
        assert whoami(browser) == ada.email

    def test_a_click_that_came_second_shows_what_is_true(self, browser, monkeypatch):
        def superseded(*args, **kwargs):
            raise UpdateError

        monkeypatch.setattr(actions, "step_aside", superseded)
        assert Tab(browser, "/multisession/choose/").send(ADD, {})["Location"] == reverse(
            "multisession:choose"
        )

    def test_a_session_of_another_browser_is_no_way_in(self, browser, ada, grace):
        safari = Client(enforce_csrf_checks=True)
        sign_in(safari, safari.get("/login/"), grace)
        foreign = Session.objects.get(user=grace).public_id
        tab = Tab(browser, "/multisession/choose/")
        tab.send(ADD, {"session": foreign})
        assert grace.name not in browser.get("/").text
        assert whoami(browser) is None
        assert accounts(browser) == [ada.email]

    @pytest.mark.parametrize("after", ["choose", "next"])
    def test_no_account_becomes_active_by_itself_after_stepping_aside(
        self, browser, ada, grace, settings, after
    ):
        settings.MULTISESSION = {"AFTER_SIGN_OUT": after}
        sign_in(browser, add_account(browser), grace)
        form = add_account(browser)
        assert [whoami(browser) for _ in range(3)] == [None] * 3
        assert form.redirect_chain == [("/login/?next=/", 302)]
        assert "Back to Grace Hopper" in browser.get("/").text


class TestLimits:
    def test_add_account_is_not_offered_where_a_browser_holds_one_account(
        self, browser, ada, grace, settings
    ):
        settings.MULTISESSION = {"MAX_ACCOUNTS": 1}
        assert "Add account" not in menu_on(browser, "/").text
        assert "Add account" not in browser.get("/multisession/choose/").text

    def test_at_the_limit_a_refused_sign_in_leaves_the_way_back(
        self, browser, ada, alan, grace, settings
    ):
        settings.MULTISESSION = {"MAX_ACCOUNTS": 2, "AT_LIMIT": "refuse"}
        browser.force_login(alan)
        browser.force_login(ada)
        assert sign_in(browser, add_account(browser), grace).status_code == 403
        assert (whoami(browser), accounts(browser)) == (None, [ada.email, alan.email])
        press(browser, browser.get("/"), "Back to Ada Lovelace")
        assert whoami(browser) == ada.email

    def test_csrf_in_the_session(self, browser, ada, grace, settings):
        settings.CSRF_USE_SESSIONS = True
        browser.get("/multisession/choose/")
        form = add_account(browser)
        assert form.redirect_chain == [("/login/?next=/", 302)]
        assert sign_in(browser, form, grace).status_code == 302
        assert (whoami(browser), accounts(browser)) == (grace.email, [ada.email, grace.email])
