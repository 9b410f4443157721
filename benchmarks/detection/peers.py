"""What others offer to tell names from strings, each where it is installed.

    pip install '.[peers]'

has the Python packages. KenLM also estimates models, with the program `lmplz`, which comes
with its source code (https://github.com/kpu/kenlm) and is looked for on PATH.
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

# The scores of names, for each way to score; the higher, the more like a name.
Detector: TypeAlias = Callable[[Sequence[str]], Mapping[str, Floats]]


class MissingPeerError(Exception):
    """A peer is not installed; the message says what is missing."""


def kenlm_fivegram(fitted: Sequence[str]) -> Detector:
    """An interpolated 5-gram with modified Kneser-Ney smoothing, its words the letters."""
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
    """Frequencies of pairs of letters. Its score is a mean over the pairs within a name."""
    trainer, detector = (_import(f"gibberish_detector.{part}") for part in ("trainer", "detector"))
    model = trainer.train_on_content("\n".join(fitted), "".join(sorted(set().union(*fitted))))
    limit = 4.0  # its own, for yes or no
    score = detector.Detector(model, limit).calculate_probability_of_being_gibberish

    def detect(names: Sequence[str]) -> dict[str, Floats]:
        return {PER_CHARACTER: -np.array([score(name) for name in names])}

    return detect


def nostril(_: Sequence[str]) -> Detector:
    """A ready-made detector of nonsense among English words: 1 for yes, 0 for no.

    It judges what has 6 letters or more; what is shorter gets nan.
    """
    nonsense, least = _import("nostril_detector").nonsense, 6

    def detect(names: Sequence[str]) -> dict[str, Floats]:
        likes = [math.nan if len(name) < least else float(not nonsense(name)) for name in names]
        return {YES_OR_NO: np.array(likes)}

    return detect


def kenlm_model(arpa: str) -> Any:  # noqa: ANN401  # KenLM has no types
    """KenLM with the model of an ARPA file."""
    kenlm = _import("kenlm")
    config = kenlm.Config()
    config.arpa_complain, config.show_progress = kenlm.ARPALoadComplain.NONE, False
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".arpa") as file:
        file.write(arpa)
        file.flush()
        return kenlm.Model(file.name, config)


def arpa(chain: MarkovChain) -> str:
    """A chain that sees the last character alone, as the 2-gram model of an ARPA file."""
    if len(chain.trie) > len(chain.vocabulary) or len(np.unique(chain.position_contexts)) > 1:
        raise ValueError("the chain sees more than the last character")
    before, after = (["<s>", *chain.vocabulary.characters], ["</s>", *chain.vocabulary.characters])
    table = chain.log_probabilities(0, slice(None)) / math.log(10)
    pairs = [
        f"{table[i, j]:.9f}\t{first} {second}"
        for i, first in enumerate(before)
        for j, second in enumerate(after)
    ]
    # Every pair is there, so that it never matters how likely a word is by itself.
    words = [f"-1\t{word}\t0" for word in ("<unk>", "</s>", *before)]
    sizes = [f"ngram 1={len(words)}", f"ngram 2={len(pairs)}"]
    lines = ["\\data\\", *sizes, "", "\\1-grams:", *words, "", "\\2-grams:", *pairs, "", "\\end\\"]
    return "\n".join(lines) + "\n"


def _import(module: str) -> Any:  # noqa: ANN401  # none of them has types
    try:
        return import_module(module)
    except ImportError as error:
        absent = (error.name or module).partition(".")[0]
        raise MissingPeerError(f"the Python module {absent} is not installed") from error


def missing(module: str) -> str | None:
    """What keeps a peer from being imported, None if nothing does."""
    try:
        _import(module)
    except MissingPeerError as error:
        return str(error)
    return None
