"""The catalog of models in service, each of them a compiled checkpoint."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from models.chain.conditioning import condition
from models.chain.markov_chain import MarkovChain, compile_chain
from models.checkpoint import Checkpoint
from models.constraints.automaton import Automaton
from models.constraints.constraints import Constraints
from models.constraints.forbidden import exclusion_automaton
from models.constraints.novelty import novelty_automaton
from models.lazy_property import lazy
from models.scoring.explanation import ExplainedScore, explain
from models.scoring.score import Score, Scorer
from models.scoring.suggestions import suggest
from service.catalog.compiled_constraints import CompiledConstraints
from service.errors import ModelNotLoadedError, NoSuchModelError


class ServedModel:
    """A checkpoint compiled into a chain and a scorer. Immutable.

    blocklist: substrings that no sampled name may contain
    """

    def __init__(self, name: str, checkpoint: Checkpoint, blocklist: Collection[str] = ()) -> None:
        self.name = name
        self.checkpoint = checkpoint
        self.vocabulary = checkpoint.model.vocabulary
        self.chain: MarkovChain = compile_chain(checkpoint.model)
        self.scorer = Scorer(self.chain, checkpoint.percentiles)
        self._blocked = exclusion_automaton(blocklist, self.vocabulary)

    @property
    def version(self) -> str:
        """The version of the checkpoint."""
        return self.checkpoint.version

    def compile(self, constraints: Constraints) -> CompiledConstraints:
        """Condition the chain on constraints and the blocklist. Raises ConstraintError."""
        novel = self._novel_names if constraints.novel else None
        return CompiledConstraints(condition(self.chain, constraints, self._blocked, novel))

    def explain(self, score: Score) -> ExplainedScore:
        """Return a score with the contribution of each transition and spelling suggestions."""
        known = not score.unknown
        steps = explain(self.checkpoint.model, self.chain, score.normalized) if known else []
        in_training_set = self._in_training_set(score.normalized)
        return ExplainedScore.of(score, in_training_set, steps, suggest(self.scorer, score, steps))

    def _in_training_set(self, normalized: str) -> bool | None:
        """Return whether a name is in the training set, None if the lexicon is unknown."""
        lexicon = self.checkpoint.lexicon
        return self.vocabulary.encode([normalized]) in lexicon if lexicon.known else None

    @lazy
    def _novel_names(self) -> Automaton | None:
        lexicon = self.checkpoint.lexicon
        return novelty_automaton(lexicon.stream, lexicon.tokens) if lexicon.known else None


@dataclass(frozen=True)
class Catalog:
    """The models in service by name, and the checkpoint files that could not be loaded.

    default: name of the model that answers requests that name none
    models: name -> model
    failures: name -> one line that names the file and the reason; an earlier version of the
        model may be in service
    fingerprints: name -> digest that identifies the state of the file
    reports: name -> evaluation report of its training, in HTML
    """

    default: str
    models: Mapping[str, ServedModel]
    failures: Mapping[str, str]
    fingerprints: Mapping[str, bytes]
    reports: Mapping[str, bytes]

    def get(self, name: str | None) -> ServedModel:
        """Return the model with this name, the default model for None.

        Raises NoSuchModelError or ModelNotLoadedError.
        """
        name = self.default if name is None else name
        if name in self.models:
            return self.models[name]
        raise ModelNotLoadedError if name in self.failures else NoSuchModelError
