"""A browser without scripts: it keeps cookies, follows redirects, and sends the forms of pages.

It does not use Django. ``exchange`` sends a request to the server and returns the answer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import Morsel, SimpleCookie
from urllib.parse import urlencode, urljoin, urlsplit

FORM = "application/x-www-form-urlencoded"
LONGEST_CHAIN = 10
REDIRECTS = {301, 302, 303, 307, 308}

#: (method, path, body, headers) -> (status, headers, body)
Exchange = Callable[[str, str, bytes, dict[str, str]], tuple[int, list[tuple[str, str]], bytes]]


class Stuck(AssertionError):
    """The page has not got what a person would look for."""


@dataclass
class Form:
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    text: str = ""
    #: (name, value) of the first button that has a name.
    button: tuple[str, str] | None = None


@dataclass
class Page:
    url: str
    status: int
    headers: dict[str, str]
    text: str

    @functools.cached_property
    def _read(self) -> _Reader:
        reader = _Reader(self.url)
        if "html" in self.headers.get("content-type", ""):
            reader.feed(self.text)
        return reader

    @property
    def forms(self) -> list[Form]:
        return self._read.forms

    @property
    def links(self) -> list[tuple[str, str]]:
        """(text, address)."""
        return self._read.links

    @property
    def loads(self) -> list[str]:
        """What htmx would load."""
        return self._read.loads

    def form(self, *words: str) -> Form:
        """Return the form whose text, action and fields have all these words."""
        for form in self.forms:
            everything = f"{form.action} {form.text} {' '.join(form.fields)}"
            if all(word in everything for word in words):
                return form
        raise Stuck(f"no form with {', '.join(words)} on {self}")

    def has_form(self, *words: str) -> bool:
        try:
            return bool(self.form(*words))
        except Stuck:
            return False

    def link(self, words: str) -> str:
        """Return the address of the link with this text."""
        for text, address in self.links:
            if words in text:
                return address
        raise Stuck(f"no link {words!r} on {self}")

    def link_to(self, part: str) -> str:
        """Return the address of the first link whose address has this part."""
        for _text, address in self.links:
            if part in address:
                return address
        raise Stuck(f"no link to {part!r} on {self}")

    def has_link(self, words: str) -> bool:
        return any(words in text for text, _address in self.links)

    def __str__(self) -> str:
        return f"{self.url} ({self.status})"


class _Reader(HTMLParser):
    """Finds forms, links, and what htmx would load."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self.loads: list[str] = []
        self._form: Form | None = None
        self._link: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name, value = given.get("name", ""), given.get("value", "")
        if "hx-get" in given and "hx-trigger" in given:
            self.loads.append(urljoin(self.url, given["hx-get"]))
        if tag == "form":
            action = urljoin(self.url, given.get("action") or self.url)
            self._form = Form(action, given.get("method", "get").upper())
            self.forms.append(self._form)
        elif tag == "a" and "href" in given:
            self._link = urljoin(self.url, given["href"])
            self.links.append(("", self._link))
        elif self._form is None:
            return
        elif given.get("type") == "submit" and tag == "input":
            self._form.text += value
        elif not name:
            return
        elif tag == "button":
            self._form.button = self._form.button or (name, value)
        elif tag == "input" and given.get("type") in ("checkbox", "radio"):
            if "checked" in given:
                self._form.fields[name] = value or "on"
        elif tag in ("input", "textarea", "select"):
            self._form.fields[name] = value

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "a":
            self._link = None

    def handle_data(self, data: str) -> None:
        if self._form is not None:
            self._form.text += data
        if self._link is not None:
            self.links[-1] = (self.links[-1][0] + data, self._link)


class Jar:
    """Cookies as a browser keeps them: by name, domain and path."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str, str], Morsel[str]] = {}

    def take(self, set_cookie: str, host: str) -> None:
        for name, morsel in SimpleCookie(set_cookie).items():
            domain = morsel["domain"].lstrip(".")
            if domain and not _within(host, domain):
                continue
            key = (name, f".{domain}" if domain else host, morsel["path"] or "/")
            gone = morsel["max-age"] == "0" or "1970" in morsel["expires"]
            if gone:
                self._cookies.pop(key, None)
            else:
                self._cookies[key] = morsel

    def sent_to(self, host: str, path: str) -> Iterator[tuple[str, str]]:
        """Yield what is sent there: longer paths first, then the older cookies."""
        found = [
            (name, morsel.coded_value, of_path)
            for (name, domain, of_path), morsel in self._cookies.items()
            if (_within(host, domain[1:]) if domain[0] == "." else host == domain)
            and f"{path}/".startswith(of_path.rstrip("/") + "/")
        ]
        found.sort(key=lambda cookie: -len(cookie[2]))
        for name, value, _path in found:
            yield name, value

    def get(self, name: str) -> str | None:
        """Return the value of the newest cookie of this name."""
        found = [morsel.value for key, morsel in self._cookies.items() if key[0] == name]
        return found[-1] if found else None


def _within(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


class Browser:
    """Somebody's browser. ``asked`` is what it sent, with the answers, for whoever looks later."""

    def __init__(self, exchange: Exchange, *, host: str = "localhost", name: str = "Firefox"):
        self._exchange = exchange
        self.host = host
        self.cookies = Jar()
        self.asked: list[str] = []
        self.headers = {
            "accept": "text/html,application/xhtml+xml,*/*;q=0.8",
            "user-agent": f"Mozilla/5.0 (X11; Linux x86_64) {name}/140.0",
        }

    @property
    def origin(self) -> str:
        return f"http://{self.host}"

    def open(self, path: str) -> Page:
        return self.send("GET", path)

    def submit(self, form: Form, **values: str) -> Page:
        """Fill in the form, and press its button."""
        unknown = set(values) - set(form.fields)
        if unknown:
            raise Stuck(f"no field {', '.join(unknown)} in the form for {form.action}")
        fields = {**form.fields, **dict([form.button] if form.button else []), **values}
        if form.method == "GET":
            return self.send("GET", form.action.partition("?")[0] + "?" + urlencode(fields))
        return self.send("POST", form.action, urlencode(fields).encode(), {"content-type": FORM})

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> Page:
        url = urljoin(self.origin, path)
        for _step in range(LONGEST_CHAIN):
            page = self._send_once(method, url, body, headers or {})
            if page.status not in REDIRECTS or "location" not in page.headers:
                return page
            url = urljoin(url, page.headers["location"])
            if not url.startswith(f"{self.origin}/"):
                raise Stuck(f"{page} leads away, to {url}")
            if page.status not in (307, 308):
                method, body, headers = "GET", b"", None
        raise Stuck(f"{page} leads on and on: {self.asked[-LONGEST_CHAIN:]}")

    def _send_once(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> Page:
        parts = urlsplit(url)
        sent = {"host": self.host, **self.headers, **headers}
        if cookies := list(self.cookies.sent_to(self.host, parts.path)):
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies)
        if method != "GET":
            sent["origin"] = self.origin
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        status, received, content = self._exchange(method, path, body, sent)
        self.asked.append(f"{method} {path}: {status}")
        for name, value in received:
            if name.lower() == "set-cookie":
                self.cookies.take(value, self.host)
        kept = {name.lower(): value for name, value in received if name.lower() != "set-cookie"}
        return Page(url, status, kept, content.decode(errors="replace"))
