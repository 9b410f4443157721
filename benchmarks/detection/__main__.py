"""python -m benchmarks.detection [FILE] [--out FOLDER]: how well scores detect random strings.

Every model is fitted to nine tenths of the distinct names of a list, by default the embedded one.
Then it scores the other names and random strings of the same lengths that are not in the list.
Prints tables in Markdown; with --out also writes plots to the folder.
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.detection import peers
from benchmarks.detection.outcomes import PERCENTILE, Outcome, Results, tables
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


def measure(names: NameList, with_peers: bool = True) -> Results:
    """Fit the models and the installed peers and run all trials. Raises NameListError."""
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
    return Results(outcomes, held_out, fitted, missing)


def _distinct(names: NameList) -> list[str]:
    """Return the distinct names in a reproducible order, on which the random strings depend."""
    distinct = sorted(set(names.names))
    random.Random(SEED).shuffle(distinct)  # noqa: S311  # reproducible, not secret
    return distinct


def fit(name: str, parts: Split, vocabulary: Vocabulary) -> Detector:
    """Return a detector with three scores, by an architecture fitted as for --evaluate."""
    stream = vocabulary.encode(parts.fitted)
    counts = count(transitions(stream, MAX_ORDER))
    chain = compile_chain(train(name, vocabulary, counts, POSITIONS).model)
    scorer = Scorer(chain, estimate_percentiles(chain))

    def detect(names: Sequence[str]) -> dict[str, Floats]:
        totals, shares = scorer.log_likelihoods_and_percentiles(names)
        per_character = totals / [len(name) + 1 for name in names]
        return {TOTAL: totals, PER_CHARACTER: per_character, PERCENTILE: shares}

    return detect


def _peers(fitted: Sequence[str]) -> tuple[dict[str, Detector], list[str]]:
    """Return the peers fitted to names, and a line for each peer that is not installed."""
    detectors, missing = {}, []
    for peer, make in PEERS.items():
        try:
            detectors[peer] = make(fitted)
        except MissingPeerError as error:
            missing.append(f"{peer} is left out: {error}.")
    return detectors, missing


def _outcomes(name: str, detect: Detector, trial: Trial) -> Iterator[Outcome]:
    name_scores, string_scores = detect(trial.names), detect(trial.strings)
    for score, scores in name_scores.items():
        yield Outcome(name, trial.kind, score, scores, string_scores[score])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark on a list, print the tables and write the plots."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection")
    parser.add_argument("file", metavar="FILE", nargs="?", default=str(EMBEDDED_LIST))
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="folder for the plots")
    options = parser.parse_args(arguments)
    try:
        results = measure(read_names(options.file))
    except NameListError as error:
        parser.error(str(error))
    print(*tables(results), sep="\n\n")
    if options.out:
        from benchmarks.detection import charts  # imports matplotlib, which only the plots need

        options.out.mkdir(parents=True, exist_ok=True)
        for name, png in charts.draw(results).items():
            write_atomically(options.out / f"detection-{name}.png", png)


if __name__ == "__main__":
    main()
