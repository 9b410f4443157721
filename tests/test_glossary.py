"""The names of modules, classes and public functions are the field's terms."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

FILES = [
    path
    for folder in ("models", "training", "service", "benchmarks", "fuzz")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
# A word that is no term of the field, and the term in its place.
TERMS = {
    "abreast": "batched",
    "bear": "authenticate",
    "beginning": "prefix",
    "beginnings": "weighted prefixes",
    "caught": "true positives",
    "continuing": "next character",
    "course": "forward marginals",
    "ending": "log beta",
    "endings": "log beta",
    "fill": "load",
    "fulfil": "satisfy",
    "fulfils": "satisfies",
    "judge": "score",
    "judging": "scoring",
    "knots": "quantile grid",
    "law": "distribution",
    "laws": "distributions",
    "layout": "feature map",
    "learned": "number of context weights",
    "likelier": "more probable",
    "likeliest": "most probable",
    "listed": "in the training set",
    "longer": "extensions",
    "look": "scan",
    "naming": "sampling",
    "particulars": "model info",
    "pipe": "duplex",
    "place": "position context",
    "places": "position contexts",
    "population": "sequential Monte Carlo",
    "repair": "suggestion",
    "repairs": "suggestions",
    "roster": "lexicon",
    "shelf": "checkpoint repository",
    "slices": "chunks",
    "successors": "next states",
    "suffixes": "context trie",
    "tell": "report",
    "tells": "reports",
    "thin": "resample",
    "told": "reported",
    "turn": "slot",
    "turns": "request queue",
    "watch": "observability",
    "wish": "constraints",
    "wishes": "constraints",
    "worth": "backward log-probability",
}
# Words that are terms as a part of other names: a request is rejected.
WHOLE_NAMES = {"rejected": "false-positive rate"}
PHRASES = ["finish_seconds", "leave_seconds", "let_in", "reader_seconds", "sent_away"]


def public_names(path: Path) -> Iterator[str]:
    """The module, and the classes, functions, methods and fields that it defines."""
    yield path.parent.name if path.name == "__init__.py" else path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            fields = (field.target for field in node.body if isinstance(field, ast.AnnAssign))
            yield from (field.id for field in fields if isinstance(field, ast.Name))


def snake_case(name: str) -> str:
    """`CheckpointShelf` -> `checkpoint_shelf`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_are_terms_of_the_field(path: Path) -> None:
    names = {snake_case(name) for name in public_names(path) if not name.startswith("_")}
    quaint = {name: TERMS[word] for name in names for word in name.split("_") if word in TERMS}
    quaint |= {name: WHOLE_NAMES[name] for name in names & WHOLE_NAMES.keys()}
    assert quaint == {}
    assert not [name for name in names for phrase in PHRASES if phrase in name]
