"""Find a free port on the loopback interface, and wait until a server answers there."""

from __future__ import annotations

import socket
import subprocess
import time


def free_port() -> int:
    """Return a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def answers(port: int, process: subprocess.Popen[bytes], patience: float) -> bool:
    """Wait at most ``patience`` seconds until the process listens. Return True if it does."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return True
    return False
