"""The page at /, looked at with a real browser: what it shows is what the service says."""

import json
import math
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from browser import Visits, assert_accessible
from server import Server
from training.__main__ import main as train

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
WEB = Path(__file__).parent.parent / "service" / "web"
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
SIDE_BY_SIDE = ["bigram", "positional", "fivegram"]


@pytest.fixture(scope="module", autouse=True)
def known_laws(server: Server) -> None:
    """What the first visitor waits for. If several were the first at once, and had left before it
    is known, the next one would be refused and have to try again."""
    for model in ("bigram", "positional", "sinusoidal", "fivegram"):
        wish = {"model": model, "max_length": "64"}
        server.get("/lengths", params=wish, timeout=60).raise_for_status()


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
    expect(page.locator("#names")).to_have_attribute("aria-busy", "false")
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
        expect(page.locator("#verdict")).to_contain_text("ikelier than")

    def test_it_is_seen_that_the_position_matters(self, visit: Visits) -> None:
        told = settled(visit()).locator("#readout").text_content()
        match = re.fullmatch(
            r"At the 7th place, after (\w), comes (.*): (.*) for positional, "
            r"and for bigram, wherever it stands, (.*)\.",
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
        page.get_by_label("at least so many letters").fill("5")
        page.get_by_label("at most so many letters").fill("8")
        page.get_by_label("Only new ones").check()
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
        assert {*known} == {"new", "on the list"}
        for name, rate, listed in zip(made, rates, known, strict=True):
            score = explained(client, name, "positional")
            assert share(rate) == pytest.approx(score["percentile"], abs=0.006)
            assert listed == ("on the list" if score["listed"] else "new")

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
        page.get_by_label("at least so many letters").fill("9")
        expect(page.locator("#make-problem")).to_have_text("No name fulfils this wish.")
        expect(page.get_by_label("Pattern")).to_have_attribute("aria-invalid", "false")
        page.get_by_label("at least so many letters").fill("")
        expect(page.locator("#make-problem")).to_be_empty()
        expect(page.locator("#odds")).to_contain_text("Of the names that fivegram makes, ")

    def test_what_was_shown_before_a_problem_fades_and_comes_back(self, visit: Visits) -> None:
        page = settled(visit("/?pattern=ka*&seed=3&model=bigram", refused=[422]))
        expect(page.locator("#odds")).to_contain_text("Of the names that bigram makes")
        page.get_by_label("Pattern").fill("ka*[")
        expect(page.locator("#make")).to_have_class("stale")
        page.get_by_label("Pattern").fill("")
        expect(page.locator("#make")).not_to_have_class("stale")
        expect(page.locator("#odds")).to_be_empty()

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
        expect(page.get_by_label("at least so many letters")).to_have_value("")
        expect(page.get_by_label("Seed")).to_have_value(re.compile(r"\d+"))
        expect(page.locator("#place")).to_have_text("23rd letter and later")
        assert len(names(page)) == 12

    def test_too_much_to_do_is_tried_again_when_there_is_time(self, visit: Visits) -> None:
        page = visit("about:blank", refused=[503])
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
        assert asked[1] - asked[0] > 0.9

    def test_what_is_no_reply_of_the_service_is_told(self, visit: Visits) -> None:
        page = settled(visit("/?name=emma", refused=[502]))
        page.route("**/score", lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>"))
        page.locator("#name").fill("emmy")
        told = "The service answers with status 502."
        expect(page.locator("#judge-problem")).to_have_text(told)
        page.unroute("**/score")
        page.locator("#name").fill("emm")
        expect(page.locator("#judge-problem")).to_be_empty()
        expect(tiles(page, "fivegram")).to_have_text([*"emm", "end"])

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
            assert "likelier than" in (told or "")
            assert share(told) == pytest.approx(score["percentile"], rel=0.06, abs=0.001)

    def test_the_percentile_is_a_sentence(self, visit: Visits, client: httpx.Client) -> None:
        page = settled(visit("/?name=emma"))
        expect(page.locator("#verdict")).to_have_text(re.compile(
            r"Likelier than \d\d % of the names of 4 letters that fivegram makes\. "
            r"It is on the training list\."
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
        expect(page.locator("#verdict")).to_have_text("fivegram has never seen U+0020.")

    def test_a_letter_tells_what_was_expected_and_who_said_so(
        self, visit: Visits, client: httpx.Client
    ) -> None:
        page = settled(visit("/?name=olivai&model=positional"))
        tiles(page, "fivegram").nth(2).click()
        step = explained(client, "olivai", "fivegram")["steps"][2]
        expect(page.locator("#step p").first).to_have_text(re.compile(
            f"After ol, i as the 3rd letter has a chance of .*, number {step['rank']} of what five"
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
            told = page.locator("#step .part", has_text=part).locator(".rate").text_content() or ""
            factor = float(re.sub(r" times.*|,", "", told))
            assert factor == pytest.approx(math.exp(abs(nats)), rel=0.05)
            assert told.endswith("times likelier" if nats >= 0 else "times less likely")
            bar = page.locator("#step .part", has_text=part).locator(".lean")
            assert ("less" in (bar.get_attribute("class") or "").split()) == (nats < 0)

    def test_a_model_that_is_blind_to_the_position_says_nothing_of_it(self, visit: Visits) -> None:
        page = settled(visit("/?name=emma"))
        tiles(page, "bigram").nth(1).click()
        expect(page.locator("#step .part")).to_have_count(1)

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

    def test_the_last_keystroke_wins_and_one_request_is_under_way_at_a_time(
        self, visit: Visits
    ) -> None:
        page = settled(visit("/?name=a"))
        under_way, most = 0, 0
        asked: list[str] = []

        def slowly(route: Route) -> None:
            nonlocal under_way, most, asked
            under_way += 1
            most = max(most, under_way)
            asked += (route.request.post_data_json or {}).get("names", [])[:1]
            reply = route.fetch()
            page.wait_for_timeout(120)
            under_way -= 1
            route.fulfill(response=reply)

        page.route(re.compile("score|sample|transitions"), slowly)
        page.locator("#name").press("End")
        page.locator("#name").press_sequentially("lexandria", delay=30)
        page.locator("#position").press("ArrowRight")
        page.get_by_role("button", name="Roll again").click()
        for model in SIDE_BY_SIDE:
            expect(tiles(page, model)).to_have_text([*"alexandria", "end"])
        assert most == 1
        typed = Counter(name for name in asked if "alexandria".startswith(name))
        assert typed.pop("alexandria") == 3
        assert {*typed.values()} == {1}  # each other one was given up after the first model
        assert len(typed) < 6


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
        expect(page.locator("#place")).to_have_text("4th letter")
        expect(page.locator("#blind svg")).to_have_attribute("aria-label", re.compile("as the 4th"))
        assert opacities(page, "blind") == pytest.approx(before["blind"], abs=0.005)
        changed = zip(opacities(page, "seeing"), before["seeing"], strict=True)
        assert max(abs(one - other) for one, other in changed) > 0.1

    def test_a_square_is_told_when_it_is_pointed_at_or_reached_with_keys(
        self, visit: Visits, client: httpx.Client
    ) -> None:
        page = settled(visit("/?position=3"))
        page.locator('#seeing [data-row="17"][data-column="21"]').hover()
        expect(page.locator("#readout")).to_contain_text("At the 4th place, after q, comes u: ")
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
        expect(page.locator("#readout")).to_contain_text("after p, comes t: ")
        expect(page.locator("#blind .pointed")).to_have_attribute("data-row", "16")

    def test_a_pair_of_letters_can_be_followed_along_the_word(self, visit: Visits) -> None:
        page = settled(visit("/?position=3"))
        page.locator('#seeing [data-row="17"][data-column="21"]').hover()
        page.locator("#position").press("ArrowRight")
        expect(page.locator("#readout")).to_contain_text("At the 5th place, after q, comes u: ")
        for key in ["ArrowUp"] * 30 + ["ArrowRight"] * 30:
            page.locator("#blind svg").press(key)
        expect(page.locator("#seeing .pointed")).to_have_attribute("data-row", "0")
        expect(page.locator("#seeing .pointed")).to_have_attribute("data-column", "26")
        expect(page.locator("#readout")).to_contain_text("after the start, comes nothing")

    def test_it_walks_along_the_word_by_itself(self, visit: Visits) -> None:
        page = settled(visit("/?position=1"))
        page.get_by_role("button", name="Play").click()
        expect(page.locator("#place")).to_have_text("4th letter")
        page.get_by_role("button", name="Pause").click()
        page.wait_for_timeout(1200)
        expect(page.locator("#place")).to_have_text("4th letter")

    def test_the_curves_are_those_of_the_list_and_of_the_models(
        self, visit: Visits, client: httpx.Client, us_names: list[str]
    ) -> None:
        page = settled(visit())
        expect(page.locator("#lengths polyline")).to_have_count(4)
        for figure in ("lengths", "ends"):
            page.locator(f"#{figure} summary").click()
        heads = page.locator("#lengths thead th").all_text_contents()
        assert {*heads} == {"Letters", "the list", "bigram", "positional", "sinusoidal", "fivegram"}
        laws = {"the list": [sum(len(n) == k for n in us_names) / len(us_names) for k in range(65)]}
        for model in heads[2:]:
            law = client.get(f"/lengths?max_length=64&model={model}").json()["lengths"]
            laws[model] = [0.0, *(one["probability"] for one in law)]
        for column, name in enumerate(heads[1:]):
            for letters in (1, 5, 6, 10):
                law = laws[name]
                for figure, expected in [
                    ("lengths", law[letters]), ("ends", law[letters] / sum(law[letters:]))
                ]:  # fmt: skip
                    row = page.locator(f"#{figure} tbody tr").nth(letters - 1)
                    shown = share(row.locator("td").nth(column).text_content())
                    assert shown == pytest.approx(expected, abs=0.006)
        law = laws["positional"]
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
        expect(page.locator("#place")).to_have_text("6th letter")
        marked = page.locator("#lengths .marked").get_attribute("x1")
        assert float(marked or "") == pytest.approx(points[4][0])
        expect(page.locator("#lengths details")).to_have_attribute("open", "")


@pytest.mark.slow
def test_it_can_be_shown(visit: Visits, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    folder = Path(pytestconfig.getoption("screenshots") or tmp_path)
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
        patch.setattr("models.population.KEPT", 500)  # its percentiles are not the point
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
        expect(page.locator("#readout")).to_contain_text(f"after {pair[0]}, comes {pair[1]}: ")
        told = (page.locator("#readout").text_content() or "").split("and for bigram")
        assert [*map(share, told)] == pytest.approx([here, there], abs=0.006)
        assert_accessible(page)


def test_a_service_that_wants_a_key_is_told_it(browser: Browser, checkpoints: Path) -> None:
    settings = {"MONIKER_CHECKPOINTS": str(checkpoints), "MONIKER_API_KEYS": "a-key-of-the-page"}
    with Server(**settings) as locked, Visits(browser, locked.url) as visit:
        answers = iter(["wrong", "\u043a\u043b\u044e\u0447", "a-key-of-the-page"])
        page = visit("about:blank", refused=[401], base_url=locked.url)
        page.on("dialog", lambda dialog: dialog.accept(next(answers)))
        page.goto("/")
        settled(page)
        assert len(names(page)) == 12
        assert next(answers, None) is None
        for name in ("API", "Report"):  # a link bears no key
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
        page = settled(visit("/?n=50&name=<b>b</b>"))
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

    def test_the_program_can_be_read_in_one_sitting(self) -> None:
        lines = [line for path in WEB.glob("assets/*.js") for line in path.read_text().splitlines()]
        code = [line for line in lines if not re.fullmatch(r"\s*(//.*|/?\*.*)?", line)]
        assert len(code) < 600
        assert max(map(len, lines)) <= 120
