"""Missing URLs: the system checks report them, and no page fails because of them."""

import re
from types import ModuleType

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.core.checks import run_checks
from django.http import HttpRequest, HttpResponse
from django.template import RequestContext, Template
from django.test import Client
from django.urls import clear_url_caches, include, path, reverse_lazy, set_urlconf
from django.utils.html import strip_tags

from accounts.models import User
from multisession.offers import ForbiddenForThisAccount
from multisession.pages.views import choose
from tests.conftest import PASSWORD
from tests.test_guard import Tab
from tests.test_views import Buttons

EVERY_TAG = (
    "{% load multisession %}{% user_button %}{% user_button_mount %}{% account_list %}"
    "<form method=post>{% csrf_token %}</form><p {% page_attributes %}>{{ request.user }}</p>"
)


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(Template(EVERY_TAG).render(RequestContext(request)))


def for_grace(request: HttpRequest) -> HttpResponse:
    raise ForbiddenForThisAccount(lambda user: user.email == "grace@example.com")


HOME = path("", page, name="home")
LOGIN = path("accounts/login/", LoginView.as_view(template_name="registration/x.html"))
OURS = path("multisession/", include("multisession.urls"))


@pytest.fixture
def project(settings):
    """Make these the project's URLs, and everything else Django's defaults."""
    settings.MULTISESSION = {}
    settings.LOGIN_URL = "/accounts/login/"
    settings.LOGIN_REDIRECT_URL = "/"
    settings.LOGOUT_REDIRECT_URL = None

    def with_urls(*urlpatterns) -> None:
        module = ModuleType("tests.urls_of_a_project")
        module.urlpatterns = list(urlpatterns)
        settings.ROOT_URLCONF = module
        clear_url_caches()
        set_urlconf(None)

    yield with_urls
    clear_url_caches()


def found() -> dict[str, str]:
    """What our checks of the URLs say, by their ids."""
    messages = [message for message in run_checks() if "multisession" in str(message.id)]
    assert all(message.hint for message in messages)
    return {message.id.removeprefix("multisession."): message.msg for message in messages}


class TestChecks:
    def test_a_complete_project_gets_no_warning(self, project):
        project(HOME, LOGIN, OURS)
        assert found() == {}

    def test_w014_our_urls(self, project):
        project(HOME, LOGIN)
        assert list(found()) == ["W014"]

    def test_w015_djangos_own_default_is_no_page(self, project):
        project(HOME, OURS)
        assert found() == {
            "W015": "LOGIN_URL is '/accounts/login/', which matches no URL pattern. 'Sign in' and "
            "'Add account' lead there."
        }

    @pytest.mark.parametrize(
        ("changed", "name"),
        [
            ({"LOGIN_URL": "nowhere"}, "LOGIN_URL is 'nowhere', which is not the name of a URL"),
            ({"LOGIN_REDIRECT_URL": "/accounts/profile/"}, "LOGIN_REDIRECT_URL"),
            ({"LOGOUT_REDIRECT_URL": "bye"}, "LOGOUT_REDIRECT_URL"),
            ({"MULTISESSION": {"PROFILE_URL": "profile"}}, "MULTISESSION['PROFILE_URL']"),
            ({"MULTISESSION": {"CHOOSE_URL": "shop:choose"}}, "MULTISESSION['CHOOSE_URL']"),
            ({"MULTISESSION": {"SESSIONS_URL": "/devices/"}}, "MULTISESSION['SESSIONS_URL']"),
        ],
    )
    def test_w015_a_page_that_a_setting_names(self, project, settings, changed, name):
        project(HOME, LOGIN, OURS)
        for key, value in changed.items():
            setattr(settings, key, value)
        assert list(found()) == ["W015"]
        assert found()["W015"].startswith(name)

    def test_w015_a_lazy_name(self, project, settings):
        project(HOME, LOGIN, OURS)
        settings.MULTISESSION = {"PROFILE_URL": "home"}
        settings.LOGIN_REDIRECT_URL = reverse_lazy("home")
        assert found() == {}

    @pytest.mark.parametrize(
        "url",
        [
            "https://sso.example/login",  # not this project's to say
            "//sso.example/login",
            "/accounts/login",  # CommonMiddleware adds the slash
            "/accounts/login/?hint=1#form",
        ],
    )
    def test_urls_that_exist_get_no_warning(self, project, settings, url):
        project(HOME, LOGIN, OURS)
        settings.LOGIN_URL = url
        assert found() == {}

    def test_no_warning_for_urls_with_a_language(self, project, settings):
        settings.LOGIN_REDIRECT_URL = "/de/"
        project(*i18n_patterns(HOME, LOGIN, OURS))
        assert found() == {}
        settings.LOGIN_URL = "/accounts/no/"
        assert list(found()) == ["W015"]

    def test_no_warning_below_a_path_of_the_server(self, project, settings):
        from django.urls import get_script_prefix, set_script_prefix

        project(HOME, LOGIN, OURS)
        before = get_script_prefix()
        set_script_prefix("/app/")
        try:
            settings.LOGIN_URL, settings.LOGIN_REDIRECT_URL = "/app/accounts/login/", "/app/"
            assert found() == {}
            settings.LOGIN_URL = "/app/accounts/no/"
            assert list(found()) == ["W015"]
        finally:
            set_script_prefix(before)

    def test_no_warning_for_the_admin_as_the_only_sign_in_page(self, project, settings):
        settings.LOGIN_URL = "admin:login"
        project(HOME, path("admin/", admin.site.urls), OURS)
        assert found() == {}

    def test_no_warning_under_another_engine(self, project, settings):
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
        project()
        assert set(found()) == {"E001"}


NO_URLS = pytest.param((HOME, path("grace/", for_grace)), {}, id="our URLs are not included")
OWN_CHOOSER = pytest.param(
    (HOME, path("grace/", for_grace), path("choose/", choose, name="choose")),
    {"CHOOSE_URL": "choose"},
    id="only the chooser",
)
NO_NAMES = pytest.param(
    (HOME, path("grace/", for_grace), OURS),
    {"LOGIN_URL": "no", "LOGIN_REDIRECT_URL": "no", "PROFILE_URL": "no", "SESSIONS_URL": "no:no"},
    id="no name resolves",
)


@pytest.mark.django_db
@pytest.mark.parametrize(("urls", "keys"), [NO_URLS, OWN_CHOOSER, NO_NAMES])
class TestNoPageFails:
    @pytest.fixture(autouse=True)
    def _as_a_project(self, project, settings, urls, keys):
        settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]
        project(*urls)
        keys = dict(keys)
        for name in ("LOGIN_URL", "LOGIN_REDIRECT_URL"):
            if name in keys:
                setattr(settings, name, keys.pop(name))
        settings.MULTISESSION = keys

    @pytest.fixture
    def browser(self, ada: User, grace: User) -> Client:
        browser = Client(enforce_csrf_checks=True)
        assert browser.login(username=ada.email, password=PASSWORD) is True
        for user in (grace, ada):
            browser.force_login(user)
            browser.get("/")
        return browser

    def is_complete(self, page) -> bool:
        """Nothing leads nowhere. (An empty link is the one that reloads the page.)"""
        text = page.text.replace('<a href="">Reload the page</a>', "")
        assert not re.search(r'(?:href|action|hx-get|hx-post)=""', text), text
        return True

    def test_the_button_and_the_tags(self, browser):
        page = browser.get("/")
        assert page.status_code == 200
        assert "Open user menu: Ada Lovelace" in page.text
        assert "ada@example.com</p>" in page.text
        assert self.is_complete(page)
        stranger = Client().get("/")
        assert stranger.status_code == 200
        assert self.is_complete(stranger)

    def test_the_button_without_an_active_account_shows_where_urls_are_missing(self, browser):
        browser.get("/").wsgi_request.multisession.session.revoke()
        page = browser.get("/")
        assert page.status_code == 200
        assert self.is_complete(page)

    def test_the_refusal_of_a_page_of_another_account(self, browser, grace):
        tab = Tab(browser, "/")
        browser.force_login(grace)
        refused = tab.send("/", {"text": "hers"})
        assert refused.status_code == 409
        assert "This page belongs to Ada Lovelace" in strip_tags(refused.text)
        assert self.is_complete(refused)

    def test_a_refusal_offers_no_switch_without_our_urls(self, browser, urls):
        page = browser.get("/grace/")
        assert page.status_code == 403
        offered = any("Switch to Grace" in name for name in Buttons(page).names)
        assert offered == (OURS in urls)

    def test_the_chooser_shows_where_urls_are_missing(self, browser, urls):
        here = "/multisession/choose/" if OURS in urls else "/choose/"
        page = browser.get(here)
        if urls is NO_URLS.values[0]:
            assert page.status_code == 404
            return
        assert page.status_code == 200
        assert "Choose an account" in page.text
        assert self.is_complete(page)

    def test_actions_work_where_urls_are_missing(self, browser, urls, grace):
        """What has been done is done: a page that is missing is no failure after it."""
        if OURS not in urls:
            return
        session = browser.get("/").wsgi_request.multisession.other_sessions[0]
        tab = Tab(browser, "/")
        switched = tab.send("/multisession/set-active/", {"session": session.public_id})
        assert (switched.status_code, switched["Location"]) == (302, "/")
        added = tab.send("/multisession/add-account/", {})
        assert (added.status_code, added["Location"]) == (302, "/multisession/choose/")
        assert browser.get("/").wsgi_request.user == grace  # nowhere to sign in: nobody left
