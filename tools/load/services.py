"""Start and remove the databases and servers of a run, on this machine."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tools.ports import answers, free_port
from tools.servers import url_of

from .tally import Tally

ROOT = Path(__file__).resolve().parent.parent.parent
#: Seconds that a server may take to answer, or to end.
PATIENCE = 20
PROCESSES = 2
THREADS = 8
LOOPBACK = {"127.0.0.1", "localhost", "::1", ""}


class NotHere(Exception):
    """The database server does not answer."""


@contextmanager
def database(name: str) -> Iterator[str]:
    """Make an empty database. Yield its DATABASE_URL."""
    if name == "sqlite":
        with tempfile.TemporaryDirectory(prefix="multisession-load-") as folder:
            yield f"sqlite:///{quote(folder)}/load.sqlite3"
        return
    server = url_of(name)
    if server is None:
        raise NotHere(f"No {name} answers here.")
    if urlsplit(server).hostname not in LOOPBACK:
        raise NotHere(f"{name} is on another machine: only this one is put under load.")
    own = f"multisession_load_{os.getpid()}"
    execute, close = {"postgresql": postgresql, "mariadb": mariadb}[name](server)
    execute(f"CREATE DATABASE {own}")
    try:
        yield urlsplit(server)._replace(path=f"/{own}").geturl()
    finally:
        force = " WITH (FORCE)" if name == "postgresql" else ""
        execute(f"DROP DATABASE IF EXISTS {own}{force}")
        close()


def postgresql(url: str) -> tuple[Any, Any]:
    import psycopg

    wire = psycopg.connect(urlsplit(url)._replace(path="/postgres").geturl(), autocommit=True)
    return wire.execute, wire.close


def mariadb(url: str) -> tuple[Any, Any]:
    import pymysql

    parts = urlsplit(url)
    (host,) = parse_qs(parts.query).get("host", [parts.hostname or "127.0.0.1"])
    where = {"unix_socket": host} if host.startswith("/") else {"host": host}
    wire: Any = pymysql.connect(
        **where,
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        autocommit=True,
        charset="utf8mb4",
    )
    return wire.cursor().execute, wire.close


def environment(url: str, *, server: str = "") -> dict[str, str]:
    is_kept, more = server != "uvicorn", ""
    if url.startswith("mysql"):
        more = "ssl_disabled=true"  # PyMySQL reads all certificates for each connection.
    elif url.startswith("postgres") and not is_kept:
        more = "pool=true"
    url += f"{'&' if '?' in url else '?'}{more}" if more else ""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tools.load.site.settings",
        "DATABASE_URL": url,
        # Under ASGI each request has its own thread, so connections can't be kept.
        "CONN_MAX_AGE": "60" if is_kept else "0",
        "PYTHONUNBUFFERED": "1",
    }


def rows(url: str, *arguments: str, known: Any = None) -> list[str]:
    """Run ``tools.load.rows`` on this database. Return the lines that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.load.rows", *arguments],
        cwd=ROOT,
        env=environment(url),
        input=json.dumps(known),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.splitlines()


@contextmanager
def site(server: str, url: str, log: Path, **more: str) -> Iterator[tuple[int, int]]:
    """Start the site. Yield its port, and the id of the server's first process."""
    port = free_port()
    command = {
        "gunicorn": [
            "gunicorn",
            "tools.load.site.wsgi",
            "--worker-class=gthread",
            f"--workers={PROCESSES}",
            f"--threads={THREADS}",
            f"--bind=127.0.0.1:{port}",
            "--log-level=error",
        ],
        "uvicorn": [
            "uvicorn",
            "tools.load.site.asgi:application",
            f"--workers={PROCESSES}",
            "--host=127.0.0.1",
            f"--port={port}",
            "--lifespan=off",
            "--log-level=error",
        ],
    }[server]
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env={**environment(url, server=server), **more},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        wait_for(port, process, log)
        yield port, process.pid
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server and the processes that it has started."""
    own = children(process.pid)
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        for pid in own:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    if not answers(port, process, PATIENCE):
        raise RuntimeError(f"The server does not answer:\n{log.read_text()[-3000:]}")


def children(pid: int) -> list[int]:
    """Return the processes that this one has started."""
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(line) for line in done.stdout.split()]


@contextmanager
def killer(master: int, tally: Tally, seed: int) -> Iterator[None]:
    """Kill a process of the server now and then, during a sign-in."""
    over, dice = threading.Event(), random.Random(f"{seed} killer")

    def kill() -> None:
        while not over.wait(dice.uniform(1, 3)):
            while not tally.signing_in and not over.wait(0.002):
                pass
            # At any time between the request and its answer.
            over.wait(dice.uniform(0, 0.15))
            workers = children(master)
            # Keep one process, or the server would not answer for a second.
            if len(workers) >= PROCESSES:
                with suppress(ProcessLookupError):
                    os.kill(dice.choice(workers), signal.SIGKILL)
                    tally.killed_workers += 1

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
