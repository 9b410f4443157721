"""Tests of the section "Judge a name": verdict, letters, explanations and suggestions."""

import math
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Request, Route, expect

from tests.support.http.browser import Visits
from tests.support.http.page import SIDE_BY_SIDE, explained, names, settled, share, slow, tiles
from tests.support.http.server import Server
from tests.support.http.wire import until


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
            levels = tiles(page, model).evaluate_all("all => all.map(node => node.dataset.level)")
            bits = [-step["log_likelihood"] / math.log(2) for step in score["steps"]]
            marks = [1, 2, 3, 4, 5.5, 7, 9]
            assert [*map(int, levels)] == [
                sum(surprise >= mark for mark in marks) for surprise in bits
            ]
            rate = row.locator(".rate").text_content()
            assert "more probable than" in (rate or "")
            assert share(rate) == pytest.approx(score["percentile"], rel=0.06, abs=0.001)

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

    def test_the_most_surprising_letter_is_explained_until_another_is_chosen(
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
        lowest = gaps.index(min(gaps))
        assert lowest != min(range(3), key=lambda index: steps[index]["log_likelihood"])
        expect(tiles(page, "positional").nth(lowest)).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#rows button[aria-pressed='true']")).to_have_count(1)

    def test_invisible_characters_are_named(self, visit: Visits) -> None:
        page = settled(visit("/?name=mary ann"))
        expect(page.locator("#verdict")).to_have_text("fivegram has never seen space.")

    def test_a_chosen_letter_shows_the_expected_letters_and_influences(
        self, visit: Visits, client: httpx.Client
    ) -> None:
        page = settled(visit("/?name=olivai&model=positional"))
        tiles(page, "fivegram").nth(2).click()
        step = explained(client, "olivai", "fivegram")["steps"][2]
        expect(page.locator("#step p").first).to_have_text(re.compile(
            rf"After ol, i as the 3rd letter has a probability of .*, number {step['rank']} of "
        ))  # fmt: skip
        expected = {choice["character"] or "end" for choice in [step, *step["alternatives"]]}
        shown = page.locator("#step .choice")
        assert {*shown.locator("span:first-child").all_text_contents()} == expected
        rates = [*map(share, shown.locator(".rate").all_text_contents())]
        assert rates == sorted(rates, reverse=True)
        nats_by_position = {True: 0.0, False: 0.0}
        for feature, nats in step["contributions"].items():
            nats_by_position["position" in feature] += nats
        for part, nats in [
            ("the letters before", nats_by_position[False]),
            ("the position", nats_by_position[True]),
        ]:
            line = page.locator("#step .influence", has_text=part)
            text = line.locator(".rate").text_content() or ""
            factor = float(re.sub(r" times.*|,", "", text))
            assert factor == pytest.approx(math.exp(abs(nats)), rel=0.05)
            assert text.endswith("times more probable" if nats >= 0 else "times less probable")
            bar = line.locator(".signed-bar")
            assert ("negative" in (bar.get_attribute("class") or "").split()) == (nats < 0)

    def test_a_model_without_positions_shows_no_influence_of_the_position(
        self, visit: Visits
    ) -> None:
        page = settled(visit("/?name=emma"))
        tiles(page, "bigram").nth(1).click()
        expect(page.locator("#step .influence")).to_have_count(1)

    def test_a_spelling_suggestion_is_judged_by_a_click(self, visit: Visits) -> None:
        page = settled(visit("/?name=olivai"))
        page.locator("#suggestions button", has_text="olivia").click()
        expect(page.locator("#name")).to_have_value("olivia")
        expect(tiles(page, "fivegram")).to_have_text([*"olivia", "end"])

    def test_the_arrow_keys_move_between_letters(self, visit: Visits) -> None:
        page = settled(visit("/?name=emma"))
        tiles(page, "positional").first.focus()
        for key in ["ArrowRight", "ArrowRight", "ArrowLeft", "ArrowRight", "ArrowRight"]:
            page.keyboard.press(key)
        expect(tiles(page, "positional").nth(3)).to_be_focused()
        expect(tiles(page, "positional").nth(3)).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#step p").first).to_contain_text("After emm, a as the 4th letter")
        stops = tiles(page, "positional").evaluate_all("all => all.map(t => t.tabIndex)")
        assert stops == [-1, -1, -1, 0, -1]

    def test_markup_in_a_name_is_shown_as_text(self, visit: Visits) -> None:
        page = settled(visit("/?name=<img src=x onerror=document.title='!'>"))
        assert page.title() == "moniker"
        expect(page.locator("#verdict")).to_contain_text("has never seen")
        assert page.locator("#rows img").count() == 0

    def test_a_keystroke_aborts_the_request_of_the_previous_one(self, visit: Visits) -> None:
        page = settled(visit("/?name=a"))
        names(page)
        aborted: list[str] = []

        def judged(request: Request) -> str:
            return str((request.post_data_json or {})["names"][0])

        def hold(route: Route) -> None:
            """Answer the last request only."""
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

    @pytest.mark.slow
    def test_an_aborted_request_is_cancelled_in_the_service(
        self, browser: Browser, checkpoints: Path
    ) -> None:
        # A separate service: after a long compilation it would reject requests of other tests.
        settings = {"MONIKER_CHECKPOINTS": str(checkpoints)}
        with Server(**settings) as server, Visits(browser, server.url) as visit:
            page = settled(visit())
            names(page)
            with page.expect_request("**/sample?*"):
                page.get_by_label("Pattern").fill("*a*e*i*o*u*")  # fivegram searches for a while
            page.get_by_label("Pattern").fill("ka*")
            expect(page.locator("#names .word").first).to_have_text(re.compile("^ka"))
            until(lambda: '"status":499' in server.log)
