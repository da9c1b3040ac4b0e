"""``MULTISESSION``: read when used, refused when misspelt."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from multisession.conf import Settings, django_settings
from multisession.conf import settings as multisession_settings

SECONDS = ["ACTIVITY_INTERVAL", "COOKIE_AGE", "RETENTION"]


def test_every_key_has_a_default_that_is_valid(settings):
    del settings.MULTISESSION
    values = {key: getattr(multisession_settings, key) for key in Settings.valid_keys()}
    assert values["AFTER_SIGN_OUT"] == "choose"
    assert values["ACTIVITY_INTERVAL"] == 60
    assert values["CHOOSE_URL"] == "multisession:choose"
    assert values["PROFILE_URL"] is None


@pytest.mark.parametrize("key", Settings.valid_keys())
def test_every_key_says_what_it_means(key):
    assert getattr(Settings, key).__doc__


@pytest.mark.parametrize("key", SECONDS)
def test_a_value_is_read_when_it_is_used(settings, key):
    for value in (0, 7, 8):
        settings.MULTISESSION = {key: value}
        assert getattr(multisession_settings, key) == value


def test_a_setting_of_django_is_read_again_when_it_has_changed(settings):
    before = django_settings.SESSION_COOKIE_NAME
    with override_settings(SESSION_COOKIE_NAME="another"):
        assert django_settings.SESSION_COOKIE_NAME == "another"
    assert before == django_settings.SESSION_COOKIE_NAME
    settings.SESSION_COOKIE_NAME = "a third"
    assert django_settings.SESSION_COOKIE_NAME == "a third"


def test_a_setting_that_does_not_exist_is_missed_as_ever():
    with pytest.raises(AttributeError, match="SESSION_COOKIE_NAMES"):
        django_settings.SESSION_COOKIE_NAMES  # noqa: B018


@pytest.mark.parametrize("key", Settings.valid_keys())
def test_a_misspelt_key_is_refused_with_the_list_of_valid_ones(settings, key):
    settings.MULTISESSION = {"AFTER_SIGNOUT": "next", "profile_url": None}
    with pytest.raises(ImproperlyConfigured, match="AFTER_SIGNOUT, profile_url") as refused:
        getattr(multisession_settings, key)
    assert ", ".join(Settings.valid_keys()) in str(refused.value)


def test_a_key_that_is_no_text_is_refused_like_any_other(settings):
    settings.MULTISESSION = {"AFTER_SIGNOUT": "next", 3: None}
    with pytest.raises(ImproperlyConfigured, match="Valid keys"):
        multisession_settings.AFTER_SIGN_OUT  # noqa: B018


@pytest.mark.parametrize("value", [None, [], "choose", ["AFTER_SIGN_OUT"]])
def test_a_value_that_is_no_dictionary_is_refused(settings, value):
    settings.MULTISESSION = value
    with pytest.raises(ImproperlyConfigured, match="must be a dictionary"):
        multisession_settings.AFTER_SIGN_OUT  # noqa: B018


@pytest.mark.parametrize("value", ["other", None, "", True, ["next"]])
def test_an_impossible_answer_to_after_sign_out_is_refused(settings, value):
    settings.MULTISESSION = {"AFTER_SIGN_OUT": value}
    with pytest.raises(ImproperlyConfigured, match="'choose' or 'next'"):
        multisession_settings.AFTER_SIGN_OUT  # noqa: B018


@pytest.mark.parametrize("key", SECONDS)
@pytest.mark.parametrize("value", [-1, 1.5, "60", None, True])
def test_a_value_that_is_no_number_of_seconds_is_refused(settings, key, value):
    settings.MULTISESSION = {key: value}
    with pytest.raises(ImproperlyConfigured, match="whole number of seconds"):
        getattr(multisession_settings, key)
