"""The site behind an ASGI server, over real HTTP."""

import http.client
import http.cookiejar
import json
import re
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvicorn
from django.core.asgi import get_asgi_application

from .conftest import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site(settings):
    """The demo's address, served by uvicorn in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        get_asgi_application(), log_level="error", lifespan="off", timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    host, port = listener.getsockname()
    yield f"http://{host}:{port}"
    server.should_exit = True
    thread.join(10)
    listener.close()
    assert not thread.is_alive()


class Browser:
    """A browser over HTTP: it keeps cookies and follows redirects."""

    def __init__(self, site):
        self.site = site
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def get(self, path, **headers):
        request = urllib.request.Request(self.site + path, headers=headers)  # noqa: S310
        with self.opener.open(request, timeout=20) as response:
            return response.read().decode()

    def post(self, path, fields, page="/"):
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(page))[1]
        body = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": token}).encode()
        with self.opener.open(self.site + path, body, timeout=20) as response:
            return response.read().decode()

    def whoami(self):
        return json.loads(self.get("/whoami"))

    def sign_in(self, user):
        path = "/accounts/sign-in/"
        self.post(path, {"username": user.email, "password": PASSWORD}, page=path)


def test_the_main_story(site, ada, grace):
    firefox = Browser(site)
    firefox.sign_in(ada)
    adas = firefox.whoami()
    firefox.post("/note", {"note": "of Ada"})
    firefox.sign_in(grace)
    assert firefox.whoami()["user"] == grace.email
    firefox.post("/multisession/set-active/", {"session": adas["sid"]})
    assert firefox.whoami() == {**adas, "note": "of Ada"}
    firefox.post("/multisession/sign-out/", {"session": adas["sid"]})
    assert firefox.whoami()["user"] is None
    firefox.post("/multisession/sign-out-all/", {}, page="/accounts/choose/")
    assert [cookie.name for cookie in firefox.jar if cookie.name == "sessionid"] == []


def test_many_requests_at_once_show_one_account(site, ada):
    firefox = Browser(site)
    firefox.sign_in(ada)
    firefox.whoami()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: firefox.whoami()["user"], range(40)))
    assert set(answers) == {ada.email}


def test_a_cookie_is_read_by_its_exact_octets(site, ada):
    """Over the wire, where a test client's encodings have no say."""
    firefox = Browser(site)
    firefox.sign_in(ada)
    (value,) = (cookie.value for cookie in firefox.jar if cookie.name == "sessionid")
    host, port = site.removeprefix("http://").split(":")

    def user(cookie):
        with socket.create_connection((host, int(port)), timeout=20) as wire:
            head = b"GET /whoami HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: "
            wire.sendall(head + cookie + b"\r\n\r\n")
            answer = b"".join(iter(lambda: wire.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 200 "), answer[:200]
        return json.loads(answer.partition(b"\r\n\r\n")[2])["user"]

    ours = f"sessionid={value}".encode()
    assert user(ours) == ada.email
    assert user(b"a=b;\t " + ours) == ada.email
    for space in ("\u2000", "\u00a0", "\u0085", "\u3000"):
        assert user(space.encode() + ours) is None
    assert user(ours + b"; sessionid=" + b"x" * 32) == ada.email
    assert user(b"sessionid=" + b"\xff" * 32) is None


def test_behind_a_tls_proxy_the_cookie_is_bound_to_this_host(site, ada, settings):
    """What a proxy hands on after it has ended TLS: the same request, and a header saying so."""
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SESSION_COOKIE_NAME = "__Host-sessionid"
    settings.CSRF_COOKIE_NAME = "__Host-csrftoken"
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    jar: dict[str, str] = {}

    def ask(method, path, cookie=None, **fields):
        wire = http.client.HTTPConnection(site.removeprefix("http://"), timeout=20)
        kept = "; ".join(f"{name}={value}" for name, value in jar.items())
        headers = {"X-Forwarded-Proto": "https", "Origin": site.replace("http:", "https:")}
        headers["Cookie"] = cookie or kept
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        wire.request(method, path, urllib.parse.urlencode(fields), headers)
        answer = wire.getresponse()
        set_cookies = answer.headers.get_all("Set-Cookie") or []
        for line in set_cookies:
            name, _, rest = line.partition("=")
            assert "; Secure" in rest
            assert "; Path=/" in rest
            assert "Domain=" not in rest
            jar[name] = rest.partition(";")[0]
        text = answer.read().decode()
        wire.close()
        return text

    page = ask("GET", "/accounts/sign-in/")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    sent = {"csrfmiddlewaretoken": token, "username": ada.email, "password": PASSWORD}
    ask("POST", "/accounts/sign-in/", **sent)
    assert set(jar) == {"__Host-sessionid", "__Host-csrftoken"}

    def user(cookie=None):
        return json.loads(ask("GET", "/whoami", cookie))["user"]

    assert user() == ada.email
    value = jar["__Host-sessionid"]
    assert user(f"sessionid={value}") is None
    assert user(f"__host-sessionid={value}") is None
    assert user(f"\xe2\x80\x80__Host-sessionid={value}") is None


@pytest.mark.urls("tests.test_async_pages")
def test_many_coroutines_at_once_draw_forms_and_lists_of_accounts(site, ada, grace):
    firefox = Browser(site)
    firefox.sign_in(ada)
    firefox.sign_in(grace)
    urls = ["/list/", "/active/", "/form/", "/choose/"] * 10
    with ThreadPoolExecutor(8) as tabs:
        pages = list(tabs.map(firefox.get, urls))
    assert pages[::4] == ["2"] * 10
    assert pages[1::4] == [grace.email] * 10
    assert all("csrfmiddlewaretoken" in page for page in pages[2::4])
    assert all(ada.name in page for page in pages[3::4])
