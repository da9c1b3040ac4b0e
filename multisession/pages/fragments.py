"""Load the sign-in page as a page when htmx asked for a fragment.

Django's ``login_required``, ``LoginRequiredMixin`` and ``LoginRequiredMiddleware`` redirect to the
sign-in page. htmx would follow the redirect and swap the sign-in page into the fragment's place.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.cache import patch_vary_headers

from multisession.ground.asking import BACKGROUND_HEADER, is_background, is_htmx
from multisession.guard.guard import REASON_HEADER

from .links import current_page


def take_to_sign_in(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Replace a redirect to the sign-in page, for htmx; return any other answer unchanged.

    After a click the browser loads the sign-in page, which leads back to the page and not to the
    fragment. A background request (a poll) gets a 403 and changes nothing on the screen; notice.js
    shows a notice.
    """
    if not is_htmx(request) or request.headers.get("HX-Boosted") == "true":
        return response
    location = urlsplit(response.get("Location", ""))
    query = QueryDict(location.query, mutable=True)
    # Django's redirect_to_login() is recognised by this parameter: the URL that was refused.
    turned_away = query.get(REDIRECT_FIELD_NAME) in (
        request.get_full_path(),
        request.build_absolute_uri(),
    )
    if not turned_away:
        return response
    if is_background(request):
        answer = HttpResponse(status=403, headers={"HX-Reswap": "none"})
        answer[REASON_HEADER] = "signed-out"
    else:
        page = current_page(request)  # type: ignore[arg-type]
        if page:
            query[REDIRECT_FIELD_NAME] = page
        url = location._replace(query=query.urlencode(safe="/")).geturl()
        answer = HttpResponse(headers={"HX-Redirect": url})
    answer.cookies = response.cookies
    for name in ("Cache-Control", "Vary"):
        if name in response:
            answer[name] = response[name]
    patch_vary_headers(answer, ("HX-Request", "HX-Boosted", BACKGROUND_HEADER))
    return answer
