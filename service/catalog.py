"""The models in service, each a checkpoint compiled for use."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from models.automaton import Automaton
from models.chain import Chain, compile_chain
from models.checkpoint import Checkpoint
from models.conditioning import condition
from models.exclusion import excluding
from models.explaining import explain
from models.lazy import lazy
from models.novelty import unlisted
from models.repairs import Explained, repairs
from models.sampling import Sampler
from models.scoring import Score, Scorer
from models.wish import Wish


class UnknownModelError(Exception):
    """A request names a model that is not in the folder."""


class BrokenModelError(Exception):
    """A request needs a model whose checkpoint has never been one that can be loaded."""


class ServedModel:
    """A checkpoint compiled for use. Immutable.

    blocklist: substrings that no name may have
    """

    def __init__(self, name: str, checkpoint: Checkpoint, blocklist: Collection[str] = ()) -> None:
        self.name = name
        self.checkpoint = checkpoint
        self.vocabulary = checkpoint.model.vocabulary
        self.chain: Chain = compile_chain(checkpoint.model)
        self.scorer = Scorer(self.chain, checkpoint.percentiles)
        self._blocked = excluding(blocklist, self.vocabulary)

    @property
    def version(self) -> str:
        """That of the checkpoint."""
        return self.checkpoint.version

    def compile(self, wish: Wish) -> Sampler:
        """Names that fulfil a wish. Raises WishError."""
        novel = self._unlisted if wish.novel else None
        return Sampler(condition(self.chain, wish, self._blocked, novel))

    def explain(self, score: Score) -> Explained:
        """A score and where it comes from."""
        known = not score.unknown
        steps = explain(self.checkpoint.model, self.chain, score.normalized) if known else []
        listed = self._lists(score.normalized)
        return Explained.of(score, listed, steps, repairs(self.scorer, score, steps))

    def _lists(self, normalized: str) -> bool | None:
        roster = self.checkpoint.roster
        return self.vocabulary.encode([normalized]) in roster if roster.known else None

    @lazy
    def _unlisted(self) -> Automaton | None:
        roster = self.checkpoint.roster
        return unlisted(roster.stream, roster.tokens) if roster.known else None


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

        Raises UnknownModelError or BrokenModelError.
        """
        name = self.default if name is None else name
        if name in self.models:
            return self.models[name]
        raise BrokenModelError(name) if name in self.failures else UnknownModelError(name)
