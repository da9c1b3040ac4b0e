from django.conf import settings
from django.contrib.auth import logout
from django.shortcuts import redirect
from django.views.decorators.http import require_POST


@require_POST
def sign_out(request):
    logout(request)
    response = redirect("home")
    response.delete_cookie(
        settings.SESSION_COOKIE_NAME,
        domain=settings.SESSION_COOKIE_DOMAIN,
        path=settings.SESSION_COOKIE_PATH,
    )
    # Or the middleware sets it again.
    request.session.modified = False
    return response
