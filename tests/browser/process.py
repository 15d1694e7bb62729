"""A browser that does one thing a line: JSON in on stdin, JSON out on stdout, until stdin ends.

An answer bears the number of what was asked.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Resolved once the page has been laid out anew and painted: who looks before that sees the former layout in a new size.
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
# Notes what was shown and when, once the browser is about to paint it.
COLLECT = """() => {
  window.seen = [];
  const note = (shown) => requestAnimationFrame(() => window.seen.push([shown.detail.lastEventMs ?? 0, Date.now()]));
  addEventListener("ringmaster:shown", note);
}"""
# How much of an element lies beyond its edge, pixels: what must be scrolled for.
HIDDEN_WIDTH = "(selector) => { const it = document.querySelector(selector); return it.scrollWidth - it.clientWidth }"
HIDDEN_HEIGHT = HIDDEN_WIDTH.replace("Width", "Height")
# A click, a key, a page to open: what can be done at once is; this long it is tried on a machine that does much else.
DO_MS = 100_000
# Where a policy forbids something the browser says so here; a fault of a script too.
FAULTS: list[str] = []


def watch(page: Page) -> None:
    """Note whatever goes wrong on the page."""
    page.on("console", lambda message: FAULTS.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: FAULTS.append(str(error)))

    def refuse(dialog: Any) -> None:
        FAULTS.append(f"a dialog opened: {dialog.message}")
        dialog.dismiss()

    page.on("dialog", refuse)


def resize(page: Page, width: int, height: int) -> None:
    """Give the page another size, and return when a person would see it so: `resize` is told before a frame only."""
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_function("([w, h]) => innerWidth === w && innerHeight === h", arg=[width, height])
    page.evaluate(PAINTED)


def wait_text(page: Page, selector: str, text: str, ms: int) -> bool:
    """Wait until an element shows exactly a text; the time-out's error says what it showed."""
    found = page.locator(selector)
    step_ms = 20
    for _ in range(1 + ms // step_ms):
        if found.inner_text(timeout=ms) == text:
            return True
        page.wait_for_timeout(step_ms)
    raise TimeoutError(f"it shows {found.inner_text()!r}")


def doings(page: Page, folder: Path) -> dict[str, Callable[..., Any]]:
    """Return what can be asked of a page, by name."""
    return {
        "open": lambda url: page.goto(url).status,  # type: ignore[union-attr]  # http always has an answer
        "address": lambda: page.url,
        "text": lambda selector: page.locator(selector).inner_text(),
        "texts": lambda selector: page.locator(selector).all_inner_texts(),
        "count": lambda selector: page.locator(selector).count(),
        "attribute": lambda selector, name: page.locator(selector).get_attribute(name),
        "see": lambda selector, ms: page.wait_for_selector(selector, timeout=ms) is not None,
        "find": lambda selector, ms: page.wait_for_selector(selector, timeout=ms, state="attached") is not None,
        "wait_text": lambda selector, text, ms: wait_text(page, selector, text, ms),
        "size": lambda width, height: resize(page, width, height),
        "scheme": lambda scheme: page.emulate_media(color_scheme=scheme),
        "collect": lambda: page.evaluate(COLLECT),
        "collected": lambda: page.evaluate("window.seen"),
        "fill": page.fill,
        "click": page.click,
        "choose": page.select_option,
        "key": page.keyboard.press,
        "focus": page.focus,
        "focused": lambda: page.evaluate("document.activeElement.id || document.activeElement.textContent"),
        "back": lambda: page.go_back() and page.url,
        "reload": lambda: page.reload() and page.url,
        "press": page.press,
        "hidden_width": lambda selector: page.evaluate(HIDDEN_WIDTH, selector),
        "hidden_height": lambda selector: page.evaluate(HIDDEN_HEIGHT, selector),
        "width": lambda: page.evaluate("document.documentElement.scrollWidth"),
        "background": lambda: page.evaluate("getComputedStyle(document.body).backgroundColor"),
        "picture": lambda name: str(page.screenshot(path=folder / name, full_page=True) and folder / name),
        "faults": lambda: list(FAULTS),
    }


def opened(browser: Browser) -> Page:
    """Return a page of a person who was never there: no cookies, nothing kept, no faults."""
    page = browser.new_context(locale="en-GB").new_page()
    page.set_default_timeout(DO_MS)
    FAULTS.clear()
    watch(page)
    return page


def serve(browser: Browser) -> None:
    """Do what each line asks; `begin` gives another person's page, and closes the former one."""
    page, can = None, dict[str, Callable[..., Any]]()
    for line in sys.stdin:
        asked = json.loads(line)
        what, number = asked.pop("do"), asked.pop("number")
        try:
            if what == "begin":
                if page is not None:
                    page.context.close()
                page = opened(browser)
                can = doings(page, Path(asked["folder"]))
                answer: dict[str, Any] = {"is": None}
            else:
                answer = {"is": can[what](**asked)}
        except (TimeoutError, PlaywrightTimeoutError) as error:
            answer = {"late": str(error)}
        except Exception as error:  # noqa: BLE001 - the process's boundary: whatever it was, the test is told
            answer = {"fault": str(error)}
        sys.stdout.write(json.dumps(answer | {"number": number}) + "\n")
        sys.stdout.flush()


def main() -> None:
    """Open a browser and serve."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=sys.argv[1], headless=True, args=FLAGS)
        serve(browser)
        browser.close()


main()
