"""``clerk-backend-api``, Clerk's SDK for Python."""

import pytest

from multisession.models import Session

pytestmark = [pytest.mark.sdk, pytest.mark.usefixtures("python_sdk")]


@pytest.fixture
def clerk(python_sdk, site):
    from clerk_backend_api import Clerk

    with Clerk(bearer_auth=site.secret, server_url=f"{site.url}/v1") as clerk:
        yield clerk


def ids(found) -> list[str]:
    return [session.id for session in found]


def test_the_sdk_lists_and_filters_by_each_of_the_seven_statuses(clerk, site):
    from clerk_backend_api.models import QueryParamStatus as Status

    everything = clerk.sessions.list(user_id=site.user_id, limit=500)
    assert ids(everything) == site.ids(user=site.session.user)
    assert {status.value for status in Status} == set(Session.Status.values)
    for status in Status:
        found = clerk.sessions.list(user_id=site.user_id, status=status, limit=500)
        assert ids(found) == site.ids_with(status.value) != []
        assert {session.status.value for session in found} == {status.value}


def test_the_python_sdk_pages_through_a_list(clerk, site):
    expected = site.ids(client=site.session.client)
    first = clerk.sessions.list(client_id=site.client_id, limit=2)
    rest = clerk.sessions.list(client_id=site.client_id, limit=500, offset=2)
    assert ids(first) + ids(rest) == expected
    both = clerk.sessions.list(client_id=site.client_id, user_id=site.user_id)
    assert ids(both) == site.ids(client=site.session.client, user=site.session.user)
    assert clerk.sessions.list(client_id=site.client_id, offset=10_000) == []


def test_the_sdk_gets_a_session_and_its_client(clerk, site):
    session = clerk.sessions.get(session_id=site.session.public_id)
    assert (session.user_id, session.client_id) == (site.user_id, site.client_id)
    assert session.created_at == site.session.created_at.timestamp() * 1000
    client = clerk.clients.get(client_id=site.client_id)
    assert client.id == site.client_id
    assert session.id in client.session_ids
    assert {one.id for one in client.sessions} == set(client.session_ids)
    with pytest.deprecated_call():  # says the SDK, about Clerk's own
        assert len(clerk.clients.list(limit=3)) == 3


def test_the_sdk_revokes_a_session(clerk, site):
    revoked = clerk.sessions.revoke(session_id=site.session.public_id)
    assert revoked.status.value == "revoked"
    assert clerk.sessions.get(session_id=revoked.id).status.value == "revoked"
    site.session.refresh_from_db()
    assert site.session.status == "revoked"


def test_the_sdk_reads_a_401_and_a_404_and_what_was_wrong(clerk, site):
    from clerk_backend_api import Clerk
    from clerk_backend_api.models import ClerkErrors

    def refusal(request, **arguments) -> tuple[int, str]:
        with pytest.raises(ClerkErrors) as refused:
            request(**arguments)
        [error] = refused.value.data.errors
        assert error.long_message
        return refused.value.status_code, error.code

    session = {"session_id": site.session.public_id}
    with Clerk(bearer_auth="sk_wrong", server_url=f"{site.url}/v1") as stranger:
        assert refusal(stranger.sessions.get, **session) == (401, "clerk_key_invalid")
        assert refusal(stranger.sessions.revoke, **session) == (401, "clerk_key_invalid")
    listing = clerk.sessions.list
    nobody = (404, "resource_not_found")
    assert refusal(clerk.sessions.get, session_id="sess_unknown") == nobody
    assert refusal(clerk.sessions.revoke, session_id="sess_unknown") == nobody
    assert refusal(clerk.clients.get, client_id="client_unknown") == nobody
    assert refusal(listing) == (400, "missing_query_parameter")
    for wrong in ({"limit": 0}, {"limit": 501}, {"limit": -1}, {"limit": 10**30}, {"offset": -1}):
        answer = refusal(listing, user_id=site.user_id, **wrong)
        assert answer == (422, "form_param_format_invalid")
