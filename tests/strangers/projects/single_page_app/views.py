import json

from django.contrib import auth
from django.http import HttpResponse, JsonResponse
from django.views.decorators.csrf import ensure_csrf_cookie


@ensure_csrf_cookie
def app(request):
    """Scripts draw the rest."""
    return HttpResponse("<div id=app></div>")


def sign_in(request):
    given = json.loads(request.body)
    user = auth.authenticate(request, **given)
    if user is None:
        return JsonResponse({"error": "wrong password"}, status=400)
    auth.login(request, user)
    return JsonResponse({"user": user.get_username()})


def sign_out(request):
    auth.logout(request)
    return JsonResponse({})
