"""One project, one server and one Chromium for all tests of this folder; a context for each."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser import chromium
from tests.browser.conftest import FLAGS, TIMEOUT
from tests.strangers import bench
from tests.strangers.pages.person import Person
from tests.strangers.pages.project import PACKAGES, PagesSite

DJANGO = next(iter(bench.DJANGOS))


@pytest.fixture(scope="package")
def npm_packages() -> None:
    if not (PACKAGES / ".bin" / "esbuild").exists() or shutil.which("node") is None:
        on_ci = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
        leave = pytest.fail if on_ci else pytest.skip
        leave("The npm packages are not here: `make test-strangers` installs them, with Node.")


@pytest.fixture(scope="package")
def site(npm_packages: None, tmp_path_factory: pytest.TempPathFactory) -> PagesSite:
    return PagesSite(DJANGO, tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="package")
def address(site: PagesSite) -> Iterator[str]:
    with site.served("ours") as url:
        yield url


@pytest.fixture(scope="package")
def browser(npm_packages: None) -> Iterator[Browser]:
    path = chromium.find()
    if path is None:
        (pytest.fail if chromium.required() else pytest.skip)(chromium.LEFT_OUT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def person(site: PagesSite, address: str, browser: Browser) -> Iterator[Person]:
    """Somebody at a browser in which Ada is signed in."""
    context = browser.new_context(base_url=address)
    context.set_default_timeout(TIMEOUT)
    context.route(lambda url: not url.startswith("http://127.0.0.1:"), lambda route: route.abort())
    person = Person(site, context)
    yield person
    # Whatever a test was about: nothing was ever written as somebody else.
    wrong = [note for note in person.notes() if note[0] not in person.may_write]
    context.close()
    assert wrong == []
