"""``{% user_button %}`` and the other tags, the names of accounts, and the static files."""

import gzip
import re
import time
from dataclasses import fields
from pathlib import Path
from unittest import mock

import pytest
from django.contrib.auth import get_user
from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.core.exceptions import ImproperlyConfigured
from django.db.models import ImageField
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest, HttpResponse
from django.template import Context, RequestContext, Template, TemplateSyntaxError
from django.test import Client
from django.urls import include, path

import multisession
from accounts.models import User
from config.urls import urlpatterns as demo_urls
from multisession.ground.colours import HUES
from multisession.pages.items import MenuItem
from multisession.pages.menu import Options
from multisession.pages.profiles import initials, name_and_identifier, profile_of
from tests.conftest import PASSWORD
from tools.screenshots import PICTURES_WANTED

PACKAGE = Path(multisession.__file__).parent
STATIC = PACKAGE / "static" / "multisession"
#: Those of the pages for administrators are in the admin's own clothes.
TEMPLATES = sorted((PACKAGE / "templates" / "multisession").glob("*.html"))


def bare(request: HttpRequest) -> HttpResponse:
    """A page with nothing on it but what the test asks for."""
    tag = request.GET.get("tag", "{% user_button %}")
    context = RequestContext(
        request, {"items_of_view": [{"label": "From the view", "url": "home"}]}
    )
    return HttpResponse(Template("{% load multisession %}" + tag).render(context))


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


def menu_url(browser: Client, tag: str) -> str:
    """Where the button of this tag gets its menu."""
    url = re.search('hx-get="([^"]*)"', rendered(browser, tag))
    assert url is not None
    return url[1].replace("&amp;", "&")


def menu_of(browser: Client, tag: str) -> str:
    """The menu that the button of this tag loads."""
    response = browser.get(menu_url(browser, tag), headers={"HX-Request": "true"})
    assert response.status_code == 200
    return response.text


class TestTheButton:
    def test_the_button_says_whose_account_it_is(self, browser):
        html = rendered(browser)
        assert "Open user menu: Grace Hopper, grace@example.com" in html
        assert '<span class="ms-avatar ms-hue-' in html
        assert ">GH</span>" in html

    def test_the_button_holds_the_active_account_even_where_no_script_runs(self, browser):
        html = rendered(browser)
        assert 'action="/multisession/sign-out/"' in html
        assert 'href="/accounts/profile/"' in html
        assert 'href="/accounts/choose/?next=/bare/' in html
        assert "ada@example.com" not in html  # the list is for the menu to load

    def test_the_button_is_a_link_to_sign_in_while_nobody_is_signed_in(self, client, db):
        html = rendered(client)
        assert re.search(r'<a class="ms-sign-in-link" href="/accounts/sign-in/\?next=/bare/', html)
        assert ">Sign in</a>" in html

    @pytest.mark.parametrize("page", ["/accounts/sign-in/", "/accounts/choose/"])
    def test_the_button_on_the_sign_in_page_keeps_its_next(self, page, client, db):
        link = '<a class="ms-sign-in-link" href="{}">'
        assert link.format("/accounts/sign-in/") in client.get(page).text
        there = client.get(page, {"next": "/note"}).text
        assert link.format("/accounts/sign-in/?next=/note") in there
        away = client.get(page, {"next": "https://evil.example"}).text
        assert link.format("/accounts/sign-in/") in away

    def test_the_button_costs_no_query_of_its_own(self, browser, django_assert_num_queries):
        for number in range(5):
            user = User.objects.create_user(f"user{number}@example.com", PASSWORD)
            browser.post("/accounts/sign-in/", {"username": user.email, "password": PASSWORD})
        rendered(browser)  # the first request with a new cookie notes that it has arrived
        with django_assert_num_queries(1):  # the token with its session and its user
            rendered(browser)
        with django_assert_num_queries(1):
            rendered(browser, "{{ request.user.email }}")

    def test_the_button_costs_a_stranger_nothing(self, client, db, django_assert_num_queries):
        with django_assert_num_queries(0):
            rendered(client)

    def test_renders_nothing_without_a_request(self):
        html = Template("{% load multisession %}{% user_button %}").render(Context())
        assert html.strip() == ""

    def test_the_button_may_be_on_a_page_twice(self, browser):
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
        menu = menu_of(browser, tag)
        [add] = re.findall(r'action="(/multisession/add-account/[^"]*)"', menu)
        assert browser.post(add)["Location"] == "/sso/?hint=1"

    def test_options_say_where_actions_lead(self, browser, ada):
        tag = (
            '{% user_button after_switch_url="/a/" after_sign_out_url="/b/" '
            'after_sign_out_one_url="/c/" %}'
        )
        menu = menu_of(browser, tag)
        sign_out, switch, add, sign_out_all = menu.split("</form>")[:4]
        assert 'name="next" value="/c/"' in sign_out
        assert 'name="next" value="/a/"' in switch
        assert 'name="next" value="/a/"' in add
        assert 'name="next" value="/b/"' in sign_out_all
        alone = Client()
        alone.post("/accounts/sign-in/", {"username": ada.email, "password": PASSWORD})
        assert 'name="next" value="/b/"' in menu_of(alone, tag)

    def test_a_shortcut_is_off_unless_set_and_marks_the_account_used_before(self, browser):
        tag = '{% user_button shortcut="Alt+Shift+KeyP" %}'
        assert 'data-multisession-shortcut="Alt+Shift+KeyP"' in rendered(browser, tag)
        assert "data-multisession-shortcut" not in rendered(browser, "{% user_button %}")
        assert menu_of(browser, tag).count("data-multisession-previous") == 1

    @pytest.mark.parametrize("keys", ["p", "KeyP", "Shift+KeyP", "Alt", "Alt+", "Shift+Alt+KeyP"])
    def test_a_single_key_or_a_misspelt_shortcut_is_refused(self, browser, keys):
        with pytest.raises(TemplateSyntaxError, match="shortcut"):
            rendered(browser, f'{{% user_button shortcut="{keys}" %}}')

    def test_sign_in_partial(self, browser):
        assert "data-multisession-sign-in" not in menu_of(browser, "{% user_button %}")
        menu = menu_of(browser, "{% user_button sign_in_partial=True %}")
        assert 'hx-get="/accounts/sign-in/" hx-target="next [data-multisession-sign-in]"' in menu

    def test_the_same_page_has_the_same_menu_whenever_it_is_drawn(self, browser):
        tag = '{% user_button after_switch_url="/a/" %}'
        first = menu_url(browser, tag)
        with mock.patch("time.time", return_value=time.time() + 86400):
            assert menu_url(browser, tag) == first

    @pytest.mark.parametrize(
        "options",
        [
            "x",
            "\x00",
            signing.Signer(salt="another").sign_object({"sign_in_url": "https://evil.example"}),
            "x" * 10_000,
        ],
    )
    def test_nobody_else_can_make_up_options(self, options, browser):
        response = browser.get("/multisession/menu/", {"options": options})
        assert response.status_code == 200
        assert "evil.example" not in response.text

    def test_options_of_another_release_are_ignored(self, browser):
        options = signing.Signer(salt="multisession.pages.menu").sign_object({"shape": "round"})
        response = browser.get("/multisession/menu/", {"options": options})
        assert response.status_code == 200


HELP = "{% menu_link 'Help' '/help/' %}"
EMPTY = "{% menu_action 'Empty the basket' 'scratchpad' place='before' icon='settings' %}"


def lines(html: str) -> list[str]:
    """What one can do with the active account, from top to bottom."""
    actions = html.partition('aria-label="Account actions"')[2].partition("ms-section")[0]
    found = re.findall(r"<(?:bdi class=\"ms-row-label\")>(.*?)<|</svg>\s+(\w[\w ]+\w)\s", actions)
    return [one or other for one, other in found]


class TestItems:
    """Lines of the project's own, from the template and from the setting."""

    STANDARD = ("Manage account", "Sign out")

    @pytest.fixture(autouse=True)
    def _none_by_setting(self, settings):
        settings.MULTISESSION = {"PROFILE_URL": "accounts:profile"}

    def test_menu_lines_stand_between_the_tags(self, browser):
        tag = "{% user_button_with show_name=True %}" + HELP + EMPTY + "{% enduser_button_with %}"
        wanted = ["Empty the basket", *self.STANDARD, "Help"]
        assert lines(rendered(browser, tag)) == wanted
        assert lines(menu_of(browser, tag)) == wanted  # the menu that comes later has them too
        assert "ms-trigger-name" in rendered(browser, tag)

    def test_a_link_leads_on_and_an_action_posts_with_the_token(self, browser):
        html = menu_of(
            browser, "{% user_button_with %}" + HELP + EMPTY + "{% enduser_button_with %}"
        )
        assert '<a class="ms-row" href="/help/">' in html
        [form] = re.findall(r'<form[^>]*action="/note".*?</form>', html, flags=re.DOTALL)
        assert 'method="post"' in form
        assert 'name="csrfmiddlewaretoken"' in form

    def test_the_template_decides_which(self, browser):
        tag = (
            "{% user_button_with %}{% for word in 'ab' %}{% menu_link word '/' %}{% endfor %}"
            "{% if request.user.is_staff %}" + HELP + "{% endif %}{% enduser_button_with %}"
        )
        assert lines(rendered(browser, tag)) == [*self.STANDARD, "a", "b"]

    def test_nothing_else_between_the_tags_is_shown(self, browser):
        html = rendered(browser, "{% user_button_with %}shown{% enduser_button_with %}")
        assert "shown" not in re.sub(r'href="[^"]*"', "", html)

    def test_from_the_setting_first(self, browser, settings):
        settings.MULTISESSION |= {"MENU_ITEMS": [{"label": "Billing", "url": "home"}]}
        tag = "{% user_button_with %}" + HELP + "{% enduser_button_with %}"
        assert lines(rendered(browser, tag)) == [*self.STANDARD, "Billing", "Help"]
        assert lines(rendered(browser)) == [*self.STANDARD, "Billing"]

    def test_from_a_function_of_the_request(self, browser, settings):
        settings.MULTISESSION |= {"MENU_ITEMS": f"{__name__}.greeting"}
        assert lines(menu_of(browser, "{% user_button %}"))[-1] == "Hello Grace Hopper"

    def test_menu_lines_may_be_a_keyword(self, browser):
        tag = "{% user_button items=items_of_view %}"
        assert lines(rendered(browser, tag)) == [*self.STANDARD, "From the view"]

    @pytest.mark.parametrize(
        "url", ["javascript://%0aalert(1)", "data:text/html,x", "JAVASCRIPT:/1/"]
    )
    def test_no_line_is_a_script(self, url):
        with pytest.raises(ImproperlyConfigured, match="leads to"):
            MenuItem(label="x", url=url)

    @pytest.mark.parametrize("url", ["https://evil.example/", "//evil.example/", "/\\evil.example"])
    def test_the_token_is_posted_to_this_site_only(self, url):
        with pytest.raises(ImproperlyConfigured, match="must be a path here"):
            MenuItem(label="x", url=url, post=True)

    def test_a_place_that_does_not_exist(self):
        with pytest.raises(ImproperlyConfigured, match="one of before, after"):
            MenuItem(label="x", url="/", place="top")

    def test_an_item_outside_the_tags(self, browser):
        with pytest.raises(TemplateSyntaxError, match="belongs between user_button_with"):
            rendered(browser, HELP)

    def test_an_option_that_does_not_exist(self, browser):
        for tag in ("{% user_button colour='red' %}", "{% user_button_mount colour='red' %}"):
            with pytest.raises(TemplateSyntaxError, match="colour"):
                rendered(browser, tag)

    def test_words_without_a_keyword(self, browser):
        with pytest.raises(TemplateSyntaxError, match="keywords only"):
            rendered(browser, "{% user_button_with True %}{% enduser_button_with %}")

    def test_a_stranger_is_asked_to_sign_in_and_sees_none(self, client, db):
        html = rendered(client, "{% user_button_with %}" + HELP + "{% enduser_button_with %}")
        assert ">Sign in</a>" in html
        assert ">Help<" not in html


def greeting(request) -> list[dict[str, str]]:
    return [{"label": f"Hello {request.user.name}", "url": "home"}]


class TestSingleSessionMode:
    def test_the_menu_for_one_account_has_the_account_and_the_way_out_and_nothing_else(
        self, browser, settings
    ):
        settings.MULTISESSION = {"MAX_ACCOUNTS": 1, "PROFILE_URL": "accounts:profile"}
        html = rendered(browser)
        assert lines(html + "ms-section") == ["Manage account", "Sign out"]
        assert "hx-get" not in html  # nothing comes later
        for word in ("Your accounts", "Add account", "Sign out of all accounts"):
            assert word not in html

    def test_the_chooser_for_one_account_offers_no_further_account(self, browser, settings):
        settings.MULTISESSION = {**settings.MULTISESSION, "MAX_ACCOUNTS": 1}
        assert "Add account" not in browser.get("/accounts/choose/").text


class TestThePlaceForAButton:
    def test_the_mount_tag_holds_a_link_and_costs_nothing(self, browser, django_assert_num_queries):
        with django_assert_num_queries(0):
            response = browser.get("/bare/", {"tag": "{% user_button_mount %}"})
        assert re.search(
            r'<div class="ms-mount" hx-get="/multisession/button/"[^>]*>'
            r'<a [^>]*href="/accounts/choose/">Accounts</a></div>',
            response.text,
        )
        assert "Cookie" not in response.get("Vary", "")
        assert "Grace" not in response.text

    def test_passes_the_options_on(self, browser):
        tag = "{% user_button_mount show_name=True placement='top-start' profile_url='/me/' %}"
        html = menu_of(browser, tag)
        assert "ms-trigger-name" in html
        assert "ms-top-start" in html
        assert 'href="/me/"' in html


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
            ("🏴󠁧󠁢󠁳󠁣󠁴󠁿🏴󠁧󠁢󠁷󠁬󠁳󠁿", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"),
            ("क्षितिज", "क्षि"),
            ("1️⃣2", "1️⃣"),
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

    def test_the_setting_user_label_names_accounts(self, ada, settings):
        settings.MULTISESSION = {"USER_LABEL": f"{__name__}.shout"}
        profile = profile_of(ada)
        assert (profile.name, profile.identifier) == ("ADA LOVELACE", "")


class TestPictures:
    def picture(self, user: User) -> str:
        return profile_of(user).picture

    def test_there_is_no_picture_by_default(self, ada, settings):
        settings.MULTISESSION = {}
        assert self.picture(ada) == ""

    def test_a_picture_is_found_in_an_attribute(self, ada, settings):
        settings.MULTISESSION = {"USER_PICTURE": "photo"}
        assert self.picture(ada) == ""  # not every user has one
        ada.photo = "/media/ada.jpg"
        assert self.picture(ada) == "/media/ada.jpg"
        ada.photo = lambda: "https://pictures.example/ada.jpg?s=88"
        assert self.picture(ada) == "https://pictures.example/ada.jpg?s=88"

    def test_a_picture_is_found_in_a_file_field(self, ada, settings):
        settings.MULTISESSION = {"USER_PICTURE": "photo"}
        ada.photo = FieldFile(ada, ImageField(), "ada.jpg")
        assert self.picture(ada).endswith("ada.jpg")
        ada.photo = FieldFile(ada, ImageField(), "")
        assert self.picture(ada) == ""

    def test_a_picture_is_found_by_a_function(self, ada, settings):
        settings.MULTISESSION = {"USER_PICTURE": f"{__name__}.face"}
        assert self.picture(ada) == f"/faces/{ada.pk}"

    @pytest.mark.parametrize(
        "url",
        [
            "javascript:alert(1)",
            "data:image/svg+xml,x",
            "java\nscript:alert(1)",
            "http://[x",
            " /x",
        ],
    )
    def test_only_safe_picture_urls_are_shown(self, url, ada, settings):
        settings.MULTISESSION = {"USER_PICTURE": "photo"}
        ada.photo = url
        assert self.picture(ada) == ""

    def test_a_picture_lies_over_the_initials_and_sends_its_host_no_referrer(
        self, browser, settings
    ):
        settings.MULTISESSION = {"USER_PICTURE": f"{__name__}.face"}
        html = rendered(browser)
        [image] = set(re.findall(r"<img [^>]*>", html))
        assert 'referrerpolicy="no-referrer"' in image
        assert 'alt=""' in image
        assert f"{image}GH</span>" in html


def face(user: User) -> str:
    return f"/faces/{user.pk}"


def shout(user: User) -> tuple[str, str]:
    return user.name.upper(), ""


class TestDocs:
    TEXT = (PACKAGE.parent / "docs" / "howto" / "user-button.md").read_text()

    def test_the_docs_name_every_option(self):
        [table] = re.findall(r"## Options\n.*?(?=\n## )", self.TEXT, flags=re.DOTALL)
        assert set(re.findall(r"^\| `(\w+)` ", table, flags=re.MULTILINE)) == {
            field.name for field in fields(Options)
        }

    def test_the_docs_name_every_custom_property(self):
        root = re.search(r":root \{(.*?)\}", (STATIC / "user_button.css").read_text(), re.DOTALL)
        assert root is not None
        assert set(re.findall(r"(--ms-[\w-]+):", root[1])) == set(
            re.findall(r"`(--ms-[\w-]+)`", self.TEXT)
        )

    def test_the_docs_show_every_picture_that_is_made_and_no_other(self):
        docs = PACKAGE.parent / "docs"
        text = "".join(page.read_text(encoding="utf-8") for page in docs.rglob("*.md"))
        shown = set(re.findall(r"pictures/([\w-]+)\.png\)", text))
        assert shown == {picture.name for picture in PICTURES_WANTED}
        there = {path.stem for path in (docs / "howto" / "pictures").glob("*.png")}
        assert there == shown

    def test_the_docs_name_templates_that_exist(self):
        named = set(re.findall(r"`(_\w+\.html)`", self.TEXT))
        assert named <= {template.name for template in TEMPLATES}


class TestStaticFiles:
    def test_the_script_is_small(self):
        """As a server sends it, compressed, with its comments and its indentation."""
        assert len(gzip.compress((STATIC / "user_button.js").read_bytes(), 9)) <= 1664

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
        if template.name.startswith(("_wrong_account", "_notice")):
            return  # Their forms belong to another account's page: tests/test_guard.py.
        if template.name == "_item.html":
            return  # What it posts is answered by a page of the project's: TestItems.
        for form in re.findall(r"<form.*?</form>", template.read_text(), flags=re.DOTALL):
            if 'method="dialog"' in form:
                continue  # It closes the sheet that it is in, and sends nothing.
            action = re.search(r'action="(\{%.*?%\}|\{\{ \w+_url \}\})"', form)
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
