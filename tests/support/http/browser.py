"""A real browser for the tests to look at pages with, and what must hold on every page."""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    WebError,
    sync_playwright,
)

NAMES = ["chromium", "chromium-browser", "google-chrome"]
# It runs as whoever runs the tests, root in a container, and asks nobody by itself.
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WITHIN = {"data", "blob"}  # the schemes of what a page has in itself
CANCELLED = "net::ERR_ABORTED"  # by the page, which wants the reply no more
REFUSED = "Failed to load resource: the server responded with a status of {} "


def installed() -> str:
    """The Chromium of this machine; without one a test is skipped, but never in CI."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        missing = f"there is no browser: none of {', '.join(NAMES)} is installed"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the browser; each context in it is a new visitor."""
    found = installed()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield running
        running.close()


@contextmanager
def profile(
    browser: Browser,
    folder: Path,
    url: str,
    **options: Any,  # noqa: ANN401
) -> Iterator[BrowserContext]:
    """Run the browser as somebody who has been here before: cache and storage are in a folder.

    url: that addresses of pages are relative to
    options: of the visitor, such as color_scheme or viewport
    """
    context = browser.browser_type.launch_persistent_context(
        folder, executable_path=installed(), args=FLAGS, base_url=url, **options
    )
    yield context
    context.close()


class Visits:
    """Pages of a service, until the block ends; then nothing may have gone wrong on any.

    That is: no error or warning on the console, where a breach of the Content-Security-Policy
    is told too, none that nobody caught, no request that failed or went elsewhere.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser, self._url = browser, url
        self._open: list[BrowserContext] = []
        self._faults: list[str] = []

    def __enter__(self) -> "Visits":
        return self

    def __call__(
        self, path: str = "/", *, refused: Collection[int] = (), **options: object
    ) -> Page:
        """Open a page as a new visitor.

        refused: statuses that the page is to be told by the service
        options: of the visitor, such as color_scheme, viewport, extra_http_headers or base_url
        """
        settings: dict[str, Any] = {"base_url": self._url, **options}
        context = self._browser.new_context(**settings)
        self._open.append(context)
        self._watch(context, settings["base_url"], refused)
        page = context.new_page()
        page.goto(path)
        return page

    def _watch(self, context: BrowserContext, url: str, refused: Collection[int]) -> None:
        # On a busy machine the service may be busy, too: the page tries again by itself.
        known = tuple(map(REFUSED.format, [*refused, 503]))

        def hear(message: ConsoleMessage) -> None:
            told = message.type in {"error", "warning"}
            if told and not message.text.startswith(known):
                where = message.location["url"]
                self._faults.append(f"{message.type} on the console: {message.text} ({where})")

        def follow(request: Request) -> None:
            asked, here = urlsplit(request.url), urlsplit(url)
            if asked.scheme not in WITHIN and asked[:2] != here[:2]:
                self._faults.append(f"a request elsewhere: {request.url}")

        def fail(request: Request) -> None:
            if request.failure != CANCELLED:
                self._faults.append(f"a request failed: {request.url}: {request.failure}")

        def crash(error: WebError) -> None:
            self._faults.append(f"nobody caught: {error.error}")

        context.on("console", hear)
        context.on("request", follow)
        context.on("requestfailed", fail)
        context.on("weberror", crash)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for context in self._open:
            for page in context.pages:
                page.evaluate("0")  # what has happened so far is told before the answer
            context.close()
        assert not self._faults, "\n".join(self._faults)


def assert_accessible(page: Page) -> None:
    """Nothing on the page, as it is now, breaks a rule of axe."""
    found = Axe().run(page)
    assert not found.violations_count, found.generate_report()
