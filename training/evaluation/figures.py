"""The figures of the report: of the list, and of each model, exact wherever they can be."""

import numpy as np

from models.arrays import Floats, array_dataclass
from models.chain.conditioning import condition
from models.chain.markov_chain import MarkovChain, compile_chain
from models.checkpoint import Checkpoint
from models.constraints.constraints import Constraints
from models.counts.context_counts import ContextCounts
from models.counts.context_trie import START
from models.linear.features import MAX_POSITIONS
from models.provenance import Provenance, TrainingList
from models.queries.lengths import length_distribution
from models.queries.sampling import Sampler
from models.text.vocabulary import BOUNDARY
from training.counts.counting import Counted
from training.evaluation.held_out import Evaluation, Split
from training.train import TrainedModel

SAMPLES = 10_000
SEED = 0
LENGTH = 32  # of the longest names that the models may make, unless more is told apart


@array_dataclass
class ListFigures:
    """What there is to know of a list of names.

    characters: how many different ones there are in the names
    distinct: the names, each once
    lengths: the share of names of each length, (longest + 1,)
    positions: how many the models tell apart
    """

    source: TrainingList
    characters: int
    distinct: frozenset[str]
    lengths: Floats
    positions: int

    @classmethod
    def of(cls, counted: Counted, parts: Split, positions: int) -> "ListFigures":
        """The facts of a list that is counted, and split."""
        steps = counted.counts.transitions
        ends = steps.tokens == BOUNDARY
        names = np.bincount(steps.contexts.positions[ends], counted.counts.counts[ends])
        return cls(
            source=counted.source,
            characters=len(counted.vocabulary.characters),
            distinct=frozenset(parts.fitted + parts.held_out),
            lengths=names / names.sum(),
            positions=positions,
        )

    @property
    def longest(self) -> int:
        """The length of the longest name, and so the last position that training saw."""
        return len(self.lengths) - 1

    @property
    def unseen(self) -> range:
        """The positions told apart that training never saw."""
        return range(self.longest + 1, self.positions)

    @property
    def told_apart(self) -> int:
        """How many positions there are, in the list or for the models."""
        return max(self.positions, self.longest + 1)

    @property
    def endings(self) -> Floats:
        """The share that ends there of the names that get so far, (longest + 1,)."""
        reached: Floats = self.lengths[::-1].cumsum()[::-1]
        return self.lengths / reached

    @property
    def max_length(self) -> int:
        """How far to follow the models' names, in characters."""
        return min(max(self.told_apart, LENGTH), MAX_POSITIONS)


@array_dataclass
class ModelFigures:
    """What there is to know of a model.

    version: what tells its checkpoint from others
    evaluation: of the same architecture fitted on a part of the list
    lengths: the probability of each length, given at most max_length, (max_length + 1,)
    distance: total variation between the lengths of the model and of the list
    known_share: of samples that are names of the list
    distinct_share: how many different names there are among the samples
    examples: the first samples
    endings: as of the function `endings`, for all positions told apart or in the list
    """

    trained: TrainedModel
    provenance: Provenance
    version: str
    evaluation: Evaluation
    lengths: Floats
    distance: float
    known_share: float
    distinct_share: float
    examples: list[str]
    endings: Floats

    @property
    def name(self) -> str:
        """The architecture's."""
        return self.trained.model.feature_map.architecture


def find(
    trained: TrainedModel,
    checkpoint: Checkpoint,
    evaluation: Evaluation,
    facts: ListFigures,
    counts: ContextCounts,
) -> ModelFigures:
    """All figures of a model that was trained on a list with these counts."""
    chain = compile_chain(trained.model)
    conditioned = condition(chain, Constraints(max_length=facts.max_length))
    lengths = length_distribution(conditioned)
    sampler = Sampler(conditioned)
    samples = sampler.draw(SAMPLES, np.random.default_rng(SEED))
    return ModelFigures(
        trained=trained,
        provenance=checkpoint.provenance,
        version=checkpoint.version,
        evaluation=evaluation,
        lengths=lengths,
        distance=total_variation(lengths, facts.lengths),
        known_share=sum(name in facts.distinct for name in samples) / SAMPLES,
        distinct_share=len(set(samples)) / SAMPLES,
        examples=samples[:6],
        endings=endings(chain, counts, facts.told_apart),
    )


def endings(chain: MarkovChain, counts: ContextCounts, positions: int) -> Floats:
    """The average probability of ending at each position, (positions,).

    Over the states that stand before a transition of the list, the start excepted, as
    often as they do so anywhere in it: what differs between positions is the position.
    """
    states = chain.trie.locate(counts.transitions.contexts.history)
    weights = np.bincount(states, counts.counts)
    weights[START] = 0.0
    states = weights.nonzero()[0]
    logits = (
        chain.state_logits[states, BOUNDARY]
        + chain.position_logits[chain.position_contexts[:, states], BOUNDARY]
    )
    probabilities = np.exp(logits - chain.log_normalizers[:, states])
    average: Floats = np.average(probabilities, axis=1, weights=weights[states])
    return average[np.minimum(np.arange(positions), chain.positions - 1)]


def mean_length(lengths: Floats) -> float:
    """The mean of a law of lengths, in characters."""
    return float(lengths @ np.arange(len(lengths)))


def total_variation(one: Floats, other: Floats) -> float:
    """The largest difference in probability that any set of lengths has: from 0 to 1."""
    width = max(len(one), len(other))
    padded = [np.pad(law, (0, width - len(law))) for law in (one, other)]
    return float(np.abs(padded[0] - padded[1]).sum()) / 2
