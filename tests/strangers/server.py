"""A project's own server, ``manage.py runserver``, and a browser for it."""

import http.client
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.strangers import bench
from tests.strangers.story.browser import Browser


@contextmanager
def serving(python: Path, project: Path) -> Iterator[Browser]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
    environment = bench.environ() | {"PYTHONUNBUFFERED": "1"}
    log = project / "server.log"
    with log.open("w") as errors:
        server = subprocess.Popen(
            command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )

    def exchange(method: str, path: str, body: bytes, headers: dict[str, str]):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()

    try:
        # Said when it listens.
        assert any("development server at" in line for line in server.stdout), log.read_text()
        yield Browser(exchange, host=f"localhost:{port}")
    finally:
        server.terminate()
        server.wait(timeout=30)
