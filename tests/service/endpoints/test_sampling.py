"""Wishes over HTTP: what /sample, /top, /lengths, /transitions and /next make of them."""

import json
import math
import select
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from models.chain.conditioning import condition
from models.chain.markov_chain import compile_chain
from models.checkpoint import load
from models.constraints.constraints import Constraints
from models.queries.bigrams import bigrams
from models.queries.k_best import best_completions, k_best
from models.queries.lengths import length_distribution
from models.queries.sampling import Sampler
from models.scoring.likelihoods import log_likelihoods
from tests.support.http.server import PATIENCE, Server
from tests.support.http.wire import counted, until

TEXT = {"Accept": "text/plain"}
HARD = "/sample?unique=true&temperature=0.05&min_length=60&max_length=60"  # a millisecond a name
LINES = {"Accept": "application/jsonl"}
A_WISH: dict[str, Any] = {
    "temperature": 1.5, "top_k": 20, "pattern": "[a-m]*", "min_length": 3, "max_length": 9,
    "exclude": ["an", "q"], "novel": True, "seed": 7,
}  # fmt: skip


def sampler(checkpoints: Path, constraints: Constraints, model: str = "positional") -> Sampler:
    """The same wish, compiled here."""
    loaded = load((checkpoints / f"{model}.safetensors").read_bytes()).model
    return Sampler(condition(compile_chain(loaded), constraints))


def refused(reply: httpx.Response, field: str | None) -> str:
    """The detail of a 422 at a field."""
    told = reply.json()
    assert reply.status_code == told["status"] == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in told.get("errors", [])] == ([field] if field else [])
    return str(told["detail"])


class TestWishes:
    def test_every_part_of_a_wish_holds(self, client: httpx.Client, us_names: list[str]) -> None:
        for model in ("positional", "fivegram"):
            constraints = A_WISH | {"model": model, "n": 5_000}
            names = client.post("/sample", json=constraints).raise_for_status().json()["names"]
            assert len(names) == 5_000
            assert not {*names} & {*us_names}
            for name in {*names}:
                assert "a" <= name[0] <= "m"
                assert 3 <= len(name) <= 9
                assert "an" not in name
                assert "q" not in name

    def test_a_wish_by_query_is_the_same_as_by_body(self, client: httpx.Client) -> None:
        for path in ("/sample", "/top", "/lengths", "/transitions"):
            constraints = (
                A_WISH if path == "/sample" else {k: v for k, v in A_WISH.items() if k != "seed"}
            )
            by_body = client.post(path, json=constraints).raise_for_status().json()
            assert client.get(path, params=constraints).json() == by_body

    def test_names_and_probability_are_those_of_the_conditioned_chain(
        self, client: httpx.Client, checkpoints: Path
    ) -> None:
        for constraints in (
            Constraints(pattern="ka*lyn"),
            Constraints(9, min_length=9, pattern="q*z"),
            Constraints(temperature=0.7, top_k=3, exclude=frozenset({"a", "ee"})),
        ):
            expected = sampler(checkpoints, constraints)
            fields = {
                "pattern": constraints.pattern, "min_length": constraints.min_length,
                "max_length": constraints.max_length, "temperature": constraints.temperature,
                "exclude": list(constraints.exclude), "top_k": constraints.top_k, "seed": 3,
            }  # fmt: skip
            reply = client.post("/sample", json=fields).json()
            assert reply["names"] == expected.draw(10, np.random.default_rng(3))
            assert reply["probability"] == expected.probability

    def test_an_impossible_wish_is_refused(self, client: httpx.Client) -> None:
        for constraints in (
            {"pattern": "zzzzzzzz*q", "max_length": 6},
            {"pattern": "?", "min_length": 2},
            {"pattern": "é*"},
            {"exclude": list("abcdefghijklmnopqrstuvwxyz")},
            {"pattern": "emma", "novel": True},
        ):
            for path in ("/sample", "/top", "/lengths", "/transitions"):
                assert (
                    refused(client.post(path, json=constraints), None)
                    == "No name fulfils this wish."
                )

    def test_a_wish_that_is_too_complex_is_refused_with_its_limit(
        self, client: httpx.Client
    ) -> None:
        pattern = "*a" + 40 * "?"
        detail = refused(client.get("/sample", params={"pattern": pattern}), "pattern")
        assert "4,096 states" in detail
        pattern = "*a" + 10 * "?"
        constraints = {"pattern": pattern, "model": "fivegram", "max_length": 64}
        assert "states in this model" in refused(client.post("/sample", json=constraints), None)

    @pytest.mark.parametrize(
        ("constraints", "field"),
        [
            ({"pattern": ""}, "pattern"),
            ({"pattern": "a" * 257}, "pattern"),
            ({"pattern": "[a"}, "pattern"),
            ({"pattern": "[z-a]"}, "pattern"),
            ({"exclude": [""]}, "exclude.0"),
            ({"exclude": ["a", "b" * 65]}, "exclude.1"),
            ({"exclude": ["a"] * 101}, "exclude"),
            ({"exclude": "a"}, "exclude"),
            ({"min_length": 5, "max_length": 4}, "min_length"),
            ({"min_length": 0}, "min_length"),
            ({"min_length": 65}, "min_length"),
            ({"top_k": 0}, "top_k"),
            ({"top_k": 2**13 + 1}, "top_k"),
            ({"novel": 1}, "novel"),
        ],
    )
    def test_a_wrong_field_is_named(
        self, client: httpx.Client, constraints: dict[str, object], field: str
    ) -> None:
        for path in ("/sample", "/top", "/lengths", "/transitions"):
            refused(client.post(path, json=constraints), field)

    def test_a_wish_is_not_echoed(self, client: httpx.Client) -> None:
        for constraints in ({"pattern": "secret[7531"}, {"pattern": "secret7531"}):
            assert "7531" not in client.get("/sample", params=constraints).text

    def test_fields_of_other_paths_are_unknown(self, client: httpx.Client) -> None:
        refused(client.get("/lengths?n=5"), "n")
        refused(client.get("/top?seed=5"), "seed")
        refused(client.get("/next?pattern=a"), "pattern")
        refused(client.get("/sample?pattern=a&pattern=b"), "pattern")


class TestUnique:
    def test_no_name_is_there_twice(self, client: httpx.Client) -> None:
        sampler_cache: list[dict[str, Any]] = [
            {"n": 10_000}, {"n": 3_000, "temperature": 0.05}, {"n": 26, "pattern": "em?"},
        ]  # fmt: skip
        for constraints in sampler_cache:
            reply = client.post("/sample", json={**constraints, "unique": True}).raise_for_status()
            assert len({*reply.json()["names"]}) == constraints["n"]

    def test_the_first_names_do_not_depend_on_n_or_on_the_form(self, client: httpx.Client) -> None:
        constraints: dict[str, Any] = {"unique": True, "temperature": 0.1, "seed": 5}
        many = client.get("/sample", params={**constraints, "n": 2_000}).json()["names"]
        for n in (1, 30, 700):
            asked = client.get("/sample", params={**constraints, "n": n})
            assert asked.json()["names"] == many[:n]
        text = client.get("/sample", params={**constraints, "n": 2_000}, headers=TEXT).text
        assert text.split() == many

    def test_many_of_them_do_not_hold_up_others(self, client: httpx.Client, server: Server) -> None:
        hard = "/sample?n=4000&unique=true&temperature=0.05&min_length=40&max_length=40"
        with open_stream(server, hard), open_stream(server, hard) as last:
            for path in ("/sample?n=1", "/sample?n=9000", "/top?n=3", f"/sample?min_length={9}"):
                client.get(path).raise_for_status()
            assert not select.select([last], [], [], 0)[0], "the others were not held up"

    def test_nobody_draws_on_when_the_client_has_left(self, server: Server) -> None:
        until(lambda: counted(server, "moniker_requests_in_flight") == 1)  # /metrics itself
        with open_stream(server, f"{HARD}&n=10000"):
            until(lambda: counted(server, "moniker_requests_in_flight") == 2)
        quiet_after(server, seconds=3)  # of ten

    def test_too_few_names_are_counted(self, client: httpx.Client) -> None:
        constraints: dict[str, Any] = {"pattern": "emm?", "unique": True, "n": 100}
        detail = refused(client.get("/sample", params=constraints), "n")
        assert detail == "n: Input should be at most 26: no more names satisfy the constraints"
        novel = refused(client.get("/sample", params={**constraints, "novel": True}), "n")
        assert "at most 22: " in novel

    def test_what_cannot_be_kept_from_repeating_is_refused(self, client: httpx.Client) -> None:
        for headers in (TEXT, LINES, {}):
            asked = client.get("/sample?n=10001&unique=true", headers=headers)
            assert "10,000" in refused(asked, "n")


class TestForms:
    def test_the_form_makes_no_difference_to_the_names(self, client: httpx.Client) -> None:
        for n in (1, 60, 300, 9_000):
            for constraints in ({}, {"unique": True}):
                fields = {"n": n, "seed": 2, "pattern": "*a*", "temperature": 0.8} | constraints
                names = client.get("/sample", params=fields).json()["names"]
                text = client.get("/sample", params=fields, headers=TEXT)
                lines = client.get("/sample", params=fields, headers=LINES)
                assert text.headers["content-type"] == "text/plain; charset=utf-8"
                assert lines.headers["content-type"] == "application/jsonl"
                assert text.text == "".join(f"{name}\n" for name in names)
                assert [json.loads(line)["name"] for line in lines.text.splitlines()] == names
                for field in ("model", "checkpoint", "seed", "probability"):
                    assert lines.headers[f"moniker-{field}"] == text.headers[f"moniker-{field}"]

    def test_the_log_likelihoods_of_lines_are_those_of_score(
        self, client: httpx.Client, checkpoints: Path
    ) -> None:
        for model in ("positional", "fivegram"):
            asked = client.get(f"/sample?n=5000&model={model}&pattern=k*", headers=LINES)
            lines = [json.loads(line) for line in asked.text.splitlines()]
            loaded = load((checkpoints / f"{model}.safetensors").read_bytes()).model
            expected = log_likelihoods(compile_chain(loaded), [line["name"] for line in lines])
            assert [line.keys() for line in lines] == [{"name", "log_likelihood"}] * 5_000
            assert [line["log_likelihood"] for line in lines] == pytest.approx(expected, abs=1e-9)

    def test_a_temperature_is_in_the_log_likelihoods(self, client: httpx.Client) -> None:
        constraints = {"temperature": 0.5, "top_k": 3, "max_length": 5}
        top = client.get("/top", params={**constraints, "n": 1_000}).json()["names"]
        known = {one["name"]: one["log_likelihood"] for one in top}
        lines = client.get(
            "/sample", params={**constraints, "n": 500}, headers=LINES
        ).text.splitlines()
        for line in map(json.loads, lines):
            assert line["log_likelihood"] == pytest.approx(known[line["name"]], abs=1e-9)

    def test_json_holds_no_more_than_it_can(self, client: httpx.Client) -> None:
        assert "text/plain" in refused(client.get("/sample?n=10001"), "n")


class TestTop:
    def test_the_likeliest_names_are_exact(self, client: httpx.Client, checkpoints: Path) -> None:
        for model in ("positional", "fivegram"):
            reply = client.get(f"/top?n=50&pattern=ka*lyn&model={model}").json()
            constraints = sampler(checkpoints, Constraints(pattern="ka*lyn"), model)
            expected = k_best(best_completions(constraints.chain), 50)
            assert reply.keys() == {"model", "checkpoint", "probability", "names"}
            assert reply["probability"] == constraints.probability
            for told, found in zip(reply["names"], expected, strict=True):
                assert told["name"] == found.name
                assert told["log_likelihood"] == found.log_likelihood
                share = math.exp(found.log_likelihood) / constraints.probability
                assert told["share"] == pytest.approx(share)

    def test_there_may_be_fewer_names(self, client: httpx.Client) -> None:
        names = client.get("/top?n=1000&pattern=emm?").json()["names"]
        assert len(names) == 26
        assert sum(one["share"] for one in names) == pytest.approx(1.0)

    def test_a_thousand_names_come_in_order(self, client: httpx.Client) -> None:
        for model in ("positional", "fivegram"):
            names = client.get(f"/top?n=1000&model={model}").json()["names"]
            likelihoods = [one["log_likelihood"] for one in names]
            assert len({one["name"] for one in names}) == 1_000
            assert likelihoods == sorted(likelihoods, reverse=True)

    def test_novel_names_are_not_on_the_list(
        self, client: httpx.Client, us_names: list[str]
    ) -> None:
        names = client.get("/top?n=1000&model=fivegram&novel=true").json()["names"]
        assert not {one["name"] for one in names} & {*us_names}

    def test_what_is_certain_is_no_more_than_certain(self, client: httpx.Client) -> None:
        for name in ("maria", "emma", "li", "aleksandra"):
            (only,) = client.get(f"/top?pattern={name}").json()["names"]
            assert only["name"] == name
            assert only["share"] == pytest.approx(1.0)
            assert only["share"] <= 1.0

    def test_limits(self, client: httpx.Client) -> None:
        refused(client.get("/top?n=0"), "n")
        refused(client.get("/top?n=1001"), "n")


class TestLengths:
    def test_the_law_is_exact(self, client: httpx.Client, checkpoints: Path) -> None:
        reply = client.get("/lengths?pattern=ka*lyn&min_length=6&max_length=12").json()
        constraints = sampler(checkpoints, Constraints(12, min_length=6, pattern="ka*lyn"))
        law = length_distribution(constraints.chain)
        assert [one["length"] for one in reply["lengths"]] == [*range(6, 13)]
        assert [one["probability"] for one in reply["lengths"]] == pytest.approx(law[6:])
        assert reply["mean"] == pytest.approx(float(law @ np.arange(13)))
        assert reply["probability"] == constraints.probability

    def test_lengths_that_the_pattern_leaves_out_have_no_probability(
        self, client: httpx.Client
    ) -> None:
        for pattern in ("???", "a??", "*a??"):
            reply = client.get("/lengths", params={"pattern": pattern, "max_length": 4}).json()
            probabilities = [one["probability"] for one in reply["lengths"]]
            assert [one["length"] for one in reply["lengths"]] == [1, 2, 3, 4]
            assert probabilities[:2] == [0.0, 0.0]
            assert sum(probabilities[2:]) == pytest.approx(1.0)
            assert (probabilities[3] > 0) == ("*" in pattern)

    def test_names_that_are_drawn_follow_it(self, client: httpx.Client) -> None:
        for model in ("positional", "fivegram"):
            reply = client.get(f"/lengths?model={model}").json()
            drawn = client.get(f"/sample?model={model}&n=10000&seed=1").json()["names"]
            seen = Counter(map(len, drawn))
            for one in reply["lengths"]:
                expected = one["probability"] * 10_000
                assert abs(seen[one["length"]] - expected) < 5 * math.sqrt(expected) + 5


class TestTransitions:
    def test_they_are_exact(self, client: httpx.Client, checkpoints: Path) -> None:
        for model, position in [("positional", 0), ("positional", 3), ("fivegram", 5)]:
            wished = {"pattern": "ka*lyn", "max_length": "12", "model": model}
            wished["position"] = str(position)
            reply = client.get("/transitions", params=wished).raise_for_status().json()
            constraints = Constraints(pattern="ka*lyn", max_length=12)
            chain = sampler(checkpoints, constraints, model).chain
            expected = bigrams(chain, position, np.arange(27))
            assert reply["position"] == position
            assert reply["characters"] == [None, *"abcdefghijklmnopqrstuvwxyz"]
            assert reply["reached"] == pytest.approx(expected.reached)
            assert reply["ended"] == pytest.approx(expected.ended)
            for row in reply["rows"]:
                at = reply["characters"].index(row["previous"])
                assert row["share"] * reply["reached"] == pytest.approx(expected.previous[at])
                joint = expected.joint[at] / expected.previous[at]
                assert row["probabilities"] == pytest.approx(joint.tolist())
            assert len(reply["rows"]) == np.count_nonzero(expected.previous)

    def test_without_a_wish_they_are_what_the_layer_says(self, client: httpx.Client) -> None:
        for prefix in ("", "k", "ka", "kay"):
            following = client.get("/next", params={"prefix": prefix}).json()["next"]
            expected = {one["character"]: one["probability"] for one in following}
            reply = client.get(f"/transitions?position={len(prefix)}&max_length=64").json()
            (row,) = [one for one in reply["rows"] if one["previous"] == (prefix[-1:] or None)]
            if not prefix:  # then only the empty name, which is none, is left out
                expected = {c: p / (1 - expected[None]) for c, p in expected.items() if c}
                expected[None] = 0.0
            told = dict(zip(reply["characters"], row["probabilities"], strict=True))
            assert told == pytest.approx(expected, abs=1e-4)  # 64 characters are not all

    def test_names_that_are_drawn_follow_them(self, client: httpx.Client) -> None:
        names = client.get("/sample?n=10000&seed=3&model=fivegram").json()["names"]
        reply = client.get("/transitions?model=fivegram&position=2").json()
        rows = {row["previous"]: row for row in reply["rows"]}
        seen = Counter(f"{name}.."[1:3] for name in names if len(name) > 1)
        for bigram, times in seen.most_common(50):
            row = rows[bigram[0]]
            at = reply["characters"].index(bigram[1] if bigram[1] != "." else None)
            expected = 10_000 * reply["reached"] * row["share"] * row["probabilities"][at]
            assert abs(times - expected) < 5 * math.sqrt(expected)

    def test_of_many_characters_the_most_frequent_are_told(self, client: httpx.Client) -> None:
        reply = client.get("/transitions?characters=3&position=4").json()
        assert reply["characters"] == [None, "a", "e", "n"]
        assert [row["previous"] for row in reply["rows"]] == ["a", "e", "n"]
        assert all(sum(row["probabilities"]) < 1 for row in reply["rows"])

    def test_where_no_name_gets_there_is_nothing(self, client: httpx.Client) -> None:
        reply = client.get("/transitions", params={"pattern": "??", "position": 3}).json()
        assert (reply["reached"], reply["ended"], reply["rows"]) == (0.0, 0.0, [])

    @pytest.mark.parametrize("query", ["position=-1", "position=65", "position=9&max_length=8"])
    def test_a_position_is_within_the_names(self, client: httpx.Client, query: str) -> None:
        refused(client.get(f"/transitions?{query}"), "position")

    def test_what_is_certain_is_no_more_than_certain(self, client: httpx.Client) -> None:
        for position in range(12):
            reply = client.get(f"/transitions?position={position}&pattern=kay*").json()
            numbers = [reply["reached"], reply["ended"]]
            for row in reply["rows"]:
                numbers += [row["share"], *row["probabilities"]]
            assert all(0 <= number <= 1 for number in numbers)


class TestNext:
    def test_everything_that_can_follow_is_told(self, client: httpx.Client) -> None:
        for model in ("positional", "fivegram"):
            for prefix in ("", "em", "a" * 40):
                reply = client.get("/next", params={"prefix": prefix, "model": model}).json()
                probabilities = [one["probability"] for one in reply["next"]]
                characters = [one["character"] for one in reply["next"]]
                assert reply["prefix"] == prefix
                assert sum(probabilities) == pytest.approx(1.0, abs=1e-12)
                assert probabilities == sorted(probabilities, reverse=True)
                assert {*characters} == {None, *"abcdefghijklmnopqrstuvwxyz"}

    def test_a_name_is_the_product_of_its_steps(self, client: httpx.Client) -> None:
        for model in ("bigram", "positional", "fivegram"):
            total = 0.0
            for length, character in enumerate([*"emma", None]):
                prefix = "emma"[:length]
                following = client.get("/next", params={"prefix": prefix, "model": model}).json()
                (step,) = (s for s in following["next"] if s["character"] == character)
                assert math.exp(step["log_likelihood"]) == pytest.approx(step["probability"])
                total += step["log_likelihood"]
            scored = client.get(f"/score?name=emma&model={model}").json()["scores"][0]
            assert total == pytest.approx(scored["log_likelihood"], abs=1e-9)

    def test_a_prefix_is_read_like_a_name(self, client: httpx.Client) -> None:
        asked = client.post("/next", json={"prefix": "EM"}).json()
        assert asked == client.get("/next?prefix=em").json()
        assert asked == client.get("/next", params={"prefix": " \ufeffe\u00adM"}).json()
        assert "character 3" in refused(client.get("/next?prefix=zoë"), "prefix")
        refused(client.get("/next", params={"prefix": "a" * 257}), "prefix")


class TestStreams:
    @pytest.mark.parametrize("headers", [TEXT, LINES])
    def test_long_streams_are_those_of_the_sampler(
        self, client: httpx.Client, checkpoints: Path, headers: dict[str, str]
    ) -> None:
        expected = sampler(checkpoints, Constraints(8)).draw(30_000, np.random.default_rng(9))
        with client.stream("GET", "/sample?n=30000&seed=9&max_length=8", headers=headers) as reply:
            lines = list(reply.iter_lines())
        names = lines if headers is TEXT else [json.loads(line)["name"] for line in lines]
        assert names == expected
        assert reply.headers["moniker-seed"] == "9"

    def test_what_is_excluded_is_not_in_a_million_names(
        self, client: httpx.Client, server: Server
    ) -> None:
        client.get("/sample?n=5000", headers=TEXT)
        before = server.resident
        words = ["an", "er", "li", "x", "sha"]
        constraints = {"n": 1_000_000, "exclude": words}
        text = client.post("/sample", json=constraints, headers=TEXT).text
        assert server.resident - before < 50_000  # kB
        assert text.count("\n") == 1_000_000
        assert not any(word in text for word in words)

    def test_a_stream_ends_with_its_reader(self, server: Server) -> None:
        with open_stream(server) as reader:
            reader.recv(100_000)
        quiet_after(server, seconds=10)

    def test_a_stream_waits_for_its_reader(self, server: Server, client: httpx.Client) -> None:
        before = server.resident
        with open_stream(server) as reader:
            reader.recv(1_000)
            quiet_after(server, seconds=10)  # while nobody reads
            assert server.resident - before < 50_000  # kB
            client.get("/sample").raise_for_status()
            read = sum(len(reader.recv(1 << 20)) for _ in range(200))
            assert read > 1_000_000


def open_stream(server: Server, path: str = "/sample?n=10000000") -> socket.socket:
    """A connection on which names are coming, ten million unless a path says what."""
    host, port = server.url.removeprefix("http://").split(":")
    reader = socket.create_connection((host, int(port)), timeout=PATIENCE)
    head = f"GET {path} HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\n\r\n"
    reader.sendall(head.encode())
    return reader


def quiet_after(server: Server, seconds: float) -> None:
    """Wait until the service stands still; fail if it works on for some seconds of processor time.

    On a busy machine that is the same work over a longer time.
    """
    began = used = server.worked
    time.sleep(0.3)
    while (now := server.worked) > used + 0.02:
        assert now - began < seconds, "the service goes on"
        used = now
        time.sleep(0.3)


@pytest.fixture(scope="module")
def strict(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service whose operator does not want to see some substrings."""
    path = tmp_path_factory.mktemp("blocklist") / "words.txt"
    path.write_text("\ufeffAN\n\n  el \né\n", encoding="utf-8")
    settings = {"MONIKER_CHECKPOINTS": str(checkpoints), "MONIKER_BLOCKLIST": str(path)}
    with Server(**settings) as server, server.client() as client:
        yield client


class TestBlocklist:
    def test_no_name_has_a_blocked_substring(self, strict: httpx.Client) -> None:
        for model in ("bigram", "positional", "fivegram"):
            for constraints in ({}, {"pattern": "*a*"}, {"exclude": ["q"], "temperature": 3}):
                asked = strict.post("/sample", json={"n": 10_000, "model": model, **constraints})
                names = asked.raise_for_status().json()["names"]
                assert not any("an" in name or "el" in name for name in names)
            top = strict.get(f"/top?n=1000&model={model}").json()["names"]
            assert not any("an" in one["name"] or "el" in one["name"] for one in top)

    def test_it_is_part_of_the_probability(self, strict: httpx.Client, checkpoints: Path) -> None:
        expected = sampler(checkpoints, Constraints(exclude=frozenset({"an", "el"}))).probability
        assert strict.get("/sample").json()["probability"] == pytest.approx(expected, rel=1e-12)

    def test_what_is_blocked_cannot_be_wished_for(self, strict: httpx.Client) -> None:
        assert refused(strict.get("/sample?pattern=*an*"), None) == "No name fulfils this wish."
        assert strict.get("/score?name=anna").json()["scores"][0]["log_likelihood"] < 0
