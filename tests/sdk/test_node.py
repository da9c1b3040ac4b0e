"""``@clerk/backend``, Clerk's SDK for Node. The program itself is in story.mjs."""

import json
import subprocess

import pytest

from multisession.models import Client, Session

from .conftest import HERE

pytestmark = pytest.mark.sdk


def test_the_node_sdk_tells_the_whole_story(node_sdk, site):
    session = site.session
    ids = {
        "user": site.user_id,
        "client": site.client_id,
        "session": session.public_id,
        "statuses": Session.Status.values,
    }
    everything = site.ids(user=session.user)
    of_client = site.ids(client=session.client)
    by_status = {status: site.ids_with(status) for status in Session.Status.values}
    command = [node_sdk, "story.mjs", site.url, site.secret, json.dumps(ids)]
    done = subprocess.run(
        command, cwd=HERE, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    assert told["list"] == {"ids": everything, "totalCount": len(everything)}
    for status, expected in by_status.items():
        found = {"ids": expected, "totalCount": len(expected), "seen": [status]}
        assert told["statuses"][status] == found
        assert expected, status
    assert told["page"] == {"ids": of_client[2:5], "totalCount": len(of_client)}
    both = site.ids(client=session.client, user=session.user)
    assert told["both"] == {"ids": both, "totalCount": len(both)}
    assert told["session"]["userId"] == site.user_id
    assert told["session"]["clientId"] == site.client_id
    assert told["session"]["expireAt"] == session.expire_at.timestamp() * 1000
    assert told["session"]["latestActivity"]["browserName"] == "Firefox"
    assert told["client"]["id"] == site.client_id
    assert session.public_id in told["client"]["sessionIds"]
    assert told["client"]["sessions"][0]["id"] == told["client"]["sessionIds"][0]
    assert len(told["clients"]["ids"]) == 2
    assert told["clients"]["totalCount"] == Client.objects.count()

    assert (told["revoked"], told["later"]) == ("revoked", "revoked")
    session.refresh_from_db()
    assert session.status == "revoked"

    refusals = {
        "unknown": (404, "resource_not_found"),
        "unknownClient": (404, "resource_not_found"),
        "neither": (400, "missing_query_parameter"),
        "limit": (422, "form_param_format_invalid"),
        "status": (422, "form_param_value_invalid"),
        "stranger": (401, "clerk_key_invalid"),
    }
    for name, expected in refusals.items():
        refusal = told[name]
        assert (refusal["status"], refusal["code"]) == expected
        assert refusal["longMessage"]
