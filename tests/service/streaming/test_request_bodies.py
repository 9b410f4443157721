"""Request bodies with gzip: decompressed in blocks of bounded size."""

import gzip
import json
from pathlib import Path

import httpx
import pytest

from service.streaming.request_bodies import DECODED_BLOCK, Decoder
from tests.support.http.problems import problem
from tests.support.http.server import Server

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
    decoder = Decoder(is_gzip=True)
    packed = gzip.compress(b"a" * 10_000_000)
    sizes = [len(block) for start in range(0, len(packed), 1000)
             for block in decoder.feed(packed[start : start + 1000])]  # fmt: skip
    decoder.finish()
    assert sum(sizes) == 10_000_000
    assert max(sizes) == DECODED_BLOCK
