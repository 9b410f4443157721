"""The HTTP contract of a running service: /sample, /models, the probes and HEAD."""

from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import pytest

from models.chain.conditioning import condition
from models.chain.markov_chain import compile_chain
from models.checkpoint import load
from models.constraints.constraints import Constraints
from models.linear.features import ARCHITECTURES
from models.queries.sampling import Sampler
from tests.support.http.problems import fields, problem
from tests.support.http.server import Server
from tests.support.http.wire import ASK, Wire, counted
from training.__main__ import main as train

LETTERS = "abcdefghijklmnopqrstuvwxyz"


class TestSample:
    def test_a_sample_has_ten_names_by_default(
        self, client: httpx.Client, checkpoints: Path
    ) -> None:
        reply = client.get("/sample").json()
        digest = load((checkpoints / "positional.safetensors").read_bytes()).digest
        assert reply.keys() == {"model", "checkpoint", "seed", "probability", "names"}
        assert reply["model"] == "positional"
        assert reply["checkpoint"] == digest[:12]
        assert 0.99 < reply["probability"] < 1
        assert len(reply["names"]) == 10
        assert all(reply["names"])

    def test_the_same_seed_gives_the_same_names_by_query_and_by_body(
        self, client: httpx.Client
    ) -> None:
        constraints: dict[str, str | float] = {
            "n": 5, "seed": 42, "model": "bigram", "temperature": 2, "max_length": 9,
        }  # fmt: skip
        by_query = client.get("/sample", params=constraints)
        assert by_query.json()["seed"] == 42
        assert client.post("/sample", json=constraints).json() == by_query.json()

    def test_a_returned_seed_gives_the_same_names_again(self, client: httpx.Client) -> None:
        first, second = client.get("/sample").json(), client.get("/sample").json()
        assert first["seed"] != second["seed"]
        assert client.get("/sample", params={"seed": first["seed"]}).json() == first

    def test_the_first_names_do_not_depend_on_n(self, client: httpx.Client) -> None:
        many = client.get("/sample?seed=7&n=10000").json()["names"]
        assert len(many) == 10_000
        for n in (1, 20, 300):
            few = client.get(f"/sample?seed=7&n={n}").json()["names"]
            assert few == many[:n]

    def test_models_sample_different_names(self, client: httpx.Client) -> None:
        names = [client.get(f"/sample?seed=1&model={m}").json() for m in ("bigram", "positional")]
        assert names[0]["names"] != names[1]["names"]
        assert [reply["model"] for reply in names] == ["bigram", "positional"]

    def test_text_has_a_name_per_line_and_the_other_fields_in_headers(
        self, client: httpx.Client
    ) -> None:
        text = client.get("/sample?n=3&seed=5", headers={"Accept": "text/plain"})
        reply = client.get("/sample?n=3&seed=5").json()
        assert text.headers["content-type"] == "text/plain; charset=utf-8"
        assert text.text == "".join(f"{name}\n" for name in reply["names"])
        for field in ("model", "checkpoint", "seed", "probability"):
            assert text.headers[f"moniker-{field}"] == str(reply[field])

    @pytest.mark.parametrize(
        ("accept", "media"),
        [
            ("*/*", "application/json"),
            ("text/html, */*;q=0.8", "application/json"),
            ("text/*", "text/plain"),
            ("text/plain;q=0.4, application/json;q=0.5", "application/json"),
            ("application/json;q=0, */*", "text/plain"),
            ("TEXT/PLAIN", "text/plain"),
        ],
    )
    def test_the_accept_header_selects_the_media_type(
        self, client: httpx.Client, accept: str, media: str
    ) -> None:
        reply = client.get("/sample", headers={"Accept": accept})
        assert reply.headers["content-type"].partition(";")[0] == media

    @pytest.mark.parametrize("accept", ["image/png", "text/plain;q=0", "text/plain;q=abc", ""])
    def test_an_unsupported_accept_header_is_406(self, client: httpx.Client, accept: str) -> None:
        problem(client.get("/sample", headers={"Accept": accept or ","}), 406)

    def test_a_sample_without_a_seed_is_not_cached(self, client: httpx.Client) -> None:
        headers = client.get("/sample").headers
        assert headers["cache-control"] == "no-store"
        assert headers["vary"] == "Accept"

    def test_the_highest_temperature_and_length_are_supported(self, client: httpx.Client) -> None:
        for seed in range(20):
            constraints = {"temperature": 10, "max_length": 64, "n": 500, "seed": seed}
            names = client.get("/sample", params=constraints).raise_for_status().json()["names"]
            assert all(1 <= len(name) <= 64 for name in names)

    def test_constraints_of_different_requests_are_independent(
        self, client: httpx.Client, checkpoints: Path
    ) -> None:
        for name in ("positional", "fivegram"):
            model = load((checkpoints / f"{name}.safetensors").read_bytes()).model
            for max_length, temperature in [(8, 0.5), (8, 2.0), (3, 0.5), (8, 0.5)]:
                conditioned = condition(compile_chain(model), Constraints(max_length, temperature))
                expected = Sampler(conditioned).draw(10, np.random.default_rng(3))
                constraints = {"max_length": max_length, "temperature": temperature, "seed": 3}
                asked = client.get("/sample", params={**constraints, "model": name})
                assert asked.json()["names"] == expected

    def test_no_name_is_longer_than_max_length(self, client: httpx.Client) -> None:
        reply = client.get("/sample?max_length=3&n=1000").json()
        assert max(map(len, reply["names"])) == 3
        assert reply["probability"] < 0.1


class TestModels:
    def test_models_are_returned_with_the_limits(self, client: httpx.Client) -> None:
        reply = client.get("/models").json()
        assert reply["default"] == "positional"
        assert [model["name"] for model in reply["models"]] == sorted(ARCHITECTURES)
        assert reply["limits"] == {
            "names": 10_000, "streamed_names": 10_000_000, "top_names": 1_000,
            "sampled_length": 64, "scored_length": 256, "pattern_length": 256,
            "excluded": 100, "excluded_length": 64, "explained_names": 100,
        }  # fmt: skip

    def test_a_model_reports_its_architecture_and_provenance(
        self, client: httpx.Client, checkpoints: Path, us_names: list[str]
    ) -> None:
        model = client.get("/models/positional").json()
        provenance = load((checkpoints / "positional.safetensors").read_bytes()).provenance
        assert model["parameters"] == 50 * 27
        assert model["vocabulary"] == LETTERS
        assert model["positions"] == 23
        assert model["loss"] == provenance.loss
        assert model["nll"] == provenance.nll
        assert model["source"]["name"] == "us_names_2017.txt"
        assert model["source"]["names"] == 32_469
        lengths = Counter(map(len, us_names))
        assert model["source"]["lengths"] == [lengths[n] for n in range(1, max(lengths) + 1)]
        assert model["trained_at"] == provenance.trained_at
        models = client.get("/models").json()["models"]
        (same,) = (other for other in models if other["name"] == "positional")
        assert model == same | {"limits": model["limits"]}

    @pytest.mark.parametrize(
        ("architecture", "features"),
        [
            ("bigram", [("last 1", 1, False)]),
            ("positional", [("last 1", 1, False), ("position", 0, True)]),
            ("sinusoidal", [("last 1", 1, False), ("sines of the position", 0, True)]),
            (
                "fivegram",
                [
                    ("last 1", 1, False), ("last 2", 2, False), ("last 3", 3, False),
                    ("last 4", 4, False), ("position", 0, True), ("position, last 1", 1, True),
                    ("position, last 2", 2, True), ("position, last 3", 3, True),
                ],
            ),
        ],
    )  # fmt: skip
    def test_a_feature_reports_what_it_depends_on(
        self, client: httpx.Client, architecture: str, features: list[tuple[str, int, bool]]
    ) -> None:
        found = client.get(f"/models/{architecture}").json()["features"]
        assert [
            (feature["name"], feature["last"], feature["position"]) for feature in found
        ] == features
        asked = {"names": ["emma"], "model": architecture, "explain": True}
        score = client.post("/score", json=asked).json()["scores"][0]
        assert [*score["steps"][0]["contributions"]] == [name for name, *_ in features]

    def test_a_model_of_a_training_set_of_two_names_has_a_warning(
        self, client: httpx.Client, tmp_path: Path
    ) -> None:
        assert [model["warnings"] for model in client.get("/models").json()["models"]] == [[]] * 4
        (tmp_path / "two").write_text("Emma\nAva\n", encoding="utf-8")
        models = ["--models", "positional", "--out", str(tmp_path)]
        assert train(["--data", str(tmp_path / "two"), *models]) == 0
        with Server(MONIKER_CHECKPOINTS=str(tmp_path)) as server:
            expected = [
                "trained on 2 distinct names: with fewer than 20 a model mostly repeats them"
            ]
            assert server.get("/models").json()["models"][0]["warnings"] == expected
            assert server.get("/models/positional").json()["warnings"] == expected

    def test_an_unknown_model_is_404(self, client: httpx.Client) -> None:
        problem(client.get("/models/nobody"), 404)
        for reply in (
            client.get("/sample?model=nobody"),
            client.get("/sample?model="),
            client.post("/score", json={"names": ["emma"], "model": "nobody"}),
        ):
            assert fields(problem(reply, 404)) == ["model"]
            assert "nobody" not in reply.text


def test_the_probes_respond(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}


GETS = ["/sample", "/top", "/lengths", "/transitions", "/score?name=emma", "/next", "/models",
        "/models/bigram", "/models/bigram/report", "/healthz", "/readyz", "/metrics"]  # fmt: skip


@pytest.mark.parametrize(
    "path", [*GETS, "/docs", "/openapi.json", "/", "/assets/page.js", "/sample?n=0"]
)
def test_head_is_supported_wherever_get_is(client: httpx.Client, path: str) -> None:
    reply, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (reply.status_code, b"")
    for name in ("content-type", "content-security-policy", "etag", "vary", "cache-control"):
        assert head.headers.get(name) == reply.headers.get(name)


def test_head_has_its_own_metric_and_no_documented_operation(
    client: httpx.Client, server: Server
) -> None:
    series = 'moniker_request_duration_seconds_count{method="HEAD",route="/lengths",status="200"}'
    before = counted(server, series)
    client.head("/lengths")
    assert counted(server, series) == before + 1
    paths = client.get("/openapi.json").json()["paths"]
    assert not [path for path, operations in paths.items() if "head" in operations]


def test_head_of_a_stream_samples_no_names(server: Server) -> None:
    drawn = 'moniker_names_sampled_total{model="bigram"}'
    before = counted(server, drawn)
    with Wire(server) as wire:
        asked = b"/sample?n=100000&seed=1&model=bigram HTTP/1.1\r\nHost: a\r\nAccept: text/plain"
        wire.send(b"HEAD " + asked + b"\r\n\r\n" + ASK)
        head = wire.reply(has_body=False)
        assert (head.status, head.headers["moniker-seed"]) == (200, "1")
        assert wire.reply().status == 200  # after the end of the previous one
    assert counted(server, drawn) == before


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", GETS)
def test_get_and_head_with_a_body_are_rejected(
    client: httpx.Client, path: str, method: str
) -> None:
    for body in (b"{}", iter([b"{}"])):
        reply = client.request(method, path, content=body)
        assert reply.status_code == 400
        found = "" if method == "HEAD" else reply.json()["detail"]
        assert found in ("", "A GET request must have no body; use POST.")
    assert client.request(method, path, headers={"Content-Length": "0"}).status_code == 200
