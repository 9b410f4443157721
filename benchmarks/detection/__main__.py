"""python -m benchmarks.detection [FILE] [--out FOLDER]: how well scores tell names from strings.

Every model is fitted to nine tenths of the distinct names of a list, the embedded one by
default. Then it scores the others and, beside each, strings that are no names of the list.
Prints tables in Markdown; with --out also writes plots into the folder.
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.detection import peers
from benchmarks.detection.outcomes import PERCENTILE, Findings, Outcome, tables
from benchmarks.detection.peers import PER_CHARACTER, TOTAL, Detector, MissingPeerError
from benchmarks.detection.strings import Trial, trials
from models.arrays import Floats
from models.chain.markov_chain import compile_chain
from models.counts.context_counts import count
from models.counts.transitions import transitions
from models.linear.features import ARCHITECTURES, POSITIONS
from models.scoring.percentile_estimation import estimate_percentiles
from models.scoring.score import Scorer
from models.text.vocabulary import Vocabulary
from training.atomic_files import write_atomically
from training.cli import EMBEDDED_LIST
from training.counts.counting import MAX_ORDER
from training.evaluation.held_out import SEED, Split, split
from training.lists.name_list import NameList, NameListError, read_names
from training.train import train

PEERS = {
    "KenLM, 5-gram": peers.kenlm_fivegram,
    "gibberish-detector": peers.gibberish_detector,
    "Nostril": peers.nostril,
}


def measure(names: NameList, with_peers: bool = True) -> Findings:
    """Fit the models, and the peers that there are, and try all. Raises NameListError."""
    parts = split(replace(names, text="".join(f"{name}\n" for name in _distinct(names))))
    detectors = {name: fit(name, parts, names.vocabulary) for name in ARCHITECTURES}
    held_out, fitted = (
        {name: detect(part)[PERCENTILE] for name, detect in detectors.items()}
        for part in (parts.held_out, parts.fitted)
    )
    others, missing = _peers(parts.fitted) if with_peers else ({}, [])
    outcomes = [
        outcome
        for trial in trials(parts)
        for name, detect in {**detectors, **others}.items()
        for outcome in _outcomes(name, detect, trial)
    ]
    return Findings(outcomes, held_out, fitted, missing)


def _distinct(names: NameList) -> list[str]:
    """The distinct names in an order of their own, which the letters of the strings depend on."""
    distinct = sorted(set(names.names))
    random.Random(SEED).shuffle(distinct)  # noqa: S311  # the same strings everywhere, no secret
    return distinct


def fit(name: str, parts: Split, vocabulary: Vocabulary) -> Detector:
    """An architecture fitted as for --evaluate, and the three ways in which it scores."""
    stream = vocabulary.encode(parts.fitted)
    counts = count(transitions(stream, MAX_ORDER))
    chain = compile_chain(train(name, vocabulary, counts, POSITIONS).model)
    scorer = Scorer(chain, estimate_percentiles(chain))

    def detect(names: Sequence[str]) -> dict[str, Floats]:
        totals, shares = scorer.numbers(names)
        per_character = totals / [len(name) + 1 for name in names]
        return {TOTAL: totals, PER_CHARACTER: per_character, PERCENTILE: shares}

    return detect


def _peers(fitted: Sequence[str]) -> tuple[dict[str, Detector], list[str]]:
    """The peers fitted to names, and a line for each that is not installed."""
    made, missing = {}, []
    for peer, make in PEERS.items():
        try:
            made[peer] = make(fitted)
        except MissingPeerError as error:
            missing.append(f"{peer} is left out: {error}.")
    return made, missing


def _outcomes(name: str, detect: Detector, trial: Trial) -> Iterator[Outcome]:
    of_names, of_strings = detect(trial.names), detect(trial.strings)
    for way, scores in of_names.items():
        yield Outcome(name, trial.kind, way, scores, of_strings[way])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on a list, print the tables, write the plots."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection")
    parser.add_argument("file", metavar="FILE", nargs="?", default=str(EMBEDDED_LIST))
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="where to write the plots")
    job = parser.parse_args(arguments)
    try:
        findings = measure(read_names(job.file))
    except NameListError as error:
        parser.error(str(error))
    print(*tables(findings), sep="\n\n")
    if job.out:
        from benchmarks.detection import charts  # loads matplotlib, which nothing else needs

        job.out.mkdir(parents=True, exist_ok=True)
        for name, png in charts.draw(findings).items():
            write_atomically(job.out / f"detection-{name}.png", png)


if __name__ == "__main__":
    main()
