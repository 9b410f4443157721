"""What the models are fitted on: the counts of a list, and whose counts they are."""

import numpy as np

from models.arrays import array_dataclass
from models.checkpoint import Source
from models.counts.context_counts import ContextCounts, add, count
from models.counts.transitions import transitions
from models.scoring.percentile_estimation import MAX_TABLE_LENGTH
from models.text.corpus import blocks
from models.text.vocabulary import BOUNDARY, Vocabulary
from training.lists.name_list import NameList

DEEPEST = 4  # characters of history: more than these no model looks at


@array_dataclass
class Counted:
    """A list in counts, at positions not clamped, with its name and SHA-256."""

    name: str
    sha256: str
    vocabulary: Vocabulary
    counts: ContextCounts

    @property
    def source(self) -> Source:
        """The list, for the record of a model."""
        ends = self.counts.steps.tokens == BOUNDARY
        names = self.counts.counts[ends]
        positions = np.minimum(self.counts.steps.contexts.positions[ends], MAX_TABLE_LENGTH + 1)
        lengths = np.bincount(positions, names).astype(int)
        shown = lengths[1 : MAX_TABLE_LENGTH + 1].tolist()
        return Source(self.name, int(names.sum()), self.counts.total, self.sha256, shown)


def count_names(names: NameList, order: int) -> Counted:
    """Count how often each character follows the `order` characters before it."""
    vocabulary = names.vocabulary
    streams = map(vocabulary.encode_lines, blocks(names.text))
    counts = add(count(transitions(stream, order)) for stream in streams)
    return Counted(names.name, names.sha256, vocabulary, counts)
