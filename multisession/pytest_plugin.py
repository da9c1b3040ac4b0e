"""Fixtures for pytest, which finds them by itself where the package is installed.

This module is imported at the start of every pytest run, before there are settings: Django and
the rest of the package wait until a test asks.
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
    """Make a test client on which these users are signed in, the last one active.

    ``client = signed_in_client(ada, grace)``. Keyword arguments are those of ``Client``.
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
    """Make the same for coroutines. Call it in a coroutine with ``await``."""
    from django.test import AsyncClient

    from .test import asign_in

    async def make(*users: AbstractBaseUser, **options: Any) -> AsyncClient:
        client = AsyncClient(**options)
        await asign_in(client, *users)
        return client

    return make
