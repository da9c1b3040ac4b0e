"""Start a primary and its streaming replica on their own ports, for a test."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAME = "multisession"
#: Seconds that a server may take to start.
PATIENCE = 20
MOST = 300
PRIMARY = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
fsync = off
wal_level = replica
max_wal_senders = 4
hot_standby = on
max_connections = 20
shared_buffers = 16MB
"""


def programs() -> Path | None:
    """The newest PostgreSQL server that is installed here."""
    found = [
        path.parent
        for path in Path("/usr/lib/postgresql").glob("*/bin/pg_basebackup")
        if (path.parent / "initdb").exists() and (path.parent / "postgres").exists()
    ]
    return max(found, key=lambda path: float(path.parent.name), default=None)


def account() -> str | None:
    """Whom the servers run as: PostgreSQL refuses to run as root. None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise LookupError("PostgreSQL refuses to run as root, and there is no user postgres or nobody.")


def missing() -> str | None:
    """Why there can be no replica here."""
    if programs() is None:
        return "PostgreSQL's own programs (initdb, pg_basebackup) are not installed here."
    try:
        account()
    except LookupError as error:
        return str(error)
    return None


@contextlib.contextmanager
def primary_and_replica() -> Iterator[tuple[str, str]]:
    """The URLs of both. The replica follows the primary until it is told to lag."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="replica-")))
        servers = Servers(folder)
        primary = servers.make_primary()
        stack.enter_context(servers.running(primary))
        replica = servers.make_replica()
        stack.enter_context(servers.running(replica))
        yield servers.url(primary), servers.url(replica)


class Servers:
    def __init__(self, folder: Path) -> None:
        found = programs()
        assert found is not None
        self.programs, self.folder = found, folder
        self.ports: dict[Path, int] = {}
        self.options: dict[str, Any] = {"cwd": folder, "stdin": subprocess.DEVNULL}
        if user := account():
            entry = pwd.getpwnam(user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
            self.options |= {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def make_primary(self) -> Path:
        data = self.folder / "primary"
        command = ["initdb", "-D", data, "-U", NAME, "-A", "trust", "-E", "UTF8", "--no-locale"]
        self.run(*command, "--no-sync")
        self.configure(data, PRIMARY)
        return data

    def make_replica(self) -> Path:
        """A copy of the running primary, which goes on from there. (-R writes how.)"""
        data = self.folder / "replica"
        primary = self.ports[self.folder / "primary"]
        source = ["-d", f"host=127.0.0.1 port={primary} user={NAME}"]
        self.run("pg_basebackup", *source, "-D", data, "-R", "-X", "stream", "-c", "fast", "-N")
        self.configure(data, "port = {port}\n")
        return data

    def configure(self, data: Path, lines: str) -> None:
        self.ports[data] = free_port()
        with (data / "postgresql.conf").open("a") as file:
            file.write(lines.format(port=self.ports[data]))

    @contextlib.contextmanager
    def running(self, data: Path) -> Iterator[None]:
        """Run until the block is left, or for MOST seconds if nobody is left to stop it."""
        log = (self.folder / f"{data.name}.log").open("wb")
        # It passes the signal on.
        limit = ["timeout", "--signal=QUIT", str(MOST)] if shutil.which("timeout") else []
        command = [*limit, self.programs / "postgres", "-D", data]
        with log, subprocess.Popen(command, stdout=log, stderr=log, **self.options) as server:
            try:
                self.wait(data, server)
                yield
            finally:
                server.send_signal(signal.SIGQUIT)  # "Immediate": nothing here is to be kept.
                server.wait(timeout=PATIENCE)

    def wait(self, data: Path, server: "subprocess.Popen[bytes]") -> None:
        ready = [self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", self.ports[data]]
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and server.poll() is None:
            if subprocess.run([str(part) for part in ready], check=False).returncode == 0:
                return
            time.sleep(0.05)
        said = (self.folder / f"{data.name}.log").read_text()
        raise AssertionError(f"PostgreSQL did not start: {said[-2000:]}")

    def run(self, program: str, *arguments: object) -> None:
        done = subprocess.run(
            [self.programs / program, *map(str, arguments)],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            **self.options,
        )
        assert done.returncode == 0, done.stderr

    def url(self, data: Path) -> str:
        return f"postgresql://{NAME}@127.0.0.1:{self.ports[data]}/postgres"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
