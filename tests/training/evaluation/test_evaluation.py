import contextlib
import io
import os
import pty
import random
import re
import subprocess
import sys
import termios
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import torch

from models.chain.conditioning import condition
from models.chain.markov_chain import compile_chain
from models.checkpoint import Checkpoint, load
from models.constraints.constraints import Constraints
from models.fitting.recipes import POST
from models.linear.features import ARCHITECTURES
from models.queries.sampling import Sampler
from models.scoring.likelihoods import log_likelihoods
from models.text.vocabulary import Vocabulary
from tests.support.http.hypertext import Hypertext
from tests.support.oracle import Layer, all_names
from training.__main__ import main
from training.cli import EMBEDDED_LIST
from training.evaluation.held_out import evaluate, predict, split
from training.lists.name_list import read_names
from training.progress import progress

pytestmark = pytest.mark.usefixtures("coarse_percentiles")

TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "strong", "code",
    "bdi", "ul", "li", "div", "table", "thead", "tbody", "tr", "th", "td", "img",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "name", "content", "class", "role", "aria-label", "tabindex", "scope",
    "src", "alt",
}  # fmt: skip
HOSTILE = [
    "<b>ada", "&lt;bea", "\"'cleo", "`dora`", "\u202eella", "</td>finn", "<!--gus", "&#65;hal",
    "*ida*", "\u2067jo",
]  # fmt: skip
TEN = ["ada", "bea", "cleo", "dora", "ella", "finn", "gus", "hal", "ida", "jo"]


@dataclass
class Run:
    """What an evaluated run printed and wrote."""

    out: str
    err: str
    folder: Path

    @cached_property
    def report(self) -> Hypertext:
        return report_in(self.folder)


@pytest.fixture(scope="session")
def run(evaluated_run: Path) -> Run:
    """All models evaluated on the embedded list, by a process without a home or a terminal."""
    out, err = ((evaluated_run / name).read_text(encoding="utf-8") for name in ("out", "err"))
    return Run(out, err, evaluated_run / "checkpoints")


@pytest.fixture(scope="session")
def embedded() -> list[str]:
    return read_names(str(EMBEDDED_LIST)).names


def write(folder: Path, names: list[str], called: str = "list.txt") -> str:
    (folder / called).write_text("\n".join(names), encoding="utf-8")
    return str(folder / called)


def evaluated(
    folder: Path, names: list[str], *arguments: str, called: str = "list.txt"
) -> Hypertext:
    """The report of a run in this process."""
    out = folder / "out"
    data = write(folder, names, called)
    assert main(["--data", data, "--out", str(out), "--evaluate", *arguments]) == 0
    return report_in(out)


def report_in(folder: Path) -> Hypertext:
    return Hypertext((folder / "report.html").read_text(encoding="utf-8"))


def named(report: Hypertext, name: str) -> str:
    """What the report says to programs."""
    (told,) = (one for one in report.all("meta") if one.attributes.get("name") == name)
    return told.attributes["content"]


def checkpoint(folder: Path, name: str) -> Checkpoint:
    return load((folder / f"{name}.safetensors").read_bytes())


def layer(run: Run, name: str) -> Layer:
    """The oracle of a model that sees one character."""
    model = checkpoint(run.folder, name).model
    return Layer(name, model.vocabulary.characters, model.feature_map.positions, model.weights)


# The split


def test_the_first_tenth_of_the_shuffled_distinct_names_is_held_out(embedded: list[str]) -> None:
    parts = split(read_names(str(EMBEDDED_LIST)))
    order = sorted(set(embedded))
    random.Random(0).shuffle(order)
    assert parts.held_out == order[: len(order) // 10]
    assert sorted(set(parts.fitted)) == sorted(order[len(order) // 10 :])


def test_a_repeated_name_is_on_one_side_and_stays_repeated_there(tmp_path: Path) -> None:
    names = TEN * 2 + TEN[:5] * 3
    parts = split(read_names(write(tmp_path, names)))
    assert len(parts.held_out) == 1
    assert parts.fitted == [name for name in names if name not in parts.held_out]


@pytest.mark.parametrize("times", [1, 5])
def test_a_list_repeated_as_a_whole_is_evaluated_as_once(
    embedded: list[str], tmp_path: Path, times: int
) -> None:
    names = sorted(set(embedded))[::20]
    parts = split(read_names(write(tmp_path, names * times)))
    assert len(parts.fitted) == times * (len(names) - len(names) // 10)
    found = evaluate("fivegram", parts, Vocabulary.of(names), positions=23)
    once = split(read_names(write(tmp_path, names)))
    assert found.nll == pytest.approx(
        evaluate("fivegram", once, Vocabulary.of(names), positions=23).nll, abs=1e-3
    )


def test_fewer_than_ten_distinct_names_are_refused_before_anything_is_fitted(
    tmp_path: Path,
) -> None:
    data = write(tmp_path, TEN[:9] * 2)
    program = (
        "import sys; from training.__main__ import main\n"
        f"status = main(['--data', {data!r}, '--out', {str(tmp_path / 'out')!r}, '--evaluate'])\n"
        "sys.exit(status if 'torch' not in sys.modules else 'torch was loaded')"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == ("error: list.txt: --evaluate needs at least 10 distinct names, not 9\n")
    assert not (tmp_path / "out").exists()


# The held-out NLL


def test_the_held_out_nll_is_that_of_names_weighed_one_by_one(run: Run) -> None:
    model = checkpoint(run.folder, "positional").model
    names = ["mia", "xzq", "bartholomew", "jo"]
    found = predict(compile_chain(model), model.vocabulary, names)
    likelihoods = [np.log(layer(run, "positional").probability(name)) for name in names]
    transitions = sum(len(name) + 1 for name in names)
    assert found.nll == pytest.approx(-sum(likelihoods) / transitions, abs=1e-9)


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_the_nll_of_all_positions_is_the_sum_of_the_scores(name: str, run: Run) -> None:
    model = checkpoint(run.folder, name).model
    names = split(read_names(str(EMBEDDED_LIST))).held_out
    found = predict(compile_chain(model), model.vocabulary, names)
    total = -log_likelihoods(compile_chain(model), names).sum()
    assert found.nll == pytest.approx(total / sum(len(name) + 1 for name in names), abs=1e-9)
    assert found.by_position @ found.transitions == pytest.approx(total, abs=1e-6)


def test_the_nll_at_a_position_is_that_of_its_transitions(run: Run) -> None:
    model = checkpoint(run.folder, "bigram").model
    found = predict(compile_chain(model), model.vocabulary, ["ab", "c"])
    a, b, c = (model.vocabulary.characters.index(letter) + 1 for letter in "abc")
    logs = torch.log_softmax(torch.from_numpy(model.weights).double(), dim=1).numpy()
    expected = [-(logs[0, a] + logs[0, c]) / 2, -(logs[a, b] + logs[c, 0]) / 2, -logs[b, 0]]
    assert found.by_position == pytest.approx(np.array(expected), abs=1e-12)
    assert found.transitions.tolist() == [2, 2, 1]


def test_what_is_held_out_is_not_fitted(tmp_path: Path) -> None:
    names = all_names("abc", 4)
    parts = split(read_names(write(tmp_path, names)))
    found = evaluate("fivegram", parts, Vocabulary("abc"), positions=23)
    data = write(tmp_path, parts.fitted)
    assert main(["--data", data, "--out", str(tmp_path), "--models", "fivegram"]) == 0
    fitted_on_the_rest = checkpoint(tmp_path, "fivegram").model
    again = predict(compile_chain(fitted_on_the_rest), Vocabulary("abc"), parts.held_out)
    assert found.nll == pytest.approx(again.nll, abs=1e-9)


def test_evaluating_does_not_change_the_weights(tmp_path: Path) -> None:
    evaluated(tmp_path, TEN)
    main(["--data", str(tmp_path / "list.txt"), "--out", str(tmp_path / "plain")])
    for name in ARCHITECTURES:
        weights = checkpoint(tmp_path / "out", name).model.weights
        assert weights.tobytes() == checkpoint(tmp_path / "plain", name).model.weights.tobytes()
    assert not list((tmp_path / "plain").glob("report*"))


def held_out_of_the_posts_list(path: Path, *models: str) -> dict[str, float]:
    """The held-out NLL of some architectures on makemore's list."""
    names = read_names(str(path))
    parts, vocabulary = split(names), Vocabulary.of(names.names)
    assert (len(parts.held_out), len(set(parts.fitted))) == (2_949, 26_545)
    parts = replace(parts, fitted=sorted(set(parts.fitted)))
    return {name: evaluate(name, parts, vocabulary, 23).nll for name in models}


@pytest.mark.slow
def test_the_posts_idea_carried_on_beats_kneser_ney_and_the_transformer(
    names_txt: Path,
) -> None:
    # KenLM's 6-gram reaches 1.983 on the same split, makemore's transformer 1.998.
    assert held_out_of_the_posts_list(names_txt, "fivegram")["fivegram"] <= 1.934


def test_the_posts_own_models_are_where_they_were_measured_on_the_same_split(
    names_txt: Path,
) -> None:
    found = held_out_of_the_posts_list(names_txt, "bigram", "positional", "sinusoidal")
    assert found["bigram"] == pytest.approx(2.463, abs=1e-3)
    assert found["positional"] == pytest.approx(2.3035, abs=5e-4)
    assert found["sinusoidal"] <= 2.31


def test_counts_cannot_be_evaluated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--counts", "table.parquet", "--evaluate"])
    assert ended.value.code == 2
    assert "--evaluate needs names to hold out, and --counts has none" in capsys.readouterr().err


# The table and the report


def test_the_table_has_a_column_for_the_held_out_nll(run: Run) -> None:
    lines = run.out.splitlines()
    assert lines[1].split() == [
        "model", "parameters", "loss", "NLL", "held-out", "seconds", "checkpoint",
    ]  # fmt: skip
    told = {line.split()[0]: float(line.split()[4]) for line in lines[4:8]}
    assert told.keys() == ARCHITECTURES.keys()
    assert told["fivegram"] < told["positional"] < told["bigram"] < np.log(27)
    assert [line.split()[0] for line in lines[2:4]] == ["start", "list"]
    assert [line.split()[::2] for line in lines[8:]] == [
        ["report", f"{run.folder}/report.html"], ["total"],
    ]  # fmt: skip


def test_standard_error_has_progress_alone_without_a_terminal_or_a_home(run: Run) -> None:
    phases = "|".join([*ARCHITECTURES, "reading the list", "loading PyTorch", "report"])
    line = rf"({phases})(, [a-z ]+)?(, [\d,]+ (steps|lengths)(, loss \d\.\d{{4}})?)?"
    for told in run.err.splitlines():
        assert re.fullmatch(line, told), told


def test_all_there_is_besides_the_checkpoints_is_the_report(run: Run) -> None:
    names = {path.name for path in run.folder.iterdir()}
    assert names == {"report.html", *(f"{name}.safetensors" for name in ARCHITECTURES)}


def test_the_report_needs_nothing_from_elsewhere_and_does_nothing(run: Run) -> None:
    assert {element.tag for element in run.report.elements} == TAGS
    attributes = {name for element in run.report.elements for name in element.attributes}
    assert attributes == ATTRIBUTES
    (style,) = run.report.all("style")
    assert not re.search(r"url\(|@import|//", style.text)
    for plot in run.report.plots:
        for element in plot.iter():
            assert not element.tag.endswith(("script", "image", "foreignObject"))
            links = [value for name, value in element.items() if name.endswith("href")]
            assert all(link.startswith("#") for link in links)
            words = "".join([*element.itertext(), *element.attrib.values()])
            assert not re.search(r"url\((?!#)|@import", words)


def test_the_report_is_of_modest_size(run: Run) -> None:
    assert (run.folder / "report.html").stat().st_size < 400_000
    assert all(len(image.attributes["src"]) < 100_000 for image in run.report.all("img"))


def test_the_report_can_be_read_by_those_who_do_not_see_it_and_on_a_phone(run: Run) -> None:
    (html,) = run.report.all("html")
    assert html.attributes["lang"] == "en"
    assert named(run.report, "viewport") == "width=device-width, initial-scale=1"
    assert len(run.report.all("h1")) == 1
    for image in run.report.all("img"):
        assert len(image.attributes["alt"]) > 30
    for cell in run.report.all("th"):
        assert cell.text
        assert cell.attributes["scope"] in ("col", "row")
    labels = [moved.attributes["aria-label"] for moved in run.report.all("div")]
    assert len(labels) == len(set(labels)) == len(run.report.all("table"))
    assert all(moved.attributes["tabindex"] == "0" for moved in run.report.all("div"))


def test_the_report_names_the_checkpoints_that_it_tells_of(run: Run) -> None:
    told = named(run.report, "moniker-checkpoints").split()
    assert told == [checkpoint(run.folder, name).digest[:12] for name in ARCHITECTURES]


def test_the_same_figures_make_the_same_plots(tmp_path: Path) -> None:
    sources = []
    for folder in (tmp_path / "one", tmp_path / "other"):
        folder.mkdir()
        report = evaluated(folder, TEN, "--models", "bigram")
        sources.append([image.attributes["src"] for image in report.all("img")])
    assert sources[0] == sources[1]
    assert len(set(sources[0])) == 4


def test_whatever_is_in_a_list_and_its_name_is_shown_as_it_is(tmp_path: Path) -> None:
    called = "<img src=x onerror=alert(1)>&amp;\u202e\"'`*_.txt"
    report = evaluated(tmp_path, HOSTILE, "--models", "fivegram", called=called)
    shown = f"Models of {called}".replace("\u202e", "\N{REPLACEMENT CHARACTER}")
    assert [one.text for one in (*report.all("title"), *report.all("h1"))] == [shown, shown]
    assert {element.tag for element in report.elements} == TAGS
    model = checkpoint(tmp_path / "out", "fivegram").model
    sampler = Sampler(condition(compile_chain(model), Constraints(max_length=32)))
    samples = sampler.draw(10_000, np.random.default_rng(0))[:6]
    assert any(re.search("[<&]", name) for name in samples)
    told = report.sections["What the names are like"].cells("fivegram")[1]
    assert told == re.sub("[\u202e\u2067]", "\N{REPLACEMENT CHARACTER}", ", ".join(samples))


def test_the_report_tells_of_the_list(run: Run, embedded: list[str]) -> None:
    source = checkpoint(run.folder, "bigram").provenance.source
    told = run.report.sections["The list"]
    assert told.cells("name")[1] == "us_names_2017.txt"
    assert told.cells("names")[1] == f"{len(embedded):,}"
    assert told.cells("distinct names")[1] == f"{len(set(embedded)):,}"
    assert told.cells("transitions")[1] == f"{source.transitions:,}"
    assert told.cells("SHA-256")[1] == source.sha256


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_the_report_tells_of_each_model(name: str, run: Run) -> None:
    model, provenance = checkpoint(run.folder, name).model, checkpoint(run.folder, name).provenance
    told = run.report.sections["The models"].cells(name)
    (printed,) = (line.split() for line in run.out.splitlines() if line.startswith(f"{name} "))
    assert told[2:4] == [provenance.recipe, f"{provenance.penalty:g}"]
    assert told[4:7] == [
        f"{model.weights.size:,}",
        f"{provenance.loss:.4f}",
        f"{provenance.nll:.4f}",
    ]
    assert float(told[7]) == pytest.approx(float(printed[4]), abs=5.1e-5)


def test_the_report_tells_the_held_out_nll_of_each_position(run: Run, embedded: list[str]) -> None:
    told = run.report.sections["Names that the models have not seen"]
    parts = split(read_names(str(EMBEDDED_LIST)))
    for column, name in enumerate(["bigram", "positional", "sinusoidal"], start=2):
        found = evaluate(name, parts, Vocabulary.of(embedded), positions=23)
        for position, nll in enumerate(found.by_position):
            row = told.cells(str(position))
            assert row[1] == f"{found.transitions[position]:,}"
            assert float(row[column]) == pytest.approx(nll, abs=5.1e-4)
        assert float(told.cells("all")[column]) == pytest.approx(found.nll, abs=5.1e-4)


def test_the_report_tells_which_positions_were_never_seen(run: Run, embedded: list[str]) -> None:
    longest = max(map(len, embedded))
    told = run.report.sections["Positions that training never saw"]
    assert f"The longest name of the list has {longest} characters" in told.text
    assert f"training never saw positions {longest + 1} to 22." in told.text
    assert told.cells(str(longest))[1] == "1.000"
    assert told.cells(str(longest + 1))[1] == "never seen"


def test_positions_never_seen_have_the_row_of_the_last_that_is(
    run: Run, embedded: list[str]
) -> None:
    assert "uses the one-hot row of the last position that names reach" in run.report.text
    weights = checkpoint(run.folder, "positional").model.weights
    positions = weights[27:]
    longest = max(map(len, embedded))
    assert len(positions[longest + 1 :])
    assert (positions[longest + 1 :] == positions[longest]).all()
    assert (positions[longest] != positions[longest - 1]).all()
    start = torch.randn(weights.shape, generator=torch.Generator().manual_seed(POST.seed)).numpy()
    assert (np.abs(positions[longest] - start[27 + longest]) > 1e-3).any()  # it was fitted


def test_the_report_tells_how_far_the_lengths_are_from_those_of_the_list(
    run: Run, embedded: list[str]
) -> None:
    told = run.report.sections["How long the names are"]
    lengths = np.bincount([len(name) for name in embedded], minlength=33) / len(embedded)
    assert float(told.cells("list")[1]) == pytest.approx(lengths @ np.arange(33), abs=0.0051)
    positional = layer(run, "positional")
    law, ways = np.zeros(33), np.eye(27)[0]
    for length in range(33):
        step = positional.matrix(length)
        law[length] = ways @ step[:, 0] if length else 0.0
        ways = ways @ step * (np.arange(27) > 0)
    law /= law.sum()
    mean, distance = told.cells("positional")[1:]
    assert float(mean) == pytest.approx(law @ np.arange(33), abs=0.0051)
    assert float(distance) == pytest.approx(np.abs(law - lengths).sum() / 2, abs=5.1e-4)


def test_the_report_tells_how_probable_an_end_is_at_each_position(
    run: Run, embedded: list[str]
) -> None:
    told = run.report.sections["Positions that training never saw"]
    positional, letters = layer(run, "positional"), "".join(embedded)
    often = [letters.count(letter) for letter in positional.characters]
    for position in range(1, 23):
        ends = positional.matrix(position)[1:, 0]
        expected = np.average(ends, weights=often)
        assert float(told.cells(str(position))[3]) == pytest.approx(expected, abs=5.1e-4)


def test_the_share_of_samples_that_are_in_the_list_is_near_its_probability(
    run: Run, embedded: list[str]
) -> None:
    told = run.report.sections["What the names are like"]
    for name in ARCHITECTURES:
        model = checkpoint(run.folder, name).model
        likelihoods = log_likelihoods(compile_chain(model), sorted(set(embedded)))
        probability = np.exp(likelihoods).sum()
        known = float(told.cells(name)[2].rstrip("%")) / 100
        # Five standard deviations of 10,000 draws, and the rounding of the table.
        assert known == pytest.approx(probability, abs=5 * (0.25 / 10_000) ** 0.5 + 5e-4)


def test_a_list_with_names_at_every_position_is_said_to_leave_none_unseen(tmp_path: Path) -> None:
    report = evaluated(tmp_path, TEN, "--positions", "4", "--models", "positional")
    assert "There is none that training never saw." in report.text
    assert "never seen" not in report.text


@pytest.mark.parametrize(
    ("names", "arguments"),
    [
        (TEN, ["--models", "bigram"]),
        (TEN, ["--positions", "1", "--models", "positional,sinusoidal"]),
        ([name.title() for name in TEN], ["--keep-case", "--models", "sinusoidal"]),
        (["".join(pair) for pair in zip("abcdefghij", "bcdefghija", strict=True)], []),
        (["小明", "小红", "大伟", "丽", "伟明", "明丽", "红", "李娜", "王芳", "张伟"], []),
        (["ab" * n for n in range(1, 30)], ["--models", "bigram,positional"]),
        (TEN, ["--positions", "256", "--models", "fivegram", "--recipe", "post"]),
    ],
    ids=[
        "one model",
        "one position",
        "case kept",
        "one length",
        "Chinese",
        "long",
        "256 positions",
    ],
)
def test_any_list_and_any_models_make_a_report(
    tmp_path: Path, names: list[str], arguments: list[str]
) -> None:
    report = evaluated(tmp_path, names, *arguments)
    asked = [path.stem for path in (tmp_path / "out").glob("*.safetensors")]
    for name in asked:
        assert len(report.sections["The models"].cells(name)) == 9
    assert not set(ARCHITECTURES) - set(asked) & {one.text for one in report.all("code")}
    assert "nan" not in report.text


def test_a_report_that_cannot_be_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    data, out = write(tmp_path, TEN), str(tmp_path / "out")
    assert main(["--data", data, "--out", out, "--models", "bigram", "--evaluate"]) == 2
    assert capsys.readouterr().err.endswith(f"error: {out}/report.html: Is a directory\n")


def test_matplotlib_is_not_loaded_without_evaluation(tmp_path: Path) -> None:
    program = (
        "import sys; from training.__main__ import main\n"
        f"given = ['--data', {write(tmp_path, TEN)!r}, '--models', 'bigram']\n"
        f"main([*given, '--out', {str(tmp_path)!r}])\n"
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# Progress on a terminal


def test_progress_needs_no_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)  # as Python has it where it is closed
    with progress("fitting") as watch:
        watch(2.5)
        time.sleep(1.1)  # from then on the bar is shown, if there is where
        watch(2.4)


def test_a_terminal_shows_progress_with_the_loss_after_a_second(tmp_path: Path) -> None:
    screen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 100))
    command = [sys.executable, "-m", "training", "--models", "fivegram", "--out", str(tmp_path)]
    bar, shown = rb"\rfivegram.*: *\d+ steps \[00:0[1-9].*, loss=\d\.\d{4}\]", b""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=terminal) as job:
        os.close(terminal)
        with contextlib.suppress(OSError):  # the terminal is gone once the job has ended
            while not re.search(bar, shown):
                shown += os.read(screen, 1024)
        job.kill()
    os.close(screen)
    assert re.search(bar, shown), shown


PHASES = """
import sys
from training.progress import progress

with progress("reading the list"):
    sys.stdin.readline()
with progress("percentiles", "lengths") as phase:
    phase(), phase()
    sys.stdin.readline()
print("done", file=sys.stderr)
"""


def test_a_terminal_shows_phases_with_and_without_steps_and_then_clears_them() -> None:
    screen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 100))
    command, shown = [sys.executable, "-c", PHASES], b""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=terminal) as job:
        os.close(terminal)
        assert job.stdin is not None
        for shape in (rb"\rreading the list \[00:0\d\]", rb"percentiles: 2 lengths \[00:0\d,"):
            while not re.search(shape, shown):
                shown += os.read(screen, 1024)
            job.stdin.write(b"\n")
            job.stdin.flush()
        with contextlib.suppress(OSError):  # the terminal is gone once the job has ended
            while True:
                shown += os.read(screen, 1024)
    os.close(screen)
    assert re.search(rb"\r +\rdone\r\n$", shown), shown
    assert b" 0 steps" not in shown


# Progress elsewhere


def test_elsewhere_a_phase_prints_a_line_from_time_to_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("training.progress.INTERVAL", 0.01)
    monkeypatch.setattr("sys.stderr", told := io.StringIO())

    def expect(line: str) -> None:
        while not told.getvalue().endswith(f"{line}\n"):
            time.sleep(0.01)

    with progress("fivegram: choosing the penalty") as phase:
        expect("fivegram: choosing the penalty")
        for _ in range(1_200):
            phase(2.01)
        expect("fivegram: choosing the penalty, 1,200 steps, loss 2.0100")
    with progress("fivegram, percentiles", "lengths") as phase:
        phase()
        expect("fivegram, percentiles, 1 lengths")
    before = told.getvalue()
    time.sleep(0.1)
    assert told.getvalue() == before


def test_elsewhere_a_short_phase_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.progress.INTERVAL", 3_600)
    monkeypatch.setattr("sys.stderr", told := io.StringIO())
    with progress("fitting") as phase:
        phase(2.5)
    assert told.getvalue() == ""
