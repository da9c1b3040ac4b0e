"""After a test with its own transactions the tables are empty, as after ``flush``."""

import pytest
from django.apps import apps
from django.core.management import call_command

from accounts.models import Note, User
from multisession.models import Session
from tests.emptying import KEPT

# What Django's TransactionTestCase calls after a test.
AS_AFTER_A_TEST = {"interactive": False, "reset_sequences": False, "allow_cascade": False}


def rows() -> dict[str, int]:
    return {
        model._meta.db_table: model._default_manager.count()
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    }


@pytest.mark.django_db(transaction=True)
def test_every_row_is_gone_but_those_that_migrate_makes(client, ada: User):
    client.force_login(ada)
    client.get("/")
    Note.objects.create(user=ada, text="Milk")
    ada.groups.create(name="readers")
    assert Session.objects.exists()
    before = rows()
    kept = KEPT & before.keys()  # The demo has no sites.
    call_command("flush", verbosity=0, inhibit_post_migrate=False, **AS_AFTER_A_TEST)
    assert {table: number for table, number in rows().items() if number} == {
        table: before[table] for table in kept
    }
    assert len(kept) == 2
    assert all(before[table] for table in kept)
    # Django's own fills those two with the same rows.
    call_command("flush", verbosity=0, inhibit_post_migrate=False, interactive=False)
    assert {table: number for table, number in rows().items() if number} == {
        table: before[table] for table in kept
    }
