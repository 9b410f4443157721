"""Command line of the job: declares, parses and validates its options."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.linear.features import ARCHITECTURES, MAX_LETTER_TOKENS, MAX_POSITIONS, POSITIONS

RECIPE_NAMES = ("post", "converged")  # as in models/fitting/recipes.py, which imports torch
EMBEDDED_LIST = Path(__file__).parent.parent / "data" / "us_names_2017.txt"


@dataclass(frozen=True)
class Options:
    """Options of the job.

    data: path of the list of names, or "-" for standard input
    counts: path of a table of counts, used in place of `data`; None to read `data`
    write_counts: path of the table of counts to write; None to write none
    out: folder for the checkpoints and the report
    models: names of the architectures to train
    recipe: recipe of all models; None for the default recipe of each model
    positions: number of positions that the models distinguish
    keep_case, turkish: how names are converted to lower case, as in `Vocabulary`
    evaluate: also evaluate the models on held-out names and write the report
    if_changed: skip the models that are up to date
    """

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


def parse_options(arguments: Sequence[str] | None = None) -> Options:
    """Return the options in `arguments`, by default the command line.

    Prints a message and exits with status 2 if they are not valid.
    """
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train models on a list of names and write a checkpoint file for each model.",
        allow_abbrev=False,
    )
    _add_input(parser)
    _add_case(parser)
    _add_training(parser)
    _add_output(parser)
    options = Options(**vars(parser.parse_args(arguments)))
    if options.evaluate and options.counts is not None:
        parser.error(
            "--evaluate holds out names, but a table of counts has none;"
            " use --data, or remove --evaluate"
        )
    return options


def _add_input(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--data",
        metavar="FILE",
        default=str(EMBEDDED_LIST),
        help="list of names in UTF-8, one per line; .gz files are decompressed, - reads standard"
        " input (default: US given names of 2017)",
    )
    source.add_argument(
        "--counts",
        metavar="FILE",
        help="read a table of counts instead of names: a Parquet file, or a folder of Parquet"
        " files",
    )
    parser.add_argument(
        "--write-counts",
        metavar="FILE",
        type=Path,
        help="also write the counts of the list as a Parquet table for --counts",
    )


def _add_case(parser: argparse.ArgumentParser) -> None:
    case = parser.add_mutually_exclusive_group()
    case.add_argument("--keep-case", action="store_true", help="do not convert names to lower case")
    case.add_argument(
        "--turkish",
        action="store_true",
        help="use Turkish lower case: I becomes a dotless i, and I with a dot (U+0130) becomes i",
    )


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models",
        metavar="NAME,...",
        type=_models,
        default=list(ARCHITECTURES),
        help=f"models to train, separated by commas: {', '.join(ARCHITECTURES)} (default: all)",
    )
    parser.add_argument(
        "--recipe",
        choices=RECIPE_NAMES,
        help="post: 200 steps of gradient descent, as in the blog post; converged: L-BFGS until"
        " the loss stops falling, with an L2 penalty chosen on held-out names"
        " (default: post; converged for fivegram and for more than"
        f" {MAX_LETTER_TOKENS - 1} distinct characters)",
    )
    parser.add_argument(
        "--positions",
        metavar="N",
        type=_positions,
        default=POSITIONS,
        help="number of positions that the models distinguish; later positions count as the last"
        " (default: %(default)s)",
    )
    parser.add_argument(
        "--evaluate",
        action="store_true",
        help="also hold out a tenth of the distinct names, fit each model on the rest, measure how"
        " well it predicts the held-out names, and write report.html to the output folder",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("checkpoints"),
        help="output folder for <model>.safetensors (default: %(default)s)",
    )
    parser.add_argument(
        "--if-changed",
        action="store_true",
        help="skip each model whose checkpoint in the output folder was made from the same list"
        " with the same options and software versions",
    )


def _models(text: str) -> list[str]:
    """Return the distinct names in a list separated by commas."""
    names = list(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise argparse.ArgumentTypeError(f"unknown model {name!r}; choose from {known}")
    return names


def _positions(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_POSITIONS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not valid; use a whole number from 1 to {MAX_POSITIONS}"
        )
    return int(text)
