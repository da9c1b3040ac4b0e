"""The options of ``make load NAME=value …``."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

SERVERS = ("gunicorn", "uvicorn")
DATABASES = ("postgresql", "mariadb", "sqlite")


class Misspelt(ValueError):
    """A value that is not one of the choices."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """One run. ``latency`` and ``rollback`` are seconds."""

    operations: int = 2000
    servers: tuple[str, ...] = SERVERS
    databases: tuple[str, ...] = DATABASES
    browsers: int = 16
    tabs: int = 3
    users: int = 8
    #: A request and its answer each take half of a time between these two.
    latency: tuple[float, float] = (0.020, 0.150)
    #: A killed browser starts again with cookies that are at most this old.
    rollback: float = 20.0
    #: The run of a pair of server and database stops after this time.
    seconds: float = 900.0
    kill: bool = False
    #: "switches": all tabs only switch, at the same moment. "tabs": one account in each tab.
    only: str = ""
    seed: int = 0

    @classmethod
    def from_environment(cls, said: Mapping[str, str] = os.environ) -> Options:
        def read(name: str, convert: Callable[[str], Any], default: Any) -> Any:
            text = said.get(name, "").strip()
            try:
                return convert(text) if text else default
            except ValueError as error:
                raise Misspelt(f"{name}={text!r}: {error}") from None

        kill = read("KILL", _flag, False)
        return cls(
            operations=read("OPERATIONS", _number(1), cls.operations),
            servers=read(
                "SERVER", _choice(SERVERS, "both"), ("gunicorn",) if kill else cls.servers
            ),
            databases=read("DATABASE", _choice(DATABASES, "all"), cls.databases),
            browsers=read("BROWSERS", _number(1), cls.browsers),
            tabs=read("TABS", _number(1), cls.tabs),
            # Below MAX_ACCOUNTS, so that no account is replaced.
            users=read("USERS", _number(2, 9), cls.users),
            latency=read("LATENCY", _latency, cls.latency),
            rollback=read("ROLLBACK", _number(0, 45), cls.rollback),
            seconds=read("TIMEOUT", _number(1), cls.seconds),
            kill=kill,
            only=read("ONLY", _only, ""),
            seed=read("SEED", int, random.SystemRandom().randrange(1_000_000)),
        )


def _number(least: int, most: int | None = None) -> Callable[[str], int]:
    def convert(text: str) -> int:
        number = int(text)
        if number < least or (most is not None and number > most):
            raise ValueError(f"from {least}" + (f" to {most}" if most is not None else " on"))
        return number

    return convert


def _choice(names: tuple[str, ...], everything: str) -> Callable[[str], tuple[str, ...]]:
    def convert(text: str) -> tuple[str, ...]:
        if text == everything:
            return names
        if text not in names:
            raise ValueError(f"one of {', '.join([*names, everything])}")
        return (text,)

    return convert


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("0 or 1")
    return text == "1"


def _latency(text: str) -> tuple[float, float]:
    """``20-150``: milliseconds."""
    least, _, most = text.partition("-")
    found = float(least) / 1000, float(most or least) / 1000
    if not 0 <= found[0] <= found[1] <= 5:
        raise ValueError("milliseconds, such as 20-150, at most 5000")
    return found


def _only(text: str) -> str:
    if text not in ("switches", "tabs"):
        raise ValueError("switches or tabs, or nothing")
    return text
