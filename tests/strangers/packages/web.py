"""A browser without scripts: pages, links and forms over real HTTP, with real cookies.

``Browser`` stores cookies as a browser does and follows redirects. It sends a form with all fields
of the page, including hidden ones, so CSRF checks see the same as from a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPMessage
from http.cookiejar import CookieJar
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener

REDIRECTS_AT_MOST = 10
NOT_SHOWN = {"script", "style", "template"}
CHECKED = {"checkbox", "radio"}
KEEPS_THE_METHOD = {307, 308}


@dataclass
class Form:
    """A form of a page, with the values that it came with."""

    page: Page
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    #: Names of the boxes that are not ticked.
    boxes: set[str] = field(default_factory=set)
    text: str = ""

    def submit(self, **values: str) -> Page:
        """Send it with these values typed in."""
        unknown = values.keys() - self.fields.keys() - self.boxes
        assert not unknown, f"{self.action} has no {unknown}, only {sorted(self.fields)}"
        data = self.fields | values
        if self.method == "get":
            query = urlencode(data)
            return self.page.browser.get(f"{self.action}?{query}", came_from=self.page.referrer)
        return self.page.browser.post(self.action, data, came_from=self.page.referrer)


@dataclass
class Page:
    """An answer: what a person sees, and what they can click on."""

    browser: Browser
    url: str
    status: int
    html: str
    #: (status, URL) of each redirect on the way here.
    way: list[tuple[int, str]]
    #: What a browser sends as Referer from here.
    referrer: str
    forms: list[Form] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        reader = _Reader(self)
        reader.feed(self.html)
        self.text = _one_line(reader.words)

    def __str__(self) -> str:
        return f"{self.status} {self.url}, by {self.way}: {self.text[:600]}"

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def form(self, action: str = "", *, has: str = "", says: str = "") -> Form:
        """Return the first form with this in its path, a field of this name, and this text."""
        for form in self.forms:
            fits = action in urlsplit(form.action).path and says in form.text
            if fits and (not has or has in form.fields):
                return form
        wanted = f"a form of {action or 'any'} with {has or 'any field'} and {says!r}"
        there = [(urlsplit(form.action).path, form.text) for form in self.forms]
        raise AssertionError(f"There is no {wanted} among {there} on {self}")

    def leads_to(self, path: str) -> bool:
        """Return whether a link of the page goes there."""
        return any(urlsplit(link).path == path for link in self.links)


class Browser:
    """Cookies, and what one does with a page."""

    def __init__(self, address: str, agent: str = "Mozilla/5.0 Firefox/140.0") -> None:
        self.address = address
        self.agent = agent
        self.cookies = CookieJar()
        self.last: Page | None = None

    def get(self, url: str, *, came_from: str = "") -> Page:
        return self._ask("GET", url, None, came_from)

    def post(self, url: str, data: dict[str, str], *, came_from: str = "") -> Page:
        return self._ask("POST", url, data, came_from)

    def peek(self, url: str) -> Page:
        """Look at a page without keeping what it says about cookies: it heals nothing."""
        other = Browser(self.address, self.agent)
        for cookie in self.cookies:
            other.cookies.set_cookie(cookie)
        return other.get(url)

    def cookie(self, name: str) -> str | None:
        return next((cookie.value for cookie in self.cookies if cookie.name == name), None)

    def _ask(self, method: str, url: str, data: dict[str, str] | None, came_from: str) -> Page:
        url, way = urljoin(self.address, url), []
        while True:
            status, headers, body = self._ask_once(method, url, data, came_from)
            location = headers.get("Location")
            if location is None or not 300 <= status < 400:
                break
            way.append((status, url))
            assert len(way) <= REDIRECTS_AT_MOST, f"The redirects have no end: {way}"
            url = urljoin(url, location)
            if status not in KEEPS_THE_METHOD:
                method, data = "GET", None
        referrer = urljoin(url, "/") if headers.get("Referrer-Policy") == "origin" else url
        self.last = Page(self, url, status, body, way, referrer)
        return self.last

    def _ask_once(
        self, method: str, url: str, data: dict[str, str] | None, came_from: str
    ) -> tuple[int, HTTPMessage, str]:
        encoded = None if data is None else urlencode(data).encode()
        headers = {"User-Agent": self.agent, "Accept": "text/html,*/*;q=0.8"}
        if came_from:
            headers["Referer"] = came_from
        request = Request(url, data=encoded, method=method, headers=headers)  # noqa: S310
        opener = build_opener(HTTPCookieProcessor(self.cookies), _NoRedirect)
        try:
            answer = opener.open(request, timeout=60)
        except HTTPError as error:
            answer = error
        with answer:
            return answer.status, answer.headers, answer.read().decode(errors="replace")


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


class _Reader(HTMLParser):
    """Collects the forms, the links and the words of a page."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page
        self.words: list[str] = []
        self._form: Form | None = None
        self._form_words: list[str] = []
        self._select: str | None = None
        self._textarea: str | None = None
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in NOT_SHOWN:
            self._hidden.append(tag)
        elif tag == "a" and "href" in given:
            self.page.links.append(urljoin(self.page.url, given["href"]))
        elif tag == "form":
            action = urljoin(self.page.url, given.get("action") or self.page.url)
            self._form = Form(self.page, action, given.get("method", "get").lower())
            self._form_words = []
            self.page.forms.append(self._form)
        elif self._form is not None:
            for name, value in self._fields(tag, given):
                self._form.fields[name] = value

    def _fields(self, tag: str, given: dict[str, str]) -> Iterator[tuple[str, str]]:
        name, kind = given.get("name", ""), given.get("type", "text")
        if tag == "select":
            self._select = name
        elif tag == "textarea":
            self._textarea = name
            yield name, ""
        elif tag == "option" and self._select:
            assert self._form is not None
            if "selected" in given or self._select not in self._form.fields:
                yield self._select, given.get("value", "")
        elif tag == "button" and name:
            yield name, given.get("value", "")
        elif tag == "input" and name and kind in CHECKED and "checked" not in given:
            assert self._form is not None
            self._form.boxes.add(name)
        elif tag == "input" and name:
            yield name, given.get("value", "on" if kind == "checkbox" else "")

    def handle_endtag(self, tag: str) -> None:
        if self._hidden and tag == self._hidden[-1]:
            self._hidden.pop()
        elif tag == "form" and self._form is not None:
            self._form.text = _one_line(self._form_words)
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._textarea = None

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        self.words.append(data)
        if self._form is not None:
            self._form_words.append(data)
            if self._textarea:
                self._form.fields[self._textarea] += data


def _one_line(words: list[str]) -> str:
    return re.sub(r"\s+", " ", " ".join(words)).strip()
