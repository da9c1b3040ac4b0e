"""The data of an account: a scratchpad in its session, and notes in the database."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.forms import NoteForm, ScratchpadForm, focus_first_error
from accounts.models import Note, NoteQuerySet
from accounts.requests import DemoRequest, SignedInRequest, wants_partial
from accounts.teams import team_of
from multisession.offers import get_object_or_offer

SCRATCHPAD = "note"
UNPROCESSABLE = 422


@require_safe
def home(request: DemoRequest) -> HttpResponse:
    """Show the home page: the active account with its data, or a welcome."""
    if not request.user.is_authenticated:
        return render(request, "welcome.html")
    return _own_things(request)


@require_safe
def whoami(request: DemoRequest) -> JsonResponse:
    """Return the user of this request as JSON, for use from a terminal."""
    session = request.multisession.session
    return JsonResponse(
        {
            "user": request.user.email if request.user.is_authenticated else None,
            "sid": session.public_id if session else None,
            "note": request.session.get(SCRATCHPAD, ""),
        }
    )


@require_safe
def stores(request: DemoRequest) -> HttpResponse:
    """Show what scripts know of the accounts: docs/howto/islands.md."""
    return render(request, "stores.html")


@require_POST
def scratchpad(request: DemoRequest) -> HttpResponse:
    """Store a text in this account's ``request.session``."""
    form = ScratchpadForm(request.POST)
    if not form.is_valid():
        focus_first_error(form)
        if wants_partial(request):
            return render(request, "_scratchpad.html", {"scratchpad": form}, status=UNPROCESSABLE)
        return _own_things(request, scratchpad=form)
    request.session[SCRATCHPAD] = form.cleaned_data["note"]
    if wants_partial(request):
        return render(request, "_scratchpad.html", {"scratchpad": form, "saved": True})
    return redirect("home")


@require_POST
@login_required
def add_note(request: SignedInRequest) -> HttpResponse:
    """Write a note of this user to the database."""
    form = NoteForm(request.POST)
    if not form.is_valid():
        focus_first_error(form)
        return _own_things(request, note_form=form)
    form.instance.user, form.instance.team = request.user, team_of(request)
    form.save()
    return redirect("home")


@require_safe
@login_required
def note(request: SignedInRequest, pk: int) -> HttpResponse:
    """Show a note. For another account's note, offer that account if it is signed in here."""
    found = get_object_or_offer(request, Note.objects.visible_to, pk=pk)
    return render(request, "note.html", {"note": found})


@require_POST
@login_required
def delete_note(request: SignedInRequest, pk: int) -> HttpResponse:
    """Delete a note of this user or of a team; 404 for any other."""
    get_object_or_404(Note.objects.visible_to(request.user), pk=pk).delete()
    return redirect("home")


def _notes(request: DemoRequest) -> NoteQuerySet:
    """Return the notes of the team that the account is in, or else of the person."""
    if not request.user.is_authenticated:
        return Note.objects.none()
    team = team_of(request)
    return Note.objects.filter(team=team) if team else request.user.notes.filter(team=None)


def _note_of_another(request: DemoRequest) -> Note | None:
    """Return the newest private note of another account of this browser."""
    others = [row.user_id for row in request.multisession.other_sessions]
    found = Note.objects.filter(user__in=others, team=None) if others else Note.objects.none()
    return found.select_related("user").first()


def _own_things(
    request: DemoRequest,
    *,
    scratchpad: ScratchpadForm | None = None,
    note_form: NoteForm | None = None,
) -> HttpResponse:
    """Show the signed-in home page; an invalid form sets the status to 422."""
    refused = scratchpad is not None or note_form is not None
    kept = {"note": request.session.get(SCRATCHPAD, "")}
    context = {
        "scratchpad": scratchpad or ScratchpadForm(initial=kept),
        "note_form": note_form or NoteForm(),
        "notes": _notes(request),
        "team": team_of(request),
        "note_of_another": _note_of_another(request),
    }
    return render(request, "home.html", context, status=UNPROCESSABLE if refused else 200)
