"""Tests of the page as a whole: first visit, history, failures, accessibility, keys, models."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.http.browser import Visits, assert_accessible
from tests.support.http.page import DESK, PHONE, names, settled, share, slow, tiles
from tests.support.http.server import Server
from tests.support.paths import ROOT
from training.__main__ import main as train

README = (ROOT / "README.md").read_text(encoding="utf-8")


class TestAsANewcomer:
    def test_names_are_made_at_once_and_the_first_is_judged(self, visit: Visits) -> None:
        page = settled(visit())
        made = names(page)
        assert len(made) == 12
        expect(page.locator("#name")).to_have_value(made[0])
        expect(page.locator("#verdict")).to_contain_text("ore probable than")

    def test_the_first_sentence_shows_that_the_position_matters(self, visit: Visits) -> None:
        sentence = settled(visit()).locator("#readout").text_content()
        match = re.fullmatch(
            r"After an? (\w) as 6th letter, positional (ends the name|continues with an? \w) (.*) "
            r"of the time; bigram, which does not know the position, (.*)\.",
            sentence or "",
        )
        assert match, sentence
        assert abs(share(match[3]) - share(match[4])) > 0.2

    def test_the_files_of_the_page_are_small(self, visit: Visits, client: httpx.Client) -> None:
        page = settled(visit())
        loaded = page.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
        files = ["/", *(urlsplit(url).path for url in loaded)]
        static = {path for path in files if path == "/" or path.startswith("/assets/")}
        assert {"/", "/assets/page.js", "/assets/page.css"} < static
        assert sum(len(client.get(path).content) for path in static) < 100_000

    def test_links_lead_to_the_reference_the_report_and_the_maps(
        self, visit: Visits, client: httpx.Client
    ) -> None:
        page = settled(visit())
        for name in ("API", "Report"):
            href = page.get_by_role("link", name=name).get_attribute("href")
            assert href
            assert not href.startswith("/")  # there may be a prefix
            assert client.get(f"/{href}").headers["content-type"].startswith("text/html")
        page.locator("#hint").click()
        expect(page.locator("#hint")).to_have_text(page.locator("#readout").text_content() or "")
        expect(page.locator("#play")).to_be_in_viewport()


class TestBackAndForward:
    def test_back_and_forward_restore_name_constraints_and_results(self, visit: Visits) -> None:
        # The page samples while a pattern is typed, and "k" allows a single name.
        page = visit("about:blank", refused=[422])
        page.add_init_script(
            "performance.now = () => 0"
        )  # makes one gesture, however slow the machine
        page.goto("/?seed=1&position=3")
        settled(page)
        states = [(names(page), self.shown(page))]

        def record() -> None:
            states.append((names(page), self.shown(page)))

        page.locator("#names button").nth(4).click()
        record()
        page.locator("#name").press("End")
        page.locator("#name").press_sequentially("lyn", delay=20)
        record()
        page.get_by_label("Pattern").press_sequentially("ka*", delay=20)
        expect(page.locator("#names .word").first).to_have_text(re.compile("^ka"))
        record()
        page.get_by_label("Model").first.select_option("bigram")
        expect(page.locator("#verdict")).to_contain_text("bigram")
        record()
        page.get_by_role("button", name="Roll again").click()
        record()
        page.locator("#position").press("ArrowRight")
        record()
        assert len({str(state) for state in states}) == len(states)
        for made, shown in states[-2::-1]:
            page.go_back()
            expect(page.locator("#names .word")).to_have_text(made)
            self.expect_shown(page, shown)
        for made, shown in states[1:]:
            page.go_forward()
            expect(page.locator("#names .word")).to_have_text(made)
            self.expect_shown(page, shown)

    FIELDS = ("#name", "[name=pattern]", "[name=model]", "[name=seed]", "#position")

    def shown(self, page: Page) -> dict[str, str]:
        expect(page.locator("#judge")).to_have_attribute("aria-busy", "false")
        values = {field: page.locator(field).first.input_value() for field in self.FIELDS}
        return {**values, "verdict": page.locator("#verdict").text_content() or ""}

    def expect_shown(self, page: Page, shown: dict[str, str]) -> None:
        for field in self.FIELDS:
            expect(page.locator(field).first).to_have_value(shown[field])
        expect(page.locator("#verdict")).to_have_text(shown["verdict"])

    def test_playing_makes_no_history(self, visit: Visits) -> None:
        page = settled(visit("/?position=1"))
        before = page.evaluate("history.length")
        page.get_by_role("button", name="Play").click()
        expect(page.locator("#position-label")).not_to_have_text("2nd letter")
        assert page.evaluate("history.length") == before


class TestFailures:
    """A failure is shown where it happened, and nowhere else."""

    @pytest.mark.parametrize(("path", "section"), [
        ("models", "page"), ("sample", "make"),
        *slow(("score", "judge"), ("transitions", "inside"), ("lengths", "charts")),
    ])  # fmt: skip
    def test_a_failure_is_shown_in_its_section_and_can_be_retried(
        self, visit: Visits, path: str, section: str
    ) -> None:
        page = visit("about:blank", refused=[500])
        pattern = re.compile(f"/{path}\\b")
        page.route(pattern, lambda route: route.fulfill(status=500, body="{}"))
        page.goto("/?name=emma&seed=4")
        problems = {"judge": ["make", "judge"]}.get(section, [section])
        for name in problems:
            expect(page.locator(f"#{name}-problem")).to_contain_text("answers with status 500")
        expect(page.locator(".problem:not(:empty)")).to_have_count(len(problems))
        page.unroute(pattern)
        for name in problems:
            page.locator(f"#{name}-problem button").click()
        settled(page)
        expect(page.locator("#lengths polyline")).to_have_count(4)
        expect(page.locator(".problem:not(:empty)")).to_have_count(0)


@pytest.mark.slow
def test_screenshots_are_taken(
    browser: Browser, checkpoints: Path, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    """With --screenshots on port 8000, which is visible in the curl command."""
    folder = pytestconfig.getoption("screenshots")
    settings = {"MONIKER_CHECKPOINTS": str(checkpoints), "MONIKER_PORT": "8000" if folder else "0"}
    with Server(**settings) as server, Visits(browser, server.url) as visit:
        take_screenshots(visit, Path(folder or tmp_path))


def take_screenshots(visit: Visits, folder: Path) -> None:
    shown = "/?model=fivegram&temperature=0.8&seed=2017&name=olivai&inside=positional&position=6"
    for scheme, file in [("light", "page.png"), ("dark", "page-dark.png")]:
        page = settled(visit(shown, color_scheme=scheme, **DESK))
        expect(page.locator("#rows .row")).to_have_count(3)
        box = page.locator("#make").bounding_box()
        assert box
        height = box["y"] + box["height"] + 20
        page.screenshot(
            path=folder / file,
            clip={"x": 0, "y": 0, "width": 1280, "height": height},
            full_page=True,
        )
    inside = settled(visit(shown, **DESK))
    expect(inside.locator("#lengths polyline")).to_have_count(4)
    inside.locator("#inside").screenshot(path=folder / "page-inside.png")
    for picture in folder.glob("page*.png"):
        assert f"docs/{picture.name}" in README
        assert 20_000 < picture.stat().st_size < 400_000


class TestAccessibility:
    @pytest.mark.parametrize(
        ("options", "scheme"),
        [(PHONE, "dark"), *slow((DESK, "light"), (DESK, "dark"), (PHONE, "light"))],
        ids=["phone-dark", "desk-light", "desk-dark", "phone-light"],
    )
    def test_no_accessibility_rule_is_violated(
        self, visit: Visits, scheme: str, options: dict[str, Any]
    ) -> None:
        page = settled(visit("/?name=oliqvzai", color_scheme=scheme, **options))
        page.locator("#lengths summary").click()
        tiles(page, "positional").nth(2).click()
        assert_accessible(page)
        page.locator("#name").fill("\u0437\u043e\u044f")
        expect(page.locator("#verdict")).to_contain_text("has never seen")
        assert_accessible(page)

    def test_the_dark_scheme_is_dark(self, visit: Visits) -> None:
        lightness = {}
        for scheme in ("light", "dark"):
            page = visit(color_scheme=scheme)
            colour = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
            lightness[scheme] = sum(map(int, re.findall(r"\d+", colour)[:3])) / 3 / 255
        assert lightness["light"] > 0.9
        assert lightness["dark"] < 0.15

    @pytest.mark.parametrize("width", [320, 1280, *slow(390, 768)])
    def test_nothing_is_wider_than_the_screen(self, visit: Visits, width: int) -> None:
        page = settled(visit("/?name=" + "w" * 60, viewport={"width": width, "height": 800}))
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    def test_every_control_can_be_reached_by_keyboard(self, visit: Visits) -> None:
        page = settled(visit())
        reached = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.id || document.activeElement.name"))
        assert reached >= {
            "model", "pattern", "novel", "seed", "link", "copy-curl", "name", "play", "position",
            "inside-model",
        }  # fmt: skip
        expect(page.locator("#rows .row")).to_have_count(3)
        expect(page.locator("#rows button[tabindex='0']")).to_have_count(
            3
        )  # one tab stop in each row


def test_the_page_asks_for_the_key_of_a_service_that_requires_one(
    browser: Browser, checkpoints: Path
) -> None:
    settings = {"MONIKER_CHECKPOINTS": str(checkpoints), "MONIKER_API_KEYS": "a-key-of-the-page"}
    with Server(**settings) as locked, Visits(browser, locked.url) as visit:
        page = visit("/", refused=[401], base_url=locked.url)
        expect(page.locator("#key-reason")).to_have_text("This service needs an API key.")
        assert_accessible(page)
        page.keyboard.press("Escape")
        problem = page.locator("#page-problem")
        expect(problem).to_have_text("This service needs an API key. Try again")
        page.get_by_role("button", name="Try again").click()
        for wrong in ("wrong", "\u043a\u043b\u044e\u0447"):
            page.locator("#key").fill(wrong)
            page.get_by_role("button", name="Use this key").click()
            expect(page.get_by_role("dialog")).to_be_visible()
            expect(page.locator("#key")).to_have_value("")
        page.locator("#key").fill("a-key-of-the-page")
        page.keyboard.press("Enter")
        settled(page)
        expect(page.get_by_role("dialog")).to_be_hidden()
        assert len(names(page)) == 12
        for name in ("API", "Report"):  # a link cannot send the key
            expect(page.get_by_role("link", name=name)).to_have_count(0)
        command = page.locator("#curl").text_content()
        environment = {**os.environ, "KEY": "a-key-of-the-page"}
        process = subprocess.run(
            ["bash", "-c", f"{command} -sS"], env=environment, capture_output=True, check=True
        )
        assert json.loads(process.stdout)["names"] == names(page)


@pytest.mark.parametrize("available", [["bigram"], *slow(["bigram", "sinusoidal"], ["positional"])])
def test_the_page_works_with_any_models(
    browser: Browser, checkpoints: Path, tmp_path: Path, available: list[str]
) -> None:
    for name in available:
        (tmp_path / f"{name}.safetensors").symlink_to(checkpoints / f"{name}.safetensors")
    with Server(MONIKER_CHECKPOINTS=str(tmp_path)) as small, Visits(browser, small.url) as visit:
        page = settled(visit())
        expect(page.locator("#rows .tiles")).to_have_count(1)
        expect(page.locator("figure svg[role=application]:visible")).to_have_count(len(available))
        expect(page.locator("#lengths polyline")).to_have_count(len(available))
        assert_accessible(page)


def test_markup_in_names_is_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    markup = ["<b>b</b>", "<i>i</i>", "&lt;", "<b><i>", "</i></b>"]
    (tmp_path / "list.txt").write_text("\n".join(markup), encoding="utf-8")
    arguments = [
        "--data",
        str(tmp_path / "list.txt"),
        "--out",
        str(tmp_path),
        "--models",
        "positional",
    ]
    assert train(arguments) == 0
    with Server(MONIKER_CHECKPOINTS=str(tmp_path)) as odd, Visits(browser, odd.url) as visit:
        page = settled(visit("/?n=50&seed=1&name=<b>b</b>"))
        assert "<" in "".join(names(page))
        expect(tiles(page, "positional")).to_have_text([*"<b>b</b>", "end"])
        assert page.locator("main :is(b, i)", has_text="<").count() == 0
        assert page.locator("#names :is(b, i)").count() == 0
