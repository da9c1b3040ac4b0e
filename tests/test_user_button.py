"""``{% user_button %}`` and its neighbours; how accounts are named; what is in the static files."""

import gzip
import re
from pathlib import Path

import pytest
from django.contrib.auth import get_user
from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.template import Context, RequestContext, Template, TemplateSyntaxError
from django.test import Client
from django.urls import include, path

import multisession
from accounts.models import User
from config.urls import urlpatterns as demo_urls
from multisession.profiles import HUES, initials, name_and_identifier, profile_of
from tests.conftest import PASSWORD

PACKAGE = Path(multisession.__file__).parent
STATIC = PACKAGE / "static" / "multisession"
#: Those of the pages for administrators are in the admin's own clothes.
TEMPLATES = sorted((PACKAGE / "templates" / "multisession").glob("*.html"))


def bare(request: HttpRequest) -> HttpResponse:
    """A page with nothing on it but what the test asks for."""
    tag = request.GET.get("tag", "{% user_button %}")
    return HttpResponse(Template("{% load multisession %}" + tag).render(RequestContext(request)))


urlpatterns = [path("bare/", bare), path("", include(demo_urls))]
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture
def browser(client: Client, ada: User, grace: User) -> Client:
    """Ada and Grace are signed in; Grace, who came last, is active."""
    for user in (ada, grace):
        client.post("/accounts/sign-in/", {"username": user.email, "password": PASSWORD})
    return client


def rendered(browser: Client, tag: str = "{% user_button %}") -> str:
    response = browser.get("/bare/", {"tag": tag})
    assert response.status_code == 200
    return response.text


def menu_of(browser: Client, tag: str) -> str:
    """The menu that the button of this tag loads."""
    url = re.search('hx-get="([^"]*)"', rendered(browser, tag))
    assert url is not None
    response = browser.get(url[1].replace("&amp;", "&"), headers={"HX-Request": "true"})
    assert response.status_code == 200
    return response.text


class TestTheButton:
    def test_says_whose_account_it_is(self, browser):
        html = rendered(browser)
        assert "Open user menu: Grace Hopper, grace@example.com" in html
        assert '<span class="ms-avatar ms-hue-' in html
        assert ">GH</span>" in html

    def test_holds_the_active_account_even_where_no_script_runs(self, browser):
        html = rendered(browser)
        assert 'action="/multisession/sign-out/"' in html
        assert 'href="/accounts/profile/"' in html
        assert 'href="/accounts/choose/"' in html
        assert "ada@example.com" not in html  # the list is for the menu to load

    def test_is_a_link_to_sign_in_while_nobody_is_signed_in(self, client, db):
        html = rendered(client)
        assert re.search(r'<a class="ms-sign-in-link" href="/accounts/sign-in/\?next=/bare/', html)
        assert ">Sign in</a>" in html

    @pytest.mark.parametrize("page", ["/accounts/sign-in/", "/accounts/choose/"])
    def test_leads_from_the_sign_in_page_to_where_that_leads(self, page, client, db):
        link = '<a class="ms-sign-in-link" href="{}">'
        assert link.format("/accounts/sign-in/") in client.get(page).text
        there = client.get(page, {"next": "/note"}).text
        assert link.format("/accounts/sign-in/?next=/note") in there
        away = client.get(page, {"next": "https://evil.example"}).text
        assert link.format("/accounts/sign-in/") in away

    def test_costs_no_query_of_its_own(self, browser, django_assert_num_queries):
        for number in range(5):
            user = User.objects.create_user(f"user{number}@example.com", PASSWORD)
            browser.post("/accounts/sign-in/", {"username": user.email, "password": PASSWORD})
        rendered(browser)  # the first request with a new cookie notes that it has arrived
        with django_assert_num_queries(2):  # the token with its session, and the user
            rendered(browser)
        with django_assert_num_queries(2):
            rendered(browser, "{{ request.user.email }}")

    def test_costs_a_stranger_nothing(self, client, db, django_assert_num_queries):
        with django_assert_num_queries(0):
            rendered(client)

    def test_renders_nothing_without_a_request(self):
        html = Template("{% load multisession %}{% user_button %}").render(Context())
        assert html.strip() == ""

    def test_may_be_on_a_page_twice(self, browser):
        html = rendered(browser, "{% user_button %}{% user_button %}")
        ids = re.findall(r'<details[^>]* id="([^"]+)"', html)
        assert len(set(ids)) == 2
        for button in ids:
            assert f"from:#{button}" in html


class TestOptions:
    def test_show_name(self, browser):
        assert "ms-trigger-name" not in rendered(browser)
        html = rendered(browser, "{% user_button show_name=True %}")
        assert 'class="ms-trigger-name" aria-hidden="true">Grace Hopper</bdi>' in html

    def test_default_open(self, browser):
        assert "data-multisession-button open>" in rendered(
            browser, "{% user_button default_open=True %}"
        )

    def test_placement(self, browser):
        html = rendered(browser, '{% user_button placement="top-start" %}')
        assert 'class="ms-user-button ms-top-start"' in html

    def test_a_placement_that_does_not_exist(self, browser):
        with pytest.raises(TemplateSyntaxError, match="'left'; it must be one of bottom-end, "):
            rendered(browser, '{% user_button placement="left" %}')

    def test_profile_url(self, browser):
        tag = '{% user_button profile_url="home" %}'
        assert 'class="ms-button" href="/"' in rendered(browser, tag)
        assert 'class="ms-button" href="/"' in menu_of(browser, tag)

    def test_no_profile_url_no_link(self, browser, settings):
        settings.MULTISESSION = {}
        assert "Manage account" not in rendered(browser)
        assert "Manage account" not in menu_of(browser, "{% user_button %}")

    def test_sign_in_url(self, browser, client):
        tag = '{% user_button sign_in_url="/sso/?hint=1" %}'
        assert 'href="/sso/?hint=1&amp;next=' in rendered(Client(), tag)
        assert 'href="/sso/?hint=1"' in menu_of(browser, tag)

    def test_where_actions_lead(self, browser, ada):
        tag = (
            '{% user_button after_switch_url="/a/" after_sign_out_url="/b/" '
            'after_sign_out_one_url="/c/" %}'
        )
        menu = menu_of(browser, tag)
        sign_out, switch, sign_out_all = menu.split("</form>")[:3]
        assert 'name="next" value="/c/"' in sign_out
        assert 'name="next" value="/a/"' in switch
        assert 'name="next" value="/b/"' in sign_out_all
        alone = Client()
        alone.post("/accounts/sign-in/", {"username": ada.email, "password": PASSWORD})
        assert 'name="next" value="/b/"' in menu_of(alone, tag)

    def test_sign_in_partial(self, browser):
        assert "data-multisession-sign-in" not in menu_of(browser, "{% user_button %}")
        menu = menu_of(browser, "{% user_button sign_in_partial=True %}")
        assert 'hx-get="/accounts/sign-in/" hx-target="next [data-multisession-sign-in]"' in menu

    @pytest.mark.parametrize(
        "options",
        ["x", "\x00", signing.dumps({"sign_in_url": "https://evil.example"}), "x" * 10_000],
    )
    def test_nobody_else_can_make_up_options(self, options, browser):
        response = browser.get("/multisession/menu/", {"options": options})
        assert response.status_code == 200
        assert "evil.example" not in response.text

    def test_options_of_another_release_are_ignored(self, browser):
        options = signing.dumps({"shape": "round"}, salt="multisession.menu")
        response = browser.get("/multisession/menu/", {"options": options})
        assert response.status_code == 200


class TestOtherTags:
    def test_session_list(self, browser):
        tag = "{% session_list as sessions %}{% for s in sessions %}{{ s.user.email }} {% endfor %}"
        assert rendered(browser, tag).split() == ["grace@example.com", "ada@example.com"]

    def test_active_session(self, browser, client):
        tag = "{% active_session as session %}{{ session.user.email|default:'nobody' }}"
        assert rendered(browser, tag) == "grace@example.com"
        assert rendered(Client(), tag) == "nobody"

    def test_account_profile(self, browser):
        tag = "{% with p=request.user|account_profile %}{{ p.name }} {{ p.initials }}{% endwith %}"
        assert rendered(browser, tag) == "Grace Hopper GH"


class TestProfiles:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("Ada Lovelace", "AL"),
            ("ada lovelace", "AL"),
            ("Ada King Lovelace", "AL"),
            ("Ada", "A"),
            ("ada@example.com", "A"),
            ("(Ada) 'Countess' Lovelace", "AL"),
            ("élodie d’Été", "ÉD"),
            ("E\u0301lodie", "E\u0301"),
            ("Σωκράτης Πλάτων", "ΣΠ"),
            ("محمد علي", "م"),
            ("王小明", "王"),
            ("山田 太郎", "山"),
            ("김민준", "김"),
            ("निशा शर्मा", "नि"),
            ("ßeta", "ß"),
            ("🦊🦊", "🦊"),
            ("👩‍🚀🚀", "👩‍🚀"),
            ("👍🏽 ok", "O"),
            ("👍🏽👍", "👍🏽"),
            ("🇩🇪🇫🇷", "🇩🇪"),
            ("007", "0"),
            ("--", "-"),
            ("", "?"),
            ("   ", "?"),
        ],
    )
    def test_initials(self, name, expected):
        assert initials(name) == expected

    def test_name_and_e_mail(self, ada):
        profile = profile_of(ada)
        assert (profile.name, profile.identifier) == ("Ada Lovelace", "ada@example.com")
        assert profile.label == "Ada Lovelace, ada@example.com"

    def test_without_a_name_the_e_mail_stands_alone(self):
        profile = profile_of(User(pk=1, email="ada@example.com"))
        assert (profile.name, profile.identifier) == ("ada@example.com", "")
        assert profile.label == "ada@example.com"
        assert profile.initials == "A"

    def test_a_name_is_one_line_without_control_characters(self):
        profile = profile_of(User(pk=1, name=" Ada\r\n\x00\x1b[31m\tLovelace ", email="a@b.c"))
        assert profile.name == "Ada [31m Lovelace"

    def test_the_colour_stays_whatever_becomes_of_the_name(self, ada):
        before = profile_of(ada).hue
        ada.name = "Ada King"
        ada.email = "king@example.com"
        assert profile_of(ada).hue == before

    def test_colours_differ(self):
        hues = {profile_of(User(pk=key, email="a@b.c")).hue for key in range(1, 200)}
        assert hues == set(range(HUES))

    def test_a_user_model_with_next_to_nothing(self):
        class Bare(AbstractBaseUser):
            USERNAME_FIELD = "handle"
            handle = "ada"

            class Meta:
                abstract = True

        user = object.__new__(Bare)
        assert name_and_identifier(user) == ("", "ada")

    def test_the_setting_names_them(self, ada, settings):
        settings.MULTISESSION = {"USER_LABEL": f"{__name__}.shout"}
        profile = profile_of(ada)
        assert (profile.name, profile.identifier) == ("ADA LOVELACE", "")


def shout(user: User) -> tuple[str, str]:
    return user.name.upper(), ""


class TestStaticFiles:
    def test_the_script_is_less_than_a_kilobyte(self):
        """Comments and indentation taken off, names left as they are: a real minifier gets less."""
        script = (STATIC / "user_button.js").read_text()
        script = re.sub(r"/\*.*?\*/|^\s*//.*?$", "", script, flags=re.DOTALL | re.MULTILINE)
        lines = [line.strip() for line in script.splitlines() if line.strip()]
        assert len(gzip.compress("\n".join(lines).encode(), 9)) < 1000

    def test_white_initials_can_be_read_on_every_colour(self):
        css = (STATIC / "user_button.css").read_text()
        colours = dict(re.findall(r"\.ms-hue-(\d+) \{ --ms-hue: #([0-9a-f]{6}); \}", css))
        assert sorted(map(int, colours)) == list(range(HUES))
        for colour in colours.values():
            assert 1.05 / (luminance(colour) + 0.05) >= 4.5

    def test_text_can_be_read_in_light_and_dark(self):
        css = (STATIC / "user_button.css").read_text()
        themed = re.findall(r"--ms-([a-z-]+): light-dark\(#([0-9a-f]+), #([0-9a-f]+)\)", css)
        for scheme in (1, 2):
            colour = {found[0]: found[scheme] for found in themed}
            for text in ("text", "quiet", "accent"):
                for ground in ("surface", "sunken", "hover"):
                    assert contrast(colour[text], colour[ground]) >= 4.5, (text, ground)
            assert contrast(colour["good"], colour["good-surface"]) >= 4.5
            assert contrast(colour["on-accent"], colour["accent"]) >= 4.5


def luminance(colour: str) -> float:
    """Relative luminance as WCAG defines it, of a hexadecimal colour."""
    if len(colour) == 3:
        colour = "".join(digit * 2 for digit in colour)
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
class TestTemplates:
    """What makes them work under any content policy, under htmx 2 and 4, and without scripts."""

    def test_no_inline_script_or_style(self, template):
        html = template.read_text()
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|hx-on|js:", html)
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html))

    def test_nothing_that_only_one_htmx_understands(self, template):
        html = template.read_text()
        assert not re.search(r"from:\(|from:closest|hx-disable|hx-vals|hx-ext", html)
        for tag in re.findall(r"<\w+[^>]*\shx-(?:get|post)=.*>", html):
            assert "hx-target=" in tag
            assert "hx-swap=" in tag

    def test_every_form_is_a_post_with_a_token_and_works_without_htmx(self, template):
        if template.name in {"_wrong_account.html", "_notice.html"}:
            return  # Their forms belong to another account's page: tests/test_guard.py.
        for form in re.findall(r"<form.*?</form>", template.read_text(), flags=re.DOTALL):
            action = re.search(r'action="(\{%.*?%\})"', form)
            assert action is not None
            assert f'hx-post="{action[1]}"' in form
            assert 'method="post"' in form
            assert "{% csrf_token %}" in form
            assert 'type="submit"' in form


def test_the_button_shows_whom_django_signed_in(browser, grace):
    """The button and ``request.user`` can't disagree: they are one and the same."""
    request = HttpRequest()
    request.session = browser.session
    assert get_user(request) == grace
    assert grace.email in rendered(browser)
