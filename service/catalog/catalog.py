"""The models in service, each a checkpoint compiled for use."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from models.chain.conditioning import condition
from models.chain.markov_chain import MarkovChain, compile_chain
from models.checkpoint import Checkpoint
from models.constraints.automaton import Automaton
from models.constraints.constraints import Constraints
from models.constraints.forbidden import exclusion_automaton
from models.constraints.novelty import novelty_automaton
from models.lazy import lazy
from models.queries.sampling import Sampler
from models.scoring.explanation import explain
from models.scoring.score import Score, Scorer
from models.scoring.suggestions import ExplainedScore, suggest
from service.errors import ModelNotLoadedError, NoSuchModelError


class ServedModel:
    """A checkpoint compiled for use. Immutable.

    blocklist: substrings that no name may have
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
        """That of the checkpoint."""
        return self.checkpoint.version

    def compile(self, constraints: Constraints) -> Sampler:
        """Names that fulfil a wish. Raises ConstraintError."""
        novel = self._unlisted if constraints.novel else None
        return Sampler(condition(self.chain, constraints, self._blocked, novel))

    def explain(self, score: Score) -> ExplainedScore:
        """A score and where it comes from."""
        known = not score.unknown
        steps = explain(self.checkpoint.model, self.chain, score.normalized) if known else []
        in_training_set = self._lists(score.normalized)
        suggestions = suggest(self.scorer, score, steps)
        return ExplainedScore.of(score, in_training_set, steps, suggestions)

    def _lists(self, normalized: str) -> bool | None:
        lexicon = self.checkpoint.lexicon
        return self.vocabulary.encode([normalized]) in lexicon if lexicon.known else None

    @lazy
    def _unlisted(self) -> Automaton | None:
        lexicon = self.checkpoint.lexicon
        return novelty_automaton(lexicon.stream, lexicon.tokens) if lexicon.known else None


@dataclass(frozen=True)
class Catalog:
    """The models in service by name, and which files are not as they should be.

    failures: model -> one line that names its file; an earlier state of it may be in service
    files: model -> what tells this state of its file from others
    reports: model -> what its training has found out, in HTML
    """

    default: str
    models: Mapping[str, ServedModel]
    failures: Mapping[str, str]
    files: Mapping[str, bytes]
    reports: Mapping[str, bytes]

    def get(self, name: str | None) -> ServedModel:
        """The model with this name, or the default one.

        Raises NoSuchModelError or ModelNotLoadedError.
        """
        name = self.default if name is None else name
        if name in self.models:
            return self.models[name]
        raise ModelNotLoadedError if name in self.failures else NoSuchModelError
