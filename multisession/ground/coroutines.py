"""Database queries of synchronous code inside a coroutine, such as a template's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


def ask(query: Callable[[], T]) -> T:
    """Call ``query``, which must only read; in an event loop, use a thread of its own.

    Django refuses queries in the thread of an event loop. The event loop waits for this one, as it
    waits for the rest of the template, and the thread opens a new connection. So use it for rare
    queries only; ``MultiSession.asessions`` is better. The thread that has the request's own
    connection is no alternative: below a synchronous middleware it waits for the coroutine.
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
