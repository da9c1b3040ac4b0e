"""Check each sentence of ground/django_private.py about Django's private parts.

If a test fails after an update of Django, its message says what has changed and what to adapt.
"""

from functools import partial

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import middleware as auth_middleware
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.middleware import csrf
from django.middleware.csrf import CsrfViewMiddleware, get_token
from django.utils.functional import SimpleLazyObject, empty

from multisession.ground import django_private
from multisession.ground.django_private import CsrfSecret
from multisession.models.tokens import Token

SECRET, OTHER = "a" * csrf.CSRF_SECRET_LENGTH, "b" * csrf.CSRF_SECRET_LENGTH


def refuse(request, reason=""):
    """Stand in for the project's page of a failed check."""
    return HttpResponse(status=403)


@pytest.fixture
def middleware():
    return CsrfViewMiddleware(lambda request: HttpResponse())


def two_faces():
    return CsrfSecret(SECRET, lambda: OTHER)


class TestCsrf:
    def test_the_secret_goes_from_the_cookie_into_meta_as_it_is(self, rf, middleware):
        request = rf.get("/")
        secret = two_faces()
        django_private.set_secret_to_check(request, secret)
        middleware.process_request(request)
        assert request.META.get("CSRF_COOKIE") is secret, (
            "CsrfViewMiddleware.process_request no longer puts the object from request.COOKIES "
            "into META['CSRF_COOKIE']: secret_to_draw() has to find it elsewhere."
        )

    def test_get_token_masks_the_secret_in_meta_by_iterating_over_it(self, rf):
        request = rf.get("/")
        django_private.set_secret_to_draw(request, two_faces())
        assert django_private.unmask(get_token(request)) == OTHER, (
            "get_token() no longer iterates over META['CSRF_COOKIE']: CsrfSecret needs another "
            "way to show its second face."
        )
        assert request.META.get("CSRF_COOKIE_NEEDS_UPDATE") is True, (
            "get_token() no longer sets META['CSRF_COOKIE_NEEDS_UPDATE']: see renew_cookie()."
        )

    def test_the_check_compares_with_the_text_of_the_cookie(self, rf, middleware):
        request = rf.post("/", {"csrfmiddlewaretoken": django_private.mask(SECRET)})
        django_private.set_secret_to_check(request, two_faces())
        answer = middleware.process_view(request, lambda request: None, (), {})
        assert answer is None, (
            "CsrfViewMiddleware no longer compares with the text of request.COOKIES: see "
            "set_secret_to_check()."
        )
        assert request.csrf_processing_done is True

    def test_the_whole_check_can_be_made_with_another_secret(self, rf, settings):
        settings.CSRF_FAILURE_VIEW = f"{__name__}.refuse"
        for settings.CSRF_USE_SESSIONS in (False, True):
            request = rf.post("/", {"csrfmiddlewaretoken": django_private.mask(OTHER)})
            request.session = {}
            passes = partial(django_private.passes_check, request, lambda request: None)
            assert (passes(OTHER), passes(SECRET)) == (True, False)
            assert not hasattr(request, "csrf_processing_done")
            request.META["HTTP_ORIGIN"] = "https://evil.example"
            assert not passes(OTHER)

    def test_the_answer_carries_the_secret_in_meta_where_it_needs_an_update(self, rf):
        request, response = rf.get("/"), HttpResponse()
        django_private.set_secret_to_draw(request, two_faces())
        django_private.renew_cookie(request)
        django_private.send_cookie(request, response)
        assert "csrftoken" in response.cookies, (
            "CsrfViewMiddleware.process_response no longer sends META['CSRF_COOKIE'] by "
            "META['CSRF_COOKIE_NEEDS_UPDATE']: see renew_cookie() and page_tokens.finish()."
        )
        assert response.cookies["csrftoken"].value == SECRET

    def test_a_check_that_counts_as_done_is_not_made(self, rf, middleware):
        request = rf.post("/")
        django_private.count_as_checked(request)
        assert middleware.process_view(request, lambda request: None, (), {}) is None, (
            "request.csrf_processing_done no longer ends Django's check: see count_as_checked()."
        )

    def test_masking_and_unmasking_are_each_others_opposite(self):
        token = django_private.mask(SECRET)
        assert len(token) == django_private.TOKEN_LENGTH == 2 * django_private.SECRET_LENGTH
        assert django_private.unmask(token) == django_private.unmask(SECRET) == SECRET

    @pytest.mark.parametrize("token", ["", "x", "ä" * 64, "a" * 63, "!" * 32, "a" * 65])
    def test_what_is_no_token_carries_nothing(self, token):
        assert django_private.unmask(token) == ""


class TestTheUser:
    @pytest.fixture
    def request_(self, rf):
        request = rf.get("/")
        request.session = {}
        auth_middleware.AuthenticationMiddleware(lambda request: HttpResponse()).process_request(
            request
        )
        return request

    def test_request_user_is_lazy_with_its_function_in_setupfunc(self, request_):
        lazy = vars(request_.user) if type(request_.user) is SimpleLazyObject else {}
        assert lazy.get("_wrapped") is empty, (
            "request.user is no SimpleLazyObject with _wrapped any more: see find_user_with() and "
            "is_unread()."
        )
        assert lazy["_setupfunc"].__module__ == auth_middleware.__name__, (
            "AuthenticationMiddleware's function is not in _setupfunc any more: see "
            "find_user_with()."
        )

    def test_request_user_can_be_found_by_another_function(self, request_):
        found = AnonymousUser()
        django_private.find_user_with(request_, lambda request: found, lambda request: found)
        assert django_private.is_unread(request_.user)
        assert str(request_.user) == "AnonymousUser"
        assert not django_private.is_unread(request_.user)
        assert request_.user._wrapped is found
        assert request_.auser() is found, (
            "request.auser is no partial of django.contrib.auth.middleware.auser any more: see "
            "find_user_with()."
        )

    def test_a_request_user_that_a_project_has_set_stays(self, request_):
        theirs = SimpleLazyObject(AnonymousUser)
        request_.user = theirs
        django_private.find_user_with(request_, lambda request: 1, lambda request: 1)
        assert str(request_.user) == "AnonymousUser"

    def test_request_user_is_looked_up_once(self, request_):
        user = object()
        django_private.set_user_read(request_, user)
        assert auth_middleware.get_user(request_) is user, (
            "Django's get_user() no longer looks at request._cached_user: see set_user_read()."
        )
        assert django_private.user_read(request_) is user

    def test_request_auser_is_looked_up_once(self, request_):
        user = object()
        django_private.set_auser_read(request_, user)
        assert async_to_sync(auth_middleware.auser)(request_) is user, (
            "Django's auser() no longer looks at request._acached_user: see set_auser_read()."
        )


class TestInstances:
    def test_the_constructor_makes_a_state_and_sets_the_attributes(self):
        """So that nothing is missing of an instance that was made without it."""
        names = [field.attname for field in Token._meta.concrete_fields]
        values = list(range(len(names)))
        made, djangos = (
            make("default", names, values) for make in (django_private.maker(Token), Token.from_db)
        )
        assert {**vars(made), "_state": 0} == {**vars(djangos), "_state": 0}, (
            "Model.__init__ does more than it did: see instance_of_row()."
        )
        assert vars(made._state) | {"fields_cache": {}} == vars(djangos._state) | {
            "fields_cache": {}
        }, "Model.from_db or Model.__init__ sets more of the ModelState: see instance_of_row()."

    def test_a_field_that_heeds_what_it_is_set_to_is_not_plain(self, monkeypatch):
        assert django_private.maker(Token) != Token.from_db
        monkeypatch.setattr(Token, "digest", property(lambda token: "", lambda token, value: None))
        assert django_private.maker(Token) == Token.from_db

    @pytest.mark.parametrize("name", ["__init__", "__setattr__", "from_db"])
    def test_a_model_with_its_own_way_to_be_made_is_not_plain(self, name, monkeypatch):
        own = classmethod(lambda cls, *row: None) if name == "from_db" else lambda *args: None
        monkeypatch.setattr(Token, name, own)
        assert django_private.maker(Token) == Token.from_db
