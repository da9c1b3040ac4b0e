"""How soon is the menu on the screen after a click, next to a popover of the browser's own?

``python -m benchmarks.menu [--accounts 3] [--times 40]``: the demo's menu, loaded by hovering as it
is when a hand moves there, and a native popover with the same content that was in the page from the
start, opened in turn in the same page. From the click to the end of the frame that it made; medians
in milliseconds, and how many times the popover's the menu's is.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from playwright.sync_api import Page, sync_playwright

from tests.browser import chromium
from tools.screenshots import FLAGS, PEOPLE, cookie_of, demo

#: A popover with what the menu holds, and a clock from the click to the end of its frame.
PREPARE = """() => {
  const panel = document.querySelector("[data-multisession-panel]");
  const native = panel.cloneNode(true);
  native.popover = "auto";
  native.id = "native";
  native.removeAttribute("data-multisession-panel");
  const button = document.createElement("button");
  button.textContent = "Native";
  button.setAttribute("popovertarget", "native");
  button.id = "open-native";
  document.querySelector("main").prepend(button, native);
  addEventListener("click", (event) => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => (window.took = performance.now() - event.timeStamp);
    port2.postMessage(0);
  }), true);
}"""

TOOK = """() => new Promise((resolve) => {
  const look = () => (window.took ? resolve(window.took) : setTimeout(look, 5));
  look();
})"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=3)
    parser.add_argument("--times", type=int, default=40)
    wanted = parser.parse_args()
    path = chromium.find()
    if path is None:
        sys.stderr.write(f"{chromium.LEFT_OUT}\n")
        return 1
    with demo() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        context = browser.new_context(base_url=address)
        cookie = cookie_of(list(PEOPLE)[-wanted.accounts :])
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": address}])
        page = context.new_page()
        page.goto("/")
        page.locator("[data-multisession-button] > summary").hover()
        page.wait_for_load_state("networkidle")
        page.evaluate(PREPARE)
        menu, native = [], []
        for _ in range(wanted.times):
            menu.append(opened(page, "[data-multisession-button] > summary"))
            native.append(opened(page, "#open-native"))
        browser.close()
    ours, theirs = statistics.median(menu), statistics.median(native)
    sys.stdout.write(
        f"menu {ours:.1f} ms, native popover {theirs:.1f} ms, ratio {ours / theirs:.2f} "
        f"({wanted.times} times each, {wanted.accounts} accounts)\n"
    )
    return 0


def opened(page: Page, what: str) -> float:
    """Milliseconds from the click to the end of the frame in which it was drawn; closed again."""
    page.evaluate("window.took = null")
    page.locator(what).click()
    took = float(page.evaluate(TOOK))
    page.keyboard.press("Escape")
    page.mouse.move(5, 500)
    return took


if __name__ == "__main__":
    sys.exit(main())
