"""What synchronous code asks of the database in the middle of a coroutine, as its templates do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


def ask(query: Callable[[], T]) -> T:
    """Call ``query``, which only reads; in an event loop, in a thread with connections of its own.

    Django refuses queries in the thread of an event loop. The loop waits meanwhile, as it does for
    the rest of the template, and a connection is opened: so this is for what is rarely asked, and
    ``MultiSession.asessions`` is the better way. (Not taken: the thread of the request's own
    connection. Under a middleware that is synchronous only, that thread waits for the coroutine.)
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return query()

    def ask_and_close() -> T:
        try:
            return query()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1, thread_name_prefix="multisession") as thread:
        return thread.submit(ask_and_close).result()
