"""``manage.py listsessions`` and ``manage.py revokesessions``."""

import json
import subprocess
import sys
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from multisession.lists import get_session_list
from multisession.models import Session

from .stories import NOBODY, later, session_of, signed_in, statuses, with_engine_urls

pytestmark = with_engine_urls


def run(command: str, *args: str) -> str:
    out = StringIO()
    call_command(command, *args, stdout=out)
    return out.getvalue()


def refused(command: str, *args: str) -> str:
    """What the command says about wrong arguments; it ends with code 2."""
    with pytest.raises(CommandError) as error:
        run(command, *args)
    # With arguments of the wrong type argparse itself ends the program, with the same code.
    assert error.value.returncode == 2 or "invalid int value" in str(error.value)
    return str(error.value)


class TestList:
    def test_listsessions_prints_a_table(self, ada, grace):
        signed_in(ada, grace)
        session = session_of(ada)
        lines = run("listsessions", f"--user={ada.pk}").splitlines()
        assert lines[0].split()[:2] == ["ID", "STATUS"]
        assert lines[1].split()[:4] == [
            session.public_id,
            "active",
            f"user_{ada.pk}",
            session.client.public_id,
        ]
        assert lines[2:] == ["1 of 1"]

    def test_listsessions_filters_and_pages(self, ada, grace):
        for _ in range(3):
            signed_in(ada, grace)
        client = session_of(ada).client.public_id
        page = json.loads(run("listsessions", "--client", client, "--json"))
        assert page["total_count"] == 2
        page = json.loads(
            run("listsessions", f"--user=user_{ada.pk}", "--limit=1", "--offset=2", "--json")
        )
        oldest = Session.objects.filter(user=ada).earliest("pk")
        assert [session["id"] for session in page["data"]] == [oldest.public_id]
        assert page["total_count"] == 3
        assert run("listsessions", f"--user={ada.pk}", "--status=ended").endswith("0 of 0\n")

    @pytest.mark.parametrize(
        ("args", "words"),
        [
            ((), "--user, --client"),
            (("--user=x",), "--user is 'x'"),
            (("--user=' OR 1=1",), "--user is"),
            (("--client=sess_1",), "--client is 'sess_1'"),
            (("--user=1", "--status=pending"), "'abandoned', 'active'"),
            (("--user=1", "--limit=0"), "from 1 to 500"),
            (("--user=1", "--limit=501"), "from 1 to 500"),
            (("--user=1", "--limit=-1"), "--limit is -1"),
            (("--user=1", f"--limit={10**30}"), "--limit is 1000"),
            (("--user=\0",), "--user is"),
            (('--client="',), "--client is"),
            (("--client=" + "x" * 10_000,), "--client is"),
            (("--user=" + "9" * 10_000,), "--user is"),
            (("--user=1", "--status=\0"), "'abandoned', 'active'"),
            (("--user=1", "--limit=x"), "--limit"),
            (("--user=1", "--offset=-1"), "--offset is -1"),
            (("--user=1", f"--offset={10**30}"), "--offset is 1000"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_wrong_values_are_named(self, args, words):
        assert words in refused("listsessions", *args)


class TestRevoke:
    def test_revokesessions_ends_those_of_a_user(self, ada, grace):
        firefox, konqueror = signed_in(ada, grace), signed_in(ada)
        assert run("revokesessions", f"--user={ada.pk}", "--noinput") == "Revoked: 2.\n"
        assert statuses(ada) == ["revoked", "revoked"]
        assert (firefox.who(), firefox.accounts(), konqueror.who()) == ("grace", ["grace"], NOBODY)

    def test_revokesessions_ends_those_of_a_client_or_with_an_id(self, ada, grace):
        firefox, konqueror = signed_in(ada, grace), signed_in(ada, grace)
        client = session_of(ada).client.public_id
        run("revokesessions", f"--client={client}", f"--user={grace.pk}", "--noinput")
        assert (konqueror.accounts(), firefox.accounts()) == (["ada"], ["ada", "grace"])
        ids = [f"--session={firefox.id_of(user)}" for user in (ada, grace)]
        run("revokesessions", *ids, "--noinput")
        assert (konqueror.accounts(), firefox.accounts()) == (["ada"], [])

    def test_revokesessions_ends_those_older_than_an_age(self, ada):
        signed_in(ada)
        with later(days=2):
            signed_in(ada)
            assert run("revokesessions", "--older-than=3d", "--noinput").startswith("No live")
            assert run("revokesessions", "--older-than=36h", "--noinput") == "Revoked: 1.\n"
            assert statuses(ada) == ["revoked", "active"]

    def test_revokesessions_leaves_ended_sessions_alone(self, ada):
        for status in ("ended", "removed", "replaced", "expired", "abandoned"):
            signed_in(ada)
            session_of(ada).close(Session.Status(status))
        signed_in(ada)
        Session.objects.filter(pk=session_of(ada).pk).update(expire_at="2000-01-01T00:00Z")
        before = statuses(ada)
        assert run("revokesessions", f"--user={ada.pk}").startswith("No live session")
        assert statuses(ada) == before

    def test_a_dry_run_only_counts(self, ada):
        signed_in(ada)
        text = run("revokesessions", f"--user={ada.pk}", "--dry-run")
        assert text == "Would be revoked: 1 live session.\n"
        assert statuses(ada) == ["active"]

    @pytest.mark.parametrize(("answer", "status"), [("y", "revoked"), (" YES ", "revoked")])
    def test_revokesessions_asks_with_the_number(self, ada, monkeypatch, answer, status):
        signed_in(ada)
        signed_in(ada)
        asked = []
        monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or answer)
        run("revokesessions", f"--user={ada.pk}")
        assert asked == ["Revoke 2 live sessions? [y/N] "]
        assert statuses(ada) == [status, status]

    @pytest.mark.parametrize("answer", ["", "n", "no", "yess"])
    def test_revokesessions_does_nothing_after_a_no(self, ada, monkeypatch, answer):
        signed_in(ada)
        monkeypatch.setattr("builtins.input", lambda text: answer)
        with pytest.raises(CommandError, match="Nothing was revoked") as error:
            run("revokesessions", f"--user={ada.pk}")
        assert error.value.returncode == 1
        assert statuses(ada) == ["active"]

    def test_revokesessions_needs_noinput_without_a_terminal(self, ada, monkeypatch):
        signed_in(ada)

        def nobody(text):
            raise EOFError

        monkeypatch.setattr("builtins.input", nobody)
        with pytest.raises(CommandError, match="--noinput") as error:
            run("revokesessions", f"--user={ada.pk}")
        assert error.value.returncode == 1
        assert statuses(ada) == ["active"]

    def test_revokesessions_spares_sessions_that_begin_while_it_asks(self, ada, monkeypatch):
        signed_in(ada)

        def answer(text):
            signed_in(ada)
            return "y"

        monkeypatch.setattr("builtins.input", answer)
        run("revokesessions", f"--user={ada.pk}")
        assert statuses(ada) == ["revoked", "active"]

    def test_revokesessions_ends_many_in_batches(self, ada, monkeypatch):
        monkeypatch.setattr("multisession.actions.BATCH", 2)
        for _ in range(5):
            signed_in(ada)
        assert run("revokesessions", f"--user={ada.pk}", "--noinput") == "Revoked: 5.\n"

    @pytest.mark.parametrize(
        "args",
        [
            (),
            ("--dry-run",),
            ("--user=x",),
            ("--user=",),
            ("--client=",),
            ("--client=' OR 1=1",),
            ("--session=client_1",),
            ("--session=",),
            ("--session=\0",),
            ('--session="',),
            ("--session=sess_" + "a" * 10_000,),
            ("--client=client_\0",),
            ("--user=" + "9" * 10_000,),
            ("--older-than=",),
            ("--older-than=0d",),
            ("--older-than=-1d",),
            ("--older-than=30",),
            ("--older-than=5y",),
            (f"--older-than={10**30}d",),
            ("--older-than=٣d",),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_wrong_arguments_revoke_nothing(self, ada, args):
        signed_in(ada)
        assert refused("revokesessions", *args, "--noinput")
        assert statuses(ada) == ["active"]

    def test_the_longest_age_is_before_anybody_signed_in(self, ada):
        signed_in(ada)
        assert refused("revokesessions", "--older-than=999999w", "--noinput")


def test_the_exit_codes_of_the_program():
    """As a shell sees them; arguments are refused before any table is needed."""
    for command in (["listsessions"], ["listsessions", "--limit=x"], ["revokesessions"]):
        done = subprocess.run(
            [sys.executable, "manage.py", *command, "--settings=tests.settings"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr


def test_the_list_is_the_one_that_python_gets(ada):
    signed_in(ada)
    page = json.loads(run("listsessions", f"--user={ada.pk}", "--json"))
    found = get_session_list(user_id=ada)
    assert [row["id"] for row in page["data"]] == [row.public_id for row in found.data]
