"""The page at /, looked at with a real browser: what it shows is what the service says."""

import csv
import json
import math
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, Request, Route, expect

from tests.support.http.browser import Visits, assert_accessible
from tests.support.http.server import Server
from tests.support.http.wire import until
from tests.support.lists import LISTS, NAMES
from tests.support.paths import ROOT
from training.__main__ import main as train

README = (ROOT / "README.md").read_text(encoding="utf-8")
WEB = ROOT / "service" / "web"
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
COLUMNED = {"header.csv", "no-header.csv", "semicolons.csv", "tabs.tsv", "objects.json"}
SIDE_BY_SIDE = ["bigram", "positional", "fivegram"]


@pytest.fixture(scope="module", autouse=True)
def known_laws(server: Server) -> None:
    """What the first visitor waits for. If several were the first at once, and had left before it
    is known, the next one would be refused and have to try again."""
    for model in ("bigram", "positional", "sinusoidal", "fivegram"):
        constraints = {"model": model, "max_length": "64"}
        server.get("/lengths", params=constraints, timeout=60).raise_for_status()


def slow(*values: object) -> list[object]:
    """Parameters for make test-all, besides those of the short form."""
    several = [value if isinstance(value, tuple) else (value,) for value in values]
    return [pytest.param(*each, marks=pytest.mark.slow) for each in several]


def settled(page: Page) -> Page:
    """The page when it has shown what it shows by itself, but for the curves."""
    expect(page.locator("#names li").first).to_be_visible()
    expect(page.locator("#rows .tile").first).to_be_visible()
    expect(page.locator("#readout")).not_to_be_empty()
    return page


def names(page: Page) -> list[str]:
    expect(page.locator("#make")).to_have_attribute("aria-busy", "false")
    return page.locator("#names .word").all_text_contents()


def fields(page: Page) -> dict[str, list[str]]:
    """The state of the page in its address, once it is there."""
    page.wait_for_timeout(500)
    return parse_qs(urlsplit(page.url).query)


def explained(client: httpx.Client, name: str, model: str) -> dict[str, Any]:
    reply = client.post("/score", json={"names": [name], "model": model, "explain": True})
    score: dict[str, Any] = reply.raise_for_status().json()["scores"][0]
    return score


def tiles(page: Page, model: str) -> Locator:
    return page.locator(f'#rows [data-row="{model}"] button')


def share(shown: str | None) -> float:
    """The probability that is shown: of 12 %, or of 1 in 40,000."""
    assert shown
    if "under 1 in a million" in shown:
        return 0.0
    if match := re.search(r"1 in ([\d,]+)", shown):
        return 1 / int(match[1].replace(",", ""))
    match = re.search(r"([\d.]+) %", shown)
    assert match, shown
    return float(match[1]) / 100


def opacities(page: Page, figure: str) -> list[float]:
    rects = page.locator(f"#{figure} rect")
    return [
        float(one)
        for one in rects.evaluate_all("all => all.map(r => r.getAttribute('fill-opacity'))")
    ]


class TestAsANewcomer:
    def test_names_are_there_at_once_and_the_first_is_judged(self, visit: Visits) -> None:
        page = settled(visit())
        made = names(page)
        assert len(made) == 12
        expect(page.locator("#name")).to_have_value(made[0])
        expect(page.locator("#verdict")).to_contain_text("ore probable than")

    def test_it_is_seen_that_the_position_matters(self, visit: Visits) -> None:
        told = settled(visit()).locator("#readout").text_content()
        match = re.fullmatch(
            r"After an? (\w) as 6th letter, positional (ends the name|continues with an? \w) (.*) "
            r"of the time; bigram, which does not know the position, (.*)\.",
            told or "",
        )
        assert match, told
        assert abs(share(match[3]) - share(match[4])) > 0.2

    def test_little_is_loaded(self, visit: Visits, client: httpx.Client) -> None:
        page = settled(visit())
        loaded = page.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
        files = ["/", *(urlsplit(one).path for one in loaded)]
        static = {path for path in files if path == "/" or path.startswith("/assets/")}
        assert {"/", "/assets/page.js", "/assets/page.css"} < static
        assert sum(len(client.get(path).content) for path in static) < 100_000

    def test_there_is_a_way_to_the_rest(self, visit: Visits, client: httpx.Client) -> None:
        page = settled(visit())
        for name in ("API", "Report"):
            href = page.get_by_role("link", name=name).get_attribute("href")
            assert href
            assert not href.startswith("/")  # there may be a prefix
            assert client.get(f"/{href}").headers["content-type"].startswith("text/html")
        page.locator("#hint").click()
        expect(page.locator("#hint")).to_have_text(page.locator("#readout").text_content() or "")
        expect(page.locator("#play")).to_be_in_viewport()


class TestMaking:
    def test_a_link_gives_the_same_names(self, visit: Visits) -> None:
        page = settled(visit())
        page.get_by_label("Model").first.select_option("positional")
        page.get_by_label("How many").fill("7")
        page.get_by_label("Pattern").fill("[km]*")
        page.get_by_label("Without").fill("an, ee")
        page.get_by_label("Minimum number of letters").fill("5")
        page.get_by_label("Maximum number of letters").fill("8")
        page.get_by_label("Only new names").check()
        page.get_by_role("button", name="Roll again").click()
        address = re.search("'(.*)'", page.locator("#curl").text_content() or "")
        assert address
        wished = httpx.get(address[1]).raise_for_status().json()["names"]
        expect(page.locator("#names .word")).to_have_text(wished)
        page.locator("#names button").nth(3).click()
        page.locator("#position").fill("4")
        state, made = fields(page), names(page)
        for name in made:
            assert re.fullmatch(r"[km]\w{4,7}", name), name
            assert "an" not in name
            assert "ee" not in name
        assert page.locator("#names .known").all_text_contents() == ["new"] * 7
        again = settled(visit(urlsplit(page.url).path + "?" + urlsplit(page.url).query))
        assert names(again) == made
        assert fields(again) == state
        expect(again.locator("#name")).to_have_value(made[3])
        expect(again.locator("#position")).to_have_value("4")
        expect(again.get_by_label("Without")).to_have_value("an, ee")

    def test_the_link_is_copied(self, visit: Visits) -> None:
        page = settled(visit(permissions=["clipboard-read", "clipboard-write"]))
        page.get_by_label("How many").fill("3")
        page.get_by_role("button", name="Copy link").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert fields(page)["n"] == ["3"]
        assert copied == page.url

    def test_where_the_connection_is_not_secure_it_is_copied_too(self, visit: Visits) -> None:
        page = visit(permissions=["clipboard-read", "clipboard-write"])
        settled(page).evaluate("() => { navigator.clipboard.writeText = () => Promise.reject() }")
        page.get_by_role("button", name="Copy", exact=True).click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()").startswith("curl 'http://127.")

    def test_rolling_again_gives_others(self, visit: Visits) -> None:
        page = settled(visit())
        before = names(page)
        page.get_by_role("button", name="Roll again").click()
        expect(page.locator("#names .word").first).not_to_have_text(before[0])
        assert names(page) != before

    def test_the_command_that_is_shown_gives_these_names(self, visit: Visits) -> None:
        page = settled(visit("/?model=bigram&n=5&pattern=*[xyz]&exclude=a'b&exclude=q&seed=9"))
        command = page.locator("#curl").text_content()
        assert command
        ran = subprocess.run(["bash", "-c", f"{command} -sS"], capture_output=True, check=True)
        assert json.loads(ran.stdout)["names"] == names(page)

    def test_each_name_tells_how_likely_it_is_and_whether_it_is_known(
        self, visit: Visits, client: httpx.Client
    ) -> None:
        page = settled(visit("/?n=40&model=positional&seed=3&temperature=1.2"))
        made = names(page)
        rates = page.locator("#names .rate").all_text_contents()
        known = page.locator("#names .known").all_text_contents()
        assert {*known} == {"new", "in the list"}
        for name, rate, listed in zip(made, rates, known, strict=True):
            score = explained(client, name, "positional")
            assert share(rate) == pytest.approx(score["percentile"], abs=0.006)
            assert listed == ("in the list" if score["listed"] else "new")

    def test_a_click_sends_a_name_to_the_judge(self, visit: Visits) -> None:
        page = settled(visit())
        page.locator("#names button").nth(5).click()
        chosen = names(page)[5]
        expect(page.locator("#name")).to_have_value(chosen)
        expect(tiles(page, "bigram")).to_have_text([*chosen, "end"])

    def test_a_wish_that_cannot_be_fulfilled_is_told_and_nothing_is_lost(
        self, visit: Visits
    ) -> None:
        page = settled(visit(refused=[422]))
        before = names(page)
        page.get_by_label("Pattern").fill("[^a]*")
        expect(page.locator("#make-problem")).to_contain_text("Negate with !")
        expect(page.get_by_label("Pattern")).to_have_attribute("aria-invalid", "true")
        assert names(page) == before
        page.get_by_label("Pattern").fill("q?q")
        page.get_by_label("Minimum number of letters").fill("9")
        expect(page.locator("#make-problem")).to_have_text("No name fulfils this wish.")
        expect(page.get_by_label("Pattern")).to_have_attribute("aria-invalid", "false")
        page.get_by_label("Minimum number of letters").fill("")
        expect(page.locator("#make-problem")).to_be_empty()
        expect(page.locator("#probability")).to_contain_text("Of all names that fivegram makes, ")

    def test_what_was_shown_before_a_problem_fades_and_comes_back(self, visit: Visits) -> None:
        page = settled(visit("/?pattern=ka*&seed=3&model=bigram", refused=[422]))
        expect(page.locator("#probability")).to_contain_text("Of all names that bigram makes")
        page.get_by_label("Pattern").fill("ka*[")
        expect(page.locator("#make")).to_have_class("stale")
        page.get_by_label("Pattern").fill("")
        expect(page.locator("#make")).not_to_have_class("stale")
        expect(page.locator("#probability")).to_be_empty()

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("How many", "5000"),
            ("Seed", "1.5"),
            *slow(("How many", ""), ("Seed", "-1"), ("Seed", "")),
        ],
    )
    def test_what_the_form_does_not_take_is_marked_and_not_asked(
        self, visit: Visits, field: str, value: str
    ) -> None:
        page = settled(visit())
        before = names(page)
        page.get_by_label(field).fill(value)
        expect(page.locator("#make-problem")).not_to_be_empty()
        expect(page.get_by_label(field)).to_have_attribute("aria-invalid", "true")
        assert names(page) == before
        if field == "Seed":
            page.get_by_role("button", name="Roll again").click()
            expect(page.locator("#make-problem")).to_be_empty()

    def test_of_an_address_only_what_is_valid_is_taken(self, visit: Visits) -> None:
        page = settled(visit("/?n=1e9&temperature=abc&seed=x&min_length=-3&position=99&inside=a"))
        expect(page.get_by_label("How many")).to_have_value("12")
        expect(page.locator("[name=temperature]")).to_have_value("0.8")
        expect(page.get_by_label("Minimum number of letters")).to_have_value("")
        expect(page.get_by_label("Seed")).to_have_value(re.compile(r"\d+"))
        expect(page.locator("#position-label")).to_have_text("23rd letter and later")
        assert len(names(page)) == 12

    @pytest.mark.parametrize(("chance", "least"), [(0.0, 1.0), (0.95, 1.95)])
    def test_a_busy_service_is_asked_again_and_not_by_all_pages_at_once(
        self, visit: Visits, chance: float, least: float
    ) -> None:
        page = visit("about:blank", refused=[503])
        page.add_init_script(f"Math.random = () => {chance}")
        asked: list[float] = []

        def refuse_once(route: Route) -> None:
            asked.append(time.monotonic())
            if len(asked) > 1:
                route.fallback()
                return
            problem = json.dumps({"detail": "too much"})
            route.fulfill(status=503, headers={"Retry-After": "1"}, body=problem)

        page.route("**/sample?*", refuse_once)
        page.goto("/")
        assert len(names(settled(page))) == 12
        assert asked[1] - asked[0] > least - 0.1

    @pytest.mark.parametrize(("pause", "times"), [("0.1", 4), ("3600", 1)])
    def test_a_service_that_stays_busy_is_not_asked_for_ever(
        self, visit: Visits, pause: str, times: int
    ) -> None:
        page = settled(visit("/?pattern=k*", refused=[503]))
        before = names(page)
        asked: list[str] = []

        def refuse(route: Route) -> None:
            asked.append(route.request.url)
            problem = json.dumps({"detail": "There is too much to do."})
            route.fulfill(status=503, headers={"Retry-After": pause}, body=problem)

        page.route("**/sample?*", refuse)
        page.get_by_role("button", name="Roll again").click()
        expect(page.locator("#make-problem")).to_contain_text("There is too much to do.")
        assert len(asked) == times
        assert names(page) == before
        page.unroute("**/sample?*")
        page.locator("#make-problem").get_by_role("button", name="Try again").click()
        expect(page.locator("#make-problem")).to_be_empty()
        assert names(page) != before

    def test_what_is_no_reply_of_the_service_is_told(self, visit: Visits) -> None:
        page = settled(visit("/?name=emma", refused=[502]))
        page.route("**/score", lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>"))
        page.locator("#name").fill("emmy")
        told = "The service answers with status 502."
        expect(page.locator("#judge-problem")).to_contain_text(told)
        page.unroute("**/score")
        page.locator("#name").fill("emm")
        expect(page.locator("#judge-problem")).to_be_empty()
        expect(tiles(page, "fivegram")).to_have_text([*"emm", "end"])

    def test_what_an_address_has_wrong_is_not_sent(self, visit: Visits) -> None:
        page = visit("/?n=1e1&position=abc&seed=%2B5&name=" + "a" * 300)
        expect(page.locator("#names li")).to_have_count(12)
        expect(page.locator("#position-label")).to_have_text("7th letter")
        expect(page.locator("#verdict")).to_contain_text("more than 256 characters")

    def test_a_model_that_is_not_in_service_is_not_asked(self, visit: Visits) -> None:
        page = settled(visit("/?model=gone&inside=gone&n=4"))
        assert len(names(page)) == 4
        expect(page.get_by_label("Model").first).to_have_value("fivegram")


class TestJudging:
    @pytest.mark.parametrize(
        "name", ["olivai", "anna maria", *slow("Kaylyn", "x", "bartholomewzz")]
    )
    def test_each_letter_has_the_colour_of_its_surprise(
        self, visit: Visits, client: httpx.Client, name: str
    ) -> None:
        page = settled(visit())
        page.locator("#name").fill(name)
        unknown = explained(client, name, "bigram")["unknown"]
        for model in SIDE_BY_SIDE:
            score = explained(client, name, model)
            row = page.locator("#rows .row", has_text=f"{model} sees")
            if unknown:
                expect(row.locator(".tile[data-level='7']")).to_have_text(unknown)
                continue
            expect(tiles(page, model)).to_have_text([*score["normalized"], "end"])
            levels = tiles(page, model).evaluate_all("all => all.map(one => one.dataset.level)")
            bits = [-step["log_likelihood"] / math.log(2) for step in score["steps"]]
            marks = [1, 2, 3, 4, 5.5, 7, 9]
            assert [*map(int, levels)] == [sum(one >= mark for mark in marks) for one in bits]
            told = row.locator(".rate").text_content()
            assert "more probable than" in (told or "")
            assert share(told) == pytest.approx(score["percentile"], rel=0.06, abs=0.001)

    def test_the_percentile_is_a_sentence(self, visit: Visits, client: httpx.Client) -> None:
        page = settled(visit("/?name=emma"))
        expect(page.locator("#verdict")).to_have_text(re.compile(
            r"More probable than \d\d % of the names of 4 letters that fivegram makes\. "
            r"It is in the training list\."
        ))  # fmt: skip
        page.get_by_label("Model").first.select_option("positional")
        expect(page.locator("#verdict")).to_contain_text("that positional makes")
        assert share(page.locator("#verdict").text_content()) == pytest.approx(
            explained(client, "emma", "positional")["percentile"], abs=0.006
        )
        page.locator("#name").fill("xqzwv")
        expect(page.locator("#verdict")).to_contain_text("Hardly a name")
        page.locator("#name").fill("")
        expect(page.locator("#verdict")).to_have_text("Type a name.")

    @pytest.mark.parametrize("model", ["sinusoidal", *slow("bigram")])
    def test_a_link_judges_by_its_model(self, visit: Visits, model: str) -> None:
        page = settled(visit(f"/?name=emma&model={model}"))
        expect(page.locator("#verdict")).to_contain_text(f"that {model} makes")
        expect(page.locator(f"#rows [data-row='{model}'] button")).to_have_count(5)

    def test_the_worst_letter_is_explained_until_another_is_chosen(
        self, visit: Visits, client: httpx.Client
    ) -> None:
        page = settled(visit("/?name=emma&model=sinusoidal"))
        tiles(page, "sinusoidal").nth(0).click()
        expect(page.locator("#step p").first).to_contain_text("sinusoidal expects")
        page.get_by_label("Model").first.select_option("positional")
        expect(page.locator("#step p").first).to_contain_text("positional expects")
        tiles(page, "bigram").nth(1).click()
        page.locator("#name").fill("zk")
        steps = explained(client, "zk", "positional")["steps"]
        gaps = [step["log_likelihood"] - step["expected"] for step in steps]
        worst = gaps.index(min(gaps))
        assert worst != min(range(3), key=lambda at: steps[at]["log_likelihood"])
        expect(tiles(page, "positional").nth(worst)).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#rows button[aria-pressed='true']")).to_have_count(1)

    def test_characters_that_cannot_be_seen_are_told_by_number(self, visit: Visits) -> None:
        page = settled(visit("/?name=mary ann"))
        expect(page.locator("#verdict")).to_have_text("fivegram has never seen space.")

    def test_a_letter_tells_what_was_expected_and_who_said_so(
        self, visit: Visits, client: httpx.Client
    ) -> None:
        page = settled(visit("/?name=olivai&model=positional"))
        tiles(page, "fivegram").nth(2).click()
        step = explained(client, "olivai", "fivegram")["steps"][2]
        expect(page.locator("#step p").first).to_have_text(re.compile(
            rf"After ol, i as the 3rd letter has a probability of .*, number {step['rank']} of "
        ))  # fmt: skip
        expected = {one["character"] or "end" for one in [step, *step["alternatives"]]}
        shown = page.locator("#step .choice")
        assert {*shown.locator("span:first-child").all_text_contents()} == expected
        rates = [*map(share, shown.locator(".rate").all_text_contents())]
        assert rates == sorted(rates, reverse=True)
        said = {True: 0.0, False: 0.0}
        for feature, nats in step["contributions"].items():
            said["position" in feature] += nats
        for part, nats in [("the letters before", said[False]), ("the position", said[True])]:
            told = (
                page.locator("#step .influence", has_text=part).locator(".rate").text_content()
                or ""
            )
            factor = float(re.sub(r" times.*|,", "", told))
            assert factor == pytest.approx(math.exp(abs(nats)), rel=0.05)
            assert told.endswith("times more probable" if nats >= 0 else "times less probable")
            bar = page.locator("#step .influence", has_text=part).locator(".signed-bar")
            assert ("negative" in (bar.get_attribute("class") or "").split()) == (nats < 0)

    def test_a_model_that_is_blind_to_the_position_says_nothing_of_it(self, visit: Visits) -> None:
        page = settled(visit("/?name=emma"))
        tiles(page, "bigram").nth(1).click()
        expect(page.locator("#step .influence")).to_have_count(1)

    def test_what_may_have_been_meant_is_a_click_away(self, visit: Visits) -> None:
        page = settled(visit("/?name=olivai"))
        page.locator("#suggestions button", has_text="olivia").click()
        expect(page.locator("#name")).to_have_value("olivia")
        expect(tiles(page, "fivegram")).to_have_text([*"olivia", "end"])

    def test_letters_are_gone_through_with_the_arrow_keys(self, visit: Visits) -> None:
        page = settled(visit("/?name=emma"))
        tiles(page, "positional").first.focus()
        for key in ["ArrowRight", "ArrowRight", "ArrowLeft", "ArrowRight", "ArrowRight"]:
            page.keyboard.press(key)
        expect(tiles(page, "positional").nth(3)).to_be_focused()
        expect(tiles(page, "positional").nth(3)).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#step p").first).to_contain_text("After emm, a as the 4th letter")
        stops = tiles(page, "positional").evaluate_all("all => all.map(t => t.tabIndex)")
        assert stops == [-1, -1, -1, 0, -1]

    def test_what_is_typed_is_text_whatever_it_is(self, visit: Visits) -> None:
        page = settled(visit("/?name=<img src=x onerror=document.title='!'>"))
        assert page.title() == "moniker"
        expect(page.locator("#verdict")).to_contain_text("has never seen")
        assert page.locator("#rows img").count() == 0

    def test_a_newer_keystroke_aborts_the_request_of_the_one_before(self, visit: Visits) -> None:
        page = settled(visit("/?name=a"))
        names(page)
        aborted: list[str] = []

        def judged(request: Request) -> str:
            return str((request.post_data_json or {})["names"][0])

        def hold(route: Route) -> None:
            """Never answer any but the last."""
            if judged(route.request) == "alexandria":
                route.fallback()

        page.on("requestfailed", lambda request: aborted.append(judged(request)))
        page.route("**/score", hold)
        page.locator("#name").press("End")
        for letter in "lexandria":
            with page.expect_request("**/score"):
                page.keyboard.press(letter)
        for model in SIDE_BY_SIDE:
            expect(tiles(page, model)).to_have_text([*"alexandria", "end"])
        assert aborted == ["alexandria"[:length] for length in range(2, 10)]

    def test_sections_do_not_wait_for_each_other(self, visit: Visits) -> None:
        page = visit("about:blank")
        held: list[Route] = []
        page.route(re.compile("sample|lengths"), lambda route: held.append(route))
        page.goto("/?name=emma")
        expect(page.locator("#readout")).not_to_be_empty()
        page.locator("#name").fill("olivia")
        for model in SIDE_BY_SIDE:
            expect(tiles(page, model)).to_have_text([*"olivia", "end"])
        expect(page.locator("#make")).to_have_attribute("aria-busy", "true")
        expect(page.locator("#judge")).to_have_attribute("aria-busy", "false")
        for route in held:
            route.fallback()
        expect(page.locator("#names li")).to_have_count(12)

    def test_a_search_that_is_superseded_is_aborted_in_the_service_too(
        self, browser: Browser, checkpoints: Path
    ) -> None:
        # A service of its own: it learns that to compile takes long, and would refuse other tests.
        settings = {"MONIKER_CHECKPOINTS": str(checkpoints)}
        with Server(**settings) as server, Visits(browser, server.url) as visit:
            page = settled(visit())
            names(page)
            with page.expect_request("**/sample?*"):
                page.get_by_label("Pattern").fill("*a*e*i*o*u*")  # fivegram searches for a while
            page.get_by_label("Pattern").fill("ka*")
            expect(page.locator("#names .word").first).to_have_text(re.compile("^ka"))
            until(lambda: '"status":499' in server.log)


class TestLookingInside:
    @pytest.mark.parametrize("model", ["fivegram", *slow("positional", "sinusoidal")])
    def test_the_map_is_what_follows_what(
        self, visit: Visits, client: httpx.Client, model: str
    ) -> None:
        page = settled(visit(f"/?inside={model}"))
        for position in (0, 1, 22):
            page.locator("#position").fill(str(position))
            expect(page.locator("#seeing svg")).to_have_attribute(
                "aria-label", re.compile(f"as the {position + 1}")
            )
            query = {"model": model, "position": position, "max_length": 64}
            told = client.get("/transitions", params=query).json()
            rows = {row["previous"]: row["probabilities"] for row in told["rows"]}
            expected = [p for c in told["characters"] for p in rows.get(c, [0.0] * 27)]
            shown = [one**2 for one in opacities(page, "seeing")]
            assert shown == pytest.approx(expected, abs=0.002)

    def test_only_the_model_that_sees_the_position_changes_with_it(self, visit: Visits) -> None:
        page = settled(visit("/?position=2"))
        before = {figure: opacities(page, figure) for figure in ("blind", "seeing")}
        page.locator("#position").press("ArrowRight")
        expect(page.locator("#position-label")).to_have_text("4th letter")
        expect(page.locator("#blind svg")).to_have_attribute("aria-label", re.compile("as the 4th"))
        assert opacities(page, "blind") == pytest.approx(before["blind"], abs=0.005)
        changed = zip(opacities(page, "seeing"), before["seeing"], strict=True)
        assert max(abs(one - other) for one, other in changed) > 0.1

    def test_a_square_is_told_when_it_is_pointed_at_or_reached_with_keys(
        self, visit: Visits, client: httpx.Client
    ) -> None:
        page = settled(visit("/?position=3"))
        page.locator('#seeing [data-row="17"][data-column="21"]').hover()
        expect(page.locator("#readout")).to_contain_text(
            "After a q as 3rd letter, positional continues with a u "
        )
        (row,) = [
            row
            for row in client.get("/transitions?position=3&max_length=64").json()["rows"]
            if row["previous"] == "q"
        ]
        assert share(page.locator("#readout").text_content()) == pytest.approx(
            row["probabilities"][21], abs=0.006
        )
        page.locator("#seeing svg").focus()
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#readout")).to_contain_text("After a p as 3rd letter")
        expect(page.locator("#readout")).to_contain_text(" continues with a t ")
        expect(page.locator("#blind .pointed")).to_have_attribute("data-row", "16")

    def test_a_pair_of_letters_can_be_followed_along_the_word(self, visit: Visits) -> None:
        page = settled(visit("/?position=3"))
        page.locator('#seeing [data-row="17"][data-column="21"]').hover()
        page.locator("#position").press("ArrowRight")
        expect(page.locator("#readout")).to_contain_text("After a q as 4th letter")
        for key in ["ArrowUp"] * 30 + ["ArrowRight"] * 30:
            page.locator("#blind svg").press(key)
        expect(page.locator("#seeing .pointed")).to_have_attribute("data-row", "0")
        expect(page.locator("#seeing .pointed")).to_have_attribute("data-column", "26")
        expect(page.locator("#readout")).to_have_text(
            "In names of positional, the start of a name is never the 4th letter."
        )

    def test_it_walks_along_the_word_by_itself(self, visit: Visits) -> None:
        page = settled(visit("/?position=1"))
        page.get_by_role("button", name="Play").click()
        expect(page.locator("#position-label")).to_have_text(re.compile("[3-9]th|11th|1st"))
        page.get_by_role("button", name="Pause").click()
        paused = page.locator("#position-label").text_content() or ""
        page.wait_for_timeout(1200)
        expect(page.locator("#position-label")).to_have_text(paused)

    def test_the_curves_are_those_of_the_list_and_of_the_models(
        self, visit: Visits, client: httpx.Client, us_names: list[str]
    ) -> None:
        page = settled(visit())
        expect(page.locator("#lengths polyline")).to_have_count(4)
        for figure in ("lengths", "ends"):
            page.locator(f"#{figure} summary").click()
        heads = page.locator("#lengths thead th").all_text_contents()
        assert {*heads} == {"Letters", "the list", "bigram", "positional", "sinusoidal", "fivegram"}
        distributions = {
            "the list": [sum(len(n) == k for n in us_names) / len(us_names) for k in range(65)]
        }
        for model in heads[2:]:
            law = client.get(f"/lengths?max_length=64&model={model}").json()["lengths"]
            distributions[model] = [0.0, *(one["probability"] for one in law)]
        for column, name in enumerate(heads[1:]):
            for letters in (1, 5, 6, 10):
                law = distributions[name]
                for figure, expected in [
                    ("lengths", law[letters]), ("ends", law[letters] / sum(law[letters:]))
                ]:  # fmt: skip
                    row = page.locator(f"#{figure} tbody tr").nth(letters - 1)
                    shown = share(row.locator("td").nth(column).text_content())
                    assert shown == pytest.approx(expected, abs=0.006)
        law = distributions["positional"]
        curve = page.locator(
            f"#lengths polyline.curve{heads.index('positional') - 1}"
        ).get_attribute("points")
        points = [[*map(float, point.split(","))] for point in (curve or "").split(" ")]
        ground = float(page.locator("#lengths .marked").get_attribute("y2") or "")
        heights = [ground - y for _, y in points]
        for letters in (4, 5, 7):
            ratio = heights[letters - 1] / heights[5]
            assert ratio == pytest.approx(law[letters] / law[6], abs=0.002)
        page.locator("#position").press("ArrowLeft")
        expect(page.locator("#position-label")).to_have_text("6th letter")
        marked = page.locator("#lengths .marked").get_attribute("x1")
        assert float(marked or "") == pytest.approx(points[4][0])
        expect(page.locator("#lengths details")).to_have_attribute("open", "")


def paste(page: Page, text: str) -> None:
    """Paste a list into its field. (`fill` types it, which takes minutes for 5,000 lines.)"""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.get_by_label("Names, one a line").focus()
    page.keyboard.press("Control+V")


class TestJudgingAList:
    def judged(self, page: Page) -> list[str]:
        expect(page.locator("#list")).to_have_attribute("aria-busy", "false")
        return page.locator("#scores th").all_text_contents()

    @pytest.fixture
    def five_thousand(self, client: httpx.Client) -> list[str]:
        query = {"n": 5000, "temperature": 1.3, "seed": 8}
        return client.get("/sample", params=query, headers={"Accept": "text/plain"}).text.split()

    def test_five_thousand_names_are_scored_sorted_and_downloaded(
        self, visit: Visits, client: httpx.Client, five_thousand: list[str]
    ) -> None:
        page = settled(visit())
        paste(page, "\n".join(five_thousand))
        page.get_by_role("button", name="Judge the list").click()
        expect(page.locator("#list-status")).to_have_text("5,000 names, judged by fivegram.")
        assert self.judged(page) == five_thousand[:100]
        asked = {"names": five_thousand, "model": "fivegram"}
        scores = client.post("/score", json=asked).json()["scores"]
        expected = {one["name"]: one["percentile"] for one in scores}
        page.get_by_role("button", name="Percentile").click()
        lowest = sorted(expected[name] for name in five_thousand)
        assert [expected[name] for name in self.judged(page)] == lowest[:100]
        page.get_by_role("button", name="Show more").click()
        assert len(self.judged(page)) == 1100
        page.get_by_role("button", name="Percentile").click()
        expect(page.locator("th[aria-sort=descending]")).to_have_text("Percentile")
        assert [expected[name] for name in self.judged(page)] == lowest[:-101:-1]
        rows = downloaded(page, "#list-csv", "scores-fivegram.csv")
        assert [row["name"] for row in rows] == sorted(
            five_thousand, key=lambda name: -expected[name]
        )
        assert [float(row["percentile"]) for row in rows] == lowest[::-1]
        likelihoods = {one["name"]: one["log_likelihood"] for one in scores}
        assert all(float(row["log_likelihood"]) == likelihoods[row["name"]] for row in rows)

    @pytest.mark.parametrize("kind", [
        "plain.txt", "mark.txt", "carriage-returns.txt", "windows.txt", "utf-16.txt", "header.csv",
        "no-header.csv", "semicolons.csv", "tabs.tsv", "array.json", "escaped.json", "objects.json",
    ])  # fmt: skip
    def test_a_list_is_read_as_people_keep_it(self, visit: Visits, kind: str) -> None:
        page = settled(visit())
        file: FilePayload = {"name": kind, "mimeType": "", "buffer": LISTS[kind]}
        page.get_by_label("Or a file").set_input_files(file)
        expect(page.locator("#list-status")).to_contain_text("8 names, judged by fivegram.")
        assert self.judged(page) == NAMES
        expect(page.locator("#list-column")).to_be_visible(visible=kind in COLUMNED)

    def test_a_second_list_has_columns_of_its_own(self, visit: Visits) -> None:
        page = settled(visit())
        for text, expected in [
            ("emma\nmia", ["emma", "mia"]),
            ("Year;Vorname\n2001;emma\n2002;\n;mia", ["emma", "mia"]),
            (',emma\n,"mia"', ["emma", "mia"]),
            ('1\t\t"a\nb"' + "\n2\t\temma" * 8, ["a b", *["emma"] * 8]),
            ('"name"\n"Anna"\n"Ben"', ["Anna", "Ben"]),
            ("emma, mia, ava", ["emma", "mia", "ava"]),
            ('{"name":"emma","n":1}\n{"n":2,"name":"mia"}', ["emma", "mia"]),
            ('{"model":"bigram","names":["emma","mia"]}', ["emma", "mia"]),
            ('"emma\n"mia', ['"emma', '"mia']),
        ]:
            page.get_by_label("Names, one a line").fill(text)
            page.get_by_role("button", name="Judge the list").click()
            expect(page.locator("#scores th")).to_have_text(expected)

    def test_names_can_be_in_any_column(self, visit: Visits) -> None:
        page = settled(visit())
        text = '1,"Smith, Jr",2442977\n2,"Jo""hn",1932812\n3,Li,\n'
        paste(page, text)
        page.get_by_role("button", name="Judge the list").click()
        expect(page.locator("#list-status")).to_contain_text("3 names")
        assert self.judged(page) == ["Smith, Jr", 'Jo"hn', "Li"]
        page.get_by_label("Names are in column").select_option("3: 2442977")
        expect(page.locator("#list-status")).to_contain_text("2 names")
        assert self.judged(page) == ["2442977", "1932812"]

    def test_what_cannot_be_judged_says_why_and_comes_last(self, visit: Visits) -> None:
        page = settled(visit())
        text = "\n".join(["Zo\u00eb", "emma", "a" * 1000, "\u0436", "xqzwv"])
        paste(page, text)
        page.get_by_role("button", name="Judge the list").click()
        expect(page.locator("#list-status")).to_have_text(
            "5 names, judged by fivegram. 3 cannot be judged."
        )
        expect(page.locator("#scores tr").nth(0)).to_contain_text("unknown: \u00eb")
        expect(page.locator("#scores tr").nth(2)).to_contain_text("more than 256 characters")
        for _ in range(2):
            page.get_by_role("button", name="Percentile").click()
            assert {*self.judged(page)[:2]} == {"emma", "xqzwv"}
        rows = downloaded(page, "#list-csv", "scores-fivegram.csv")
        assert (rows[2]["name"], rows[2]["percentile"]) == ("Zo\u00eb", "")
        assert rows[2]["unknown"] == "\u00eb"

    def test_a_list_that_is_no_list_is_refused(self, visit: Visits) -> None:
        page = settled(visit())
        problem = page.locator("#list-problem")
        page.get_by_role("button", name="Judge the list").click()
        expect(problem).to_have_text("Paste a list of names or open a file.")
        paste(page, "a\n" * 50_001)
        page.get_by_role("button", name="Judge the list").click()
        expect(problem).to_contain_text("This page judges up to 50,000 names")
        large: FilePayload = {"name": "a.txt", "mimeType": "", "buffer": b"a\n" * 2_500_001}
        page.get_by_label("Or a file").set_input_files(large)
        expect(problem).to_contain_text("this page takes up to 5,000,000")

    def test_a_list_is_still_there_after_a_reload(self, visit: Visits) -> None:
        page = settled(visit())
        paste(page, "emma\nolivia")
        page.get_by_role("button", name="Judge the list").click()
        expect(page.locator("#list-status")).to_have_text("2 names, judged by fivegram.")
        page.reload()
        expect(page.locator("#list-status")).to_have_text("2 names, judged by fivegram.")
        assert self.judged(page) == ["emma", "olivia"]

    def test_a_name_of_the_list_is_judged_by_a_click(self, visit: Visits) -> None:
        page = settled(visit())
        paste(page, "emma\nxqzwv")
        page.get_by_role("button", name="Judge the list").click()
        page.get_by_role("button", name="xqzwv").click()
        expect(page.locator("#name")).to_have_value("xqzwv")
        expect(page.locator("#verdict")).to_contain_text("Hardly a name")


def downloaded(page: Page, selector: str, name: str) -> list[dict[str, str]]:
    """The rows of a CSV file that a button makes."""
    with page.expect_download() as download:
        page.locator(selector).click()
    assert download.value.suggested_filename == name
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        return [*csv.DictReader(file)]


def test_made_names_are_downloaded(visit: Visits, client: httpx.Client) -> None:
    page = settled(visit("/?n=40&model=positional&seed=3&temperature=1.2"))
    made = names(page)
    rows = downloaded(page, "#names-csv", "names-positional.csv")
    assert [row["name"] for row in rows] == made
    for row in rows[:5]:
        score = explained(client, row["name"], "positional")
        assert float(row["percentile"]) == score["percentile"]
        assert row["in_training_list"] == str(score["listed"]).lower()


class TestBackAndForward:
    def test_they_restore_name_constraints_and_results(self, visit: Visits) -> None:
        page = visit("about:blank")
        page.add_init_script("performance.now = () => 0")  # one gesture, however slow the machine
        page.goto("/?seed=1&position=3")
        settled(page)
        seen = [(names(page), self.shown(page))]

        def see() -> None:
            seen.append((names(page), self.shown(page)))

        page.locator("#names button").nth(4).click()
        see()
        page.locator("#name").press("End")
        page.locator("#name").press_sequentially("lyn", delay=20)
        see()
        page.get_by_label("Pattern").press_sequentially("ka*", delay=20)
        expect(page.locator("#names .word").first).to_have_text(re.compile("^ka"))
        see()
        page.get_by_label("Model").first.select_option("bigram")
        expect(page.locator("#verdict")).to_contain_text("bigram")
        see()
        page.get_by_role("button", name="Roll again").click()
        see()
        page.locator("#position").press("ArrowRight")
        see()
        assert len({str(one) for one in seen}) == len(seen)
        for made, shown in seen[-2::-1]:
            page.go_back()
            expect(page.locator("#names .word")).to_have_text(made)
            self.expect_shown(page, shown)
        for made, shown in seen[1:]:
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
        ("models", "page"), ("sample", "make"), ("score", "judge"), ("transitions", "inside"),
        ("lengths", "charts"),
    ])  # fmt: skip
    def test_a_failure_is_shown_in_its_section_and_can_be_retried(
        self, visit: Visits, path: str, section: str
    ) -> None:
        page = visit("about:blank", refused=[500])
        pattern = re.compile(f"/{path}\\b")
        page.route(pattern, lambda route: route.fulfill(status=500, body="{}"))
        page.goto("/?name=emma&seed=4")
        problems = {"judge": ["make", "judge"]}.get(section, [section])
        for one in problems:
            expect(page.locator(f"#{one}-problem")).to_contain_text("answers with status 500")
        expect(page.locator(".problem:not(:empty)")).to_have_count(len(problems))
        page.unroute(pattern)
        for one in problems:
            page.locator(f"#{one}-problem button").click()
        settled(page)
        expect(page.locator("#lengths polyline")).to_have_count(4)
        expect(page.locator(".problem:not(:empty)")).to_have_count(0)


@pytest.mark.slow
def test_it_can_be_shown(
    browser: Browser, checkpoints: Path, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    """With --screenshots at the port that people use, which is shown in the curl command."""
    kept = pytestconfig.getoption("screenshots")
    settings = {"MONIKER_CHECKPOINTS": str(checkpoints), "MONIKER_PORT": "8000" if kept else "0"}
    with Server(**settings) as server, Visits(browser, server.url) as visit:
        show_page(visit, Path(kept or tmp_path))


def show_page(visit: Visits, folder: Path) -> None:
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


class TestForEverybody:
    @pytest.mark.parametrize(
        ("options", "scheme"),
        [(DESK, "light"), (PHONE, "dark"), *slow((DESK, "dark"), (PHONE, "light"))],
        ids=["desk-light", "phone-dark", "desk-dark", "phone-light"],
    )
    def test_nothing_keeps_anybody_out(
        self, visit: Visits, scheme: str, options: dict[str, Any]
    ) -> None:
        page = settled(visit("/?name=oliqvzai", color_scheme=scheme, **options))
        page.locator("#lengths summary").click()
        tiles(page, "positional").nth(2).click()
        assert_accessible(page)
        page.locator("#name").fill("\u0437\u043e\u044f")
        expect(page.locator("#verdict")).to_contain_text("has never seen")
        assert_accessible(page)

    def test_the_dark_is_dark(self, visit: Visits) -> None:
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

    def test_all_of_it_can_be_reached_by_keyboard(self, visit: Visits) -> None:
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
        expect(page.locator("#rows button[tabindex='0']")).to_have_count(3)  # one stop a row


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that knows a hundred letters, of names that share none."""
    folder = tmp_path_factory.mktemp("letters")
    han = [chr(0x4E00 + i) for i in range(100)]
    listed = [han[i] + han[(i * i + 7) % 100] * (1 + i % 3) for i in range(100)]
    (folder / "list.txt").write_text("\n".join(listed), encoding="utf-8")
    out = folder / "out"
    arguments = [
        "--data",
        str(folder / "list.txt"),
        "--out",
        str(out),
        "--models",
        "bigram,positional",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "models.scoring.percentile_estimation.KEPT", 500
        )  # its percentiles are not the point
        assert train(arguments) == 0
    with Server(MONIKER_CHECKPOINTS=str(out)) as running:
        yield running


@pytest.mark.slow
def test_of_a_large_alphabet_the_most_frequent_letters_are_shown(
    browser: Browser, letters: Server
) -> None:
    with Visits(browser, letters.url) as visit:
        page = settled(visit("/?position=1"))
        expect(page.locator("#seeing figcaption")).to_contain_text("the 40 most frequent of 100")
        expect(page.locator("#seeing rect")).to_have_count(41 * 41)
        found = {}
        for model in ("positional", "bigram"):
            asked = {"model": model, "position": "1", "max_length": "64"}
            reply = letters.get("/transitions", params=asked).json()
            place = reply["characters"].index
            found[model] = {
                (row["previous"], after): (probability, place(row["previous"]), place(after))
                for row in reply["rows"]
                for after, probability in zip(
                    reply["characters"], row["probabilities"], strict=True
                )
            }
        shared = [pair for pair in found["bigram"].keys() & found["positional"] if pair[1]]
        pair = max(shared, key=lambda one: found["bigram"][one])
        (here, row, column), (there, *elsewhere) = found["positional"][pair], found["bigram"][pair]
        assert elsewhere != [row, column]  # each map has letters of its own
        page.locator(f'#seeing [data-row="{row}"][data-column="{column}"]').hover()
        expect(page.locator("#readout")).to_contain_text(
            f"After a {pair[0]} as 1st letter, positional continues with a {pair[1]} "
        )
        told = (page.locator("#readout").text_content() or "").split("; bigram")
        assert [*map(share, told)] == pytest.approx([here, there], abs=0.006)
        assert_accessible(page)


def test_a_service_that_wants_a_key_is_told_it(browser: Browser, checkpoints: Path) -> None:
    settings = {"MONIKER_CHECKPOINTS": str(checkpoints), "MONIKER_API_KEYS": "a-key-of-the-page"}
    with Server(**settings) as locked, Visits(browser, locked.url) as visit:
        page = visit("/", refused=[401], base_url=locked.url)
        expect(page.locator("#key-reason")).to_have_text("This service needs an API key.")
        assert_accessible(page)
        page.keyboard.press("Escape")
        expect(page.locator("#page-problem")).to_have_text("This service needs a key. Try again")
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
        for name in ("API", "Report"):  # a link carries no key
            expect(page.get_by_role("link", name=name)).to_have_count(0)
        command = page.locator("#curl").text_content()
        environment = {**os.environ, "KEY": "a-key-of-the-page"}
        ran = subprocess.run(
            ["bash", "-c", f"{command} -sS"], env=environment, capture_output=True, check=True
        )
        assert json.loads(ran.stdout)["names"] == names(page)


@pytest.mark.parametrize("kept", [["bigram"], *slow(["bigram", "sinusoidal"], ["positional"])])
def test_whatever_models_there_are_the_page_works(
    browser: Browser, checkpoints: Path, tmp_path: Path, kept: list[str]
) -> None:
    for name in kept:
        (tmp_path / f"{name}.safetensors").symlink_to(checkpoints / f"{name}.safetensors")
    with Server(MONIKER_CHECKPOINTS=str(tmp_path)) as small, Visits(browser, small.url) as visit:
        page = settled(visit())
        expect(page.locator("#rows .tiles")).to_have_count(1)
        expect(page.locator("figure svg[role=application]:visible")).to_have_count(len(kept))
        expect(page.locator("#lengths polyline")).to_have_count(len(kept))
        assert_accessible(page)


def test_names_are_text_whatever_they_are(browser: Browser, tmp_path: Path) -> None:
    listed = ["<b>b</b>", "<i>i</i>", "&lt;", "<b><i>", "</i></b>"]
    (tmp_path / "list.txt").write_text("\n".join(listed), encoding="utf-8")
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


class TestFiles:
    def test_they_are_strict_about_what_they_load(self, client: httpx.Client) -> None:
        for path in ("/", "/assets/page.js", "/docs"):
            headers = client.get(path).raise_for_status().headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["content-security-policy"] == (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            )

    def test_a_browser_asks_each_time_and_is_told_that_nothing_changed(
        self, client: httpx.Client
    ) -> None:
        first = client.get("/")
        assert first.headers["cache-control"] == "no-cache"
        again = client.get("/", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")

    @pytest.mark.parametrize(
        "path",
        ["/assets/", "/assets", "/web/index.html", "/assets/../../app.py", "/%2e%2e/app.py",
         "/assets/%00", "/" + "a" * 3000, "/%ff", "/index.html", "/assets/page.js/"],
    )  # fmt: skip
    def test_nothing_else_is_served(self, client: httpx.Client, path: str) -> None:
        reply = client.get(path)
        assert reply.status_code == 404
        assert reply.headers["content-type"] == "application/problem+json"

    def test_it_is_only_read(self, client: httpx.Client) -> None:
        reply = client.post("/", content="x")
        assert reply.status_code == 405
        assert reply.headers["allow"] == "GET, HEAD"
        assert client.head("/").status_code == 200

    def test_each_program_can_be_read_in_one_sitting(self) -> None:
        for path in WEB.rglob("assets/**/*.js"):
            lines = path.read_text().splitlines()
            code = [line for line in lines if not re.fullmatch(r"\s*(//.*|/?\*.*)?", line)]
            assert len(code) < 200, path.name
            assert max(map(len, lines)) <= 120, path.name
