"""report.html: what the job found out about a list and its models, told to a reader."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from models.linear.features import ARCHITECTURES
from training.atomic_files import report_path, write_whole
from training.evaluation.figures import SAMPLES, ListFigures, ModelFigures, mean_length
from training.evaluation.markup import code, foreign, heading, image, page, paragraph, table
from training.evaluation.unseen import unseen_positions

SHOWN = 32  # positions in a table or a plot, at most


def write_report(folder: Path, facts: ListFigures, findings: Sequence[ModelFigures]) -> Path:
    """Write report.html into a folder, whole or not at all; its path.

    Raises OSError naming the file that cannot be written.
    """
    with _matplotlib_cache(folder):
        from training.evaluation import plots  # loads matplotlib, which nothing else needs
    drawn = {
        "held-out": plots.held_out(findings, SHOWN),
        "losses": plots.losses(findings),
        "lengths": plots.lengths(facts, findings),
        "endings": plots.endings(facts, findings, _shown(facts.told_apart)),
    }
    path = report_path(folder)
    write_whole(path, document(facts, findings, drawn).encode())
    return path


@contextmanager
def _matplotlib_cache(folder: Path) -> Iterator[None]:
    """Let matplotlib, while it is imported, write into `folder` if there is no home to write to."""
    home = os.path.expanduser("~")  # noqa: PTH111  # that of Path raises where there is none
    if "MPLCONFIGDIR" in os.environ or os.access(home, os.W_OK):
        yield
        return
    with TemporaryDirectory(dir=folder, prefix=".matplotlib.") as cache:
        os.environ["MPLCONFIGDIR"] = cache
        try:
            yield
        finally:
            del os.environ["MPLCONFIGDIR"]


def document(
    facts: ListFigures, findings: Sequence[ModelFigures], drawn: Mapping[str, bytes]
) -> str:
    """The text of the report, in HTML.

    drawn: its plots, in SVG
    """
    parts = [
        *_introduction(facts, findings),
        *_list(facts),
        *_models(findings),
        *_held_out(facts, findings, drawn["held-out"]),
        *_losses(findings, drawn["losses"]),
        *_lengths(facts, findings, drawn["lengths"]),
        *_samples(findings),
        *_endings(facts, findings, drawn["endings"]),
    ]
    return page(f"Models of {facts.source.name}", [each.version for each in findings], parts)


def _introduction(facts: ListFigures, findings: Sequence[ModelFigures]) -> Iterator[str]:
    provenance, tokens = findings[0].provenance, facts.characters + 1
    software = ", ".join(f"{name} {version}" for name, version in provenance.trained_with.items())
    best = min(findings, key=lambda finding: finding.evaluation.nll)
    nll = best.evaluation.nll
    yield f"<h1>Models of {foreign(facts.source.name)}</h1>"
    yield paragraph(f"Trained at {provenance.trained_at} with {software}.")
    yield paragraph(
        "How well a model predicts names is told as its <strong>NLL</strong>: the mean negative"
        " natural logarithm of the probability it gives to each next character, the end of the name"
        " included, in nats a character. Lower is better; a guess among k equally likely"
        f" characters has an NLL of log(k). Here there are {tokens:,} to guess among, so that"
        f" knowing nothing is worth {math.log(tokens):.3f}. The best model is {code(best.name)}: on"
        f" names that it has not seen its NLL is {nll:.3f}, as if it guessed among"
        f" {math.exp(nll):.1f}."
    )


def _list(facts: ListFigures) -> Iterator[str]:
    rows = [
        ("name", foreign(facts.source.name)),
        ("names", f"{facts.source.names:,}"),
        ("distinct names", f"{len(facts.distinct):,}"),
        ("transitions", f"{facts.source.transitions:,}"),
        ("tokens", f"{facts.characters + 1:,}"),
        ("mean length", f"{mean_length(facts.lengths):.2f} characters"),
        ("longest name", f"{facts.longest:,} characters"),
        ("SHA-256", code(facts.source.sha256)),
    ]
    yield heading("The list")
    yield table("The list", [], rows, left=2)
    yield paragraph(
        "A transition is one step of a name, to its next character or to its end. The tokens"
        " are the distinct characters and the end of a name."
    )


def _models(findings: Sequence[ModelFigures]) -> Iterator[str]:
    header = ["model", "looks at", "recipe", "penalty", "parameters", "loss", "NLL of the list",
              "held-out NLL", "seconds"]  # fmt: skip
    rows = [
        (
            code(each.name),
            "; ".join(feature.name for feature in ARCHITECTURES[each.name].features),
            code(each.provenance.recipe),
            f"{each.provenance.penalty:g}",
            f"{each.trained.model.weights.size:,}",
            f"{each.provenance.loss:.4f}",
            f"{each.provenance.nll:.4f}",
            f"{each.evaluation.nll:.4f}",
            f"{each.trained.seconds:.2f}",
        )
        for each in findings
    ]
    yield heading("The models")
    yield table("The models", header, rows, left=3)
    yield paragraph(
        '"Last 2" is the last two characters, taken together. The loss is that of the last'
        " training step, in nats a character, with the penalty for large weights, which"
        " the recipes count differently; the NLL is without it. A name counts as often as the list"
        " repeats it, but in the loss of a converged recipe by the square root of that. The seconds"
        " are those of training on the whole list, the choice of the penalty included where there"
        " is one, and the percentiles not."
    )


def _held_out(facts: ListFigures, findings: Sequence[ModelFigures], plot: bytes) -> Iterator[str]:
    sizes = findings[0].evaluation.transitions
    aside = int(sizes[0])  # each name held out has one transition at position 0
    rows = [
        (
            f"{position}",
            f"{sizes[position]:,}",
            *(f"{each.evaluation.by_position[position]:.3f}" for each in findings),
        )
        for position in range(_shown(len(sizes)))
    ]
    rows.append(("all", f"{sizes.sum():,}", *(f"{each.evaluation.nll:.3f}" for each in findings)))
    yield heading("Names that the models have not seen")
    yield paragraph(
        f"The distinct names were sorted and shuffled with Python's {code('random.Random(0)')}, and"
        f" the first tenth was held out: {aside:,} of {len(facts.distinct):,}. Each model was"
        " fitted anew, by the same recipe, on the list without any copy of these; its NLL on"
        " them, each once, is the held-out NLL. The checkpoints are of the whole list."
    )
    yield image(plot, "Lines of the held-out NLL after so many characters, as in the table below")
    header = ["characters before", "transitions", *_names(findings)]
    yield table("Held-out NLL at each position", header, rows)
    yield from _cut(len(sizes))
    yield paragraph("Where there are few transitions the figures are uncertain.")


def _losses(findings: Sequence[ModelFigures], plot: bytes) -> Iterator[str]:
    curves = ((each.name, each.trained.losses) for each in findings)
    ends = (f"{name} {curve[0]:.3f} to {curve[-1]:.3f}" for name, curve in curves)
    yield heading("How the loss fell")
    yield image(plot, f"Lines of the loss at each step: {', '.join(ends)}")
    yield paragraph(
        f"The recipe {code('post')} tells the loss before each of its 200 steps of gradient"
        f" descent: the first is that of random weights. {code('converged')} begins with all"
        " weights zero and tells the loss each time it evaluates it, which may be more than once"
        " in a step; the choice of its penalty, which comes before, is not shown. The penalty is"
        " included."
    )


def _lengths(facts: ListFigures, findings: Sequence[ModelFigures], plot: bytes) -> Iterator[str]:
    rows = [("list", f"{mean_length(facts.lengths):.2f}", "")]
    rows += [
        (code(each.name), f"{mean_length(each.lengths):.2f}", f"{each.distance:.3f}")
        for each in findings
    ]
    yield heading("How long the names are")
    yield image(plot, "Bars of the share of names of each length in the list, lines of the models'")
    header = ["names of", "mean length, characters", "distance from the list"]
    yield table("Lengths of names", header, rows)
    yield paragraph(
        "The shares of the models are exact, not sampled, and are those among names of 1 to"
        f" {facts.max_length} characters. The distance is the total variation: the share of names"
        " that would have to change their length to make the two alike, from 0 to 1."
    )


def _samples(findings: Sequence[ModelFigures]) -> Iterator[str]:
    rows = [
        (
            code(each.name),
            ", ".join(map(foreign, each.examples)),
            f"{each.known_share:.1%}",
            f"{each.distinct_share:.1%}",
        )
        for each in findings
    ]
    yield heading("What the names are like")
    header = ["model", "the first samples", "names of the list", "distinct"]
    yield table("Samples of each model", header, rows, left=2)
    yield paragraph(
        f"Of {SAMPLES:,} samples from each model, drawn with a fixed seed: the share of those that"
        " are names of the list, and the number of different names among them, as a share too."
    )


def _endings(facts: ListFigures, findings: Sequence[ModelFigures], plot: bytes) -> Iterator[str]:
    of_list = facts.endings
    rows = [
        (
            f"{position}",
            f"{of_list[position]:.3f}" if position <= facts.longest else "never seen",
            *(f"{each.endings[position]:.3f}" for each in findings),
        )
        for position in range(1, _shown(facts.told_apart))
    ]
    yield heading("Positions that training never saw")
    yield unseen_positions(facts, findings)
    yield image(
        plot, "Lines of the probability of ending after so many characters, as in the table"
    )
    header = ["characters so far", "list", *_names(findings)]
    yield table("Probability of ending at each position", header, rows)
    yield from _cut(facts.told_apart)
    yield paragraph(
        "The probability that a name ends after so many characters. In the list it is the share"
        " of those names that get so far. In a model it is the average over all that may"
        " come before, as often as it does so anywhere in the list: what differs between the"
        " rows is the position alone."
    )


def _names(findings: Sequence[ModelFigures]) -> list[str]:
    return [code(each.name) for each in findings]


def _shown(positions: int) -> int:
    return min(positions, SHOWN)


def _cut(positions: int) -> Iterator[str]:
    """What to say of a table and its plot if they do not show so many positions."""
    if positions > SHOWN:
        yield paragraph(f"Only the first {SHOWN} of {positions:,} positions are shown.")
