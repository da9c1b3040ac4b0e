"""Sites and browsers for the stories. A site runs for the tests of one class."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser as PlaywrightBrowser
from playwright.sync_api import BrowserContext, sync_playwright

from tests.browser import chromium as find_chromium
from tests.browser.conftest import FLAGS, TIMEOUT
from tests.strangers import bench
from tests.strangers.packages.site import Site
from tests.strangers.packages.web import Browser

NewBrowser = Callable[[], Browser]


@pytest.fixture(scope="class", params=bench.DJANGOS, ids=lambda django: f"django-{django}")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The project of the class's package, on each Django that we support."""
    kind: type[Site] = request.cls.Site
    return kind(request.param, tmp_path_factory.mktemp(kind.package))


@pytest.fixture(scope="class")
def address(site: Site) -> Iterator[Callable[[str], str]]:
    """Addresses of the project's servers, each started when a test first asks for it."""
    known: dict[str, str] = {}
    with ExitStack() as stack:

        def find(project: str) -> str:
            if project not in known:
                known[project] = stack.enter_context(site.served(project))
            return known[project]

        yield find


@pytest.fixture
def new_browser(address: Callable[[str], str]) -> NewBrowser:
    """Make a browser without cookies, on the project with the README's lines."""
    return lambda: Browser(address("ours"))


@pytest.fixture(params=["stock", "ours"])
def either(request: pytest.FixtureRequest, address: Callable[[str], str]) -> NewBrowser:
    """The same, and once on the project as it was before."""
    return lambda: Browser(address(request.param))


@pytest.fixture(scope="package")
def chromium() -> Iterator[PlaywrightBrowser]:
    """A real browser, for the stories of two tabs."""
    path = find_chromium.find()
    if path is None:
        (pytest.fail if find_chromium.required() else pytest.skip)(find_chromium.LEFT_OUT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def tabs(chromium: PlaywrightBrowser, address: Callable[[str], str]) -> Iterator[BrowserContext]:
    """One browser's tabs: they share its cookies. It reaches this machine and nothing else."""
    context = chromium.new_context(base_url=address("ours"))
    context.set_default_timeout(TIMEOUT)
    context.route(lambda url: not url.startswith("http://127.0.0.1:"), lambda route: route.abort())
    yield context
    context.close()
