import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.detection import __main__ as detection
from benchmarks.detection import peers, roc
from benchmarks.detection.outcomes import PERCENTILE, Outcome, Results, tables
from benchmarks.detection.peers import YES_OR_NO
from benchmarks.detection.strings import FREQUENCIES, SHUFFLED, UNIFORM, Trial, trials
from models.arrays import Floats
from models.chain.markov_chain import compile_chain
from models.linear.model import LinearModel
from models.scoring.likelihoods import log_likelihoods
from tests.support.paths import ROOT
from tests.support.post import ALPHABET
from training.evaluation.held_out import Split
from training.lists.name_list import read_names

FOLDER = ROOT / "docs"
PAGE = (FOLDER / "models.md").read_text(encoding="utf-8")
PEER_MODULES = ("kenlm", "gibberish_detector", "nostril_detector")
NAMES_WITHOUT_OTHER_ORDER = ["aa", "bb"]  # shuffling their letters changes nothing


def scores(seed: int, names: int = 150, strings: int = 220) -> tuple[Floats, Floats]:
    """Random scores of names and strings, with ties."""
    generator = np.random.default_rng(seed)
    return generator.normal(0.5, 1, names).round(1), generator.normal(0, 1, strings).round(1)


def rows(text: str) -> list[list[str]]:
    """The rows of tables that have a model and then only figures."""
    matches = re.findall(r"^\| `(\w+)` \| ([\d.,% |]+) \|$", text, re.MULTILINE)
    return [[name, *cells.split(" | ")] for name, cells in matches]


def number(cell: str) -> float:
    return float(cell.removesuffix(" %"))


@pytest.fixture(scope="module")
def parts(us_names: list[str]) -> Split:
    """A short list in two parts, with held-out names that shuffling does not change."""
    distinct = sorted(set(us_names))[::50]
    return Split(distinct[100:], [*distinct[:100], *NAMES_WITHOUT_OTHER_ORDER])


@pytest.fixture(scope="module")
def trials_by_kind(parts: Split) -> dict[str, Trial]:
    return {trial.kind: trial for trial in trials(parts)}


@pytest.mark.parametrize("seed", range(3))
def test_auc_is_the_share_of_pairs_in_which_the_name_scores_higher(seed: int) -> None:
    names, strings = scores(seed)
    pairs = [(name > string) + (name == string) / 2 for name in names for string in strings]
    assert roc.auc(names, strings) == pytest.approx(np.mean(pairs), abs=1e-12)
    assert roc.auc(strings, names) == pytest.approx(1 - np.mean(pairs), abs=1e-12)


@pytest.mark.parametrize("max_false_positive_rate", [0.0, 0.01, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_true_positive_rate_is_the_maximum_over_all_allowed_thresholds(
    seed: int, max_false_positive_rate: float
) -> None:
    names, strings = scores(seed)
    allowed = [t for t in [*names, *strings] if np.mean(names < t) <= max_false_positive_rate]
    best = max(np.mean(strings < threshold) for threshold in allowed if threshold <= names.max())
    rate = roc.true_positive_rate(names, strings, max_false_positive_rate)
    assert rate == pytest.approx(best, abs=1e-12)


def test_the_curve_ends_at_one_and_passes_through_the_true_positive_rate() -> None:
    names, strings = scores(0)
    false_positives, true_positives = roc.curve(names, strings)
    assert false_positives[0] == 0
    assert (false_positives[-1], true_positives[-1]) == (1, 1)
    assert (np.diff(false_positives) >= 0).all()
    assert (np.diff(true_positives) >= 0).all()
    rate = roc.true_positive_rate(names, strings, 0.1)
    assert true_positives[false_positives <= 0.1][-1] == rate


def test_strings_have_the_lengths_of_their_names_and_are_not_in_the_list(
    parts: Split, trials_by_kind: dict[str, Trial]
) -> None:
    assert list(trials_by_kind) == [SHUFFLED, FREQUENCIES, UNIFORM]
    for trial in trials_by_kind.values():
        assert list(map(len, trial.names)) == list(map(len, trial.strings))
        assert not {*parts.fitted, *parts.held_out} & set(trial.strings)


def test_a_name_is_left_out_if_all_its_strings_are_names(
    parts: Split, trials_by_kind: dict[str, Trial]
) -> None:
    assert trials_by_kind[UNIFORM].names == trials_by_kind[FREQUENCIES].names == parts.held_out
    assert trials_by_kind[SHUFFLED].names == [
        name for name in parts.held_out if name not in NAMES_WITHOUT_OTHER_ORDER
    ]
    assert trials(Split(["aaa"], ["a", "aa"])) == []


def test_strings_have_the_letter_frequencies_of_their_kind() -> None:
    fitted = ["a" * 98 + "bc"]
    held_out = ["abcd" * 20 + "d" * number for number in range(50)]
    trials_by_kind = {trial.kind: trial for trial in trials(Split(fitted, held_out))}
    for name, string in zip(
        trials_by_kind[SHUFFLED].names, trials_by_kind[SHUFFLED].strings, strict=True
    ):
        assert sorted(name) == sorted(string)
    shares = {kind: "".join(trial.strings) for kind, trial in trials_by_kind.items()}
    assert [shares[UNIFORM].count(c) / len(shares[UNIFORM]) for c in "abcd"] == pytest.approx(
        [0.25] * 4, abs=0.03
    )
    assert [
        shares[FREQUENCIES].count(c) / len(shares[FREQUENCIES]) for c in "abcd"
    ] == pytest.approx([0.98, 0.01, 0.01, 0], abs=0.005)


def test_the_strings_are_reproducible(parts: Split, trials_by_kind: dict[str, Trial]) -> None:
    assert {trial.kind: trial for trial in trials(parts)} == trials_by_kind


def test_the_command_prints_tables_and_writes_plots_without_peers(
    us_names: list[str],
    coarse_percentiles: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in PEER_MODULES:
        monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    short = tmp_path / "short.txt"
    short.write_text("\n".join(us_names[:300]), encoding="utf-8")
    detection.main([str(short), "--out", str(tmp_path / "plots")])
    printed = capsys.readouterr().out
    assert [len(row) - 1 for row in rows(printed)] == [6] * 12 + [4] * 8
    lines = printed.splitlines()
    for module, peer in zip(PEER_MODULES, detection.PEERS, strict=True):
        assert f"{peer} is left out: the Python module {module} is not installed." in lines
    plots = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert plots == [f"detection-{name}.png" for name in ("areas", "percentiles", "roc")]


def test_a_yes_or_no_detector_is_compared_at_its_false_positive_rate() -> None:
    nan = np.nan  # too short for an answer
    verdict = Outcome(
        "oracle", SHUFFLED, YES_OR_NO, *np.array([[1, 1, 1, 0, nan], [0, 0, 1, 1, nan]])
    )
    shares = np.array([[0.9, 0.8, 0.7, 0.6, 0.1], [0.65, 0.5, 0.66, 0.75, 0.0]])
    compared = Outcome("bigram", SHUFFLED, PERCENTILE, *shares)
    text = "\n".join(tables(Results([compared, verdict], {"bigram": shares[0]}, {}, [])))
    assert "### oracle\n" in text
    assert "| shuffled | 4 | 25.0 % | 50.0 % | 75.0 % |" in text


def test_a_list_that_is_too_short_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = tmp_path / "short.txt"
    short.write_text("anna\nbob\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        detection.main([str(short)])
    assert "short.txt: --evaluate needs at least 10 distinct names" in capsys.readouterr().err


def test_kenlm_computes_the_log_likelihoods_of_the_bigram(
    post_models: dict[str, LinearModel],
) -> None:
    pytest.importorskip("kenlm")
    chain = compile_chain(post_models["bigram"])
    kenlm = peers.kenlm_model(peers.arpa(chain))
    names = ["", "a", "emma", "xqzwv", "maximiliano", ALPHABET.characters]
    likelihoods = [kenlm.score(" ".join(name)) * math.log(10) for name in names]
    assert likelihoods == pytest.approx(log_likelihoods(chain, names), rel=1e-6)


def test_a_chain_that_depends_on_more_than_the_last_character_is_an_error(
    post_models: dict[str, LinearModel], fivegram: LinearModel
) -> None:
    for model in (post_models["positional"], fivegram):
        with pytest.raises(ValueError, match="more than the last character"):
            peers.arpa(compile_chain(model))


@pytest.mark.slow
def test_the_page_on_the_models_shows_the_figures_of_the_posts_list(names_txt: Path) -> None:
    results = detection.measure(read_names(str(names_txt)), with_peers=False)
    measured, documented = rows("\n".join(tables(results))), rows(PAGE)
    assert [name for name, *_ in documented] == [name for name, *_ in measured]
    for (name, *cells), (_, *expected) in zip(documented, measured, strict=True):
        for cell, measured_cell in zip(cells, expected, strict=True):
            tolerance = 1.5 if "%" in cell else 0.002  # points or area: training is not exact
            assert number(cell) == pytest.approx(number(measured_cell), abs=tolerance + 1e-9), (
                name,
                cell,
            )


def test_the_page_shows_every_plot() -> None:
    for name in ("areas", "percentiles", "roc"):
        assert f"(detection-{name}.png)" in PAGE
        assert (FOLDER / f"detection-{name}.png").stat().st_size < 100_000
