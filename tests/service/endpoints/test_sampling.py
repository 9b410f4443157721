"""Constraints over HTTP: the responses of /sample, /top, /lengths, /transitions and /next."""

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
from models.queries.k_best import best_completions, k_best
from models.queries.marginals import bigram_marginals, length_distribution
from models.queries.sampling import Sampler
from models.scoring.likelihoods import log_likelihoods
from tests.support.http.server import PATIENCE, Server
from tests.support.http.wire import counted, until

TEXT = {"Accept": "text/plain"}
HARD = "/sample?unique=true&temperature=0.05&min_length=60&max_length=60"  # a millisecond per name
LINES = {"Accept": "application/jsonl"}
ALL_CONSTRAINTS: dict[str, Any] = {
    "temperature": 1.5, "top_k": 20, "pattern": "[a-m]*", "min_length": 3, "max_length": 9,
    "exclude": ["an", "q"], "novel": True, "seed": 7,
}  # fmt: skip


def sampler(checkpoints: Path, constraints: Constraints, model: str = "positional") -> Sampler:
    """Compile the same constraints in this process."""
    loaded = load((checkpoints / f"{model}.safetensors").read_bytes()).model
    return Sampler(condition(compile_chain(loaded), constraints))


def rejected(reply: httpx.Response, field: str | None) -> str:
    """Return the detail of a 422 for a field."""
    content = reply.json()
    assert reply.status_code == content["status"] == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in content.get("errors", [])] == ([field] if field else [])
    return str(content["detail"])


class TestConstraints:
    def test_names_satisfy_every_constraint(
        self, client: httpx.Client, us_names: list[str]
    ) -> None:
        for model in ("positional", "fivegram"):
            constraints = ALL_CONSTRAINTS | {"model": model, "n": 5_000}
            names = client.post("/sample", json=constraints).raise_for_status().json()["names"]
            assert len(names) == 5_000
            assert not {*names} & {*us_names}
            for name in {*names}:
                assert "a" <= name[0] <= "m"
                assert 3 <= len(name) <= 9
                assert "an" not in name
                assert "q" not in name

    def test_constraints_in_a_query_equal_those_in_a_body(self, client: httpx.Client) -> None:
        for path in ("/sample", "/top", "/lengths", "/transitions"):
            constraints = (
                ALL_CONSTRAINTS
                if path == "/sample"
                else {k: v for k, v in ALL_CONSTRAINTS.items() if k != "seed"}
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

    def test_unsatisfiable_constraints_are_rejected(self, client: httpx.Client) -> None:
        for constraints in (
            {"pattern": "zzzzzzzz*q", "max_length": 6},
            {"pattern": "?", "min_length": 2},
            {"pattern": "é*"},
            {"exclude": list("abcdefghijklmnopqrstuvwxyz")},
            {"pattern": "emma", "novel": True},
        ):
            for path in ("/sample", "/top", "/lengths", "/transitions"):
                reply = client.post(path, json=constraints)
                rejected(reply, None)
                assert reply.json()["type"] == "/errors/unsatisfiable"

    def test_too_complex_constraints_are_rejected_with_the_limit(
        self, client: httpx.Client
    ) -> None:
        pattern = "*a" + 40 * "?"
        detail = rejected(client.get("/sample", params={"pattern": pattern}), "pattern")
        assert "4,096 states" in detail
        pattern = "*a" + 10 * "?"
        constraints = {"pattern": pattern, "model": "fivegram", "max_length": 64}
        assert "states for this model" in rejected(client.post("/sample", json=constraints), None)

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
    def test_a_problem_names_the_invalid_field(
        self, client: httpx.Client, constraints: dict[str, object], field: str
    ) -> None:
        for path in ("/sample", "/top", "/lengths", "/transitions"):
            rejected(client.post(path, json=constraints), field)

    def test_a_problem_does_not_echo_constraints(self, client: httpx.Client) -> None:
        for constraints in ({"pattern": "secret[7531"}, {"pattern": "secret7531"}):
            assert "7531" not in client.get("/sample", params=constraints).text

    def test_fields_of_other_paths_are_unknown(self, client: httpx.Client) -> None:
        rejected(client.get("/lengths?n=5"), "n")
        rejected(client.get("/top?seed=5"), "seed")
        rejected(client.get("/next?pattern=a"), "pattern")
        rejected(client.get("/sample?pattern=a&pattern=b"), "pattern")


class TestUnique:
    def test_no_name_is_repeated(self, client: httpx.Client) -> None:
        cases: list[dict[str, Any]] = [
            {"n": 10_000}, {"n": 3_000, "temperature": 0.05}, {"n": 26, "pattern": "em?"},
        ]  # fmt: skip
        for constraints in cases:
            reply = client.post("/sample", json={**constraints, "unique": True}).raise_for_status()
            assert len({*reply.json()["names"]}) == constraints["n"]

    def test_the_first_names_do_not_depend_on_n_or_on_the_media_type(
        self, client: httpx.Client
    ) -> None:
        constraints: dict[str, Any] = {"unique": True, "temperature": 0.1, "seed": 5}
        many = client.get("/sample", params={**constraints, "n": 2_000}).json()["names"]
        for n in (1, 30, 700):
            asked = client.get("/sample", params={**constraints, "n": n})
            assert asked.json()["names"] == many[:n]
        text = client.get("/sample", params={**constraints, "n": 2_000}, headers=TEXT).text
        assert text.split() == many

    def test_large_unique_samples_do_not_delay_other_requests(
        self, client: httpx.Client, server: Server
    ) -> None:
        hard = "/sample?n=4000&unique=true&temperature=0.05&min_length=40&max_length=40"
        with open_stream(server, hard), open_stream(server, hard) as last:
            for path in ("/sample?n=1", "/sample?n=9000", "/top?n=3", f"/sample?min_length={9}"):
                client.get(path).raise_for_status()
            assert not select.select([last], [], [], 0)[0], "the other requests were not delayed"

    def test_sampling_stops_when_the_client_disconnects(self, server: Server) -> None:
        until(lambda: counted(server, "moniker_requests_in_flight") == 1)  # /metrics itself
        with open_stream(server, f"{HARD}&n=10000"):
            until(lambda: counted(server, "moniker_requests_in_flight") == 2)
        quiet_after(server, seconds=3)  # all names would take ten

    def test_asking_for_too_many_unique_names_reports_how_many_there_are(
        self, client: httpx.Client
    ) -> None:
        constraints: dict[str, Any] = {"pattern": "emm?", "unique": True, "n": 100}
        detail = rejected(client.get("/sample", params=constraints), "n")
        assert detail == "n: Input should be at most 26: no more names satisfy the constraints"
        novel = rejected(client.get("/sample", params={**constraints, "novel": True}), "n")
        assert "at most 22: " in novel

    def test_more_unique_names_than_the_limit_are_rejected(self, client: httpx.Client) -> None:
        for headers in (TEXT, LINES, {}):
            asked = client.get("/sample?n=10001&unique=true", headers=headers)
            assert "10,000" in rejected(asked, "n")


class TestMediaTypes:
    def test_names_do_not_depend_on_the_media_type(self, client: httpx.Client) -> None:
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

    def test_log_likelihoods_of_lines_equal_those_of_score(
        self, client: httpx.Client, checkpoints: Path
    ) -> None:
        for model in ("positional", "fivegram"):
            asked = client.get(f"/sample?n=5000&model={model}&pattern=k*", headers=LINES)
            lines = [json.loads(line) for line in asked.text.splitlines()]
            loaded = load((checkpoints / f"{model}.safetensors").read_bytes()).model
            expected = log_likelihoods(compile_chain(loaded), [line["name"] for line in lines])
            assert [line.keys() for line in lines] == [{"name", "log_likelihood"}] * 5_000
            assert [line["log_likelihood"] for line in lines] == pytest.approx(expected, abs=1e-9)

    def test_log_likelihoods_are_at_the_requested_temperature(self, client: httpx.Client) -> None:
        constraints = {"temperature": 0.5, "top_k": 3, "max_length": 5}
        top = client.get("/top", params={**constraints, "n": 1_000}).json()["names"]
        known = {name["name"]: name["log_likelihood"] for name in top}
        lines = client.get(
            "/sample", params={**constraints, "n": 500}, headers=LINES
        ).text.splitlines()
        for line in map(json.loads, lines):
            assert line["log_likelihood"] == pytest.approx(known[line["name"]], abs=1e-9)

    def test_more_names_than_the_limit_of_json_are_rejected(self, client: httpx.Client) -> None:
        assert "text/plain" in rejected(client.get("/sample?n=10001"), "n")


class TestTop:
    def test_the_most_probable_names_are_exact(
        self, client: httpx.Client, checkpoints: Path
    ) -> None:
        for model in ("positional", "fivegram"):
            reply = client.get(f"/top?n=50&pattern=ka*lyn&model={model}").json()
            constraints = sampler(checkpoints, Constraints(pattern="ka*lyn"), model)
            expected = k_best(best_completions(constraints.conditioned), 50)
            assert reply.keys() == {"model", "checkpoint", "probability", "names"}
            assert reply["probability"] == constraints.probability
            for name, found in zip(reply["names"], expected, strict=True):
                assert name["name"] == found.name
                assert name["log_likelihood"] == found.log_likelihood
                share = math.exp(found.log_likelihood) / constraints.probability
                assert name["share"] == pytest.approx(share)

    def test_fewer_names_than_n_may_satisfy_the_constraints(self, client: httpx.Client) -> None:
        names = client.get("/top?n=1000&pattern=emm?").json()["names"]
        assert len(names) == 26
        assert sum(name["share"] for name in names) == pytest.approx(1.0)

    def test_names_are_ordered_by_probability(self, client: httpx.Client) -> None:
        for model in ("positional", "fivegram"):
            names = client.get(f"/top?n=1000&model={model}").json()["names"]
            likelihoods = [name["log_likelihood"] for name in names]
            assert len({name["name"] for name in names}) == 1_000
            assert likelihoods == sorted(likelihoods, reverse=True)

    def test_novel_names_are_not_in_the_training_set(
        self, client: httpx.Client, us_names: list[str]
    ) -> None:
        names = client.get("/top?n=1000&model=fivegram&novel=true").json()["names"]
        assert not {name["name"] for name in names} & {*us_names}

    def test_shares_are_at_most_one(self, client: httpx.Client) -> None:
        for name in ("maria", "emma", "li", "aleksandra"):
            (only,) = client.get(f"/top?pattern={name}").json()["names"]
            assert only["name"] == name
            assert only["share"] == pytest.approx(1.0)
            assert only["share"] <= 1.0

    def test_a_number_of_names_outside_the_limits_is_rejected(self, client: httpx.Client) -> None:
        rejected(client.get("/top?n=0"), "n")
        rejected(client.get("/top?n=1001"), "n")


class TestLengths:
    def test_the_distribution_is_exact(self, client: httpx.Client, checkpoints: Path) -> None:
        reply = client.get("/lengths?pattern=ka*lyn&min_length=6&max_length=12").json()
        constraints = sampler(checkpoints, Constraints(12, min_length=6, pattern="ka*lyn"))
        probabilities_by_length = length_distribution(constraints.conditioned)
        assert [row["length"] for row in reply["lengths"]] == [*range(6, 13)]
        assert [row["probability"] for row in reply["lengths"]] == pytest.approx(
            probabilities_by_length[6:]
        )
        assert reply["mean"] == pytest.approx(float(probabilities_by_length @ np.arange(13)))
        assert reply["probability"] == constraints.probability

    def test_lengths_that_the_pattern_excludes_have_probability_zero(
        self, client: httpx.Client
    ) -> None:
        for pattern in ("???", "a??", "*a??"):
            reply = client.get("/lengths", params={"pattern": pattern, "max_length": 4}).json()
            probabilities = [row["probability"] for row in reply["lengths"]]
            assert [row["length"] for row in reply["lengths"]] == [1, 2, 3, 4]
            assert probabilities[:2] == [0.0, 0.0]
            assert sum(probabilities[2:]) == pytest.approx(1.0)
            assert (probabilities[3] > 0) == ("*" in pattern)

    def test_sampled_names_follow_the_distribution(self, client: httpx.Client) -> None:
        for model in ("positional", "fivegram"):
            reply = client.get(f"/lengths?model={model}").json()
            drawn = client.get(f"/sample?model={model}&n=10000&seed=1").json()["names"]
            seen = Counter(map(len, drawn))
            for row in reply["lengths"]:
                expected = row["probability"] * 10_000
                assert abs(seen[row["length"]] - expected) < 5 * math.sqrt(expected) + 5


class TestTransitions:
    def test_transition_probabilities_are_exact(
        self, client: httpx.Client, checkpoints: Path
    ) -> None:
        for model, position in [("positional", 0), ("positional", 3), ("fivegram", 5)]:
            fields = {"pattern": "ka*lyn", "max_length": "12", "model": model}
            fields["position"] = str(position)
            reply = client.get("/transitions", params=fields).raise_for_status().json()
            constraints = Constraints(pattern="ka*lyn", max_length=12)
            chain = sampler(checkpoints, constraints, model).conditioned
            expected = bigram_marginals(chain, position, np.arange(27))
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

    def test_unconstrained_transitions_equal_the_next_character_distribution(
        self, client: httpx.Client
    ) -> None:
        for prefix in ("", "k", "ka", "kay"):
            following = client.get("/next", params={"prefix": prefix}).json()["next"]
            expected = {step["character"]: step["probability"] for step in following}
            reply = client.get(f"/transitions?position={len(prefix)}&max_length=64").json()
            (row,) = [row for row in reply["rows"] if row["previous"] == (prefix[-1:] or None)]
            if not prefix:  # the constraints exclude only the empty name
                expected = {c: p / (1 - expected[None]) for c, p in expected.items() if c}
                expected[None] = 0.0
            transitions = dict(zip(reply["characters"], row["probabilities"], strict=True))
            assert transitions == pytest.approx(expected, abs=1e-4)  # few names are longer than 64

    def test_sampled_names_follow_the_transition_probabilities(self, client: httpx.Client) -> None:
        names = client.get("/sample?n=10000&seed=3&model=fivegram").json()["names"]
        reply = client.get("/transitions?model=fivegram&position=2").json()
        rows = {row["previous"]: row for row in reply["rows"]}
        seen = Counter(f"{name}.."[1:3] for name in names if len(name) > 1)
        for bigram, times in seen.most_common(50):
            row = rows[bigram[0]]
            at = reply["characters"].index(bigram[1] if bigram[1] != "." else None)
            expected = 10_000 * reply["reached"] * row["share"] * row["probabilities"][at]
            assert abs(times - expected) < 5 * math.sqrt(expected)

    def test_only_the_most_frequent_characters_are_returned(self, client: httpx.Client) -> None:
        reply = client.get("/transitions?characters=3&position=4").json()
        assert reply["characters"] == [None, "a", "e", "n"]
        assert [row["previous"] for row in reply["rows"]] == ["a", "e", "n"]
        assert all(sum(row["probabilities"]) < 1 for row in reply["rows"])

    def test_a_position_that_no_name_reaches_has_no_rows(self, client: httpx.Client) -> None:
        reply = client.get("/transitions", params={"pattern": "??", "position": 3}).json()
        assert (reply["reached"], reply["ended"], reply["rows"]) == (0.0, 0.0, [])

    @pytest.mark.parametrize("query", ["position=-1", "position=65", "position=9&max_length=8"])
    def test_a_position_beyond_max_length_is_rejected(
        self, client: httpx.Client, query: str
    ) -> None:
        rejected(client.get(f"/transitions?{query}"), "position")

    def test_probabilities_are_at_most_one(self, client: httpx.Client) -> None:
        for position in range(12):
            reply = client.get(f"/transitions?position={position}&pattern=kay*").json()
            numbers = [reply["reached"], reply["ended"]]
            for row in reply["rows"]:
                numbers += [row["share"], *row["probabilities"]]
            assert all(0 <= number <= 1 for number in numbers)


class TestNext:
    def test_every_character_that_can_follow_is_returned(self, client: httpx.Client) -> None:
        for model in ("positional", "fivegram"):
            for prefix in ("", "em", "a" * 40):
                reply = client.get("/next", params={"prefix": prefix, "model": model}).json()
                probabilities = [step["probability"] for step in reply["next"]]
                characters = [step["character"] for step in reply["next"]]
                assert reply["prefix"] == prefix
                assert sum(probabilities) == pytest.approx(1.0, abs=1e-12)
                assert probabilities == sorted(probabilities, reverse=True)
                assert {*characters} == {None, *"abcdefghijklmnopqrstuvwxyz"}

    def test_the_probability_of_a_name_is_the_product_of_its_steps(
        self, client: httpx.Client
    ) -> None:
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

    def test_a_prefix_is_normalised_like_a_name(self, client: httpx.Client) -> None:
        asked = client.post("/next", json={"prefix": "EM"}).json()
        assert asked == client.get("/next?prefix=em").json()
        assert asked == client.get("/next", params={"prefix": " \ufeffe\u00adM"}).json()
        assert "Character 3" in rejected(client.get("/next?prefix=zoë"), "prefix")
        rejected(client.get("/next", params={"prefix": "a" * 257}), "prefix")


class TestStreams:
    @pytest.mark.parametrize("headers", [TEXT, LINES])
    def test_a_stream_has_the_names_of_the_sampler(
        self, client: httpx.Client, checkpoints: Path, headers: dict[str, str]
    ) -> None:
        expected = sampler(checkpoints, Constraints(8)).draw(30_000, np.random.default_rng(9))
        with client.stream("GET", "/sample?n=30000&seed=9&max_length=8", headers=headers) as reply:
            lines = list(reply.iter_lines())
        names = lines if headers is TEXT else [json.loads(line)["name"] for line in lines]
        assert names == expected
        assert reply.headers["moniker-seed"] == "9"

    def test_a_million_names_contain_no_excluded_substring(
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

    def test_a_stream_ends_when_its_client_disconnects(self, server: Server) -> None:
        with open_stream(server) as reader:
            reader.recv(100_000)
        quiet_after(server, seconds=10)

    def test_a_stream_waits_for_its_client_to_read(
        self, server: Server, client: httpx.Client
    ) -> None:
        before = server.resident
        with open_stream(server) as reader:
            reader.recv(1_000)
            quiet_after(server, seconds=10)  # while the client does not read
            assert server.resident - before < 50_000  # kB
            client.get("/sample").raise_for_status()
            read = sum(len(reader.recv(1 << 20)) for _ in range(200))
            assert read > 1_000_000


def open_stream(server: Server, path: str = "/sample?n=10000000") -> socket.socket:
    """Open a connection that receives names, by default ten million."""
    host, port = server.url.removeprefix("http://").split(":")
    reader = socket.create_connection((host, int(port)), timeout=PATIENCE)
    head = f"GET {path} HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\n\r\n"
    reader.sendall(head.encode())
    return reader


def quiet_after(server: Server, seconds: float) -> None:
    """Wait until the service is idle; fail if it uses more than these seconds of processor time.

    A busy machine does the same work in a longer time.
    """
    began = used = server.worked
    time.sleep(0.3)
    while (now := server.worked) > used + 0.02:
        assert now - began < seconds, "the service is still working"
        used = now
        time.sleep(0.3)


@pytest.fixture(scope="module")
def strict(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service with a blocklist."""
    path = tmp_path_factory.mktemp("blocklist") / "words.txt"
    path.write_text("\ufeffAN\n\n  el \né\n", encoding="utf-8")
    settings = {"MONIKER_CHECKPOINTS": str(checkpoints), "MONIKER_BLOCKLIST": str(path)}
    with Server(**settings) as server, server.client() as client:
        yield client


class TestBlocklist:
    def test_no_name_contains_a_blocked_substring(self, strict: httpx.Client) -> None:
        for model in ("bigram", "positional", "fivegram"):
            for constraints in ({}, {"pattern": "*a*"}, {"exclude": ["q"], "temperature": 3}):
                asked = strict.post("/sample", json={"n": 10_000, "model": model, **constraints})
                names = asked.raise_for_status().json()["names"]
                assert not any("an" in name or "el" in name for name in names)
            top = strict.get(f"/top?n=1000&model={model}").json()["names"]
            assert not any("an" in name["name"] or "el" in name["name"] for name in top)

    def test_the_probability_includes_the_blocklist(
        self, strict: httpx.Client, checkpoints: Path
    ) -> None:
        expected = sampler(checkpoints, Constraints(exclude=frozenset({"an", "el"}))).probability
        assert strict.get("/sample").json()["probability"] == pytest.approx(expected, rel=1e-12)

    def test_a_pattern_cannot_override_the_blocklist(self, strict: httpx.Client) -> None:
        reply = strict.get("/sample?pattern=*an*")
        rejected(reply, None)
        assert reply.json()["type"] == "/errors/unsatisfiable"
        assert strict.get("/score?name=anna").json()["scores"][0]["log_likelihood"] < 0
