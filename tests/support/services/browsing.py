"""A real browser, Debian's Chromium, by Playwright: what goes wrong in it is noted, and axe-core looks at pages."""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.support.paths import ROOT

#: Phone and desk.
WIDTHS = (380, 1400)
#: A name of this machine that the browser takes for another machine's.
ELSEWHERE = "service.test"
#: Pictures of the pages as they were tested; the best of them are in docs/images.
PICTURES = ROOT / "out" / "screenshots"


@dataclass(kw_only=True)
class Watched:
    """A page of a browser, and what went wrong in it.

    Args:
        page: Playwright's.
        hosts: Where it may ask, with ports.
        errors: Errors and warnings of its console, and of its scripts.
        foreign: What it asked for elsewhere.
    """

    page: Page
    hosts: tuple[str, ...]
    errors: list[str] = field(default_factory=list[str])
    foreign: list[str] = field(default_factory=list[str])

    def hear(self, message: ConsoleMessage) -> None:
        """Note what its console says."""
        if message.type in ("error", "warning"):
            self.errors.append(f"{self.page.url}: {message.text}")

    def see(self, request: Request) -> None:
        """Note what it asks for elsewhere."""
        place = urlsplit(request.url)
        if place.scheme not in ("data", "blob", "about") and place.netloc not in self.hosts:
            self.foreign.append(request.url)


@contextmanager
def chromium() -> Generator[Browser]:
    """Start the browser; a test that needs one is skipped where there is none."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    # its sandbox is not for root
    arguments = [f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@contextmanager
def watched(
    browser: Browser, hosts: tuple[str, ...], width: int, scheme: Literal["light", "dark"] = "light"
) -> Generator[Watched]:
    """Give a page of a browser that knows nothing yet.

    Args:
        browser: The browser.
        hosts: Where the page may ask, with ports.
        width: Of its window.
        scheme: Light or dark, as its reader likes it.
    """
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(20_000)
    found = Watched(page=context.new_page(), hosts=hosts)
    found.page.on("console", found.hear)
    found.page.on("pageerror", lambda error: found.errors.append(f"{found.page.url}: {error}"))
    context.on("request", found.see)
    yield found
    context.close()


def grave(page: Page) -> list[str]:
    """Return what axe-core finds in a page that is serious or critical, with the elements that it is about.

    Args:
        page: The page, as it is shown now.
    """
    response: dict[str, Any] = Axe().run(page).response
    return [
        f"{page.url}: {each['id']}: {each['help']}: {[node['html'][:160] for node in each['nodes']]}"
        for each in response["violations"]
        if each["impact"] in ("serious", "critical")
    ]


def overflow(page: Page) -> int:
    """Return by how many pixels a page is wider than its window.

    Args:
        page: The page.
    """
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def picture(page: Page, name: str, *, whole: bool = False) -> None:
    """Keep a picture of a page.

    Args:
        page: The page.
        name: The file's, without extension.
        whole: Whether it is of the whole page, and not of what is in view.
    """
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=whole)
