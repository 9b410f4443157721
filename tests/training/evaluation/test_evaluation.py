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
from training.evaluation.held_out import evaluate, measure, split
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
    """Output and files of a run with --evaluate."""

    out: str
    err: str
    folder: Path

    @cached_property
    def report(self) -> Hypertext:
        return report_in(self.folder)


@pytest.fixture(scope="session")
def run(evaluated_run: Path) -> Run:
    """A run of all models on the embedded list, in a process without a home or a terminal."""
    out, err = ((evaluated_run / name).read_text(encoding="utf-8") for name in ("out", "err"))
    return Run(out, err, evaluated_run / "checkpoints")


@pytest.fixture(scope="session")
def embedded() -> list[str]:
    return read_names(str(EMBEDDED_LIST)).names


def write(folder: Path, names: list[str], file_name: str = "list.txt") -> str:
    (folder / file_name).write_text("\n".join(names), encoding="utf-8")
    return str(folder / file_name)


def evaluated(
    folder: Path, names: list[str], *arguments: str, file_name: str = "list.txt"
) -> Hypertext:
    """Run the job in this process and return its report."""
    out = folder / "out"
    data = write(folder, names, file_name)
    assert main(["--data", data, "--out", str(out), "--evaluate", *arguments]) == 0
    return report_in(out)


def report_in(folder: Path) -> Hypertext:
    return Hypertext((folder / "report.html").read_text(encoding="utf-8"))


def meta_content(report: Hypertext, name: str) -> str:
    """The content of a meta element of the report."""
    (element,) = (each for each in report.all("meta") if each.attributes.get("name") == name)
    return element.attributes["content"]


def checkpoint(folder: Path, name: str) -> Checkpoint:
    return load((folder / f"{name}.safetensors").read_bytes())


def layer(run: Run, name: str) -> Layer:
    """An independent implementation of a model of order 1."""
    model = checkpoint(run.folder, name).model
    return Layer(name, model.vocabulary.characters, model.feature_map.positions, model.weights)


# The split


def test_the_first_tenth_of_the_shuffled_distinct_names_is_held_out(embedded: list[str]) -> None:
    parts = split(read_names(str(EMBEDDED_LIST)))
    order = sorted(set(embedded))
    random.Random(0).shuffle(order)
    assert parts.held_out == order[: len(order) // 10]
    assert sorted(set(parts.fitted)) == sorted(order[len(order) // 10 :])


def test_all_copies_of_a_name_are_on_the_same_side(tmp_path: Path) -> None:
    names = TEN * 2 + TEN[:5] * 3
    parts = split(read_names(write(tmp_path, names)))
    assert len(parts.held_out) == 1
    assert parts.fitted == [name for name in names if name not in parts.held_out]


@pytest.mark.parametrize("times", [1, 5])
def test_repeating_a_whole_list_does_not_change_its_evaluation(
    embedded: list[str], tmp_path: Path, times: int
) -> None:
    names = sorted(set(embedded))[::20]
    parts = split(read_names(write(tmp_path, names * times)))
    assert len(parts.fitted) == times * (len(names) - len(names) // 10)
    evaluation = evaluate("fivegram", parts, Vocabulary.of(names), positions=23)
    once = split(read_names(write(tmp_path, names)))
    assert evaluation.nll == pytest.approx(
        evaluate("fivegram", once, Vocabulary.of(names), positions=23).nll, abs=1e-3
    )


def test_fewer_than_ten_distinct_names_are_rejected_before_training(
    tmp_path: Path,
) -> None:
    data = write(tmp_path, TEN[:9] * 2)
    program = (
        "import sys; from training.__main__ import main\n"
        f"status = main(['--data', {data!r}, '--out', {str(tmp_path / 'out')!r}, '--evaluate'])\n"
        "sys.exit(status if 'torch' not in sys.modules else 'torch was imported')"
    )
    command = [sys.executable, "-c", program]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr == (
        "error: list.txt: --evaluate needs at least 10 distinct names, but the list has 9;"
        " add names, or remove --evaluate\n"
    )
    assert not (tmp_path / "out").exists()


# The held-out NLL


def test_the_held_out_nll_agrees_with_an_independent_implementation(run: Run) -> None:
    model = checkpoint(run.folder, "positional").model
    names = ["mia", "xzq", "bartholomew", "jo"]
    evaluation = measure(compile_chain(model), model.vocabulary, names)
    likelihoods = [np.log(layer(run, "positional").probability(name)) for name in names]
    transitions = sum(len(name) + 1 for name in names)
    assert evaluation.nll == pytest.approx(-sum(likelihoods) / transitions, abs=1e-9)


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_the_nll_of_all_positions_agrees_with_the_log_likelihoods(name: str, run: Run) -> None:
    model = checkpoint(run.folder, name).model
    names = split(read_names(str(EMBEDDED_LIST))).held_out
    evaluation = measure(compile_chain(model), model.vocabulary, names)
    total = -log_likelihoods(compile_chain(model), names).sum()
    assert evaluation.nll == pytest.approx(total / sum(len(name) + 1 for name in names), abs=1e-9)
    assert evaluation.nll_by_position @ evaluation.transitions_by_position == pytest.approx(
        total, abs=1e-6
    )


def test_the_nll_at_a_position_is_that_of_its_transitions(run: Run) -> None:
    model = checkpoint(run.folder, "bigram").model
    evaluation = measure(compile_chain(model), model.vocabulary, ["ab", "c"])
    a, b, c = (model.vocabulary.characters.index(letter) + 1 for letter in "abc")
    logs = torch.log_softmax(torch.from_numpy(model.weights).double(), dim=1).numpy()
    expected = [-(logs[0, a] + logs[0, c]) / 2, -(logs[a, b] + logs[c, 0]) / 2, -logs[b, 0]]
    assert evaluation.nll_by_position == pytest.approx(np.array(expected), abs=1e-12)
    assert evaluation.transitions_by_position.tolist() == [2, 2, 1]


def test_models_are_not_fitted_to_held_out_names(tmp_path: Path) -> None:
    names = all_names("abc", 4)
    parts = split(read_names(write(tmp_path, names)))
    evaluation = evaluate("fivegram", parts, Vocabulary("abc"), positions=23)
    data = write(tmp_path, parts.fitted)
    assert main(["--data", data, "--out", str(tmp_path), "--models", "fivegram"]) == 0
    fitted_to_the_rest = checkpoint(tmp_path, "fivegram").model
    again = measure(compile_chain(fitted_to_the_rest), Vocabulary("abc"), parts.held_out)
    assert evaluation.nll == pytest.approx(again.nll, abs=1e-9)


def test_evaluating_does_not_change_the_weights(tmp_path: Path) -> None:
    evaluated(tmp_path, TEN)
    main(["--data", str(tmp_path / "list.txt"), "--out", str(tmp_path / "plain")])
    for name in ARCHITECTURES:
        weights = checkpoint(tmp_path / "out", name).model.weights
        assert weights.tobytes() == checkpoint(tmp_path / "plain", name).model.weights.tobytes()
    assert not list((tmp_path / "plain").glob("report*"))


def held_out_of_the_posts_list(path: Path, *models: str) -> dict[str, float]:
    """The held-out NLL of architectures on the list of makemore."""
    names = read_names(str(path))
    parts, vocabulary = split(names), Vocabulary.of(names.names)
    assert (len(parts.held_out), len(set(parts.fitted))) == (2_949, 26_545)
    parts = replace(parts, fitted=sorted(set(parts.fitted)))
    return {name: evaluate(name, parts, vocabulary, 23).nll for name in models}


@pytest.mark.slow
def test_fivegram_predicts_better_than_kneser_ney_and_the_transformer(
    names_txt: Path,
) -> None:
    # KenLM's 6-gram reaches 1.983 on the same split, makemore's transformer 1.998.
    assert held_out_of_the_posts_list(names_txt, "fivegram")["fivegram"] <= 1.934


def test_the_models_of_the_post_have_their_documented_held_out_nll(
    names_txt: Path,
) -> None:
    nlls = held_out_of_the_posts_list(names_txt, "bigram", "positional", "sinusoidal")
    assert nlls["bigram"] == pytest.approx(2.463, abs=1e-3)
    assert nlls["positional"] == pytest.approx(2.3035, abs=5e-4)
    assert nlls["sinusoidal"] <= 2.31


def test_a_table_of_counts_cannot_be_evaluated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--counts", "table.parquet", "--evaluate"])
    assert ended.value.code == 2
    assert "--evaluate holds out names, but a table of counts has none" in capsys.readouterr().err


# The table and the report


def test_the_table_has_a_column_for_the_held_out_nll(run: Run) -> None:
    lines = run.out.splitlines()
    assert lines[1].split() == [
        "model", "parameters", "loss", "NLL", "held-out", "seconds", "checkpoint",
    ]  # fmt: skip
    held_out = {line.split()[0]: float(line.split()[4]) for line in lines[4:8]}
    assert held_out.keys() == ARCHITECTURES.keys()
    assert held_out["fivegram"] < held_out["positional"] < held_out["bigram"] < np.log(27)
    assert [line.split()[0] for line in lines[2:4]] == ["start", "list"]
    assert [line.split()[::2] for line in lines[8:]] == [
        ["report", f"{run.folder}/report.html"], ["total"],
    ]  # fmt: skip


def test_standard_error_has_only_progress_without_a_terminal_or_a_home(run: Run) -> None:
    phases = "|".join([*ARCHITECTURES, "reading the list", "loading PyTorch", "report"])
    line = rf"({phases})(, [a-z ]+)?(, [\d,]+ (steps|lengths)(, loss \d\.\d{{4}})?)?"
    for printed in run.err.splitlines():
        assert re.fullmatch(line, printed), printed


def test_the_output_folder_has_only_checkpoints_and_the_report(run: Run) -> None:
    names = {path.name for path in run.folder.iterdir()}
    assert names == {"report.html", *(f"{name}.safetensors" for name in ARCHITECTURES)}


def test_the_report_is_self_contained_and_has_no_scripts(run: Run) -> None:
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


def test_the_report_is_small(run: Run) -> None:
    assert (run.folder / "report.html").stat().st_size < 400_000
    assert all(len(image.attributes["src"]) < 100_000 for image in run.report.all("img"))


def test_the_report_is_accessible_and_fits_a_phone(run: Run) -> None:
    (html,) = run.report.all("html")
    assert html.attributes["lang"] == "en"
    assert meta_content(run.report, "viewport") == "width=device-width, initial-scale=1"
    assert len(run.report.all("h1")) == 1
    for image in run.report.all("img"):
        assert len(image.attributes["alt"]) > 30
    for cell in run.report.all("th"):
        assert cell.text
        assert cell.attributes["scope"] in ("col", "row")
    labels = [region.attributes["aria-label"] for region in run.report.all("div")]
    assert len(labels) == len(set(labels)) == len(run.report.all("table"))
    assert all(region.attributes["tabindex"] == "0" for region in run.report.all("div"))


def test_the_report_names_its_checkpoints(run: Run) -> None:
    versions = meta_content(run.report, "moniker-checkpoints").split()
    assert versions == [checkpoint(run.folder, name).digest[:12] for name in ARCHITECTURES]


def test_equal_figures_give_equal_plots(tmp_path: Path) -> None:
    sources = []
    for folder in (tmp_path / "one", tmp_path / "other"):
        folder.mkdir()
        report = evaluated(folder, TEN, "--models", "bigram")
        sources.append([image.attributes["src"] for image in report.all("img")])
    assert sources[0] == sources[1]
    assert len(set(sources[0])) == 4


def test_the_report_escapes_the_name_of_the_list_and_the_names_in_it(tmp_path: Path) -> None:
    file_name = "<img src=x onerror=alert(1)>&amp;\u202e\"'`*_.txt"
    report = evaluated(tmp_path, HOSTILE, "--models", "fivegram", file_name=file_name)
    shown = f"Models of {file_name}".replace("\u202e", "\N{REPLACEMENT CHARACTER}")
    assert [each.text for each in (*report.all("title"), *report.all("h1"))] == [shown, shown]
    assert {element.tag for element in report.elements} == TAGS
    model = checkpoint(tmp_path / "out", "fivegram").model
    sampler = Sampler(condition(compile_chain(model), Constraints(max_length=32)))
    samples = sampler.draw(10_000, np.random.default_rng(0))[:6]
    assert any(re.search("[<&]", name) for name in samples)
    examples = report.sections["Sampled names"].cells("fivegram")[1]
    assert examples == re.sub("[\u202e\u2067]", "\N{REPLACEMENT CHARACTER}", ", ".join(samples))


def test_the_report_has_the_figures_of_the_list(run: Run, embedded: list[str]) -> None:
    source = checkpoint(run.folder, "bigram").provenance.source
    section = run.report.sections["The list"]
    assert section.cells("name")[1] == "us_names_2017.txt"
    assert section.cells("names")[1] == f"{len(embedded):,}"
    assert section.cells("distinct names")[1] == f"{len(set(embedded)):,}"
    assert section.cells("transitions")[1] == f"{source.transitions:,}"
    assert section.cells("SHA-256")[1] == source.sha256


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_the_report_has_the_figures_of_each_model(name: str, run: Run) -> None:
    model, provenance = checkpoint(run.folder, name).model, checkpoint(run.folder, name).provenance
    row = run.report.sections["The models"].cells(name)
    (printed,) = (line.split() for line in run.out.splitlines() if line.startswith(f"{name} "))
    assert row[2:4] == [provenance.recipe, f"{provenance.penalty:g}"]
    assert row[4:7] == [
        f"{model.weights.size:,}",
        f"{provenance.loss:.4f}",
        f"{provenance.nll:.4f}",
    ]
    assert float(row[7]) == pytest.approx(float(printed[4]), abs=5.1e-5)


def test_the_report_has_the_held_out_nll_of_each_position(run: Run, embedded: list[str]) -> None:
    section = run.report.sections["Held-out names"]
    parts = split(read_names(str(EMBEDDED_LIST)))
    for column, name in enumerate(["bigram", "positional", "sinusoidal"], start=2):
        evaluation = evaluate(name, parts, Vocabulary.of(embedded), positions=23)
        for position, nll in enumerate(evaluation.nll_by_position):
            row = section.cells(str(position))
            assert row[1] == f"{evaluation.transitions_by_position[position]:,}"
            assert float(row[column]) == pytest.approx(nll, abs=5.1e-4)
        assert float(section.cells("all")[column]) == pytest.approx(evaluation.nll, abs=5.1e-4)


def test_the_report_names_the_positions_without_training_data(
    run: Run, embedded: list[str]
) -> None:
    longest = max(map(len, embedded))
    section = run.report.sections["Positions without training data"]
    assert f"The longest name of the list has {longest} characters" in section.text
    assert f"no examples at positions {longest + 1} to 22." in section.text
    assert section.cells(str(longest))[1] == "1.000"
    assert section.cells(str(longest + 1))[1] == "not in the list"


def test_positions_without_training_data_have_the_row_of_the_last_position_with_data(
    run: Run, embedded: list[str]
) -> None:
    assert "uses the one-hot row of the last position in the training data" in run.report.text
    weights = checkpoint(run.folder, "positional").model.weights
    positions = weights[27:]
    longest = max(map(len, embedded))
    assert len(positions[longest + 1 :])
    assert (positions[longest + 1 :] == positions[longest]).all()
    assert (positions[longest] != positions[longest - 1]).all()
    start = torch.randn(weights.shape, generator=torch.Generator().manual_seed(POST.seed)).numpy()
    assert (np.abs(positions[longest] - start[27 + longest]) > 1e-3).any()  # the row was fitted


def test_the_report_has_the_distance_between_the_lengths_of_model_and_list(
    run: Run, embedded: list[str]
) -> None:
    section = run.report.sections["Lengths of names"]
    lengths = np.bincount([len(name) for name in embedded], minlength=33) / len(embedded)
    assert float(section.cells("list")[1]) == pytest.approx(lengths @ np.arange(33), abs=0.0051)
    positional = layer(run, "positional")
    distribution, prefixes = np.zeros(33), np.eye(27)[0]
    for length in range(33):
        transition = positional.matrix(length)
        distribution[length] = prefixes @ transition[:, 0] if length else 0.0
        prefixes = prefixes @ transition * (np.arange(27) > 0)
    distribution /= distribution.sum()
    mean, distance = section.cells("positional")[1:]
    assert float(mean) == pytest.approx(distribution @ np.arange(33), abs=0.0051)
    assert float(distance) == pytest.approx(np.abs(distribution - lengths).sum() / 2, abs=5.1e-4)


def test_the_report_has_the_probability_of_the_end_at_each_position(
    run: Run, embedded: list[str]
) -> None:
    section = run.report.sections["Positions without training data"]
    positional, letters = layer(run, "positional"), "".join(embedded)
    weights = [letters.count(letter) for letter in positional.characters]
    for position in range(1, 23):
        ends = positional.matrix(position)[1:, 0]
        expected = np.average(ends, weights=weights)
        assert float(section.cells(str(position))[3]) == pytest.approx(expected, abs=5.1e-4)


def test_the_share_of_samples_that_are_in_the_list_is_near_its_probability(
    run: Run, embedded: list[str]
) -> None:
    section = run.report.sections["Sampled names"]
    for name in ARCHITECTURES:
        model = checkpoint(run.folder, name).model
        likelihoods = log_likelihoods(compile_chain(model), sorted(set(embedded)))
        probability = np.exp(likelihoods).sum()
        known = float(section.cells(name)[2].rstrip("%")) / 100
        # Five standard deviations of 10,000 draws, and the rounding of the table.
        assert known == pytest.approx(probability, abs=5 * (0.25 / 10_000) ** 0.5 + 5e-4)


def test_the_report_says_if_all_positions_have_training_data(tmp_path: Path) -> None:
    report = evaluated(tmp_path, TEN, "--positions", "4", "--models", "positional")
    assert "The training data has names at all these positions." in report.text
    assert "not in the list" not in report.text


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
def test_all_kinds_of_lists_and_models_have_a_report(
    tmp_path: Path, names: list[str], arguments: list[str]
) -> None:
    report = evaluated(tmp_path, names, *arguments)
    trained = [path.stem for path in (tmp_path / "out").glob("*.safetensors")]
    for name in trained:
        assert len(report.sections["The models"].cells(name)) == 9
    assert not set(ARCHITECTURES) - set(trained) & {each.text for each in report.all("code")}
    assert "nan" not in report.text


def test_the_error_names_a_report_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    data, out = write(tmp_path, TEN), str(tmp_path / "out")
    assert main(["--data", data, "--out", out, "--models", "bigram", "--evaluate"]) == 2
    assert capsys.readouterr().err.endswith(f"error: {out}/report.html: Is a directory\n")


def test_matplotlib_is_not_imported_without_evaluation(tmp_path: Path) -> None:
    program = (
        "import sys; from training.__main__ import main\n"
        f"arguments = ['--data', {write(tmp_path, TEN)!r}, '--models', 'bigram']\n"
        f"main([*arguments, '--out', {str(tmp_path)!r}])\n"
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# Progress on a terminal


def test_progress_works_without_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)  # the value if standard error is closed
    with progress("fitting") as phase:
        phase(2.5)
        time.sleep(1.1)  # longer than the delay of the bar
        phase(2.4)


def test_a_terminal_shows_a_bar_with_the_loss_after_a_second(tmp_path: Path) -> None:
    screen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 100))
    command = [sys.executable, "-m", "training", "--models", "fivegram", "--out", str(tmp_path)]
    bar, shown = rb"\rfivegram.*: *\d+ steps \[00:0[1-9].*, loss=\d\.\d{4}\]", b""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=terminal) as job:
        os.close(terminal)
        with contextlib.suppress(OSError):  # the terminal closes when the job ends
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


def test_a_terminal_shows_the_bar_of_each_phase_and_clears_it() -> None:
    screen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 100))
    command, shown = [sys.executable, "-c", PHASES], b""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=terminal) as job:
        os.close(terminal)
        assert job.stdin is not None
        for pattern in (rb"\rreading the list \[00:0\d\]", rb"percentiles: 2 lengths \[00:0\d,"):
            while not re.search(pattern, shown):
                shown += os.read(screen, 1024)
            job.stdin.write(b"\n")
            job.stdin.flush()
        with contextlib.suppress(OSError):  # the terminal closes when the job ends
            while True:
                shown += os.read(screen, 1024)
    os.close(screen)
    assert re.search(rb"\r +\rdone\r\n$", shown), shown
    assert b" 0 steps" not in shown


# Progress on other streams


def test_a_stream_that_is_not_a_terminal_gets_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("training.progress.LINE_INTERVAL", 0.01)
    monkeypatch.setattr("sys.stderr", stream := io.StringIO())

    def expect(line: str) -> None:
        while not stream.getvalue().endswith(f"{line}\n"):
            time.sleep(0.01)

    with progress("fivegram: choosing the penalty") as phase:
        expect("fivegram: choosing the penalty")
        for _ in range(1_200):
            phase(2.01)
        expect("fivegram: choosing the penalty, 1,200 steps, loss 2.0100")
    with progress("fivegram, percentiles", "lengths") as phase:
        phase()
        expect("fivegram, percentiles, 1 lengths")
    before = stream.getvalue()
    time.sleep(0.1)
    assert stream.getvalue() == before


def test_a_short_phase_prints_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.progress.LINE_INTERVAL", 3_600)
    monkeypatch.setattr("sys.stderr", stream := io.StringIO())
    with progress("fitting") as phase:
        phase(2.5)
    assert stream.getvalue() == ""
