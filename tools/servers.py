"""Find the database servers on this machine's standard local ports, for ``make test-all``.

``python -m tools.servers postgresql`` prints the DATABASE_URL for the tests. If no server answers,
it prints a message on stderr instead.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

SOCKET = Path("/run/mysqld/mysqld.sock")


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def postgresql() -> str | None:
    return "postgresql://postgres@127.0.0.1:5432/multisession" if answers(5432) else None


def mariadb() -> str | None:
    if SOCKET.exists():
        return f"mysql://root@localhost/multisession?host={SOCKET}"
    return "mysql://root@127.0.0.1:3306/multisession" if answers(3306) else None


SERVERS = {
    "postgresql": (postgresql, "TEST_POSTGRESQL_URL"),
    "mariadb": (mariadb, "TEST_MARIADB_URL"),
}


def url_of(name: str) -> str | None:
    """Return the URL of this server: from the environment, or the standard local one."""
    look, variable = SERVERS[name]
    return os.environ.get(variable) or look()


def main() -> int:
    (name,) = sys.argv[1:]
    if url := url_of(name):
        sys.stdout.write(f"{url}\n")
    else:
        variable = SERVERS[name][1]
        sys.stderr.write(
            f"The tests were not run on {name}: no server answers here. {variable} names one.\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
