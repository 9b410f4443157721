"""Other tools that distinguish names from strings, used if they are installed.

`pip install '.[peers]'` installs the Python packages. KenLM needs its program `lmplz` on PATH to
estimate models; it comes with the source code (https://github.com/kpu/kenlm).
"""

import math
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np

from models.arrays import Floats
from models.chain.markov_chain import MarkovChain

TOTAL, PER_CHARACTER, YES_OR_NO = "total", "per character", "yes or no"

# Names -> the kind of score -> the scores, (n,); higher for strings that look like names.
Detector: TypeAlias = Callable[[Sequence[str]], Mapping[str, Floats]]


class MissingPeerError(Exception):
    """A peer is not installed; the message names the missing part."""


def kenlm_fivegram(fitted: Sequence[str]) -> Detector:
    """Return an interpolated 5-gram of letters with modified Kneser-Ney smoothing."""
    _import("kenlm")
    if shutil.which("lmplz") is None:
        raise MissingPeerError("the program lmplz is not on PATH")
    estimated = subprocess.run(
        ["lmplz", "-o", "5", "--discount_fallback", "--memory", "1G"],
        input="".join(f"{' '.join(name)}\n" for name in fitted),
        capture_output=True,
        text=True,
        check=True,
    )
    model = kenlm_model(estimated.stdout)

    def detect(names: Sequence[str]) -> dict[str, Floats]:
        totals = np.array([model.score(" ".join(name)) for name in names]) * math.log(10)
        return {TOTAL: totals, PER_CHARACTER: totals / [len(name) + 1 for name in names]}

    return detect


def gibberish_detector(fitted: Sequence[str]) -> Detector:
    """Return a detector by the frequencies of letter pairs, averaged over the pairs of a name."""
    trainer, detector = (_import(f"gibberish_detector.{part}") for part in ("trainer", "detector"))
    model = trainer.train_on_content("\n".join(fitted), "".join(sorted(set().union(*fitted))))
    limit = 4.0  # its default for yes or no, unused here
    score = detector.Detector(model, limit).calculate_probability_of_being_gibberish

    def detect(names: Sequence[str]) -> dict[str, Floats]:
        return {PER_CHARACTER: -np.array([score(name) for name in names])}

    return detect


def nostril(_: Sequence[str]) -> Detector:
    """Return a detector of nonsense among English words, without fitting: 1 is a word, 0 is not.

    It needs 6 letters; shorter strings have nan.
    """
    nonsense, min_length = _import("nostril_detector").nonsense, 6

    def detect(names: Sequence[str]) -> dict[str, Floats]:
        answers = [
            math.nan if len(name) < min_length else float(not nonsense(name)) for name in names
        ]
        return {YES_OR_NO: np.array(answers)}

    return detect


def kenlm_model(arpa: str) -> Any:  # noqa: ANN401  # KenLM has no types
    """Return KenLM with the model of an ARPA file."""
    kenlm = _import("kenlm")
    config = kenlm.Config()
    config.arpa_complain, config.show_progress = kenlm.ARPALoadComplain.NONE, False
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".arpa") as file:
        file.write(arpa)
        file.flush()
        return kenlm.Model(file.name, config)


def arpa(chain: MarkovChain) -> str:
    """Return a chain that depends only on the last character as a 2-gram model in ARPA format.

    Raises ValueError if the chain depends on more.
    """
    if len(chain.trie) > len(chain.vocabulary) or len(np.unique(chain.position_context_table)) > 1:
        raise ValueError("the chain depends on more than the last character")
    before, after = (["<s>", *chain.vocabulary.characters], ["</s>", *chain.vocabulary.characters])
    table = chain.log_probabilities(0, slice(None)) / math.log(10)
    pairs = [
        f"{table[i, j]:.9f}\t{first} {second}"
        for i, first in enumerate(before)
        for j, second in enumerate(after)
    ]
    # All pairs are present, so the backoff to the probability of a single word is never used.
    words = [f"-1\t{word}\t0" for word in ("<unk>", "</s>", *before)]
    sizes = [f"ngram 1={len(words)}", f"ngram 2={len(pairs)}"]
    lines = ["\\data\\", *sizes, "", "\\1-grams:", *words, "", "\\2-grams:", *pairs, "", "\\end\\"]
    return "\n".join(lines) + "\n"


def _import(module: str) -> Any:  # noqa: ANN401  # the peers have no types
    try:
        return import_module(module)
    except ImportError as error:
        absent = (error.name or module).partition(".")[0]
        raise MissingPeerError(f"the Python module {absent} is not installed") from error


def missing(module: str) -> str | None:
    """Return why a module cannot be imported, None if it can."""
    try:
        _import(module)
    except MissingPeerError as error:
        return str(error)
    return None
