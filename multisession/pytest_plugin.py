"""Fixtures for pytest, which loads them if the package is installed.

pytest imports this module at the start of every run, before Django is configured. So the fixtures
import Django and the rest of the package only when a test uses them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.test import AsyncClient, Client

__all__ = ["signed_in_async_client", "signed_in_client"]


@pytest.fixture
def signed_in_client() -> Callable[..., Client]:
    """Return a function that makes a test client with these users signed in, the last one active.

    ``client = signed_in_client(ada, grace)``. Keyword arguments are passed to ``Client``.
    """
    from django.test import Client

    from .test import sign_in

    def make(*users: AbstractBaseUser, **options: Any) -> Client:
        client = Client(**options)
        sign_in(client, *users)
        return client

    return make


@pytest.fixture
def signed_in_async_client() -> Callable[..., Awaitable[AsyncClient]]:
    """Return the same for coroutines. Await what the function returns."""
    from django.test import AsyncClient

    from .test import asign_in

    async def make(*users: AbstractBaseUser, **options: Any) -> AsyncClient:
        client = AsyncClient(**options)
        await asign_in(client, *users)
        return client

    return make
