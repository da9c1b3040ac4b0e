"""``ORGANIZATIONS``: the demo's teams, and the page of a team."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.forms import TeamForm
from accounts.models import Membership, Team, User
from accounts.requests import SignedInRequest
from multisession.actions import set_active
from multisession.decorators import organization_required
from multisession.organizations import Organization


class Teams:
    """The provider: a user's teams, by their short names."""

    def organizations_of(self, user: User) -> list[Organization]:
        found = user.memberships.select_related("team").order_by("team__name", "pk")
        return [_organization(membership) for membership in found]

    def get(self, user: User, id: str) -> Organization | None:
        found = user.memberships.select_related("team").filter(team__slug=id).first()
        return None if found is None else _organization(found)


def _organization(membership: Membership) -> Organization:
    team = membership.team
    return Organization(
        id=team.slug,
        name=team.name,
        slug=team.slug,
        role=membership.role,
        url=team.get_absolute_url(),
        object=team,
    )


def team_of(request: HttpRequest) -> Team | None:
    """Return the team that the active account is in."""
    found = request.multisession.organization  # type: ignore[attr-defined]
    return None if found is None else found.object


@require_safe
@login_required
def team(request: SignedInRequest, slug: str) -> HttpResponse:
    """Show a team to its members."""
    found = get_object_or_404(Team, slug=slug, memberships__user=request.user)
    members = found.memberships.select_related("user").order_by("user__email")
    return render(request, "accounts/team.html", {"team": found, "members": members})


@login_required
def create(request: SignedInRequest) -> HttpResponse:
    """Create a team, and enter it."""
    form = TeamForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        made = form.save()
        made.memberships.create(user=request.user, role=Membership.Role.OWNER)
        set_active(request, organization=made.slug)
        messages.success(request, _("You are now using %(account)s.") % {"account": made.name})
        return redirect(made)
    status = 422 if request.method == "POST" else 200
    return render(request, "accounts/team_form.html", {"form": form}, status=status)


@require_POST
@organization_required()
def leave(request: SignedInRequest) -> HttpResponse:
    """Leave the team that one is in. Its page, if still open elsewhere, writes nowhere then."""
    request.user.memberships.filter(team=team_of(request)).delete()
    return redirect("home")
