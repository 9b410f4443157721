"""What the models are fitted on: the counts of a list, and whose counts they are."""

import numpy as np

from models.arrays import array_dataclass
from models.counts.context_counts import ContextCounts, add, count
from models.counts.transitions import transitions
from models.provenance import TrainingList
from models.scoring.percentile_estimation import LONGEST
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
    def source(self) -> TrainingList:
        """The list, as a model names its source."""
        ends = self.counts.transitions.tokens == BOUNDARY
        names = self.counts.counts[ends]
        positions = np.minimum(self.counts.transitions.contexts.positions[ends], LONGEST + 1)
        lengths = np.bincount(positions, names).astype(int)
        shown = lengths[1 : LONGEST + 1].tolist()
        return TrainingList(self.name, int(names.sum()), self.counts.total, self.sha256, shown)


def count_names(names: NameList, order: int) -> Counted:
    """Count how often each character follows the `order` characters before it."""
    vocabulary = names.vocabulary
    streams = map(vocabulary.encode_lines, blocks(names.text))
    counts = add(count(transitions(stream, order)) for stream in streams)
    return Counted(names.name, names.sha256, vocabulary, counts)
