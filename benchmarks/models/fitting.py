"""Fitting on counts compared with the post's dense loop: 200 steps each, counting included."""

from collections.abc import Iterator

import torch

from benchmarks.measure import Row, interleaved
from benchmarks.models import post
from models.counts.context_counts import count
from models.counts.transitions import transitions
from models.fitting.recipes import POST
from models.linear.feature_map import FeatureMap
from models.linear.features import POSITIONS
from models.text.vocabulary import Vocabulary


def compare(names: list[str]) -> Iterator[Row]:
    """Yield a row for each architecture and one for both."""
    vocabulary = Vocabulary.of(names)
    triples = post.triples(names, vocabulary.characters)
    both = [0.0, 0.0]
    for name in ("bigram", "positional"):

        def dense(with_position: bool = name == "positional") -> None:
            torch.set_num_threads(1)  # as fitting on counts does; more may be slower
            list(post.losses(triples, len(vocabulary), with_position))

        def counted(name: str = name) -> None:
            counts = count(transitions(vocabulary.encode(names), 1, POSITIONS))
            POST.fit(counts, FeatureMap.from_counts(name, len(vocabulary), POSITIONS, counts))

        slow, fast = interleaved(dense, counted, rounds=3)
        yield Row(f"fit {name}", slow, fast, "s")
        both = [both[0] + slow, both[1] + fast]
    yield Row("fit both", both[0], both[1], "s")
