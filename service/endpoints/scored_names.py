"""Names scored by a model, and what the scores are on the wire."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring as quoted

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from models.scoring.score import Score
from models.scoring.suggestions import ExplainedScore
from service.api.requests import MAX_SCORED_LENGTH, Line
from service.api.responses import RefusedLine
from service.catalog.catalog import ServedModel
from service.load.queue import Work
from service.negotiation import JSON, LINES, TEXT
from service.streaming.duplex import MAX_LINE

SCORE, EXPLAINED = TypeAdapter(Score), TypeAdapter(ExplainedScore)
BLOCK, BLOCK_EXPLAINED = 4096, 16  # lines that are answered at once: some megabytes at most
STEP = 512  # names that are scored at once in between others
MARKS = 3  # characters that a name takes as long as, besides its own
TOO_LONG = f"more than {MAX_SCORED_LENGTH} characters"
NOT_JSON = "cannot be read as JSON"
NO_NAME = "neither a string nor an object with a name"
TWO_NAMES = "the name is given more than once"
NAMED = re.compile(rb'name"|\\u006[15DdEe]')  # that field, written out or with escaped letters


@dataclass(frozen=True)
class NameJudge:
    """Scores names by a model, explained or not, and writes the scores down."""

    model: ServedModel
    explain: bool

    @property
    def headers(self) -> dict[str, str]:
        """What a reply without room for it tells besides the scores."""
        return {"Moniker-Model": self.model.name, "Moniker-Checkpoint": self.model.version}

    @property
    def block(self) -> int:
        """How many lines to answer at once."""
        return BLOCK_EXPLAINED if self.explain else BLOCK

    @staticmethod
    def size(names: Sequence[str]) -> int:
        """In characters, with some for each name."""
        return sum(map(len, names)) + MARKS * len(names)

    def work(self, size: int) -> Work:
        """What it takes to score names of a size."""
        return Work("explain", size) if self.explain else Work("score", size, light=True)

    def steps(self, media: str, names: Sequence[str]) -> Iterator[str | None]:
        """The whole reply at the last step; each takes a few milliseconds, if not explained."""
        parts = []
        size = BLOCK_EXPLAINED if self.explain else STEP
        for start in range(0, len(names), size):
            parts.append(self._part(media, names[start : start + size]))
            yield None
        yield self._joined(media, parts)

    def _part(self, media: str, names: Sequence[str]) -> str:
        return ("," if media == JSON else "").join(self._each(media, map(_checked, names)))

    def _joined(self, media: str, parts: list[str]) -> str:
        if media != JSON:
            return "".join(parts)
        about = f'"model":{quoted(self.model.name)},"checkpoint":{quoted(self.model.version)}'
        return f'{{{about},"scores":[{",".join(parts)}]}}'

    def answer(self, sent: str, media: str, lines: list[bytes]) -> str:
        """A line in one media type for each line that was sent in another or the same."""
        read = _names(lines) if sent == TEXT else map(_name_in_json, lines)
        return "".join(self._each(media, read))

    def _each(self, media: str, read: Iterable[str | RefusedLine]) -> Iterator[str]:
        """What is replied to each name or line."""
        read = [*read]
        names = [name for name in read if isinstance(name, str)]
        replies = self._rows(names) if media == TEXT else self._json(names)
        end = "\n" if media in LINES and media != TEXT else ""
        for name in read:
            yield (next(replies) if isinstance(name, str) else self._refusal(media, name)) + end

    def _rows(self, names: Sequence[str]) -> Iterator[str]:
        """Percentile, log-likelihood and name, with tabs in between."""
        normalize = self.model.vocabulary.normalize
        likelihoods, percentiles = self.model.scorer.numbers([normalize(name) for name in names])
        shown = [name.replace("\n", " ") for name in names]
        rows = zip(percentiles.tolist(), likelihoods.tolist(), shown, strict=True)
        for percentile, likelihood, name in rows:
            known = not math.isnan(likelihood)
            yield f"{percentile:.6g}\t{likelihood:.4f}\t{name}\n" if known else f"-\t-\t{name}\n"

    def _json(self, names: Sequence[str]) -> Iterator[str]:
        """The scores as JSON, as `NameScore` or `ExplainedScore` document it."""
        scores = self.model.scorer.score(names)
        if not self.explain:
            return (SCORE.dump_json(score).decode() for score in scores)
        return (EXPLAINED.dump_json(self.model.explain(score)).decode() for score in scores)

    def _refusal(self, media: str, line: RefusedLine) -> str:
        if media == TEXT:
            return f"-\t-\t{line.name or ''}…\n"
        if media != JSON:
            return line.model_dump_json()
        kind = ExplainedScore if self.explain else Score
        unscored = to_json(kind(line.name or "", normalized="")).decode()
        return f'{unscored[:-1]},"error":{quoted(line.error)}}}'


def _names(lines: list[bytes]) -> Iterator[str | RefusedLine]:
    """Names of lines of text. What is not UTF-8 becomes a character that no model knows."""
    for line in b"\n".join(lines).decode(errors="replace").split("\n"):
        yield _checked(line.removesuffix("\r"))


def _checked(name: str) -> str | RefusedLine:
    if len(name) <= MAX_SCORED_LENGTH:
        return name
    return RefusedLine(name=name[:MAX_SCORED_LENGTH], error=TOO_LONG)


def _name_in_json(line: bytes) -> str | RefusedLine:
    """The name in a line of JSON."""
    if len(line) >= MAX_LINE:  # of which it is just as long if its rest was left out
        return RefusedLine(name=None, error=f"{MAX_LINE:,} bytes or more")
    try:
        read = Line.validate_json(line)
    except ValidationError as error:
        kinds = {one["type"] for one in error.errors(include_url=False, include_input=False)}
        reasons = {"json_invalid": NOT_JSON, "string_too_long": TOO_LONG}
        why = next((reason for kind, reason in reasons.items() if kind in kinds), NO_NAME)
        return RefusedLine(name=None, error=why)
    if isinstance(read, str):
        return read
    return RefusedLine(name=None, error=TWO_NAMES) if _has_two_names(line) else read.name


def _has_two_names(line: bytes) -> bool:
    """Whether an object has two fields of that name, of which pydantic takes the last."""
    if len(NAMED.findall(line)) < 2:
        return False
    fields = json.loads(line, object_pairs_hook=list)
    return [field for field, _ in fields].count("name") > 1
