"""Names of accounts if a project's models have none, or its functions fail."""

from typing import Any

import pytest
from django.contrib.auth.models import AbstractUser
from django.test import Client

from accounts.models import User
from multisession.models import Session
from multisession.pages.profiles import plain_name, profile_of
from tests.conftest import PASSWORD


@pytest.fixture
def browser(client: Client, ada: User, grace: User) -> Client:
    """Ada and Grace are signed in; Grace, who came last, is active."""
    for user in (ada, grace):
        client.post("/accounts/sign-in/", {"username": user.email, "password": PASSWORD})
    return client


def fails_for_ada(user: User) -> Any:
    if user.email.startswith("ada"):
        raise OSError("The storage does not answer.")
    return (user.name, user.email)


def half(user: User) -> Any:
    return (user.name,)


def nothing_at_all(user: User) -> Any:
    return None, "\u200b"


class Person:
    """A user of a model of its own: what its methods and fields are is what it is made with."""

    def __init__(self, **fields: Any) -> None:
        self.pk = 7
        self.__dict__.update({"get_username": lambda: "ada"} | fields)

    def __str__(self) -> str:
        return self.title

    title: Any = "Ada"


class NoNames(Person):
    """As cookiecutter-django makes it: one field for the name, none for its parts."""

    first_name: str | None = None
    last_name: str | None = None
    name = ""
    email = "ada@example.com"
    get_full_name = AbstractUser.get_full_name


class TestNamesThatAreNone:
    def test_a_model_without_the_fields_of_a_name(self):
        assert NoNames().get_full_name() == "None None"
        profile = profile_of(NoNames())
        assert (profile.name, profile.identifier) == ("ada@example.com", "")

    def test_a_model_with_one_name_field_shows_it(self):
        profile = profile_of(NoNames(name="Ada Lovelace"))
        assert (profile.name, profile.identifier) == ("Ada Lovelace", "ada@example.com")

    def test_one_part_that_is_none(self):
        assert profile_of(NoNames(last_name="Lovelace")).name == "Lovelace"
        assert profile_of(NoNames(first_name="Ada")).name == "Ada"

    def test_somebody_who_is_called_none(self):
        named = {"first_name": "None", "last_name": "None"}
        assert profile_of(NoNames(**named)).name == "None None"

    @pytest.mark.parametrize("nothing", [None, "", "  ", "\u200b", "\u3164", "\x00\n", False])
    def test_a_full_name_with_nothing_to_see(self, nothing):
        user = Person(get_full_name=lambda: nothing, email="ada@example.com")
        profile = profile_of(user)
        assert (profile.name, profile.initials) == ("ada@example.com", "A")

    def test_a_user_with_neither_name_nor_address_has_a_profile(self):
        assert profile_of(Person(email=None)).name == "ada"
        assert profile_of(Person(email=None, get_username=lambda: None)).name == "Ada"
        assert profile_of(Person(get_username=lambda: None, title=None)).name == "7"


class TestAProjectsCodeThatFails:
    """For one account: the others, and the menu, are there all the same."""

    def test_a_get_full_name_that_fails_breaks_no_page(self, caplog):
        profile = profile_of(Person(get_full_name=lambda: 1 / 0))
        assert profile.name == "Ada"
        assert "ZeroDivisionError" in caplog.text

    @pytest.mark.parametrize("label", ["fails_for_ada", "half", "nothing_at_all"])
    def test_a_user_label_that_fails_breaks_no_page(self, ada, settings, label):
        settings.MULTISESSION = {"USER_LABEL": f"{__name__}.{label}"}
        profile = profile_of(ada)
        assert (profile.name, profile.identifier) == ("Ada Lovelace", "ada@example.com")

    @pytest.mark.parametrize("key", ["USER_LABEL", "USER_PICTURE"])
    def test_every_page_with_that_account(self, browser, ada, grace, settings, key, caplog):
        settings.MULTISESSION = {
            **settings.MULTISESSION,
            key: f"{__name__}.fails_for_ada",
        }
        for path in ("/multisession/menu/", "/accounts/choose/", "/multisession/sessions/", "/"):
            response = browser.get(path)
            assert response.status_code == 200, path
        html = browser.get("/multisession/menu/").content.decode()
        assert "Ada Lovelace" in html
        assert "Grace Hopper" in html
        assert f"{key}" in caplog.text or "fails_for_ada" in caplog.text

    def test_the_notice_of_a_switch_in_another_tab(self, browser, ada, settings):
        label = {"USER_LABEL": f"{__name__}.fails_for_ada"}
        settings.MULTISESSION = {**settings.MULTISESSION, **label}
        [sid] = [row.public_id for row in Session.objects.filter(user=ada)]
        response = browser.get("/multisession/notice/", {"session": sid})
        assert "Ada Lovelace" in response.content.decode()

    def test_an_attribute_that_is_a_property(self, settings):
        class Photographed(Person):
            @property
            def photo(self) -> str:
                raise OSError("The storage does not answer.")

        settings.MULTISESSION = {"USER_PICTURE": "photo"}
        assert profile_of(Photographed()).picture == ""

    def test_a_mistake_in_the_settings_is_no_account_s(self, ada, settings):
        settings.MULTISESSION = {"USER_PICTURE": "does.not.exist"}
        with pytest.raises(ImportError):
            profile_of(ada)

    @pytest.mark.parametrize("title", [None, "", 7])
    def test_a_name_that_fails_breaks_no_list_of_administrators(self, title):
        assert plain_name(Person(title=title)) == "ada"
        assert plain_name(Person(title=title, get_username=lambda: None)) == "7"
