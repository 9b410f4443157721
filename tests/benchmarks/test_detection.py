import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.detection import __main__ as detection
from benchmarks.detection import peers, roc
from benchmarks.detection.outcomes import PERCENTILE, Findings, Outcome, tables
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
NAMES_WITHOUT_OTHER_ORDER = ["aa", "bb"]  # of their letters, beside ordinary ones


def scores(seed: int, names: int = 150, strings: int = 220) -> tuple[Floats, Floats]:
    """Scores with ties within and between the two."""
    generator = np.random.default_rng(seed)
    return generator.normal(0.5, 1, names).round(1), generator.normal(0, 1, strings).round(1)


def rows(text: str) -> list[list[str]]:
    """The rows of tables in which a model stands before figures alone."""
    found = re.findall(r"^\| `(\w+)` \| ([\d.,% |]+) \|$", text, re.MULTILINE)
    return [[name, *cells.split(" | ")] for name, cells in found]


def number(cell: str) -> float:
    return float(cell.removesuffix(" %"))


@pytest.fixture(scope="module")
def parts(us_names: list[str]) -> Split:
    """A short list in two parts, with held-out names that no shuffle changes."""
    distinct = sorted(set(us_names))[::50]
    return Split(distinct[100:], [*distinct[:100], *NAMES_WITHOUT_OTHER_ORDER])


@pytest.fixture(scope="module")
def made(parts: Split) -> dict[str, Trial]:
    return {trial.kind: trial for trial in trials(parts)}


@pytest.mark.parametrize("seed", range(3))
def test_the_area_is_the_share_of_pairs_in_which_the_name_scores_more(seed: int) -> None:
    names, strings = scores(seed)
    pairs = [(name > string) + (name == string) / 2 for name in names for string in strings]
    assert roc.area(names, strings) == pytest.approx(np.mean(pairs), abs=1e-12)
    assert roc.area(strings, names) == pytest.approx(1 - np.mean(pairs), abs=1e-12)


@pytest.mark.parametrize("rejected", [0.0, 0.01, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_share_caught_is_the_most_that_any_threshold_for_so_many_names_catches(
    seed: int, rejected: float
) -> None:
    names, strings = scores(seed)
    allowed = [t for t in [*names, *strings] if np.mean(names < t) <= rejected]
    best = max(np.mean(strings < threshold) for threshold in allowed if threshold <= names.max())
    assert roc.caught(names, strings, rejected) == pytest.approx(best, abs=1e-12)


def test_the_curve_leads_from_nothing_to_everything_over_the_shares_caught() -> None:
    names, strings = scores(0)
    rejected, caught = roc.curve(names, strings)
    assert rejected[0] == 0
    assert (rejected[-1], caught[-1]) == (1, 1)
    assert (np.diff(rejected) >= 0).all()
    assert (np.diff(caught) >= 0).all()
    assert caught[rejected <= 0.1][-1] == roc.caught(names, strings, 0.1)


def test_a_string_is_as_long_as_its_name_and_no_name_of_the_list(
    parts: Split, made: dict[str, Trial]
) -> None:
    assert list(made) == [SHUFFLED, FREQUENCIES, UNIFORM]
    for trial in made.values():
        assert list(map(len, trial.names)) == list(map(len, trial.strings))
        assert not {*parts.fitted, *parts.held_out} & set(trial.strings)


def test_a_name_is_left_out_where_every_string_is_a_name(
    parts: Split, made: dict[str, Trial]
) -> None:
    assert made[UNIFORM].names == made[FREQUENCIES].names == parts.held_out
    assert made[SHUFFLED].names == [
        name for name in parts.held_out if name not in NAMES_WITHOUT_OTHER_ORDER
    ]
    assert trials(Split(["aaa"], ["a", "aa"])) == []


def test_strings_have_the_letters_that_their_kind_tells() -> None:
    fitted = ["a" * 98 + "bc"]
    held_out = ["abcd" * 20 + "d" * number for number in range(50)]
    made = {trial.kind: trial for trial in trials(Split(fitted, held_out))}
    for name, string in zip(made[SHUFFLED].names, made[SHUFFLED].strings, strict=True):
        assert sorted(name) == sorted(string)
    shares = {kind: "".join(trial.strings) for kind, trial in made.items()}
    assert [shares[UNIFORM].count(c) / len(shares[UNIFORM]) for c in "abcd"] == pytest.approx(
        [0.25] * 4, abs=0.03
    )
    assert [
        shares[FREQUENCIES].count(c) / len(shares[FREQUENCIES]) for c in "abcd"
    ] == pytest.approx([0.98, 0.01, 0.01, 0], abs=0.005)


def test_the_strings_are_the_same_every_time(parts: Split, made: dict[str, Trial]) -> None:
    assert {trial.kind: trial for trial in trials(parts)} == made


def test_the_job_prints_its_tables_and_draws_its_plots_without_any_peer(
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
    told = printed.splitlines()
    for module, peer in zip(PEER_MODULES, detection.PEERS, strict=True):
        assert f"{peer} is left out: the Python module {module} is not installed." in told
    plots = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert plots == [f"detection-{name}.png" for name in ("areas", "percentiles", "roc")]


def test_yes_or_no_stands_beside_percentiles_that_reject_as_many_names() -> None:
    nan = np.nan  # too short to be judged
    said = Outcome("oracle", SHUFFLED, YES_OR_NO, *np.array([[1, 1, 1, 0, nan], [0, 0, 1, 1, nan]]))
    shares = np.array([[0.9, 0.8, 0.7, 0.6, 0.1], [0.65, 0.5, 0.66, 0.75, 0.0]])
    compared = Outcome("bigram", SHUFFLED, PERCENTILE, *shares)
    text = "\n".join(tables(Findings([compared, said], {"bigram": shares[0]}, {}, [])))
    assert "### oracle\n" in text
    assert "| shuffled | 4 | 25.0 % | 50.0 % | 75.0 % |" in text


def test_a_list_that_is_too_short_is_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = tmp_path / "short.txt"
    short.write_text("anna\nbob\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        detection.main([str(short)])
    assert "short.txt: --evaluate needs at least 10 distinct names" in capsys.readouterr().err


def test_kenlm_says_of_a_name_what_the_bigram_says(post_models: dict[str, LinearModel]) -> None:
    pytest.importorskip("kenlm")
    chain = compile_chain(post_models["bigram"])
    kenlm = peers.kenlm_model(peers.arpa(chain))
    names = ["", "a", "emma", "xqzwv", "maximiliano", ALPHABET.characters]
    of_kenlm = [kenlm.score(" ".join(name)) * math.log(10) for name in names]
    assert of_kenlm == pytest.approx(log_likelihoods(chain, names), rel=1e-6)


def test_a_chain_that_sees_more_than_the_last_character_is_no_bigram(
    post_models: dict[str, LinearModel], fivegram: LinearModel
) -> None:
    for model in (post_models["positional"], fivegram):
        with pytest.raises(ValueError, match="more than the last character"):
            peers.arpa(compile_chain(model))


@pytest.mark.slow
def test_the_page_on_the_models_shows_what_the_posts_list_gives(names_txt: Path) -> None:
    findings = detection.measure(read_names(str(names_txt)), with_peers=False)
    measured, shown = rows("\n".join(tables(findings))), rows(PAGE)
    assert [name for name, *_ in shown] == [name for name, *_ in measured]
    for (name, *cells), (_, *fresh) in zip(shown, measured, strict=True):
        for cell, again in zip(cells, fresh, strict=True):
            tolerance = 1.5 if "%" in cell else 0.002  # points or area: training is not exact
            assert number(cell) == pytest.approx(number(again), abs=tolerance + 1e-9), (name, cell)


def test_the_page_shows_every_plot_of_the_job() -> None:
    for name in ("areas", "percentiles", "roc"):
        assert f"(detection-{name}.png)" in PAGE
        assert (FOLDER / f"detection-{name}.png").stat().st_size < 100_000
