"""Counts of a list of names: the sufficient statistics that models are fitted to."""

import numpy as np

from models.arrays import array_dataclass
from models.counts.context_counts import ContextCounts, add, count
from models.counts.transitions import transitions
from models.provenance import TrainingList
from models.scoring.percentile_table import MAX_TABLE_LENGTH
from models.text.corpus import blocks
from models.text.vocabulary import BOUNDARY, Vocabulary
from training.lists.name_list import NameList

MAX_ORDER = 4  # characters of history: no model looks at more


@array_dataclass
class CountedList:
    """Counts of a list at positions that are not clamped, with the name and SHA-256 of the list."""

    name: str
    sha256: str
    vocabulary: Vocabulary
    counts: ContextCounts

    @property
    def source(self) -> TrainingList:
        """The description of the list for the provenance of a model."""
        ends = self.counts.transitions.tokens == BOUNDARY
        counts = self.counts.counts[ends]
        lengths = np.minimum(self.counts.transitions.contexts.positions[ends], MAX_TABLE_LENGTH + 1)
        names_by_length = (
            np.bincount(lengths, counts).astype(int)[1 : MAX_TABLE_LENGTH + 1].tolist()
        )
        names = int(counts.sum())
        return TrainingList(self.name, names, self.counts.total, self.sha256, names_by_length)


def count_names(name_list: NameList, order: int) -> CountedList:
    """Count how often each character follows the `order` characters before it."""
    vocabulary = name_list.vocabulary
    streams = map(vocabulary.encode_lines, blocks(name_list.text))
    counts = add(count(transitions(stream, order)) for stream in streams)
    return CountedList(name_list.name, name_list.sha256, vocabulary, counts)
