"""Tests of the section "Make names": constraints, names, percentiles, links and curl."""

import json
import re
import subprocess
import time
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.support.http.browser import Visits
from tests.support.http.page import (
    downloaded,
    explained,
    fields,
    names,
    settled,
    share,
    slow,
    tiles,
)


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
        expected = httpx.get(address[1]).raise_for_status().json()["names"]
        expect(page.locator("#names .word")).to_have_text(expected)
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

    def test_copying_works_without_a_secure_connection(self, visit: Visits) -> None:
        page = visit(permissions=["clipboard-read", "clipboard-write"])
        settled(page).evaluate("() => { navigator.clipboard.writeText = () => Promise.reject() }")
        page.get_by_role("button", name="Copy", exact=True).click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()").startswith("curl 'http://127.")

    def test_rolling_again_makes_other_names(self, visit: Visits) -> None:
        page = settled(visit())
        before = names(page)
        page.get_by_role("button", name="Roll again").click()
        expect(page.locator("#names .word").first).not_to_have_text(before[0])
        assert names(page) != before

    def test_the_curl_command_returns_the_names_shown(self, visit: Visits) -> None:
        page = settled(visit("/?model=bigram&n=5&pattern=*[xyz]&exclude=a'b&exclude=q&seed=9"))
        command = page.locator("#curl").text_content()
        assert command
        process = subprocess.run(["bash", "-c", f"{command} -sS"], capture_output=True, check=True)
        assert json.loads(process.stdout)["names"] == names(page)

    def test_each_name_shows_its_percentile_and_whether_it_is_new(
        self, visit: Visits, client: httpx.Client
    ) -> None:
        page = settled(visit("/?n=40&model=positional&seed=3&temperature=1.2"))
        made = names(page)
        rates = page.locator("#names .rate").all_text_contents()
        known = page.locator("#names .known").all_text_contents()
        assert {*known} == {"new", "in the list"}
        for name, rate, label in zip(made, rates, known, strict=True):
            score = explained(client, name, "positional")
            assert share(rate) == pytest.approx(score["percentile"], abs=0.006)
            assert label == ("in the list" if score["in_training_set"] else "new")

    def test_a_click_judges_a_name(self, visit: Visits) -> None:
        page = settled(visit())
        page.locator("#names button").nth(5).click()
        chosen = names(page)[5]
        expect(page.locator("#name")).to_have_value(chosen)
        expect(tiles(page, "bigram")).to_have_text([*chosen, "end"])

    def test_unsatisfiable_constraints_are_reported_and_the_names_stay(self, visit: Visits) -> None:
        page = settled(visit(refused=[422]))
        before = names(page)
        page.get_by_label("Pattern").fill("[^a]*")
        expect(page.locator("#make-problem")).to_contain_text("Negate with !")
        expect(page.get_by_label("Pattern")).to_have_attribute("aria-invalid", "true")
        assert names(page) == before
        page.get_by_label("Pattern").fill("q?q")
        page.get_by_label("Minimum number of letters").fill("9")
        expect(page.locator("#make-problem")).to_have_text("No name satisfies these constraints")
        expect(page.get_by_label("Pattern")).to_have_attribute("aria-invalid", "false")
        page.get_by_label("Minimum number of letters").fill("")
        expect(page.locator("#make-problem")).to_be_empty()
        expect(page.locator("#probability")).to_contain_text("Of all names that fivegram makes, ")

    def test_previous_names_fade_during_a_problem(self, visit: Visits) -> None:
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
    def test_an_invalid_field_is_marked_and_not_sent(
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

    def test_invalid_fields_of_an_address_are_ignored(self, visit: Visits) -> None:
        page = settled(visit("/?n=1e9&temperature=abc&seed=x&min_length=-3&position=99&inside=a"))
        expect(page.get_by_label("How many")).to_have_value("12")
        expect(page.locator("[name=temperature]")).to_have_value("0.8")
        expect(page.get_by_label("Minimum number of letters")).to_have_value("")
        expect(page.get_by_label("Seed")).to_have_value(re.compile(r"\d+"))
        expect(page.locator("#position-label")).to_have_text("23rd letter and later")
        assert len(names(page)) == 12

    @pytest.mark.parametrize(("jitter", "min_seconds"), [(0.95, 1.95), *slow((0.0, 1.0))])
    def test_requests_to_a_busy_service_are_retried_with_jitter(
        self, visit: Visits, jitter: float, min_seconds: float
    ) -> None:
        page = visit("about:blank", refused=[503])
        page.add_init_script(f"Math.random = () => {jitter}")
        times: list[float] = []

        def refuse_once(route: Route) -> None:
            times.append(time.monotonic())
            if len(times) > 1:
                route.fallback()
                return
            problem = json.dumps({"detail": "too much"})
            route.fulfill(status=503, headers={"Retry-After": "1"}, body=problem)

        page.route("**/sample?*", refuse_once)
        page.goto("/")
        assert len(names(settled(page))) == 12
        assert times[1] - times[0] > min_seconds - 0.1

    @pytest.mark.parametrize(("pause", "attempts"), [("0.1", 4), ("3600", 1)])
    def test_retries_of_a_service_that_stays_busy_are_limited(
        self, visit: Visits, pause: str, attempts: int
    ) -> None:
        page = settled(visit("/?pattern=k*", refused=[503]))
        before = names(page)
        urls: list[str] = []

        def refuse(route: Route) -> None:
            urls.append(route.request.url)
            problem = json.dumps({"detail": "There is too much to do."})
            route.fulfill(status=503, headers={"Retry-After": pause}, body=problem)

        page.route("**/sample?*", refuse)
        page.get_by_role("button", name="Roll again").click()
        expect(page.locator("#make-problem")).to_contain_text("There is too much to do.")
        assert len(urls) == attempts
        assert names(page) == before
        page.unroute("**/sample?*")
        page.locator("#make-problem").get_by_role("button", name="Try again").click()
        expect(page.locator("#make-problem")).to_be_empty()
        assert names(page) != before

    def test_a_response_of_a_proxy_is_reported(self, visit: Visits) -> None:
        page = settled(visit("/?name=emma", refused=[502]))
        page.route("**/score", lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>"))
        page.locator("#name").fill("emmy")
        message = "The service answers with status 502."
        expect(page.locator("#judge-problem")).to_contain_text(message)
        page.unroute("**/score")
        page.locator("#name").fill("emm")
        expect(page.locator("#judge-problem")).to_be_empty()
        expect(tiles(page, "fivegram")).to_have_text([*"emm", "end"])

    def test_an_address_with_invalid_fields_shows_defaults(self, visit: Visits) -> None:
        page = visit("/?n=1e1&position=abc&seed=%2B5&name=" + "a" * 300)
        expect(page.locator("#names li")).to_have_count(12)
        expect(page.locator("#position-label")).to_have_text("7th letter")
        expect(page.locator("#verdict")).to_contain_text("more than 256 characters")

    def test_an_unknown_model_in_an_address_is_ignored(self, visit: Visits) -> None:
        page = settled(visit("/?model=gone&inside=gone&n=4"))
        assert len(names(page)) == 4
        expect(page.get_by_label("Model").first).to_have_value("fivegram")


def test_made_names_are_downloaded(visit: Visits, client: httpx.Client) -> None:
    page = settled(visit("/?n=40&model=positional&seed=3&temperature=1.2"))
    made = names(page)
    rows = downloaded(page, "#names-csv", "names-positional.csv")
    assert [row["name"] for row in rows] == made
    for row in rows[:5]:
        score = explained(client, row["name"], "positional")
        assert float(row["percentile"]) == score["percentile"]
        assert row["in_training_set"] == str(score["in_training_set"]).lower()
