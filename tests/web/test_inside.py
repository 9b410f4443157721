"""Tests of the section "Look inside": heat maps, the sentence below them and the charts."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.support.http.browser import Visits, assert_accessible
from tests.support.http.page import opacities, settled, share, slow
from tests.support.http.server import Server
from training.__main__ import main as train


class TestLookingInside:
    @pytest.mark.parametrize("model", ["fivegram", *slow("positional", "sinusoidal")])
    def test_the_map_shows_the_transition_probabilities(
        self, visit: Visits, client: httpx.Client, model: str
    ) -> None:
        page = settled(visit(f"/?inside={model}"))
        for position in (0, 1, 22):
            page.locator("#position").fill(str(position))
            expect(page.locator("#seeing svg")).to_have_attribute(
                "aria-label", re.compile(f"as the {position + 1}")
            )
            query = {"model": model, "position": position, "max_length": 64}
            reply = client.get("/transitions", params=query).json()
            rows = {row["previous"]: row["probabilities"] for row in reply["rows"]}
            expected = [p for c in reply["characters"] for p in rows.get(c, [0.0] * 27)]
            shown = [opacity**2 for opacity in opacities(page, "seeing")]
            assert shown == pytest.approx(expected, abs=0.002)

    def test_only_the_model_that_sees_the_position_changes_with_it(self, visit: Visits) -> None:
        page = settled(visit("/?position=2"))
        before = {figure: opacities(page, figure) for figure in ("blind", "seeing")}
        page.locator("#position").press("ArrowRight")
        expect(page.locator("#position-label")).to_have_text("4th letter")
        expect(page.locator("#blind svg")).to_have_attribute("aria-label", re.compile("as the 4th"))
        assert opacities(page, "blind") == pytest.approx(before["blind"], abs=0.005)
        changed = zip(opacities(page, "seeing"), before["seeing"], strict=True)
        assert max(abs(after - before) for after, before in changed) > 0.1

    def test_a_square_is_described_when_it_is_pointed_at_or_reached_with_keys(
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

    def test_play_moves_along_the_word_until_paused(self, visit: Visits) -> None:
        page = settled(visit("/?position=1"))
        page.get_by_role("button", name="Play").click()
        expect(page.locator("#position-label")).to_have_text(re.compile("[3-9]th|11th|1st"))
        page.get_by_role("button", name="Pause").click()
        paused = page.locator("#position-label").text_content() or ""
        page.wait_for_timeout(1200)
        expect(page.locator("#position-label")).to_have_text(paused)

    def test_the_charts_show_the_lengths_of_the_list_and_of_the_models(
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
            lengths = client.get(f"/lengths?max_length=64&model={model}").json()["lengths"]
            distributions[model] = [0.0, *(item["probability"] for item in lengths)]
        for column, name in enumerate(heads[1:]):
            for letters in (1, 5, 6, 10):
                values = distributions[name]
                for figure, expected in [
                    ("lengths", values[letters]), ("ends", values[letters] / sum(values[letters:]))
                ]:  # fmt: skip
                    row = page.locator(f"#{figure} tbody tr").nth(letters - 1)
                    shown = share(row.locator("td").nth(column).text_content())
                    assert shown == pytest.approx(expected, abs=0.006)
        values = distributions["positional"]
        curve = page.locator(
            f"#lengths polyline.curve{heads.index('positional') - 1}"
        ).get_attribute("points")
        points = [[*map(float, point.split(","))] for point in (curve or "").split(" ")]
        ground = float(page.locator("#lengths .marked").get_attribute("y2") or "")
        heights = [ground - y for _, y in points]
        for letters in (4, 5, 7):
            ratio = heights[letters - 1] / heights[5]
            assert ratio == pytest.approx(values[letters] / values[6], abs=0.002)
        page.locator("#position").press("ArrowLeft")
        expect(page.locator("#position-label")).to_have_text("6th letter")
        marked = page.locator("#lengths .marked").get_attribute("x1")
        assert float(marked or "") == pytest.approx(points[4][0])
        expect(page.locator("#lengths details")).to_have_attribute("open", "")


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with models of a hundred letters."""
    folder = tmp_path_factory.mktemp("letters")
    han = [chr(0x4E00 + i) for i in range(100)]
    names = [han[i] + han[(i * i + 7) % 100] * (1 + i % 3) for i in range(100)]
    (folder / "list.txt").write_text("\n".join(names), encoding="utf-8")
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
            "models.scoring.percentile_estimation.MIN_PREFIXES", 500
        )  # coarse percentiles are computed faster
        assert train(arguments) == 0
    with Server(MONIKER_CHECKPOINTS=str(out)) as running:
        yield running


@pytest.mark.slow
def test_a_map_of_a_large_alphabet_shows_the_most_frequent_letters(
    browser: Browser, letters: Server
) -> None:
    with Visits(browser, letters.url) as visit:
        page = settled(visit("/?position=1"))
        expect(page.locator("#seeing figcaption")).to_contain_text("the 40 most frequent of 100")
        expect(page.locator("#seeing rect")).to_have_count(41 * 41)
        shown = {}
        for model in ("positional", "bigram"):
            query = {"model": model, "position": "1", "max_length": "64"}
            reply = letters.get("/transitions", params=query).json()
            index = reply["characters"].index
            shown[model] = {
                (row["previous"], after): (probability, index(row["previous"]), index(after))
                for row in reply["rows"]
                for after, probability in zip(
                    reply["characters"], row["probabilities"], strict=True
                )
            }
        shared = [pair for pair in shown["bigram"].keys() & shown["positional"] if pair[1]]
        pair = max(shared, key=lambda candidate: shown["bigram"][candidate])
        (positional, row, column), (bigram, *square) = (
            shown["positional"][pair],
            shown["bigram"][pair],
        )
        assert square != [row, column]  # each map shows its own letters
        page.locator(f'#seeing [data-row="{row}"][data-column="{column}"]').hover()
        expect(page.locator("#readout")).to_contain_text(
            f"After a {pair[0]} as 1st letter, positional continues with a {pair[1]} "
        )
        parts = (page.locator("#readout").text_content() or "").split("; bigram")
        assert [*map(share, parts)] == pytest.approx([positional, bigram], abs=0.006)
        assert_accessible(page)
