"""Servers under load, on loopback: what a visitor's share is when many ask at once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from statistics import median

from tools.ports import answers, free_port
from tools.servers import url_of

from .contenders import OURS, STOCK, Contender
from .driver import environment, note, python, workers
from .report import Report
from .services import DATA, ROOT, postgresql, slug

GUNICORN = ("gunicorn", "benchmarks.project.wsgi", "--workers=2", "--log-level=error", "--bind")
UVICORN = ("uvicorn", "--lifespan=off", "--log-level=critical")
DEMO = Contender("demo", "", "demo")
STOCK_PREPARED = STOCK.with_("prepared", PREPARED="1")
OURS_PREPARED = OURS.with_("prepared", PREPARED="1")
#: Seconds that a server may take to answer its first request.
PATIENCE = 20


@dataclass
class Load:
    """What wrk has seen."""

    per_second: float
    errors: int


def run(report: Report, *, quick: bool) -> None:
    if url_of("postgresql") is None or shutil.which("wrk") is None:
        report.say("This needs a PostgreSQL server and wrk: nothing was measured.\n")
        return
    wsgi(report, rounds=2 if quick else 5, seconds=2 if quick else 4)
    asgi(report, seconds=4 if quick else 8)


def wsgi(report: Report, *, rounds: int, seconds: int) -> None:
    contenders = [STOCK, OURS, STOCK_PREPARED, OURS_PREPARED]
    found: dict[str, list[Load]] = {each.name: [] for each in contenders}
    loads = []
    with postgresql(list(found)) as urls, ExitStack() as servers:
        sites = {each.name: servers.enter_context(site(each, urls)) for each in contenders}
        note("gunicorn under load")
        for number in range(rounds):
            turn = number % len(contenders)
            for name in [*found][turn:] + [*found][:turn]:
                address, cookie = sites[name]
                found[name].append(wrk(f"{address}/page", cookie, connections=8, seconds=seconds))
            loads.append(os.getloadavg()[0])
    report.say(
        f"gunicorn, 2 workers, 8 connections, PostgreSQL; load average {max(loads):.1f}"
        " (a rough figure: wrk and PostgreSQL share the processors)"
    )
    rows = []
    for name, each in found.items():
        ratio = median(
            a.per_second / b.per_second for a, b in zip(each, found[STOCK.name], strict=True)
        )
        speed = round(median(load.per_second for load in each))
        rows.append([name, speed, ratio, sum(load.errors for load in each)])
        report.figures[f"load.{name}"] = ratio
    report.table(["", "requests a second", "to stock db", "errors"], rows)
    report.figures["load.speed"] = report.figures[f"load.{OURS.name}"]


def asgi(report: Report, *, seconds: int) -> None:
    """The same view on uvicorn; and the demo as it is shipped."""
    note("uvicorn under load")
    found: dict[str, Load] = {}
    each = OURS.with_("no kept connections", CONNECTIONS="each")
    pooled = OURS.with_("with a pool", CONNECTIONS="pool")
    with postgresql([each.name, pooled.name, DEMO.name]) as urls:
        for contender in (each, pooled):
            command = (*UVICORN, "benchmarks.project.asgi:application", "--port")
            with site(contender, urls, command) as (address, cookie):
                found[contender.name] = wrk(f"{address}/page", cookie, 50, seconds)
        with demo(urls[DEMO.name]) as (address, cookie):
            found["the demo, as shipped"] = wrk(f"{address}/whoami", cookie, 50, seconds)
    report.say("uvicorn, 1 process, 50 connections, PostgreSQL")
    cells = [[name, round(load.per_second), load.errors] for name, load in found.items()]
    report.table(["", "requests a second", "errors"], cells)
    report.figures["load.asgi.errors"] = found["the demo, as shipped"].errors


@contextmanager
def site(
    contender: Contender, urls: dict[str, str], command: tuple[str, ...] = GUNICORN
) -> Iterator[tuple[str, str]]:
    """A server for this contender: its address, and the cookies of somebody signed in."""
    with workers([contender], urls) as (worker,):
        worker.prepare(users=1)
        worker.sign_in("one", users=[0])
        cookies = worker.browsers_as_json()["one"]["cookies"]
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    variables = environment(contender, urls[contender.name])
    with server(contender, command, variables) as address:
        expect(address, "/page", cookie, "u0@example.com")
        yield address, cookie


@contextmanager
def demo(url: str) -> Iterator[tuple[str, str]]:
    """The demo in ``config/`` and ``accounts/``: nothing set but where the database is."""
    variables = {**os.environ, "DATABASE_URL": url, "DEBUG": "1"}
    for order in ("migrate --verbosity=0", "demo_accounts"):
        manage = [str(python(DEMO)), "manage.py", *order.split()]
        subprocess.run(manage, cwd=ROOT, env=variables, check=True, capture_output=True)
    command = (*UVICORN, "config.asgi:application", "--port")
    with server(DEMO, command, variables) as address:
        cookie = sign_in_to_demo(address)
        expect(address, "/whoami", cookie, "ada@example.com")
        yield address, cookie


@contextmanager
def server(
    contender: Contender, command: tuple[str, ...], variables: dict[str, str]
) -> Iterator[str]:
    port = free_port()
    program, *arguments = command
    binding = f"127.0.0.1:{port}" if program == "gunicorn" else str(port)
    errors = DATA / f"server-{slug(contender.name)}.log"
    with errors.open("w") as log:
        process = subprocess.Popen(
            [str(python(contender).parent / program), *arguments, binding],
            cwd=ROOT,
            env=variables,
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(port, process, errors)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes], errors: Path) -> None:
    if not answers(port, process, PATIENCE):
        raise RuntimeError(f"The server does not answer; see {errors}.")


def expect(address: str, path: str, cookie: str, text: str) -> None:
    browser = urllib.request.build_opener()
    browser.addheaders = [("Cookie", cookie)]
    with browser.open(address + path, timeout=PATIENCE) as answer:
        if text not in answer.read().decode():
            raise RuntimeError(f"{address}{path} does not show {text}.")


def sign_in_to_demo(address: str) -> str:
    """As a person does it: by the form."""
    jar = CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    page = browser.open(f"{address}/accounts/sign-in/", timeout=PATIENCE).read().decode()
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[0]
    fields = {"username": "ada@example.com", "password": "several-accounts"}
    form = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": token}).encode()
    browser.open(f"{address}/accounts/sign-in/", form, timeout=PATIENCE).close()
    browser.open(f"{address}/whoami", timeout=PATIENCE).close()
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)


def wrk(url: str, cookie: str, connections: int, seconds: int) -> Load:
    if urllib.parse.urlsplit(url).hostname != "127.0.0.1":
        raise ValueError("Only this machine is put under load.")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout=20s"]
    done = subprocess.run(
        [*command, "-H", f"Cookie: {cookie}", url],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
    )
    per_second = float(re.findall(r"Requests/sec:\s+([\d.]+)", done.stdout)[0])
    refused = re.findall(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    broken = re.findall(r"(?:connect|read|write|timeout) (\d+)", done.stdout)
    return Load(per_second, sum(int(number) for number in [*refused, *broken]))
