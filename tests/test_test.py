"""``multisession.test`` and its fixtures, used as another project's tests would use them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.test import AsyncClient, Client

from multisession import test as helpers
from multisession.pytest_plugin import (  # noqa: F401 (found by the entry point elsewhere)
    signed_in_async_client,
    signed_in_client,
)
from multisession.test import (
    active_user,
    assert_active,
    assert_signed_in,
    set_active,
    sign_in,
    sign_out,
    sign_out_all,
    signed_in_users,
)
from tests.stories import with_engine_urls

pytestmark = with_engine_urls

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "howto" / "test-your-project.md"

#: What the guide's reader has in a conftest.py: the two people.
PEOPLE = """
import pytest
from accounts.models import User

@pytest.fixture
def ada(db):
    return User.objects.create_user("ada@example.com", "correct horse battery staple", name="Ada")

@pytest.fixture
def grace(db):
    return User.objects.create_user("grace@example.com", "correct horse battery staple", name="G")
"""


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.S | re.M)


def who(client):
    return client.get("/who/").json()["user"]


def test_the_last_of_several_sign_ins_is_active_on_the_next_page(client, ada, grace):
    sign_in(client, ada, grace)
    assert who(client) == "grace"
    assert active_user(client) == grace
    assert signed_in_users(client) == [grace, ada]


def test_a_second_sign_in_adds_to_the_accounts_of_force_login(client, ada, grace):
    client.force_login(ada)
    sign_in(client, grace)
    assert_signed_in(client, ada, grace)


def test_set_active_switches_what_the_next_page_and_the_session_are(client, ada, grace):
    sign_in(client, ada, grace)
    client.post("/put/note/from-grace/")
    set_active(client, ada)
    assert who(client) == "ada"
    assert "note" not in client.session
    set_active(client, grace)
    assert client.session["note"] == "from-grace"


def test_sign_out_of_another_account_keeps_the_active_one(client, ada, grace):
    sign_in(client, ada, grace)
    sign_out(client, ada)
    assert_active(client, grace)
    assert_signed_in(client, grace)


def test_sign_out_of_the_active_account_leaves_the_choice_open(client, ada, grace):
    sign_in(client, ada, grace)
    sign_out(client, grace)
    assert_active(client, None)
    assert_signed_in(client, ada)
    assert who(client) == ""


def test_sign_out_all_signs_out_of_everything(client, ada, grace):
    sign_in(client, ada, grace)
    sign_out_all(client)
    assert_signed_in(client)
    assert active_user(client) is None


def test_two_clients_are_two_browsers(client, ada, grace):
    sign_in(client, ada)
    other = Client()
    sign_in(other, grace)
    assert_signed_in(client, ada)
    assert_signed_in(other, grace)


def test_an_account_that_is_not_signed_in_is_named_with_those_that_are(client, ada, grace):
    sign_in(client, ada)
    for verb in (set_active, sign_out):
        with pytest.raises(AssertionError, match=r"^grace@\S+ is not signed in .*: ada@example"):
            verb(client, grace)
    assert_active(client, ada)


def test_the_assertions_fail_with_what_was_found(client, ada, grace):
    with pytest.raises(AssertionError, match="^The active account is None, not ada@"):
        assert_active(client, ada)
    sign_in(client, ada)
    with pytest.raises(AssertionError, match=r"is ada@example\.com, not None"):
        assert_active(client, None)
    with pytest.raises(AssertionError, match=r"^Signed in: ada@\S+\. Expected: ada@\S+, grace@"):
        assert_signed_in(client, ada, grace)
    with pytest.raises(AssertionError, match="Expected: nobody"):
        assert_signed_in(client)


def test_the_backend_may_be_named(client, ada, settings):
    named = "django.contrib.auth.backends.AllowAllUsersModelBackend"
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", named]
    sign_in(client, ada, backend=named)
    assert client.session["_auth_user_backend"] == named


@pytest.mark.django_db(transaction=True)
def test_coroutines_do_the_same_with_an_async_client(ada, grace):
    async def story():
        client = AsyncClient()
        await helpers.asign_in(client, ada, grace)
        assert (await client.get("/async/who/")).json()["user"] == "grace"
        await helpers.aset_active(client, ada)
        assert await helpers.aactive_user(client) == ada
        await helpers.aassert_active(client, ada)
        assert await helpers.asigned_in_users(client) == [ada, grace]
        await helpers.asign_out(client, grace)
        await helpers.aassert_signed_in(client, ada)
        with pytest.raises(AssertionError):
            await helpers.aassert_signed_in(client, grace)
        await helpers.asign_out_all(client)
        await helpers.aassert_active(client, None)

    async_to_sync(story)()


def test_the_fixture_makes_clients_of_different_people(signed_in_client, ada, grace):  # noqa: F811
    client, other = signed_in_client(ada, grace), signed_in_client(ada)
    assert_signed_in(client, ada, grace)
    assert_active(client, grace)
    assert_signed_in(other, ada)


@pytest.mark.django_db(transaction=True)
def test_the_asynchronous_fixture_makes_a_client_to_await(signed_in_async_client, ada, grace):  # noqa: F811
    async def story():
        client = await signed_in_async_client(ada, grace)
        assert (await client.get("/async/who/")).json()["user"] == "grace"
        assert await sync_to_async(set)(await helpers.asigned_in_users(client)) == {ada, grace}

    async_to_sync(story)()


def test_every_helper_has_an_async_twin_and_is_in_the_guide():
    public = set(helpers.__all__)
    twins = {name for name in public if name.startswith("a") and name[1:] in public}
    assert twins == {f"a{name}" for name in public - twins}
    table = GUIDE.read_text(encoding="utf-8").partition("| Helper |")[2]
    assert {name for name in public - twins if f"| `{name}(" not in table} == set()


@pytest.mark.parametrize("block", blocks(), ids=["TestCase", "coroutines", "pytest"])
def test_the_examples_of_the_guide_pass(block, tmp_path):
    """Each block is a test file, which pytest runs as it stands, with the plugin."""
    (tmp_path / "test_example.py").write_text(block, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(PEOPLE, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "multisession.pytest_plugin"]
    options = ["-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml", "--rootdir", tmp_path]
    done = subprocess.run(
        [*command, *options, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_plugin_imports_neither_django_nor_the_package_before_a_test_asks():
    program = "import multisession.pytest_plugin, sys; assert 'django' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
