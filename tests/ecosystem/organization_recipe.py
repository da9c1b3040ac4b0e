"""The recipe for django-organizations in docs/howto/organizations.md, for the tests to run."""

from organizations.models import OrganizationUser

from multisession.organizations import Organization


def organization(membership):
    found = membership.organization
    role = "admin" if membership.is_admin else "member"
    return Organization(id=str(found.pk), name=found.name, slug=found.slug, role=role, object=found)


class Organizations:
    def _memberships(self, user):
        found = OrganizationUser.objects.select_related("organization")
        return found.filter(user=user, organization__is_active=True)

    def organizations_of(self, user):
        return [
            organization(each) for each in self._memberships(user).order_by("organization__name")
        ]

    def get(self, user, id):
        if not id.isdecimal():
            return None
        found = self._memberships(user).filter(organization_id=int(id)).first()
        return None if found is None else organization(found)
