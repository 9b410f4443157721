"""A real browser for the tests, and checks that apply to every page."""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
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
# The sandbox does not run as root, as in a container; the others stop requests of its own.
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
INTERNAL_SCHEMES = {"data", "blob"}  # of URLs that need no request
CANCELLED = "net::ERR_ABORTED"  # the page has aborted the request
CONSOLE_ERROR = "Failed to load resource: the server responded with a status of {} "


def installed() -> str:
    """Return the path of Chromium. Without one the test is skipped, or fails in CI."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        missing = f"no browser found; install one of {', '.join(NAMES)}"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return path


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the browser; each of its contexts is a new visitor."""
    path = installed()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


@contextmanager
def profile(
    browser: Browser,
    folder: Path,
    url: str,
    **options: Any,  # noqa: ANN401
) -> Iterator[BrowserContext]:
    """Run the browser with a profile whose cache and storage are kept in a folder.

    url: base of relative URLs
    options: of the context, such as color_scheme or viewport
    """
    context = browser.browser_type.launch_persistent_context(
        folder, executable_path=installed(), args=FLAGS, base_url=url, **options
    )
    yield context
    context.close()


class Visits:
    """Context manager that opens pages of a service, and asserts at its end that none failed.

    Failures are errors and warnings on the console (violations of the Content-Security-Policy
    are among them), uncaught exceptions, failed requests and requests to other origins.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser, self._url = browser, url
        self._open: list[BrowserContext] = []
        self._failures: list[str] = []

    def __enter__(self) -> "Visits":
        return self

    def __call__(
        self, path: str = "/", *, refused: Collection[int] = (), **options: object
    ) -> Page:
        """Open a page as a new visitor.

        refused: error statuses that the test expects the page to receive
        options: of the context, such as color_scheme, viewport, extra_http_headers or base_url
        """
        settings: dict[str, Any] = {"base_url": self._url, **options}
        context = self._browser.new_context(**settings)
        self._open.append(context)
        self._watch(context, settings["base_url"], refused)
        page = context.new_page()
        page.goto(path)
        return page

    def _watch(self, context: BrowserContext, url: str, refused: Collection[int]) -> None:
        # On a busy machine the service may reply 503; the page retries by itself.
        expected = tuple(map(CONSOLE_ERROR.format, [*refused, 503]))

        def check_message(message: ConsoleMessage) -> None:
            is_problem = message.type in {"error", "warning"}
            if is_problem and not message.text.startswith(expected):
                source = message.location["url"]
                self._failures.append(f"{message.type} on the console: {message.text} ({source})")

        def check_origin(request: Request) -> None:
            target, own = urlsplit(request.url), urlsplit(url)
            if target.scheme not in INTERNAL_SCHEMES and target[:2] != own[:2]:
                self._failures.append(f"a request to another origin: {request.url}")

        def check_failure(request: Request) -> None:
            if request.failure != CANCELLED:
                self._failures.append(f"a request failed: {request.url}: {request.failure}")

        def record_error(error: WebError) -> None:
            self._failures.append(f"uncaught: {error.error}")

        context.on("console", check_message)
        context.on("request", check_origin)
        context.on("requestfailed", check_failure)
        context.on("weberror", record_error)

    def __exit__(self, *error: object) -> None:
        for context in self._open:
            for page in context.pages:
                page.evaluate("0")  # a round trip: earlier events have arrived after it
            context.close()
        assert not self._failures, "\n".join(self._failures)


def assert_accessible(page: Page) -> None:
    """Assert that the page as it is now violates no accessibility rule of axe."""
    results = Axe().run(page)
    assert not results.violations_count, results.generate_report()
