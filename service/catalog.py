"""The models in service: the checkpoints of a folder, loaded, verified and compiled."""

import re
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from models.automaton import Automaton
from models.chain import Chain, compile_chain
from models.checkpoint import Checkpoint, CheckpointError, load
from models.conditioning import condition
from models.exclusion import excluding
from models.explaining import explain
from models.novelty import unlisted
from models.repairs import Explained, repairs
from models.sampling import Sampler
from models.scoring import Score, Scorer
from models.wish import TooComplexError, Wish
from service.blocklist import BlocklistError
from service.settings import MODEL_NAME

SUFFIX = ".safetensors"


class CatalogError(Exception):
    """There is no model to serve; the message is one line naming each file and its fault."""


class UnknownModelError(Exception):
    """A request names a model that is not in the folder."""


class BrokenModelError(Exception):
    """A request needs a model whose checkpoint could not be loaded."""


class ServedModel:
    """A checkpoint compiled for use. Immutable.

    blocklist: substrings that no name may have
    """

    def __init__(self, name: str, checkpoint: Checkpoint, blocklist: Collection[str] = ()) -> None:
        self.name = name
        self.checkpoint = checkpoint
        self.vocabulary = checkpoint.model.vocabulary
        self.chain: Chain = compile_chain(checkpoint.model)
        _ = self.chain.log_normalizers  # computed now, not while somebody waits
        self.scorer = Scorer(self.chain, checkpoint.percentiles)
        self._blocked = excluding(blocklist, self.vocabulary)

    @property
    def version(self) -> str:
        """What tells this checkpoint from others: the first 12 hex digits of its digest."""
        return self.checkpoint.digest[:12]

    def compile(self, wish: Wish) -> Sampler:
        """Names that fulfil a wish. Raises WishError."""
        novel = self._unlisted if wish.novel else None
        return Sampler(condition(self.chain, wish, self._blocked, novel))

    def explain(self, score: Score) -> Explained:
        """A score and where it comes from."""
        known = not score.unknown
        steps = explain(self.checkpoint.model, self.chain, score.normalized) if known else []
        return Explained.of(score, steps, repairs(self.scorer, score, steps))

    @cached_property
    def _unlisted(self) -> Automaton | None:
        roster = self.checkpoint.roster
        return unlisted(roster.stream, roster.tokens) if roster.known else None


@dataclass(frozen=True)
class Catalog:
    """The models in service by name, and why the others are not.

    failures: model -> one line that names its file
    """

    models: Mapping[str, ServedModel]
    failures: Mapping[str, str]
    default: str

    def get(self, name: str | None) -> ServedModel:
        """The model with this name, or the default one.

        Raises UnknownModelError or BrokenModelError.
        """
        name = self.default if name is None else name
        if name in self.models:
            return self.models[name]
        raise BrokenModelError(name) if name in self.failures else UnknownModelError(name)


def load_catalog(folder: Path, default: str, blocklist: Collection[str] = ()) -> Catalog:
    """Load every checkpoint of a folder. Raises CatalogError if there is none to serve.

    blocklist: substrings that no name may have; BlocklistError if they are too many
    """
    models: dict[str, ServedModel] = {}
    failures: dict[str, str] = {}
    # The default model is required; other files are optional.
    for path in sorted({*folder.glob(f"*{SUFFIX}"), folder / f"{default}{SUFFIX}"}):
        name = path.name.removesuffix(SUFFIX)
        try:
            if not re.fullmatch(MODEL_NAME, name):
                raise CheckpointError("a model's name is made of letters, digits, '.', '_' and '-'")
            if not stat.S_ISREG(path.stat().st_mode):
                raise CheckpointError("not a regular file")  # reading a pipe would never end
            models[name] = ServedModel(name, load(path.read_bytes()), blocklist)
        except TooComplexError as error:
            raise BlocklistError(f"MONIKER_BLOCKLIST: too long for {name}: {error}") from error
        except CheckpointError as error:
            failures[name] = f"{path}: {error}"
        except OSError as error:
            failures[name] = f"{path}: {error.strerror}"
    if not models:
        reasons = "; ".join(failures.values())
        raise CatalogError(
            f"there is no model to serve: {reasons} (`python -m training` makes one)"
        )
    return Catalog(models, failures, default)
