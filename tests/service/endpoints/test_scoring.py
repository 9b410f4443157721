"""Scores of names over HTTP: the responses of /score as JSON, text and JSON Lines."""

import gzip
import http.client
import json
import math
import random
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from models.chain.markov_chain import compile_chain
from models.checkpoint import load
from models.linear.features import ARCHITECTURES
from models.scoring.explanation import explain
from models.scoring.score import Scorer
from models.scoring.suggestions import suggest
from models.text.lexicon import Lexicon
from service.api.score_responses import ExplainedNameScore, NameScore, ScoreResponse
from service.catalog.catalog import ServedModel
from tests.support.http.problems import fields, problem
from tests.support.http.server import PATIENCE, Server
from tests.support.http.wire import Wire, until
from tests.support.oracle import Layer

TEXT = {"Content-Type": "text/plain"}
LINES = {"Content-Type": "application/jsonl"}
WANTS_TEXT = {"Accept": "text/plain"}
WANTS_LINES = {"Accept": "application/jsonl"}

# Names of every kind that real lists contain.
UNUSUAL = [
    "", " ", "Emma", "EMMA", " emma\t", "zoe\u0308", "Zo\xeb", "e\u0301\u0301", "\u202eemma",
    "\u05e9\u05dc\u05d5\u05dd", "\u0645\u062d\u0645\u062f", "\N{GRINNING FACE}",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467", "a\0b", "\0", "a\tb", "a b", "O'Neil", "\u0130",
    "\u1e9e", "\ufb01", "\ud7ff", "\ue000", "\uffff", "\U0010ffff", "null", "nan", "a\x0bb",
    "a\u2028b", "a\x85b", "-", "x" * 256, "\xe9" * 256, "q" * 64,
]  # fmt: skip

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def scores_of(client: httpx.Client, names: list[str], **fields: object) -> list[dict[str, object]]:
    """Return the scores of names sent as JSON."""
    reply = client.post("/score", json={"names": names, **fields}).raise_for_status()
    return as_list(reply.json()["scores"])


def as_list(value: object) -> list[Any]:
    """Return a part of a response that must be a list."""
    assert isinstance(value, list)
    return value


class TestScore:
    def test_a_score_is_the_dense_softmax_of_the_checkpoint(
        self, client: httpx.Client, checkpoints: Path, us_names: list[str]
    ) -> None:
        names = ["emma", "xqzwv", "abcdefghij" * 6]
        for model in ARCHITECTURES:
            weights = load((checkpoints / f"{model}.safetensors").read_bytes()).model.weights
            layer = Layer(model, LETTERS, 23, weights, us_names)
            reply = client.post("/score", json={"names": names, "model": model}).json()
            assert reply["model"] == model
            for name, scored in zip(names, reply["scores"], strict=True):
                expected = math.log(layer.probability(name))
                assert scored["log_likelihood"] == pytest.approx(expected, abs=1e-9)
                assert scored["per_character"] == pytest.approx(expected / (len(name) + 1))
                assert scored["perplexity"] == pytest.approx(math.exp(-expected / (len(name) + 1)))

    def test_names_in_a_query_and_in_a_body_have_the_same_scores(
        self, client: httpx.Client
    ) -> None:
        names = ["emma", "Zoë", " Ava "]
        by_query = client.get("/score", params={"name": names}).json()
        assert client.post("/score", json={"names": names}).json() == by_query
        assert [s["name"] for s in by_query["scores"]] == names
        assert [s["normalized"] for s in by_query["scores"]] == ["emma", "zoë", "ava"]

    def test_a_name_with_unknown_characters_does_not_affect_the_others(
        self, client: httpx.Client
    ) -> None:
        names = ["Zoë", "emma", "", "a\0b", "\N{GRINNING FACE}", "\u202e"]
        scores = client.post("/score", json={"names": names}).json()["scores"]
        assert [s["unknown"] for s in scores] == [
            ["ë"], [], [], ["\0"], ["\N{GRINNING FACE}"], [],
        ]  # fmt: skip
        assert [s["log_likelihood"] is None for s in scores] == [
            True, False, False, True, True, False,
        ]  # fmt: skip

    def test_the_maximum_number_of_names_is_scored_in_order(self, client: httpx.Client) -> None:
        names = [f"{a}{b}{c}" for a in LETTERS for b in LETTERS for c in LETTERS][:10_000]
        scores = client.post("/score", json={"names": names}).json()["scores"]
        assert [s["name"] for s in scores] == names

    def test_the_limits_are_as_documented(self, client: httpx.Client) -> None:
        client.post("/score", json={"names": ["a" * 256]}).raise_for_status()
        assert fields(problem(client.post("/score", json={"names": []}), 422)) == ["names"]
        too_many = client.post("/score", json={"names": ["a"] * 10_001})
        assert fields(problem(too_many, 422)) == ["names"]
        assert fields(problem(client.get("/score"), 422)) == ["name"]

    def test_a_name_that_is_too_long_does_not_affect_the_others(self, client: httpx.Client) -> None:
        names = ["emma", "é" * 257, "ava", "b" * 300]
        for explained, kind in ((False, NameScore), (True, ExplainedNameScore)):
            asked = {"names": names, "explain": explained}
            reply = client.post("/score", json=asked)
            ScoreResponse.model_validate_json(reply.content, strict=True, extra="forbid")
            query = client.get("/score", params={"name": names, "explain": explained})
            assert query.json() == reply.json()
            first, long, third, last = reply.json()["scores"]
            alone = scores_of(client, ["emma", "ava"], explain=explained)
            assert [first, third] == alone
            assert {*long} == {*kind.model_fields}
            assert long["name"] == "é" * 256
            assert last["name"] == "b" * 256
            assert long["error"] == last["error"] == "more than 256 characters"
            assert long["normalized"] == ""
            assert long["log_likelihood"] is long["percentile"] is None

    def test_a_name_that_is_too_long_has_a_line_of_its_own(self, client: httpx.Client) -> None:
        asked = {"names": ["emma", "b" * 257, "ava"]}
        text = client.post("/score", json=asked, headers=WANTS_TEXT).text.split("\n")
        assert [line.split("\t")[2] for line in text[:3]] == ["emma", "b" * 256 + "…", "ava"]
        assert text[1].startswith("-\t-\t")
        wants = {"Accept": "application/jsonl"}
        lines = client.post("/score", json=asked, headers=wants).text.splitlines()
        error = {"name": "b" * 256, "error": "more than 256 characters"}
        assert json.loads(lines[1]) == error
        assert [json.loads(line)["name"] for line in lines[::2]] == ["emma", "ava"]

    def test_lines_of_json_have_two_media_types(self, client: httpx.Client) -> None:
        for sent in ("application/jsonl", "application/x-ndjson"):
            for accepted in ("application/jsonl", "application/x-ndjson", ""):
                headers = {"Content-Type": sent, "Accept": accepted or "*/*"}
                reply = client.post("/score", content='"emma"\n"ava"', headers=headers)
                assert reply.headers["content-type"] == (accepted or sent)
                assert [json.loads(line)["name"] for line in reply.iter_lines()] == ["emma", "ava"]
        drawn = client.get("/sample?n=3", headers={"Accept": "application/x-ndjson"})
        assert drawn.headers["content-type"] == "application/x-ndjson"
        assert len([json.loads(line)["name"] for line in drawn.iter_lines()]) == 3

    def test_a_percentile_is_from_the_table_of_the_checkpoint(
        self, client: httpx.Client, checkpoints: Path
    ) -> None:
        names = ["emma", "iaamr", "xqzwv", "kayleighanna", "ab" * 100]
        for model in ARCHITECTURES:
            loaded = load((checkpoints / f"{model}.safetensors").read_bytes())
            expected = Scorer(compile_chain(loaded.model), loaded.percentiles).score(names)
            percentiles = [s["percentile"] for s in scores_of(client, names, model=model)]
            assert percentiles == [score.percentile for score in expected]

    def test_every_process_returns_the_same_digits(
        self, client: httpx.Client, checkpoints: Path, us_names: list[str]
    ) -> None:
        asked = {"names": us_names[::30], "model": "fivegram"}
        reply = client.post("/score", json=asked)
        with Server(MONIKER_CHECKPOINTS=str(checkpoints)) as other:
            assert other.post("/score", json=asked).content == reply.content

    def test_a_name_scores_the_same_alone_and_among_others(
        self, client: httpx.Client, us_names: list[str]
    ) -> None:
        names = us_names[:500]
        assert scores_of(client, names)[:40:9] == [scores_of(client, [n])[0] for n in names[:40:9]]

    def test_percentiles_of_sampled_names_are_uniform(self, client: httpx.Client) -> None:
        names = client.get("/sample?n=10000&seed=3&max_length=64").json()["names"]
        scores = scores_of(client, names)
        percentiles = np.array([score["percentile"] for score in scores], dtype=float)
        assert np.mean(percentiles) == pytest.approx(0.5, abs=0.01)
        assert np.mean(percentiles < 0.01) == pytest.approx(0.01, abs=0.004)

    def test_names_with_shuffled_letters_have_lower_percentiles(
        self, client: httpx.Client, us_names: list[str]
    ) -> None:
        names = us_names[:500]
        shuffled = ["".join(random.Random(7).sample(name, len(name))) for name in names]
        percentiles = np.array(
            [[score["percentile"] for score in scores_of(client, of, model="fivegram")]
             for of in (names, shuffled)], dtype=float,
        )  # fmt: skip
        assert (percentiles[0] > percentiles[1]).mean() > 0.85

    def test_ten_thousand_unusual_names_are_scored_in_order(self, client: httpx.Client) -> None:
        generator = random.Random(5)
        names = [generator.choice(UNUSUAL) for _ in range(5_000)]
        names += ["".join(generator.choices(LETTERS + UNUSUAL[-2] + "\0 \u0301", k=9))
                  for _ in range(5_000)]  # fmt: skip
        for model in ("positional", "fivegram"):
            scores = scores_of(client, names, model=model)
            assert [score["name"] for score in scores] == names
            for score in scores:
                unknown = set(str(score["normalized"])) - set(LETTERS)
                assert {*as_list(score["unknown"])} == unknown
                assert (score["log_likelihood"] is None) == bool(unknown)
                assert (score["percentile"] is None) == bool(unknown)
        for headers in (WANTS_TEXT, WANTS_LINES):
            lines = client.post("/score", json={"names": names}, headers=headers).text
            assert lines.count("\n") == len(names)

    def test_names_sent_as_json_can_be_returned_as_lines(self, client: httpx.Client) -> None:
        names = ["Emma", "xqzwv", "Zo\xeb", "a\nb"]
        scores = scores_of(client, names)
        lines = client.post("/score", json={"names": names}, headers=WANTS_LINES)
        assert [json.loads(line) for line in lines.text.splitlines()] == scores
        text = client.get("/score", params={"name": names}, headers=WANTS_TEXT)
        for reply in (lines, text, client.get("/score?name=a")):
            assert reply.headers["vary"] == "Accept"
        assert text.headers["moniker-model"] == "positional"
        assert (
            text.headers["moniker-checkpoint"] == client.get("/score?name=a").json()["checkpoint"]
        )
        assert text.text.splitlines() == [*map(row, scores)]

    def test_an_unsupported_media_type_is_406(self, client: httpx.Client) -> None:
        problem(client.get("/score?name=a", headers={"Accept": "text/csv"}), 406)
        sent = client.post("/score", content="a", headers=TEXT | {"Accept": "application/json"})
        assert "text/plain or application/jsonl" in str(problem(sent, 406)["detail"])


def row(score: dict[str, object]) -> str:
    """Return a score as a line of text."""
    name = str(score["name"]).replace("\n", " ")
    if score["percentile"] is None:
        return f"-\t-\t{name}"
    return f"{score['percentile']:.6g}\t{score['log_likelihood']:.4f}\t{name}"


class TestExplain:
    def test_a_response_has_the_documented_fields(self, client: httpx.Client) -> None:
        names = ["Emma", "Zo\xeb", ""]
        for explained, kind in ((True, ExplainedNameScore), (False, NameScore)):
            reply = client.post("/score", json={"names": names, "explain": explained})
            ScoreResponse.model_validate_json(reply.content, strict=True, extra="forbid")
            for score in reply.json()["scores"]:
                assert [*score] == [field for field in kind.model_fields if field != "error"]

    def test_steps_equal_those_of_the_model(self, client: httpx.Client, checkpoints: Path) -> None:
        for model in ARCHITECTURES:
            loaded = load((checkpoints / f"{model}.safetensors").read_bytes()).model
            (scored,) = scores_of(client, ["Kaxyla"], model=model, explain=True)
            steps = explain(loaded, compile_chain(loaded), "kaxyla")
            returned = as_list(scored["steps"])
            assert [step["character"] for step in returned] == [*"kaxyla", None]
            for info, step in zip(returned, steps, strict=True):
                assert (info["rank"], info["contributions"]) == (step.rank, step.contributions)
                assert info["log_likelihood"] == step.log_likelihood
                total = info["expected"] + sum(info["contributions"].values())
                assert total == pytest.approx(info["log_likelihood"], abs=1e-9)
                assert [alternative["character"] for alternative in info["alternatives"]] == [
                    alternative.character for alternative in step.alternatives
                ]

    def test_suggestions_are_scores_of_spelling_suggestions(
        self, client: httpx.Client, checkpoints: Path
    ) -> None:
        checkpoint = load((checkpoints / "fivegram.safetensors").read_bytes())
        chain = compile_chain(checkpoint.model)
        scorer = Scorer(chain, checkpoint.percentiles)
        (unexplained,) = scorer.score(["emnma"])
        expected = suggest(scorer, unexplained, explain(checkpoint.model, chain, "emnma"))
        (scored,) = scores_of(client, ["emnma"], model="fivegram", explain=True)
        names = [score.name for score in expected]
        assert names[0] == "emma"
        assert scored["suggestions"] == scores_of(client, names, model="fivegram")

    def test_a_name_with_an_unknown_character_has_suggestions_but_no_steps(
        self, client: httpx.Client
    ) -> None:
        (scored,) = scores_of(client, ["Zo\xeb"], model="fivegram", explain=True)
        assert scored["steps"] == []
        names = [score["name"] for score in as_list(scored["suggestions"])]
        assert len(names) == 3
        assert all(name[:-1] == "zo" or name == "zo" for name in names)

    def test_a_score_without_explain_has_neither_steps_nor_suggestions(
        self, client: httpx.Client
    ) -> None:
        (scored,) = scores_of(client, ["emma"])
        assert not {"steps", "suggestions"} & scored.keys()

    def test_explained_scores_in_a_query_and_as_lines_are_the_same(
        self, client: httpx.Client
    ) -> None:
        expected = scores_of(client, ["emma", "q"], explain=True)
        by_query = client.get("/score?name=emma&name=q&explain=true").json()["scores"]
        lines = client.post("/score?explain=true", content='"emma"\n"q"', headers=LINES).text
        assert by_query == expected
        assert [*map(json.loads, lines.splitlines())] == expected

    def test_text_cannot_contain_explained_scores(self, client: httpx.Client) -> None:
        asked = client.get("/score?name=a&explain=true", headers=WANTS_TEXT)
        detail = str(problem(asked, 406)["detail"])
        assert "application/json or application/jsonl" in detail
        assert "text/plain" not in detail
        asked = client.post("/score?explain=true", content="a", headers=TEXT | WANTS_TEXT)
        detail = str(problem(asked, 406)["detail"])
        assert detail == "Accept must allow application/jsonl or application/x-ndjson."
        answered = client.post("/score?explain=true", content="a", headers=TEXT)
        assert answered.headers["content-type"] == "application/jsonl"
        assert answered.json() == scores_of(client, ["a"], explain=True)[0]

    def test_an_explained_score_says_whether_the_name_is_in_the_training_set(
        self, client: httpx.Client, us_names: list[str]
    ) -> None:
        names = ["Emma", "xqzwv", "", "emmaa", "zo\xeb", us_names[0], us_names[-1]]
        known = [score["in_training_set"] for score in scores_of(client, names, explain=True)]
        assert known == [True, False, False, False, False, True, True]

    def test_without_a_training_set_membership_is_null(self, checkpoints: Path) -> None:
        checkpoint = load((checkpoints / "positional.safetensors").read_bytes())
        without_names = replace(checkpoint, lexicon=Lexicon.of(checkpoint.model.vocabulary, []))
        for kept, known in [(checkpoint, True), (without_names, None)]:
            model = ServedModel("positional", kept)
            assert model.explain(model.scorer.score(["Emma"])[0]).in_training_set is known

    def test_any_number_of_lines_is_explained(
        self, client: httpx.Client, us_names: list[str]
    ) -> None:
        names = us_names[:200]
        expected = [
            score
            for start in (0, 100)
            for score in scores_of(client, names[start : start + 100], explain=True)
        ]
        sent = "\n".join(names)
        lines = client.post("/score?explain=true", content=sent, headers=TEXT | WANTS_LINES).text
        assert [*map(json.loads, lines.splitlines())] == expected

    def test_the_limits_of_explain_are_as_documented(self, client: httpx.Client) -> None:
        scores_of(client, ["a" * 256] * 100, explain=True, model="fivegram")
        reply = client.post("/score", json={"names": ["a"] * 101, "explain": True})
        assert fields(problem(reply, 422)) == ["names"]
        assert "at most 100 items to explain" in reply.text


class TestLines:
    def test_each_line_of_text_has_a_line_in_the_response(self, client: httpx.Client) -> None:
        names = ["Emma", "", "xqzwv", "Zo\xeb", " ava ", "last"]
        reply = client.post("/score", content="\n".join(names), headers=TEXT)
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
        assert reply.headers["moniker-model"] == "positional"
        assert reply.text.split("\n") == [*map(row, scores_of(client, names)), ""]
        ended = client.post("/score", content="\n".join([*names, ""]), headers=TEXT)
        assert ended.text == reply.text
        assert reply.headers["vary"] == "Accept"
        carriage = client.post("/score", content="\r\n".join(names), headers=TEXT)
        assert carriage.text == reply.text

    def test_every_unusual_line_is_scored(self, client: httpx.Client) -> None:
        names = [name for name in UNUSUAL if "\n" not in name]
        sent = "\n".join(names)
        answers = client.post("/score", content=sent.encode(), headers=TEXT).text.split("\n")
        assert answers == [*map(row, scores_of(client, names)), ""]
        lines = client.post("/score", content=sent.encode(), headers=TEXT | WANTS_LINES).text
        assert [*map(json.loads, lines.strip("\n").split("\n"))] == scores_of(client, names)

    def test_bytes_that_are_not_utf_8_are_an_unknown_character(self, client: httpx.Client) -> None:
        sent = b"emma\nzo\xeb\n\xff\xfe\n\xed\xa0\x80\nava"
        answers = client.post("/score", content=sent, headers=TEXT).text.splitlines()
        assert [answer.split("\t")[0] == "-" for answer in answers] == [
            False, True, True, True, False,
        ]  # fmt: skip
        assert answers[1] == "-\t-\tzo\ufffd"

    def test_a_byte_order_mark_is_not_part_of_a_name(self, client: httpx.Client) -> None:
        for sent in (b"\xef\xbb\xbfemma", b"\xef\xbb\xbfemma\n", b"emma"):
            answer = client.post("/score", content=sent, headers=TEXT).text
            assert answer.split("\t")[2] == "emma\n"
        plain = client.post("/score", content=b"a\nemma\n", headers=TEXT).text
        later = client.post("/score", content=b"a\n\xef\xbb\xbfemma\n", headers=TEXT).text
        assert later == plain.replace("emma", "\ufeffemma")

    def test_a_line_that_is_too_long_does_not_affect_the_others(self, client: httpx.Client) -> None:
        sent = "emma\n" + "a" * 257 + "\nava\n" + "b" * 1_000_000 + "\n" + "c" * 300_000
        answers = client.post("/score", content=sent, headers=TEXT).text.splitlines()
        assert [answer.split("\t")[2] for answer in answers] == [
            "emma", "a" * 256 + "\u2026", "ava", "b" * 256 + "\u2026", "c" * 256 + "\u2026",
        ]  # fmt: skip
        lines = client.post("/score", content=sent, headers=TEXT | WANTS_LINES).text.splitlines()
        assert json.loads(lines[1]) == {"name": "a" * 256, "error": "more than 256 characters"}

    def test_lines_of_json_are_strings_or_objects_with_a_name(self, client: httpx.Client) -> None:
        sent = ['"Emma"', '{"name": "ava", "id": 7}', ' "a\\nb" ', '{"name":"\\u0000"}']
        reply = client.post("/score", content="\n".join(sent), headers=LINES)
        assert reply.headers["content-type"] == "application/jsonl"
        names = ["Emma", "ava", "a\nb", "\0"]
        assert [*map(json.loads, reply.text.splitlines())] == scores_of(client, names)
        text = client.post("/score", content="\n".join(sent), headers=LINES | WANTS_TEXT).text
        assert text.split("\n") == [*map(row, scores_of(client, names)), ""]

    def test_a_line_without_a_name_has_an_error_in_its_place(self, client: httpx.Client) -> None:
        long, huge = json.dumps("a" * 257), json.dumps({"x": "a" * 70_000})
        lines = ['"emma"', "", "emma", "5", "{}", '{"name": 5}', '{"name": null}', '"\\ud800"',
                 "[" * 5_000, "NaN", long, huge, '"ava"']  # fmt: skip
        reply = client.post("/score", content="\n".join(lines), headers=LINES)
        answers = [*map(json.loads, reply.text.splitlines())]
        no_json = "cannot be read as JSON"
        no_name = "neither a string nor an object with a name"
        assert [answer.get("error") for answer in answers] == [
            None, no_json, no_json, no_name, no_name, no_name, no_name, no_json,
            no_json, no_name, "more than 256 characters", "65,536 bytes or more", None,
        ]  # fmt: skip
        text = client.post("/score", content="\n".join(lines), headers=LINES | WANTS_TEXT).text
        assert text.count("\n") == len(lines)

    def test_sampled_names_can_be_sent_as_lines(self, client: httpx.Client) -> None:
        sampled = client.get("/sample?n=50&seed=1&temperature=2", headers=WANTS_LINES).text
        scored = client.post("/score", content=sampled, headers=LINES).text
        names = [json.loads(line)["name"] for line in sampled.splitlines()]
        assert [json.loads(line)["name"] for line in scored.splitlines()] == names

    def test_an_empty_body_has_an_empty_response(self, client: httpx.Client) -> None:
        for headers in (TEXT, LINES):
            reply = client.post("/score", content=b"", headers=headers)
            assert (reply.status_code, reply.content) == (200, b"")

    def test_the_model_of_lines_is_in_the_query(self, client: httpx.Client) -> None:
        reply = client.post("/score?model=fivegram", content="emma", headers=TEXT)
        assert reply.headers["moniker-model"] == "fivegram"
        assert reply.text == f"{row(scores_of(client, ['emma'], model='fivegram')[0])}\n"
        problem(client.post("/score?model=nobody", content="emma", headers=TEXT), 404)
        content = problem(client.post("/score?names=a", content="emma", headers=TEXT), 422)
        assert fields(content) == ["names"]
        twice = client.post("/score?model=bigram&model=bigram", content="emma", headers=TEXT)
        assert fields(problem(twice, 422)) == ["model"]
        misplaced = client.post("/score?model=bigram", json={"names": ["emma"]})
        assert fields(problem(misplaced, 422)) == ["model"]

    @pytest.mark.parametrize(
        "media",
        ["application/x-www-form-urlencoded", "text/csv", "", "text/plain; charset=latin-1"],
    )
    def test_bodies_of_other_media_types_are_415(self, client: httpx.Client, media: str) -> None:
        content = problem(client.post("/score", content="a", headers={"Content-Type": media}), 415)
        assert "UTF-8" in str(content["detail"]) or "text/plain" in str(content["detail"])

    def test_the_charset_utf_8_is_accepted(self, client: httpx.Client) -> None:
        for charset in ("utf-8", '"UTF-8"', "utf8", "us-ascii"):
            headers = {
                "Content-Type": f"Text/Plain; Charset={charset}", "Content-Encoding": "Identity"
            }  # fmt: skip
            assert client.post("/score", content="a", headers=headers).text.endswith("\ta\n")

    def test_other_paths_do_not_accept_lines(self, client: httpx.Client) -> None:
        for path in ("/next", "/sample", "/top"):
            problem(client.post(path, content="a", headers=TEXT), 415)

    def test_a_long_list_is_scored_in_little_memory(
        self, one_model: Path, us_names: list[str], tmp_path: Path
    ) -> None:
        path = tmp_path / "names.txt"
        path.write_text("\n".join(us_names * 20) + "\n")
        count = 20 * len(us_names)
        with Server(MONIKER_CHECKPOINTS=str(one_model)) as server:
            curl = ["curl", "-sS", "-H", "Content-Type: text/plain", f"{server.url}/score"]
            before = server.resident
            for send in (["--data-binary", f"@{path}"], ["-T", str(path), "-X", "POST"]):
                ran = subprocess.run([*curl, *send], capture_output=True, check=True)
                assert ran.stdout.count(b"\n") == count
                names = [line.rpartition(b"\t")[2] for line in ran.stdout.splitlines()[-3:]]
                assert names == [name.encode() for name in us_names[-3:]]
            assert server.resident - before < 16_000  # kB; the list has 5 MB, its scores 17

    def test_each_line_is_scored_as_soon_as_it_arrives(self, server: Server) -> None:
        with Wire(server) as wire:
            wire.send(
                b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n"
            )
            for name in (b"emma", b"olivia"):
                wire.send(b"%x\r\n%s\n\r\n" % (len(name) + 1, name))
                wire.until(name + b"\n\r\n")
            wire.send(b"0\r\n\r\n")
            wire.until(b"0\r\n\r\n")

    def test_a_client_that_expects_100_continue_receives_it(self, server: Server) -> None:
        with Wire(server) as wire:
            wire.send(
                b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
                b"Content-Length: 4\r\nExpect: 100-continue\r\n\r\n"
            )
            assert wire.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            wire.send(b"emma")
            assert wire.until(b"\temma\n").startswith(b"HTTP/1.1 200 OK\r\n")

    def test_a_client_may_send_the_whole_body_before_it_reads(
        self, server: Server, us_names: list[str]
    ) -> None:
        where = urlsplit(server.url)
        names = us_names * 52  # 12 MB; their scores are more than 40 MB
        connection = http.client.HTTPConnection(str(where.netloc), timeout=PATIENCE)
        connection.connect()
        # The buffers of the sockets are small, so the service must buffer the rest.
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        connection.request("POST", "/score", "\n".join(names).encode(), TEXT)
        assert connection.getresponse().read().count(b"\n") == len(names)
        connection.close()

    def test_the_service_reads_a_few_megabytes_ahead_of_a_client_that_never_reads(
        self, one_model: Path
    ) -> None:
        with Server(MONIKER_CHECKPOINTS=str(one_model)) as server:
            before, sent = server.resident, 0
            with Wire(server) as wire:
                wire.send(
                    b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
                    b"Content-Length: 200000000\r\n\r\n"
                )
                wire.socket.settimeout(2)
                with suppress(TimeoutError):
                    while sent < 200_000_000:
                        sent += wire.socket.send(b"emma\n" * 20_000)
            assert 1_000_000 < sent < 40_000_000  # including the buffers of the sockets
            assert server.resident - before < 40_000

    def test_a_very_long_line_takes_little_memory(self, one_model: Path) -> None:
        with Server(MONIKER_CHECKPOINTS=str(one_model)) as server:
            before, most = server.resident, 0

            def endless() -> Iterator[bytes]:
                nonlocal most
                for _ in range(1_000):
                    yield b"a" * 100_000
                    most = max(most, server.resident)

            reply = server.post("/score", content=endless(), headers=TEXT)
            assert reply.text == "-\t-\t" + "a" * 256 + "\u2026\n"
            assert most - before < 30_000  # of 100 MB

    def test_a_very_long_line_of_json_has_an_error(self, server: Server) -> None:
        spaces = (b" " * 1_000 for _ in range(80))
        sent = (part for parts in ([b'"a"'], spaces) for part in parts)
        reply = server.post("/score", content=sent, headers=LINES)
        assert reply.json() == {"name": None, "error": "65,536 bytes or more"}

    def test_work_stops_when_its_client_disconnects(
        self, one_model: Path, us_names: list[str]
    ) -> None:
        with Server(MONIKER_CHECKPOINTS=str(one_model)) as server:
            where = urlsplit(server.url)
            for _ in range(20):
                connection = http.client.HTTPConnection(str(where.netloc), timeout=PATIENCE)
                connection.putrequest("POST", "/score")
                for header in (*TEXT.items(), ("Content-Length", "100000000")):
                    connection.putheader(*header)
                connection.endheaders("\n".join(us_names).encode())
                connection.close()
            assert server.get("/score?name=emma").status_code == 200
            until(lambda: server.sockets < 10)
            assert "Traceback" not in server.log
            assert "ERROR" not in server.log

    def test_a_gzip_body_is_decompressed_as_it_arrives(self, client: httpx.Client) -> None:
        headers = TEXT | {"Content-Encoding": "gzip"}
        lines = "emma\n" * 100_000
        whole = client.post("/score", content=lines, headers=TEXT).text
        packed = [gzip.compress(part.encode(), mtime=0) for part in (lines[:1000], lines[1000:])]
        assert client.post("/score", content=b"".join(packed), headers=headers).text == whole

    @pytest.mark.parametrize("cut", [slice(0, -9), slice(3, None), slice(0, 0)])
    def test_a_malformed_gzip_body_is_rejected(self, client: httpx.Client, cut: slice) -> None:
        packed = gzip.compress(b"emma", mtime=0)[cut]
        headers = TEXT | {"Content-Encoding": "gzip"}
        problem(client.post("/score", content=packed, headers=headers), 400)
