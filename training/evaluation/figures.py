"""Figures of the report: of the list and of each model, exact except for those of samples."""

import numpy as np

from models.arrays import Floats, array_dataclass
from models.chain.conditioning import condition
from models.chain.markov_chain import MarkovChain
from models.checkpoint import Checkpoint
from models.constraints.constraints import Constraints
from models.counts.context_counts import ContextCounts
from models.counts.context_trie import START
from models.linear.features import MAX_POSITIONS
from models.provenance import Provenance, TrainingList
from models.queries.marginals import length_distribution
from models.queries.sampling import Sampler
from models.text.vocabulary import BOUNDARY
from training.counts.counting import CountedList
from training.evaluation.held_out import Evaluation, Split
from training.train import TrainedModel

SAMPLES = 10_000
SAMPLING_SEED = 0
EXAMPLES = 6  # samples that the report shows
MIN_LENGTH_LIMIT = 32  # characters: the length distributions of models reach at least it


@array_dataclass
class ListFigures:
    """Figures of a list of names.

    tokens: number of distinct characters, plus one for the end of a name
    distinct: the distinct names
    lengths: share of the names with each length, (longest + 1,)
    positions: number of positions that the models distinguish
    """

    source: TrainingList
    tokens: int
    distinct: frozenset[str]
    lengths: Floats
    positions: int

    @classmethod
    def of(cls, counted: CountedList, parts: Split, positions: int) -> "ListFigures":
        """Return the figures of a list that is counted and split."""
        transitions = counted.counts.transitions
        ends = transitions.tokens == BOUNDARY
        names = np.bincount(transitions.contexts.positions[ends], counted.counts.counts[ends])
        return cls(
            source=counted.source,
            tokens=len(counted.vocabulary),
            distinct=frozenset(parts.fitted + parts.held_out),
            lengths=names / names.sum(),
            positions=positions,
        )

    @property
    def longest(self) -> int:
        """The length of the longest name, which is the last position of the training data."""
        return len(self.lengths) - 1

    @property
    def unseen_positions(self) -> range:
        """The positions that the models distinguish but the training data does not have."""
        return range(self.longest + 1, self.positions)

    @property
    def all_positions(self) -> range:
        """The positions that the models distinguish or the list has."""
        return range(max(self.positions, self.longest + 1))

    @property
    def end_probabilities(self) -> Floats:
        """Share of the names with at least each length that end there, (longest + 1,)."""
        reached: Floats = self.lengths[::-1].cumsum()[::-1]
        return self.lengths / reached

    @property
    def max_length(self) -> int:
        """The length that the length distributions of the models reach, in characters."""
        return min(max(len(self.all_positions), MIN_LENGTH_LIMIT), MAX_POSITIONS)


@array_dataclass
class ModelFigures:
    """Figures of a model.

    version: first hex digits of the digest of its checkpoint
    evaluation: of the same architecture fitted on a part of the list
    lengths: distribution of lengths up to max_length, (max_length + 1,)
    length_distance: total variation distance between the lengths of the model and of the list
    share_in_list: share of the samples that are names of the list
    share_distinct: number of distinct samples divided by the number of samples
    examples: the first samples
    end_probabilities: as returned by `end_probabilities`, (all_positions,)
    """

    trained: TrainedModel
    provenance: Provenance
    version: str
    evaluation: Evaluation
    lengths: Floats
    length_distance: float
    share_in_list: float
    share_distinct: float
    examples: list[str]
    end_probabilities: Floats

    @classmethod
    def of(
        cls,
        trained: TrainedModel,
        checkpoint: Checkpoint,
        chain: MarkovChain,
        evaluation: Evaluation,
        list_figures: ListFigures,
        counts: ContextCounts,
    ) -> "ModelFigures":
        """Return the figures of a model and its chain.

        `counts` are of the training list, at clamped positions.
        """
        conditioned = condition(chain, Constraints(max_length=list_figures.max_length))
        lengths = length_distribution(conditioned)
        samples = Sampler(conditioned).draw(SAMPLES, np.random.default_rng(SAMPLING_SEED))
        return cls(
            trained=trained,
            provenance=checkpoint.provenance,
            version=checkpoint.version,
            evaluation=evaluation,
            lengths=lengths,
            length_distance=total_variation(lengths, list_figures.lengths),
            share_in_list=sum(name in list_figures.distinct for name in samples) / SAMPLES,
            share_distinct=len(set(samples)) / SAMPLES,
            examples=samples[:EXAMPLES],
            end_probabilities=end_probabilities(chain, counts, list_figures.all_positions),
        )

    @property
    def name(self) -> str:
        """The name of the architecture."""
        return self.trained.model.feature_map.architecture


def end_probabilities(chain: MarkovChain, counts: ContextCounts, positions: range) -> Floats:
    """Return the mean probability that a name ends at each position, (positions,).

    The mean is over the states of the list after the start, weighted by their number of transitions
    at all positions together. So the values of two positions differ by the position alone.
    """
    transitions = np.bincount(chain.trie.locate(counts.transitions.contexts.history), counts.counts)
    transitions[START] = 0.0
    states = transitions.nonzero()[0]
    ends = np.full_like(states, BOUNDARY)
    log_probabilities = [
        chain.transition_log_probabilities(position, states, ends)
        for position in range(chain.positions)
    ]
    means: Floats = np.average(np.exp(log_probabilities), axis=1, weights=transitions[states])
    return means[np.minimum(positions, chain.positions - 1)]


def mean_length(lengths: Floats) -> float:
    """Return the mean of a distribution of lengths, in characters."""
    return float(lengths @ np.arange(len(lengths)))


def total_variation(lengths: Floats, other: Floats) -> float:
    """Return the total variation distance between two distributions of lengths, from 0 to 1."""
    width = max(len(lengths), len(other))
    difference = np.pad(lengths, (0, width - len(lengths))) - np.pad(other, (0, width - len(other)))
    return float(np.abs(difference).sum()) / 2
