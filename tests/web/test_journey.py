"""Tests that use every section of the page: on several devices, behind a proxy, by keyboard."""

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.http.browser import Visits, assert_accessible, profile
from tests.support.http.proxy import behind_prefix
from tests.support.http.server import Server

DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
Action = Callable[[str], None]


def downloaded(page: Page, press: Callable[[], None]) -> list[str]:
    """Return the names in the CSV file that an action downloads."""
    with page.expect_download() as download:
        press()
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        return [row["name"] for row in csv.DictReader(file)]


def walk(page: Page, press: Action, replace: Callable[[str, str], None]) -> None:
    """Use every section.

    press: activates the element of a selector
    replace: replaces the text in the field of a selector
    """
    names, first = page.locator("#names .word"), page.locator("#names .word").first
    expect(names).to_have_count(12)
    expect(page.locator("#readout")).not_to_be_empty()
    replace("[name=pattern]", "ka*")
    expect(first).to_have_text(re.compile("^ka"))
    before = names.all_text_contents()
    press("form#constraints [type=submit]")
    expect(first).not_to_have_text(before[0])
    made = names.all_text_contents()
    assert downloaded(page, lambda: press("#names-csv")) == made
    replace("#name", "olivai")
    expect(page.locator("#rows .tile")).to_have_count(21)
    expect(page.locator("#verdict")).to_contain_text("names of 6 letters that fivegram makes")
    page.locator("#suggestions button", has_text="olivia").wait_for()
    press("#suggestions button:text-is('olivia')")
    expect(page.locator("#verdict")).to_contain_text("It is in the training list")
    replace("#list textarea", "emma\nxqzwv\nmaria")
    press("#list [type=submit]")
    expect(page.locator("#list-status")).to_have_text("3 names, judged by fivegram.")
    press("#sort-percentile")
    expect(page.locator("#scores th")).to_have_text([re.compile("xqzwv"), *[re.compile("m")] * 2])
    assert downloaded(page, lambda: press("#list-csv"))[0] == "xqzwv"
    press("#seeing summary")
    expect(page.locator("#seeing table")).to_be_visible()
    page.go_back()
    expect(page.locator("#name")).to_have_value("olivai")
    expect(page.locator("#verdict")).to_contain_text("It is not in the training list")
    expect(names).to_have_text(made)
    page.go_forward()
    expect(page.locator("#name")).to_have_value("olivia")
    expect(page.locator("#verdict")).to_contain_text("It is in the training list")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator(".problem:not(:empty)")).to_have_count(0)
    assert_accessible(page)


def with_pointer(page: Page, action: str) -> tuple[Action, Callable[[str, str], None]]:
    """Return `press` and `replace` for a mouse (click) or a finger (tap)."""

    def press(selector: str) -> None:
        getattr(page.locator(selector), action)()

    return press, lambda selector, text: page.locator(selector).fill(text)


def with_keyboard(page: Page) -> tuple[Action, Callable[[str, str], None]]:
    """Return `press` and `replace` for the keyboard."""

    def reach(selector: str) -> None:
        target = page.locator(selector).element_handle()
        for _ in range(150):
            if target.evaluate("target => document.activeElement === target"):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not reach {selector}")

    def press(selector: str) -> None:
        reach(selector)
        page.keyboard.press("Enter")

    def replace(selector: str, text: str) -> None:
        reach(selector)
        page.keyboard.press("Control+A")
        page.keyboard.type(text)

    return press, replace


@pytest.mark.parametrize(
    ("device", "scheme"),
    [(PHONE, "dark"), *(
        pytest.param(device, scheme, marks=pytest.mark.slow)
        for device, scheme in [(DESK, "light"), (DESK, "dark"), (PHONE, "light")]
    )],
    ids=["phone-dark", "desk-light", "desk-dark", "phone-light"],
)  # fmt: skip
def test_every_section_works_on_every_visit(
    browser: Browser, server: Server, tmp_path: Path, device: dict[str, Any], scheme: str
) -> None:
    for _ in range(2):
        with profile(browser, tmp_path, server.url, color_scheme=scheme, **device) as context:
            page = context.new_page()
            page.goto("/")
            walk(page, *with_pointer(page, "tap" if device is PHONE else "click"))


def test_every_section_works_by_keyboard(visit: Visits) -> None:
    # The page samples while a pattern is typed, and "k" allows a single name.
    page = visit(refused=[422], **DESK)
    walk(page, *with_keyboard(page))


@pytest.mark.slow
def test_every_section_works_behind_a_path_prefix(browser: Browser, server: Server) -> None:
    with behind_prefix(server) as url, Visits(browser, f"{url}/") as visit:
        page = visit("")
        walk(page, *with_pointer(page, "click"))
        for name in ("Report", "API"):
            page.get_by_role("link", name=name).click()
            expect(page.locator("h1, h2").first).to_be_visible()
            assert page.url.startswith(url)
            page.go_back()
        expect(page.locator("#names li")).to_have_count(12)
        address = re.search("'(.*)'", page.locator("#curl").text_content() or "")
        assert address
        assert address[1].startswith(f"{url}/sample?")


def test_lists_are_lists_for_a_screen_reader(visit: Visits) -> None:
    """Safari drops the list role of lists styled without markers, unless it is explicit."""
    page = visit()
    expect(page.locator("#lengths polyline")).to_have_count(4)
    bare = page.evaluate(
        """[...document.querySelectorAll("ol, ul")].filter((list) =>
            getComputedStyle(list).listStyleType === "none" && list.getAttribute("role") !== "list"
        ).map((list) => list.outerHTML.slice(0, 80))"""
    )
    assert bare == []
    expect(page.get_by_role("list", name="Names").get_by_role("listitem")).to_have_count(12)
