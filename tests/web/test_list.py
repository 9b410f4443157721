"""Tests of the section "Judge a list": reading, scoring, sorting and downloading lists."""

import httpx
import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.support.http.browser import Visits
from tests.support.http.page import downloaded, paste, settled, slow
from tests.support.lists import LISTS, NAMES

WITH_COLUMNS = {"header.csv", "no-header.csv", "semicolons.csv", "tabs.tsv", "objects.json"}


class TestJudgingAList:
    def judged(self, page: Page) -> list[str]:
        expect(page.locator("#list")).to_have_attribute("aria-busy", "false")
        return page.locator("#scores th").all_text_contents()

    @pytest.fixture
    def five_thousand(self, client: httpx.Client) -> list[str]:
        query = {"n": 5000, "temperature": 1.3, "seed": 8}
        return client.get("/sample", params=query, headers={"Accept": "text/plain"}).text.split()

    @pytest.mark.slow
    def test_five_thousand_names_are_scored_sorted_and_downloaded(
        self, visit: Visits, client: httpx.Client, five_thousand: list[str]
    ) -> None:
        page = settled(visit())
        paste(page, "\n".join(five_thousand))
        page.get_by_role("button", name="Judge the list").click()
        expect(page.locator("#list-status")).to_have_text("5,000 names, judged by fivegram.")
        assert self.judged(page) == five_thousand[:100]
        fields = {"names": five_thousand, "model": "fivegram"}
        scores = client.post("/score", json=fields).json()["scores"]
        expected = {score["name"]: score["percentile"] for score in scores}
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
        likelihoods = {score["name"]: score["log_likelihood"] for score in scores}
        assert all(float(row["log_likelihood"]) == likelihoods[row["name"]] for row in rows)

    @pytest.mark.parametrize("kind", [
        "plain.txt", "utf-16.txt", "header.csv", "semicolons.csv", "escaped.json",
        *slow("mark.txt", "carriage-returns.txt", "windows.txt", "no-header.csv", "tabs.tsv",
              "array.json", "objects.json"),
    ])  # fmt: skip
    def test_a_list_is_read_in_common_formats(self, visit: Visits, kind: str) -> None:
        page = settled(visit())
        file: FilePayload = {"name": kind, "mimeType": "", "buffer": LISTS[kind]}
        page.get_by_label("Or a file").set_input_files(file)
        expect(page.locator("#list-status")).to_contain_text("8 names, judged by fivegram.")
        assert self.judged(page) == NAMES
        expect(page.locator("#list-column")).to_be_visible(visible=kind in WITH_COLUMNS)

    def test_the_columns_of_each_new_list_are_guessed(self, visit: Visits) -> None:
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

    def test_names_without_a_score_show_the_reason_and_come_last(self, visit: Visits) -> None:
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

    @pytest.mark.slow
    def test_an_empty_or_too_large_list_is_rejected(self, visit: Visits) -> None:
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
