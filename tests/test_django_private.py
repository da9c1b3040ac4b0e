"""What guard.py relies on in Django's CSRF protection, though Django does not promise it.

If one of these fails after an update of Django, guard.py has to follow.
"""

import pytest
from django.http import HttpResponse
from django.middleware import csrf
from django.middleware.csrf import CsrfViewMiddleware, get_token

SECRET, OTHER = "a" * csrf.CSRF_SECRET_LENGTH, "b" * csrf.CSRF_SECRET_LENGTH


class TwoFaces(str):
    def __iter__(self):
        return iter(OTHER)


@pytest.fixture
def middleware():
    return CsrfViewMiddleware(lambda request: HttpResponse())


def carried_by(token):
    return csrf._unmask_cipher_token(token)


def test_the_secret_is_taken_from_the_cookie_into_meta_as_it_is(rf, middleware):
    request = rf.get("/")
    request.COOKIES["csrftoken"] = TwoFaces(SECRET)
    middleware.process_request(request)
    assert request.META["CSRF_COOKIE"] is request.COOKIES["csrftoken"]


def test_get_token_masks_the_secret_in_meta_by_iterating_over_it(rf):
    request = rf.get("/")
    request.META["CSRF_COOKIE"] = TwoFaces(SECRET)
    assert carried_by(get_token(request)) == OTHER
    assert request.META["CSRF_COOKIE_NEEDS_UPDATE"] is True


def test_the_check_compares_with_the_text_of_the_cookie(rf, middleware):
    request = rf.post("/", {"csrfmiddlewaretoken": csrf._mask_cipher_secret(SECRET)})
    request.COOKIES["csrftoken"] = TwoFaces(SECRET)
    assert middleware.process_view(request, lambda request: None, (), {}) is None
    assert request.csrf_processing_done is True


def test_the_answer_carries_the_secret_in_meta_where_it_needs_an_update(rf, middleware):
    request = rf.get("/")
    request.META |= {"CSRF_COOKIE": TwoFaces(SECRET), "CSRF_COOKIE_NEEDS_UPDATE": True}
    response = middleware.process_response(request, HttpResponse())
    assert response.cookies["csrftoken"].value == SECRET


def test_a_check_that_is_done_is_not_done_again(rf, middleware):
    request = rf.post("/")
    request.csrf_processing_done = True
    assert middleware.process_view(request, lambda request: None, (), {}) is None


def test_masking_and_unmasking_are_each_others_opposite():
    token = csrf._mask_cipher_secret(SECRET)
    assert len(token) == csrf.CSRF_TOKEN_LENGTH == 2 * csrf.CSRF_SECRET_LENGTH
    assert carried_by(token) == SECRET
