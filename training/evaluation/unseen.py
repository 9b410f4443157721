"""What models do at positions that training never saw, and why."""

from collections.abc import Sequence

from models.linear.features import ARCHITECTURES, Sines
from training.evaluation.figures import ListFigures, ModelFigures
from training.evaluation.markup import code, paragraph, points


def unseen_positions(facts: ListFigures, findings: Sequence[ModelFigures]) -> str:
    """Which positions these are and what each model does there, in HTML."""
    told_apart = (
        f"The models that look at the position know {facts.positions:,} of them, counted from 0;"
        " whatever comes later counts as the last."
    )
    if not facts.unseen:
        return paragraph(f"{told_apart} There is none that training never saw.")
    why = paragraph(
        f"{told_apart} The longest name of the list has {facts.longest:,} characters, so that"
        f" training never saw {_which(facts)}. What a model does there was not learned from names:"
    )
    return "\n".join([why, points(_what(each, facts) for each in findings)])


def _which(facts: ListFigures) -> str:
    first, last = facts.unseen[0], facts.unseen[-1]
    return f"positions {first} to {last}" if first < last else f"position {first}"


def _what(finding: ModelFigures, facts: ListFigures) -> str:
    """What a model does at these positions, and how many of its names get there."""
    there = finding.endings[facts.unseen.start : facts.unseen.stop]
    least, greatest = f"{there.min():.3f}", f"{there.max():.3f}"
    probability = least if least == greatest else f"{least} to {greatest}"
    share = finding.lengths[facts.unseen.start :].sum()
    return (
        f"{code(finding.name)} {_why(finding)}. It ends a name there with probability"
        f" {probability}; {share:.2%} of its names get there."
    )


def _why(finding: ModelFigures) -> str:
    place = ARCHITECTURES[finding.name].position_features
    if not place:
        return "does not look at the position"
    if any(isinstance(feature, Sines) for feature in place):
        return "has no row for one position alone: the waves it fitted to the others go on"
    return "uses the one-hot row of the last position that names reach"
