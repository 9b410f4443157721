"""The web page in a browser: what its tests do and read in each section."""

import csv
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
SIDE_BY_SIDE = ["bigram", "positional", "fivegram"]


def slow(*values: object) -> list[object]:
    """Return parameters that run in `make test-all` only."""
    cases = [value if isinstance(value, tuple) else (value,) for value in values]
    return [pytest.param(*case, marks=pytest.mark.slow) for case in cases]


def settled(page: Page) -> Page:
    """Wait until the page has shown all it shows without input, except the charts; return it."""
    expect(page.locator("#names li").first).to_be_visible()
    expect(page.locator("#rows .tile").first).to_be_visible()
    expect(page.locator("#readout")).not_to_be_empty()
    return page


def names(page: Page) -> list[str]:
    """Return the names made, once they are loaded."""
    expect(page.locator("#make")).to_have_attribute("aria-busy", "false")
    return page.locator("#names .word").all_text_contents()


def fields(page: Page) -> dict[str, list[str]]:
    """Return the fields in the address of the page, after its delayed write."""
    page.wait_for_timeout(500)
    return parse_qs(urlsplit(page.url).query)


def explained(client: httpx.Client, name: str, model: str) -> dict[str, Any]:
    """Return the explained score of a name, requested from the service."""
    reply = client.post("/score", json={"names": [name], "model": model, "explain": True})
    score: dict[str, Any] = reply.raise_for_status().json()["scores"][0]
    return score


def tiles(page: Page, model: str) -> Locator:
    """Return the letters of the judged name in the row of a model."""
    return page.locator(f'#rows [data-row="{model}"] button')


def share(text: str | None) -> float:
    """Return the probability in a text such as "12 %" or "1 in 40,000"."""
    assert text
    if "under 1 in a million" in text:
        return 0.0
    if match := re.search(r"1 in ([\d,]+)", text):
        return 1 / int(match[1].replace(",", ""))
    match = re.search(r"([\d.]+) %", text)
    assert match, text
    return float(match[1]) / 100


def opacities(page: Page, figure: str) -> list[float]:
    """Return the opacities of the squares of a heat map, row by row."""
    rects = page.locator(f"#{figure} rect")
    return [
        float(opacity)
        for opacity in rects.evaluate_all("all => all.map(r => r.getAttribute('fill-opacity'))")
    ]


def paste(page: Page, text: str) -> None:
    """Paste a list into its field; `fill` would type it, which takes minutes for 5,000 lines."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.get_by_label("Names, one a line").focus()
    page.keyboard.press("Control+V")


def downloaded(page: Page, selector: str, name: str) -> list[dict[str, str]]:
    """Click a button and return the rows of the CSV file that it downloads."""
    with page.expect_download() as download:
        page.locator(selector).click()
    assert download.value.suggested_filename == name
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        return [*csv.DictReader(file)]
