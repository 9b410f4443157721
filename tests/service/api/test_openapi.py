"""The OpenAPI document: operations, limits and problems."""

import json

import httpx

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
