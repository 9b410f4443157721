"""Scores of names as JSON, text and JSON Lines."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring as quoted

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from models.scoring.explanation import ExplainedScore
from models.scoring.score import Score
from service.api.limits import MAX_SCORED_LENGTH
from service.api.score_requests import Line
from service.api.score_responses import UnscoredLine
from service.catalog.catalog import ServedModel
from service.http.negotiation import JSON, LINES, TEXT
from service.load.queue import Work
from service.streaming.duplex import MAX_LINE

SCORE, EXPLAINED = TypeAdapter(Score), TypeAdapter(ExplainedScore)
LINES_AT_ONCE, EXPLAINED_AT_ONCE = 4096, 16  # lines of a stream: a few megabytes at most
NAMES_AT_ONCE = 512  # names of a chunk of work in the event loop: a few milliseconds
NAME_OVERHEAD = 3  # cost of a name besides its characters, in characters
TOO_LONG = f"more than {MAX_SCORED_LENGTH} characters"
NOT_JSON = "cannot be read as JSON"
NO_NAME = "neither a string nor an object with a name"
TWO_NAMES = "the name is given more than once"
NAME_KEY = re.compile(rb'name"|\\u006[15DdEe]')  # the key, plain or with escaped letters


@dataclass(frozen=True)
class ScoreWriter:
    """Scores names by a model, explained or not, and formats the scores."""

    model: ServedModel
    explain: bool

    @property
    def headers(self) -> dict[str, str]:
        """Headers of text and JSON Lines, which contain only the scores."""
        return {"Moniker-Model": self.model.name, "Moniker-Checkpoint": self.model.version}

    @property
    def block(self) -> int:
        """Number of lines of a stream to score at once."""
        return EXPLAINED_AT_ONCE if self.explain else LINES_AT_ONCE

    @staticmethod
    def size(names: Sequence[str]) -> int:
        """Return the size of names in characters, with an overhead for each name."""
        return sum(map(len, names)) + NAME_OVERHEAD * len(names)

    def work(self, size: int) -> Work:
        """Return the work of scoring names of a size in characters, for the request queue."""
        return Work("explain", size) if self.explain else Work("score", size, light=True)

    def chunks(self, media: str, names: Sequence[str]) -> Iterator[str | None]:
        """Do the work in chunks: yield None after each, then the content of the response.

        A chunk takes a few milliseconds, but longer if the scores are explained.
        """
        parts = []
        size = EXPLAINED_AT_ONCE if self.explain else NAMES_AT_ONCE
        for start in range(0, len(names), size):
            parts.append(self._part(media, names[start : start + size]))
            yield None
        yield self._joined(media, parts)

    def _part(self, media: str, names: Sequence[str]) -> str:
        separator = "," if media == JSON else ""
        return separator.join(self._each(media, map(_check_length, names)))

    def _joined(self, media: str, parts: list[str]) -> str:
        if media != JSON:
            return "".join(parts)
        model = f'"model":{quoted(self.model.name)},"checkpoint":{quoted(self.model.version)}'
        return f'{{{model},"scores":[{",".join(parts)}]}}'

    def answer(self, received: str, sent: str, lines: list[bytes]) -> str:
        """Return a line of the response for each line of the request.

        received, sent: media types of the request and the response
        """
        names = _names_in_text(lines) if received == TEXT else map(_name_in_json, lines)
        return "".join(self._each(sent, names))

    def _each(self, media: str, lines: Iterable[str | UnscoredLine]) -> Iterator[str]:
        """Yield the score of each name, and the error of each line without a name."""
        lines = [*lines]
        names = [line for line in lines if isinstance(line, str)]
        scores = self._rows(names) if media == TEXT else self._json(names)
        end = "\n" if media in LINES and media != TEXT else ""
        for line in lines:
            yield (next(scores) if isinstance(line, str) else self._error(media, line)) + end

    def _rows(self, names: Sequence[str]) -> Iterator[str]:
        """Yield rows of percentile, log-likelihood and name, separated by tabs."""
        normalize = self.model.vocabulary.normalize
        likelihoods, percentiles = self.model.scorer.log_likelihoods_and_percentiles(
            [normalize(name) for name in names]
        )
        shown = [name.replace("\n", " ") for name in names]
        rows = zip(percentiles.tolist(), likelihoods.tolist(), shown, strict=True)
        for percentile, likelihood, name in rows:
            known = not math.isnan(likelihood)
            yield f"{percentile:.6g}\t{likelihood:.4f}\t{name}\n" if known else f"-\t-\t{name}\n"

    def _json(self, names: Sequence[str]) -> Iterator[str]:
        """Yield scores as JSON, with the fields of `NameScore` or `ExplainedNameScore`."""
        scores = self.model.scorer.score(names)
        if not self.explain:
            return (SCORE.dump_json(score).decode() for score in scores)
        return (EXPLAINED.dump_json(self.model.explain(score)).decode() for score in scores)

    def _error(self, media: str, line: UnscoredLine) -> str:
        if media == TEXT:
            return f"-\t-\t{line.name or ''}…\n"
        if media != JSON:
            return line.model_dump_json()
        kind = ExplainedScore if self.explain else Score
        score = to_json(kind(line.name or "", normalized="")).decode()
        return f'{score[:-1]},"error":{quoted(line.error)}}}'


def _names_in_text(lines: list[bytes]) -> Iterator[str | UnscoredLine]:
    """Yield the name in each line of text, with U+FFFD for bytes that are not UTF-8."""
    for line in b"\n".join(lines).decode(errors="replace").split("\n"):
        yield _check_length(line.removesuffix("\r"))


def _check_length(name: str) -> str | UnscoredLine:
    if len(name) <= MAX_SCORED_LENGTH:
        return name
    return UnscoredLine(name=name[:MAX_SCORED_LENGTH], error=TOO_LONG)


def _name_in_json(line: bytes) -> str | UnscoredLine:
    """Return the name in a line of JSON."""
    if len(line) >= MAX_LINE:  # the rest of a longer line has been dropped
        return UnscoredLine(name=None, error=f"{MAX_LINE:,} bytes or more")
    try:
        value = Line.validate_json(line)
    except ValidationError as error:
        kinds = {e["type"] for e in error.errors(include_url=False, include_input=False)}
        reasons = {"json_invalid": NOT_JSON, "string_too_long": TOO_LONG}
        reason = next((reason for kind, reason in reasons.items() if kind in kinds), NO_NAME)
        return UnscoredLine(name=None, error=reason)
    if isinstance(value, str):
        return value
    return UnscoredLine(name=None, error=TWO_NAMES) if _has_two_names(line) else value.name


def _has_two_names(line: bytes) -> bool:
    """Return whether an object has two fields `name`. pydantic would use the last."""
    if len(NAME_KEY.findall(line)) < 2:
        return False
    fields = json.loads(line, object_pairs_hook=list)
    return [field for field, _ in fields].count("name") > 1
