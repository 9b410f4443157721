"""The HTTP contract of a running service: /sample, /models, problems, HEAD and gzip bodies."""

import asyncio
import gzip
import json
import urllib.error
import urllib.request
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
from service.app import create_app
from service.settings import Settings
from service.streaming.request_bodies import DECODED_BLOCK, Decoder
from tests.support.http.problems import fields, problem
from tests.support.http.server import PATIENCE, Server
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


class TestProblems:
    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("n=0", "n"),
            (f"n={10**9}", "n"),
            ("n=many", "n"),
            (f"n={'9' * 5000}", "n"),
            ("temperature=0", "temperature"),
            ("temperature=0.0499", "temperature"),
            ("temperature=10.1", "temperature"),
            ("temperature=NaN", "temperature"),
            ("temperature=Infinity", "temperature"),
            ("temperature=1e999", "temperature"),
            ("max_length=0", "max_length"),
            ("max_length=65", "max_length"),
            ("seed=-1", "seed"),
            (f"seed={2**53}", "seed"),
            ("colour=red", "colour"),
            ("n=1&n=2", "n"),
        ],
    )
    def test_a_problem_names_the_invalid_field_of_a_query(
        self, client: httpx.Client, query: str, field: str
    ) -> None:
        reply = client.get(f"/sample?{query}")
        content = problem(reply, 422)
        assert fields(content) == [field]
        assert str(content["detail"]).startswith(f"{field}: ")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ('{"n": 0}', "n"),
            ('{"n": 1e9}', "n"),
            ('{"temperature": NaN}', "temperature"),
            ('{"temperature": -Infinity}', "temperature"),
            ('{"temperature": 1e999}', "temperature"),
            ('{"n": "5"}', "n"),
            ('{"seed": true}', "seed"),
            ('{"temperature": "1"}', "temperature"),
            ('{"secret-7531": 1}', "secret-7531"),
            ('{"n": "secret-7531"}', "n"),
            ('{"model": ["secret-7531"]}', "model"),
            ('["secret-7531"]', "body"),
            ("null", "body"),
        ],
    )
    def test_a_problem_names_the_invalid_field_of_a_body(
        self, client: httpx.Client, body: str, field: str
    ) -> None:
        headers = {"Content-Type": "application/json"}
        reply = client.post("/sample", content=body, headers=headers)
        assert fields(problem(reply, 422)) == [field]
        assert field == "secret-7531" or "secret-7531" not in reply.text

    def test_a_very_long_field_name_is_truncated(self, client: httpx.Client) -> None:
        reply = client.post("/sample", json={"x" * 1000: 1})
        assert fields(problem(reply, 422)) == ["x" * 100]

    @pytest.mark.parametrize(
        "body", ["", "secret-7531", '{"n": 5', '{"n": 5}{', "\x00", '{"\\ud800": 1}']
    )
    def test_a_body_that_is_not_json_is_400(self, client: httpx.Client, body: str) -> None:
        headers = {"Content-Type": "application/json"}
        reply = client.post("/score", content=body, headers=headers)
        content = problem(reply, 400)
        assert fields(content) == ["body"]
        assert "secret-7531" not in reply.text

    @pytest.mark.parametrize(
        "body",
        [
            b"\xff\xfe{",
            b'{"n": ' + b"9" * 5000 + b"}",
            b"[" * 10_000,
            gzip.compress(b"{}", mtime=0),
        ],
    )
    def test_a_body_that_a_json_parser_rejects_is_400(
        self, client: httpx.Client, body: bytes
    ) -> None:
        headers = {"Content-Type": "application/json"}
        content = problem(client.post("/score", content=body, headers=headers), 400)
        assert fields(content) == ["body"]

    @pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", ""])
    def test_a_body_without_the_media_type_of_json_is_415(
        self, client: httpx.Client, media: str
    ) -> None:
        reply = client.post("/sample", content='{"n": 2}', headers={"Content-Type": media})
        assert "Content-Type: application/json" in str(problem(reply, 415)["detail"])

    @pytest.mark.parametrize(
        ("path", "most", "detail"),
        [
            *(
                (path, 64 * 1024, "The body must be at most 65,536 bytes.")
                for path in ("/sample", "/top", "/lengths", "/transitions", "/next")
            ),
            ("/score", 2_600_000, "at most 2,600,000 bytes; send more names as lines."),
        ],
    )
    def test_a_body_longer_than_the_limit_is_413(
        self, client: httpx.Client, path: str, most: int, detail: str
    ) -> None:
        headers = {"Content-Type": "application/json"}
        for size, status in ((most, 400), (most + 1, 413)):
            body = b"[" + b" " * (size - 1)
            packed = {**headers, "Content-Encoding": "gzip"}
            replies = [
                client.post(path, content=body, headers=headers),
                client.post(path, content=iter([body]), headers=headers),
                client.post(path, content=gzip.compress(body), headers=packed),
            ]
            details = [str(problem(reply, status)["detail"]) for reply in replies]
            assert status == 400 or all(found.endswith(detail) for found in details)

    def test_a_content_length_above_the_limit_is_rejected_before_the_body_is_sent(
        self, server: Server
    ) -> None:
        head = b"POST /sample HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        with Wire(server) as wire:
            wire.send(head + b"Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n")
            assert wire.reply().status == 413  # and no 100 before it

    def test_lines_have_no_limit_of_size(self, client: httpx.Client) -> None:
        lines = b"emma\n" + (b"x" * 10_000 + b"\n") * 1_000 + b"olivia\n"
        reply = client.post("/score", content=lines, headers={"Content-Type": "text/plain"})
        assert reply.text.count("\n") == 1_002
        assert reply.text.endswith("\tolivia\n")

    def test_a_client_that_closes_the_connection_receives_the_413(self, server: Server) -> None:
        headers = {"Content-Type": "application/json"}  # and Connection: close
        asked = urllib.request.Request(f"{server.url}/score", b" " * 9_000_000, headers)
        with pytest.raises(urllib.error.HTTPError, match="413"):
            urllib.request.urlopen(asked, timeout=PATIENCE)

    def test_a_problem_contains_at_most_20_errors(self, client: httpx.Client) -> None:
        unknown = {f"key{number}": 1 for number in range(5_000)}
        content = problem(client.post("/score", json={"names": ["emma"], **unknown}), 422)
        assert fields(content) == [f"key{number}" for number in range(20)]
        assert "and 4999 more" in str(content["detail"])
        content = problem(client.get("/sample", params={**dict([*unknown.items()][:2_000])}), 422)
        assert fields(content) == [f"key{number}" for number in range(20)]
        assert "and 1999 more" in str(content["detail"])

    def test_a_problem_contains_the_first_error_of_a_list(self, client: httpx.Client) -> None:
        content = problem(client.post("/score", json={"names": ["emma", 1, 2]}), 422)
        assert fields(content) == ["names.1"]
        content = problem(client.post("/sample", json={"exclude": ["a", "", 2]}), 422)
        assert fields(content) == ["exclude.1"]

    def test_a_body_with_too_many_values_is_rejected(self, client: httpx.Client) -> None:
        content = problem(client.post("/score", json={"names": ["a"] * 20_000}), 422)
        assert "at most 10,000 values; send more names as lines" in str(content["detail"])
        names = [
            '[,":{\\' * 32,
            "a\\",
            '\\"',
        ] * 3_000  # commas and brackets in strings are not values
        scored = client.post("/score", json={"names": names}).raise_for_status().json()
        assert [score["name"] for score in scored["scores"]] == names

    def test_a_problem_contains_both_unknown_fields_and_invalid_values(
        self, client: httpx.Client
    ) -> None:
        content = problem(client.post("/sample", json={"n": 0, "secret": 1, "top_k": "a"}), 422)
        assert fields(content) == ["top_k", "n", "secret"]
        content = problem(client.get("/sample?n=0&secret=1&seed=1&seed=2"), 422)
        assert fields(content) == ["n", "secret", "seed"]

    def test_an_unknown_field_that_is_repeated_is_unknown(self, client: httpx.Client) -> None:
        replies = [
            client.get("/score?name=a&name[]=b&name[]=c"),
            client.get("/models?name[]=b&name[]=c"),
            client.post(
                "/score",
                content='{"names": ["a"], "name[]": 1, "name[]": 2}',
                headers={"Content-Type": "application/json"},
            ),
        ]
        for reply in replies:
            content = problem(reply, 422)
            assert fields(content) == ["name[]"]
            assert content["detail"] == "name[]: There is no such field"

    def test_a_query_beside_a_body_is_rejected(self, client: httpx.Client) -> None:
        content = problem(client.post("/sample?n=5", json={}), 422)
        assert fields(content) == ["n"]
        assert "in the body" in str(content["detail"])

    @pytest.mark.parametrize(
        ("path", "body", "field"),
        [
            ("/sample", '{"n": 1, "seed": 1, "n": 2}', "n"),
            ("/next", '{"prefix": "e", "prefix": "e"}', "prefix"),
            ("/top", '{"n": 1, "\\u006e": 2}', "n"),
            ("/score", '{"names": ["emma"], "explain": true, "names": ["a:b"]}', "names"),
        ],
    )
    def test_a_problem_names_the_repeated_field_of_a_body(
        self, client: httpx.Client, path: str, body: str, field: str
    ) -> None:
        headers = {"Content-Type": "application/json"}
        content = problem(client.post(path, content=body, headers=headers), 422)
        assert fields(content) == [field]
        assert content["detail"] == f"{field}: This field occurs more than once"

    def test_colons_in_names_are_not_repeated_fields(self, client: httpx.Client) -> None:
        reply = client.post("/score", json={"names": ['a": 1, "names": ["b', ":"]})
        assert len(reply.raise_for_status().json()["scores"]) == 2

    @pytest.mark.parametrize(
        "query", ["name=%FF", "name=a&name=%C3", "name=%ED%A0%80", "%FF=1", "name=%C3&%A9=1"]
    )
    @pytest.mark.parametrize("path", ["/score", "/next", "/models", "/healthz"])
    def test_a_query_that_is_not_utf_8_is_rejected(
        self, client: httpx.Client, path: str, query: str
    ) -> None:
        assert fields(problem(client.get(f"{path}?{query}"), 422)) == ["query"]

    def test_a_query_in_utf_8_is_decoded(self, client: httpx.Client) -> None:
        reply = client.get("/score?name=Ren%C3%A9e+%F0%9F%98%80%25").raise_for_status().json()
        assert reply["scores"][0]["name"] == "Renée 😀%"

    def test_a_query_of_separators_has_no_fields(self, client: httpx.Client) -> None:
        for path in ("/healthz", "/models", "/lengths"):
            assert client.get(f"{path}?&").json() == client.get(path).json()
        assert client.post("/lengths?&", json={}).json() == client.get("/lengths").json()

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/models", "/models/bigram"])
    def test_paths_without_fields_reject_any_field(self, client: httpx.Client, path: str) -> None:
        assert fields(problem(client.get(f"{path}?verbose=1"), 422)) == ["verbose"]

    def test_unknown_paths_are_problems(self, client: httpx.Client) -> None:
        problem(client.get("/nowhere"), 404)
        problem(client.get("/sample/"), 404)

    @pytest.mark.parametrize(
        ("path", "methods"),
        [
            ("/sample", "GET, HEAD, POST"),
            ("/score", "GET, HEAD, POST"),
            ("/models", "GET, HEAD"),
            ("/models/nobody", "GET, HEAD"),
            ("/healthz", "GET, HEAD"),
            ("/openapi.json", "GET, HEAD"),
            ("/docs", "GET, HEAD"),
        ],
    )
    def test_an_unsupported_method_is_405_with_the_allowed_methods(
        self, client: httpx.Client, path: str, methods: str
    ) -> None:
        for method in ("DELETE", "OPTIONS", "PATCH"):
            reply = client.request(method, path)
            problem(reply, 405)
            assert reply.headers["allow"] == methods

    @pytest.mark.parametrize("name", ["%FF", "%ED%A0%80", "%00", "secret-7531"])
    def test_invalid_bytes_in_a_path_are_an_unknown_model(
        self, client: httpx.Client, name: str
    ) -> None:
        reply = client.get(f"/models/{name}")
        assert fields(problem(reply, 404)) == ["model"]
        assert "secret-7531" not in reply.text


OPERATIONS = [
    "get_health", "get_metrics", "get_model", "get_model_report", "get_readiness",
    "length_distribution", "length_distribution_from_body", "list_models", "next_character",
    "next_character_from_body", "sample_names", "sample_names_from_body", "score_names",
    "score_names_from_body", "top_names", "top_names_from_body", "transition_probabilities",
    "transition_probabilities_from_body",
]  # fmt: skip


class TestDocumentation:
    def test_operation_ids_are_stable_and_unique(self, client: httpx.Client) -> None:
        paths = client.get("/openapi.json").json()["paths"].values()
        operations = [operation for path in paths for operation in path.values()]
        assert sorted(operation["operationId"] for operation in operations) == OPERATIONS

    def test_limits_are_in_the_schema(self, client: httpx.Client) -> None:
        schemas = client.get("/openapi.json").json()["components"]["schemas"]
        n = schemas["SampleRequest"]["properties"]["n"]
        assert (n["minimum"], n["maximum"], n["default"]) == (1, 10_000_000, 10)

    def test_problems_are_documented_with_their_media_type(self, client: httpx.Client) -> None:
        paths = client.get("/openapi.json").json()["paths"]
        for path, status in [("/sample", "422"), ("/sample", "406"), ("/score", "404")]:
            content = paths[path]["get"]["responses"][status]["content"]
            assert list(content) == ["application/problem+json"]
        assert "#/$defs" not in json.dumps(paths)


def test_a_crash_is_a_problem_without_details(checkpoints: Path) -> None:
    app = create_app(Settings(checkpoints=checkpoints))

    @app.get("/crash")
    async def crash() -> None:
        raise RuntimeError("secret-7531")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://moniker") as asking:
            return await asking.get("/crash")

    reply = asyncio.run(ask())
    problem(reply, 500)
    assert "secret-7531" not in reply.text


def test_the_log_contains_no_names(client: httpx.Client, server: Server) -> None:
    client.get("/score?name=secretname7531").raise_for_status()
    assert "serving positional, checkpoint" in server.log
    assert "secretname7531" not in server.log


def test_the_server_runs_on_uvloop_and_httptools_without_a_server_header(
    client: httpx.Client, server: Server
) -> None:
    mapped = (Path("/proc") / str(server.process.pid) / "maps").read_text()
    assert "uvloop" in mapped
    assert "httptools" in mapped
    assert "server" not in client.get("/healthz").headers


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


JSON_PACKED = {"Content-Type": "application/json", "Content-Encoding": "gzip"}


class TestPackedBodies:
    @pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP"])
    def test_a_gzip_body_is_decompressed(self, client: httpx.Client, coding: str) -> None:
        body = json.dumps({"names": ["emma"] * 1_000}).encode()
        headers = JSON_PACKED | {"Content-Encoding": coding}
        plain = client.post("/score", content=body, headers={"Content-Type": "application/json"})
        half = len(body) // 2
        members = gzip.compress(body[:half]) + gzip.compress(b"") + gzip.compress(body[half:])
        for packed in (gzip.compress(body), members, members + b"\0" * 512):
            for content in (packed, iter([bytes([byte]) for byte in packed])):
                reply = client.post("/score", content=content, headers=headers)
                assert reply.content == plain.content

    def test_a_malformed_gzip_body_is_rejected(self, client: httpx.Client) -> None:
        packed = gzip.compress(b'{"n": 2}')
        wrong_sum = packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]
        for body in (b"", packed[:-1], packed[:9], packed + b"x", b'{"n": 2}', wrong_sum, b"\0"):
            problem(client.post("/sample", content=body, headers=JSON_PACKED), 400)

    def test_an_unsupported_coding_is_415_with_the_supported_one(
        self, client: httpx.Client
    ) -> None:
        headers = JSON_PACKED | {"Content-Encoding": "br"}
        reply = client.post("/sample", content=b"{}", headers=headers)
        problem(reply, 415)
        assert reply.headers["accept-encoding"] == "gzip"

    def test_a_decompression_bomb_takes_little_memory_and_time(self, one_model: Path) -> None:
        """Bombs: 60 MB from 60 kB, and 100,000 empty members of 20 bytes."""
        bombs = [gzip.compress(b"[" * 2**20) * 60, gzip.compress(b"") * 100_000]
        with Server(MONIKER_CHECKPOINTS=str(one_model)) as server:
            server.post("/score", json={"names": ["emma"]}).raise_for_status()
            server.forget_peak()
            before, worked = server.resident, server.worked
            for bomb in bombs:
                problem(server.post("/score", content=bomb, headers=JSON_PACKED), 413)
            assert server.peak - before < 16 * 1024  # kB
            assert server.worked - worked < 1  # seconds of processor time


def test_the_decoder_yields_blocks_of_bounded_size() -> None:
    decoder = Decoder(is_packed=True)
    packed = gzip.compress(b"a" * 10_000_000)
    sizes = [len(block) for start in range(0, len(packed), 1000)
             for block in decoder.feed(packed[start : start + 1000])]  # fmt: skip
    decoder.finish()
    assert sum(sizes) == 10_000_000
    assert max(sizes) == DECODED_BLOCK


def test_the_process_uses_little_memory_and_no_torch(checkpoints: Path) -> None:
    with Server(MONIKER_CHECKPOINTS=str(checkpoints)) as server:
        assert server.resident < 130 * 1024  # kB
        assert "torch" not in (Path("/proc") / str(server.process.pid) / "maps").read_text()
