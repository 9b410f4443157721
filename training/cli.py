"""The command line of the job, checked."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.linear.features import ARCHITECTURES, MAX_POSITIONS, POSITIONS

RECIPES = ("post", "converged")  # of models/fitting/recipes.py, which imports torch
EMBEDDED_LIST = Path(__file__).parent.parent / "data" / "us_names_2017.txt"


@dataclass(frozen=True)
class Options:
    """What the job is to do."""

    data: str
    counts: str | None
    write_counts: Path | None
    out: Path
    models: list[str]
    recipe: str | None
    positions: int
    keep_case: bool
    turkish: bool
    evaluate: bool
    if_changed: bool


def parse(arguments: Sequence[str] | None = None) -> Options:
    """The command line, or `arguments` in its place. Exits with status 2 if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train models on a list of names and write a checkpoint file for each.",
        allow_abbrev=False,
    )
    _add_input(parser)
    _add_case(parser)
    _add_training(parser)
    job = Options(**vars(parser.parse_args(arguments)))
    if job.evaluate and job.counts is not None:
        parser.error("--evaluate needs names to hold out, and --counts has none")
    return job


def _add_input(parser: argparse.ArgumentParser) -> None:
    read = parser.add_mutually_exclusive_group()
    read.add_argument(
        "--data",
        metavar="FILE",
        default=str(EMBEDDED_LIST),
        help="names in UTF-8, one a line; .gz is unpacked, - is standard input"
        " (default: US names of 2017)",
    )
    read.add_argument(
        "--counts",
        metavar="FILE",
        help="a table of counts in place of the names: a Parquet file, or a folder of them",
    )
    parser.add_argument(
        "--write-counts",
        metavar="FILE",
        type=Path,
        help="also write what was read as such a table",
    )


def _add_case(parser: argparse.ArgumentParser) -> None:
    case = parser.add_mutually_exclusive_group()
    case.add_argument("--keep-case", action="store_true", help="do not turn names into lower case")
    case.add_argument(
        "--turkish",
        action="store_true",
        help="Turkish lower case: I becomes a dotless i, and I with a dot (U+0130) becomes i",
    )


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("checkpoints"),
        help="folder for <architecture>.safetensors (default: %(default)s)",
    )
    parser.add_argument(
        "--models",
        metavar="NAME,...",
        type=_models,
        default=list(ARCHITECTURES),
        help=f"which to train, of {', '.join(ARCHITECTURES)} (default: all)",
    )
    parser.add_argument(
        "--recipe",
        choices=RECIPES,
        help="post: as the blog post does, 200 steps of gradient descent; converged: until"
        " steps gain nothing more, with an L2 penalty chosen on names held out"
        " (default: post; converged for fivegram, and for more than 127 different characters)",
    )
    parser.add_argument(
        "--positions",
        metavar="N",
        type=_positions,
        default=POSITIONS,
        help="positions told apart, later ones count as the last (default: %(default)s)",
    )
    parser.add_argument(
        "--evaluate",
        action="store_true",
        help="also fit on the list without a tenth of its distinct names, predict these, and write"
        " report.html into the folder",
    )
    parser.add_argument(
        "--if-changed",
        action="store_true",
        help="skip each model whose checkpoint in the folder was made from the same list with the"
        " same options and versions of the software",
    )


def _models(text: str) -> list[str]:
    names = list(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise argparse.ArgumentTypeError(f"there is no model {name!r}, only {known}")
    return names


def _positions(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_POSITIONS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MAX_POSITIONS}")
    return int(text)
