from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required, login_required
from django.http import JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST


def home(request):
    sign_out = getattr(settings, "SIGN_OUT_URL", "logout")
    return render(request, "home.html", {"sign_out": sign_out})


@require_POST
def note(request):
    request.session["note"] = request.POST["note"]
    return redirect("home")


@login_required
@require_POST
def account(request, act):
    """Close one's own account, in the three ways that people write it."""
    user = request.user
    if act == "deactivate":
        user.is_active = False
        user.save()
    else:
        user.delete()
    if act == "delete-and-sign-out":
        logout(request)
    messages.success(request, "Your account is closed.", fail_silently=True)
    return redirect("home")


@require_POST
def session(request, act):
    """Sign out as one should not, and as many do."""
    if act == "clear":
        request.session.clear()
    elif act == "flush":
        request.session.flush()
    else:
        request.session.pop("_auth_user_id")
    return redirect("home")


@never_cache
@login_not_required
def whoami(request):
    """For the stories: whom the project takes this browser for."""
    accounts = request.multisession.sessions if hasattr(request, "multisession") else []
    return JsonResponse(
        {
            "user": request.user.get_username() or None,
            "note": request.session.get("note", ""),
            "accounts": sorted(session.user.get_username() for session in accounts),
        }
    )
