from asgiref.sync import sync_to_async
from django.contrib.auth import alogin, alogout
from django.contrib.auth.forms import AuthenticationForm
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_protect, ensure_csrf_cookie


@ensure_csrf_cookie
async def home(request):
    user = await request.auser()
    return render(request, "home.html", {"sign_out": "async_logout", "user": user})


async def note(request):
    await request.session.aset("note", request.POST["note"])
    return redirect("home")


@csrf_protect
async def sign_in(request):
    form = AuthenticationForm(request, request.POST or None)
    if request.method == "POST" and await sync_to_async(form.is_valid)():
        await alogin(request, form.get_user())
        assert await request.auser() == form.get_user()
        return redirect("home")
    return render(request, "registration/login.html", {"form": form, "user": await request.auser()})


async def sign_out(request):
    await alogout(request)
    assert (await request.auser()).is_anonymous
    return redirect("home")
