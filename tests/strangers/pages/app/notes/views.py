"""Pages for signed-in people, one for each library, and the views that they write to."""

import json

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_POST
from rest_framework.response import Response
from rest_framework.views import APIView

from notes.models import Note


def write(request, page):
    """Store what was sent. Inertia sends JSON, the others send forms."""
    if request.content_type == "application/json":
        text = json.loads(request.body).get("text", "")
    else:
        text = request.POST.get("text", "")
    return Note.objects.create(user=request.user, text=text, page=page)


@login_required
def show(request, page):
    return render(request, f"notes/{page}.html", {"page": page})


@login_required
@require_POST
def save(request, page):
    """For scripts."""
    return JsonResponse({"saved": write(request, page).text})


@login_required
@require_POST
def fragment(request, page):
    """For htmx."""
    return HttpResponse(f"Saved: {write(request, page).text}")


@login_required
def form(request, page):
    """A form that leads back to itself, also for Turbo."""
    if request.method == "POST":
        write(request, page)
        return redirect(request.get_full_path())
    last = Note.objects.filter(user=request.user, page=page).last()
    return render(request, f"notes/{page}.html", {"page": page, "last": last})


@login_required
def inertia(request):
    """Answer as an Inertia server does, without a package for it."""
    if request.method == "POST":
        write(request, "inertia")
        return redirect("/inertia/")
    last = Note.objects.filter(user=request.user, page="inertia").exclude(text="ping").last()
    page = {
        "component": "Notes",
        "props": {"errors": {}, "last": last.text if last else ""},
        "url": request.get_full_path(),
        "version": "1",
    }
    if request.headers.get("X-Inertia") == "true":
        return JsonResponse(page, headers={"X-Inertia": "true", "Vary": "X-Inertia"})
    inline = mark_safe(json.dumps(page).replace("<", "\\u003c"))  # noqa: S308
    return render(request, "notes/inertia.html", {"inertia": inline})


class Notes(APIView):
    def post(self, request):
        note = Note.objects.create(user=request.user, text=request.data["text"], page="api")
        return Response({"saved": note.text})
