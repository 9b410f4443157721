import gzip
import hashlib
import os
import random
import resource
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from models.chain.conditioning import condition
from models.chain.markov_chain import compile_chain
from models.checkpoint import Checkpoint, load
from models.constraints.constraints import Constraints
from models.linear.features import ARCHITECTURES, MAX_TOKENS
from models.queries.sampling import Sampler
from models.scoring.likelihoods import log_likelihoods
from models.text.lexicon import Lexicon
from models.text.vocabulary import Vocabulary
from training.__main__ import main
from training.atomic_files import write_atomically
from training.cli import EMBEDDED_LIST

pytestmark = pytest.mark.usefixtures("coarse_percentiles", "no_progress")

NAMES = b"emma\nolivia\nava\nemma\n"
FEW_NAMES = ("warning: list.txt: trained on 3 distinct names: "
       "with fewer than 20 a model mostly repeats them")  # fmt: skip


@pytest.fixture
def no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print no progress on slow machines."""
    monkeypatch.setattr("training.progress.LINE_INTERVAL", 3_600)


def train(folder: Path, *arguments: str) -> int:
    return main(["--out", str(folder / "out"), *arguments])


def checkpoint(folder: Path, name: str = "positional") -> Checkpoint:
    return load((folder / "out" / f"{name}.safetensors").read_bytes())


def output(folder: Path) -> dict[str, bytes]:
    """Content of all files in the output folder, including hidden ones."""
    return {path.name: path.read_bytes() for path in (folder / "out").iterdir()}


def write(folder: Path, content: bytes, name: str = "list.txt") -> str:
    (folder / name).write_bytes(content)
    return str(folder / name)


def run(*arguments: str, max_bytes: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the job in a process of its own that writes at most `max_bytes` to a file."""

    def limit() -> None:
        if max_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, max_bytes))

    return subprocess.run(
        [sys.executable, "-m", "training", *arguments],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
    )


def test_the_source_has_no_counts_of_lengths_over_256(tmp_path: Path) -> None:
    data = write(tmp_path, b"a" * 300 + b"\n" + b"b" * 256 + b"\nab\n")
    assert train(tmp_path, "--data", data, "--models", "positional") == 0
    assert checkpoint(tmp_path).provenance.source.lengths == [0, 1, *[0] * 253, 1]


def test_the_job_writes_a_checkpoint_for_each_model(tmp_path: Path) -> None:
    data = write(tmp_path, NAMES)
    assert train(tmp_path, "--data", data) == 0
    assert output(tmp_path).keys() == {f"{name}.safetensors" for name in ARCHITECTURES}
    model, provenance = checkpoint(tmp_path).model, checkpoint(tmp_path).provenance
    assert model.feature_map.architecture == "positional"
    assert model.vocabulary.characters == "aeilmov"
    assert model.feature_map.positions == 23
    assert provenance.recipe == "post"
    assert (provenance.source.name, provenance.source.names) == ("list.txt", 4)
    assert provenance.source.transitions == 5 + 7 + 4 + 5
    assert provenance.source.lengths == [0, 0, 1, 2, 0, 1]
    assert provenance.source.sha256 == hashlib.sha256(NAMES).hexdigest()
    assert provenance.trained_with.keys() == {"moniker", "python", "numpy", "torch"}


def test_the_job_prints_a_line_about_the_list_and_a_row_for_each_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path, "--models", "bigram")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "us_names_2017.txt: 32,469 names, 231,718 transitions, 27 tokens"
    assert lines[1].split() == ["model", "parameters", "loss", "NLL", "seconds", "checkpoint"]
    provenance = checkpoint(tmp_path, "bigram").provenance
    assert lines[4].split()[:4] == [
        "bigram",
        "729",
        f"{provenance.loss:.7f}",
        f"{provenance.nll:.7f}",
    ]
    assert [line.split()[0] for line in lines[2:]] == ["start", "list", "bigram", "total"]


@pytest.mark.parametrize("evaluated", [[], ["--evaluate"]])
def test_the_seconds_in_the_table_add_up_to_the_total(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], evaluated: list[str]
) -> None:
    data = write(tmp_path, "".join(f"{chr(97 + n)}{n % 7}\n" for n in range(25)).encode())
    job = ["--out", str(tmp_path), "--data", data, "--models", "bigram,positional", *evaluated]
    started = perf_counter() - 1_000  # the job began 1,000 seconds ago
    assert main(job, started) == 0
    elapsed = perf_counter() - started
    _, header, *lines = capsys.readouterr().out.splitlines()
    end = header.index("seconds") + len("seconds")
    seconds = {line.split()[0]: float(line[:end].split()[-1]) for line in lines}
    report = ["report"] * len(evaluated)
    assert [*seconds] == ["start", "list", "bigram", "positional", *report, "total"]
    assert 1_000 <= seconds["start"] < seconds["total"] <= elapsed + 0.001
    total = seconds.pop("total")
    assert sum(seconds.values()) == pytest.approx(total, abs=0.001 * len(seconds))


def test_the_provenance_has_the_nll_of_the_list_and_the_time_of_training(tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    train(tmp_path, "--data", write(tmp_path, NAMES))
    model, provenance = checkpoint(tmp_path).model, checkpoint(tmp_path).provenance
    total = log_likelihoods(compile_chain(model), NAMES.decode().split()).sum()
    assert provenance.nll == pytest.approx(-total / provenance.source.transitions)
    assert before <= datetime.fromisoformat(provenance.trained_at) <= datetime.now(UTC)


def test_every_checkpoint_has_the_distinct_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lexicons, of_lines = [], Lexicon.of_lines

    def recorded(vocabulary: Vocabulary, text: str) -> Lexicon:
        lexicons.append(of_lines(vocabulary, text))
        return lexicons[-1]

    monkeypatch.setattr(Lexicon, "of_lines", recorded)
    train(tmp_path, "--data", write(tmp_path, b" Emma\nOLIVIA\nava\nemma\n"))
    for name in ARCHITECTURES:
        lexicon = checkpoint(tmp_path, name).lexicon
        vocabulary = checkpoint(tmp_path, name).model.vocabulary
        assert np.array_equal(lexicon.stream, vocabulary.encode(["ava", "emma", "olivia"]))
    assert len(lexicons) == 1  # one for all models


def test_a_list_with_too_many_names_for_the_lexicon_is_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.text.lexicon.MAX_LEXICON_CHARACTERS", 15)
    assert train(tmp_path, "--data", write(tmp_path, NAMES), "--models", "bigram") == 0
    assert not checkpoint(tmp_path, "bigram").lexicon.known


def test_only_the_models_in_the_option_are_trained(tmp_path: Path) -> None:
    assert train(tmp_path, "--data", write(tmp_path, NAMES), "--models", "bigram") == 0
    assert output(tmp_path).keys() == {"bigram.safetensors"}


def test_the_number_of_positions_is_an_option(tmp_path: Path) -> None:
    assert (
        train(
            tmp_path, "--data", write(tmp_path, NAMES), "--positions", "4", "--models", "positional"
        )
        == 0
    )
    assert checkpoint(tmp_path).model.weights.shape == (8 + 4, 8)


def test_the_same_list_gives_the_same_weights(tmp_path: Path) -> None:
    data = write(tmp_path, NAMES)
    weights = []
    for _ in range(2):
        train(tmp_path, "--data", data, "--models", "positional")
        weights.append(checkpoint(tmp_path).model.weights.tobytes())
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + NAMES,
        NAMES.replace(b"\n", b"\r\n"),
        b"\n\n" + NAMES + b"   \n",
        NAMES.rstrip(),
        NAMES.upper(),
    ],
    ids=["byte order mark", "carriage returns", "empty lines", "no last newline", "upper case"],
)
def test_lists_that_differ_only_in_form_give_the_same_weights(
    tmp_path: Path, content: bytes
) -> None:
    train(tmp_path, "--data", write(tmp_path, NAMES), "--models", "positional")
    expected = checkpoint(tmp_path).model
    assert train(tmp_path, "--data", write(tmp_path, content), "--models", "positional") == 0
    assert checkpoint(tmp_path).model.vocabulary == expected.vocabulary
    assert checkpoint(tmp_path).model.weights.tobytes() == expected.weights.tobytes()


def test_keep_case_preserves_capitals(tmp_path: Path) -> None:
    assert (
        train(
            tmp_path,
            "--data",
            write(tmp_path, b"McKay\nO'Neil\n"),
            "--keep-case",
            "--models",
            "positional",
        )
        == 0
    )
    assert checkpoint(tmp_path).model.vocabulary.characters == "'KMNOaceily"
    assert checkpoint(tmp_path).model.vocabulary.keep_case


def test_turkish_lower_case_is_an_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = write(tmp_path, "ISIL\n\u0130PEK\n".encode())
    table = str(tmp_path / "counts")
    assert train(tmp_path, "--data", names, "--turkish", "--models", "bigram") == 0
    assert "use --turkish" not in capsys.readouterr().err
    vocabulary = checkpoint(tmp_path, "bigram").model.vocabulary
    assert vocabulary.characters == "eiklps\u0131"
    assert vocabulary.turkish
    options = ("--turkish", "--models", "bigram")
    assert train(tmp_path, "--data", names, "--write-counts", table, *options) == 0
    assert train(tmp_path, "--counts", table, *options) == 0
    assert checkpoint(tmp_path, "bigram").model.vocabulary == vocabulary
    with pytest.raises(SystemExit):
        train(tmp_path, "--data", names, "--turkish", "--keep-case")
    assert "not allowed with argument" in capsys.readouterr().err


def test_a_turkish_list_without_the_option_has_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = write(tmp_path, "ISIL\n\u0130PEK\n".encode())
    assert train(tmp_path, "--data", names, "--models", "bigram") == 0
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(
        "warning: list.txt: I was read as i; if the names are Turkish, use --turk"
    )


def test_a_list_can_use_any_alphabet(tmp_path: Path) -> None:
    text = "Zoe\N{COMBINING DIAERESIS}\nЖанна\n小明\nJean-Luc d'Arc Jr.\n"
    assert train(tmp_path, "--data", write(tmp_path, text.encode()), "--models", "positional") == 0
    assert set("ёëжан小明 '-.") - set(checkpoint(tmp_path).model.vocabulary.characters) == {"ё"}


@pytest.mark.parametrize(
    "sizes", [(10, 60), pytest.param((40, 400), marks=pytest.mark.slow)], ids=str
)
def test_models_of_many_characters_are_trained_sampled_and_scored(
    tmp_path: Path, sizes: tuple[int, int]
) -> None:
    generator = np.random.default_rng(4)
    family, given = (generator.choice(range(0x4E00, 0x9FA5), size=n) for n in sizes)
    names = [
        chr(generator.choice(family)) + "".join(map(chr, generator.choice(given, size=n)))
        for n in generator.integers(1, 3, size=600)
    ]
    data = write(tmp_path, "\n".join(names).encode())
    assert (
        train(tmp_path, "--data", data, "--models", "positional,fivegram", "--positions", "4") == 0
    )
    for name in ("positional", "fivegram"):
        model, lexicon = checkpoint(tmp_path, name).model, checkpoint(tmp_path, name).lexicon
        assert np.array_equal(lexicon.stream, model.vocabulary.encode(sorted(set(names))))
        chain = compile_chain(model)
        sampler = Sampler(condition(chain, Constraints(max_length=8)))
        drawn = sampler.draw(500, np.random.default_rng(1))
        assert set("".join(drawn)) <= set("".join(names))
        assert np.isfinite(log_likelihoods(chain, drawn)).all()
    families = sum(ord(name[0]) in family for name in drawn)
    assert families > 350  # of 500; a uniform guess has 50


def test_the_loss_is_the_nll_plus_a_penalty(tmp_path: Path) -> None:
    data = write(tmp_path, b"emma\nolivia\nava\nisabella\nsophia\n" * 20)
    for recipe in ("post", "converged"):
        assert train(tmp_path, "--data", data, "--recipe", recipe) == 0
        for name in ARCHITECTURES:
            if recipe == "converged" or name != "fivegram":
                provenance = checkpoint(tmp_path, name).provenance
                assert provenance.recipe == recipe
                assert 0 < provenance.loss - provenance.nll < 0.5


def test_a_model_worse_than_a_uniform_guess_has_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Random strings over a large alphabet need more than the 200 steps of the recipe.
    draw, letters = random.Random(0), [chr(0x4E00 + number) for number in range(200)]
    names = "\n".join("".join(draw.choices(letters, k=30)) for _ in range(1000))
    data = write(tmp_path, names.encode())
    assert train(tmp_path, "--data", data, "--models", "bigram", "--recipe", "post") == 0
    assert capsys.readouterr().err == (
        "warning: bigram predicts worse than a uniform guess; use --recipe converged\n"
    )


def test_a_list_of_fewer_than_twenty_names_has_one_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, "--data", write(tmp_path, NAMES), "--models", "bigram,positional") == 0
    assert capsys.readouterr().err.splitlines() == [FEW_NAMES]


def test_a_table_of_fewer_than_twenty_names_has_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, names = (
        str(tmp_path / "t.parquet"),
        "".join(f"{letter}\n" for letter in "abcdefghij" * 2),
    )
    few = (
        "warning: t.parquet: trained on 19 names: with fewer than 20 a model mostly repeats them\n"
    )
    for content, expected in ((names, ""), (names[2:], few)):
        data = write(tmp_path, content.encode())
        train(tmp_path, "--data", data, "--models", "bigram", "--write-counts", table)
        capsys.readouterr()
        assert train(tmp_path, "--counts", table, "--models", "bigram") == 0
        assert capsys.readouterr().err == expected


def test_too_many_distinct_characters_are_rejected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = "".join(map(chr, range(0x4E00, 0x4E00 + MAX_TOKENS)))
    data = write(tmp_path, many.encode())
    assert train(tmp_path, "--data", data) == 2
    message = (
        "list.txt: 8,192 distinct characters, but a model has at most 8,191;"
        " remove names with rare characters"
    )
    assert capsys.readouterr().err == f"error: {message}\n"
    assert not (tmp_path / "out").exists()


def test_a_list_whose_file_name_is_not_utf8_is_read(tmp_path: Path) -> None:
    data = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")
    Path(data).write_bytes(NAMES)
    assert train(tmp_path, "--data", data, "--models", "positional") == 0
    assert checkpoint(tmp_path).provenance.source.name == "\N{REPLACEMENT CHARACTER}.txt"


def test_a_gzip_file_is_read(tmp_path: Path) -> None:
    data = write(tmp_path, gzip.compress(NAMES, mtime=0), "list.txt.gz")
    assert train(tmp_path, "--data", data, "--models", "positional") == 0
    assert checkpoint(tmp_path).provenance.source.sha256 == hashlib.sha256(NAMES).hexdigest()


def test_a_list_is_read_from_standard_input(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "training",
        "--data",
        "-",
        "--models",
        "positional",
        "--out",
        str(tmp_path / "out"),
    ]
    subprocess.run(command, input=NAMES, check=True, capture_output=True)
    assert checkpoint(tmp_path).provenance.source.name == "standard input"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the list has no names; write one name per line"),
        (b" \n\n", "the list has no names; write one name per line"),
        (b"emma\nzo\xeb\n", "2: byte 0xEB is not valid UTF-8"),
        (b"\xef\xbb\xbfemma\nava\n\xff\n", "3: byte 0xFF is not valid UTF-8"),
        (b"emma\n\nava\t5\n", "3: the name has the control character U+0009"),
        (b"emma\nav\0a\n", "2: the name has the control character U+0000"),
        ("emma\nav\x85a\n".encode(), "2: the name has the control character U+0085"),
    ],
)
def test_an_invalid_list_stops_the_job_with_one_line_and_leaves_the_old_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, reason: str
) -> None:
    train(tmp_path, "--data", write(tmp_path, NAMES), "--models", "positional")
    before = output(tmp_path)
    capsys.readouterr()
    data = write(tmp_path, content)
    assert train(tmp_path, "--data", data) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {data}:")
    assert reason in captured.err
    assert captured.err.count("\n") == 1
    assert output(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.txt", None, "No such file or directory"),
        (".", None, "Is a directory"),
        (
            "broken.txt.gz",
            b"not gzip",
            "the gzip file is truncated or damaged; compress the list again",
        ),
        (
            "cut.txt.gz",
            gzip.compress(NAMES, mtime=0)[:-9],
            "the gzip file is truncated or damaged; compress the list again",
        ),
    ],
)
def test_the_error_names_a_list_that_cannot_be_read(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes | None,
    reason: str,
) -> None:
    data = write(tmp_path, content, name) if content else str(tmp_path / name)
    assert train(tmp_path, "--data", data) == 2
    assert capsys.readouterr().err == f"error: {data}: {reason}\n"
    assert not (tmp_path / "out").exists()


def test_an_invalid_list_is_reported_before_torch_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from training.__main__ import main\n"
        f"status = main(['--data', {str(tmp_path / 'missing')!r}])\n"
        "sys.exit(status if 'torch' not in sys.modules else 'torch was imported')"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert process.returncode == 2


def test_closed_standard_input_is_reported_in_one_line() -> None:
    command = f"{sys.executable} -m training --data - <&-"
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (process.returncode, process.stderr) == (
        2,
        "error: standard input: Bad file descriptor\n",
    )


def test_a_file_is_flushed_before_the_rename_and_the_folder_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    fsync, replace = os.fsync, Path.replace

    def recorded_fsync(handle: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def recorded_replace(source: Path, target: Path) -> Path:
        calls.append("rename")
        assert source.parent == target.parent  # a rename is atomic within a file system only
        assert source.read_bytes() == b"payload"
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(Path, "replace", recorded_replace)
    write_atomically(tmp_path / "file", b"payload")
    assert calls == ["file", "rename", "folder"]


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    train(tmp_path, "--data", write(tmp_path, NAMES), "--models", "bigram")
    before = output(tmp_path)
    # The limit makes the write fail, as a full disk does.
    process = run(
        *("--data", str(tmp_path / "list.txt"), "--models", "bigram"),
        *("--out", str(tmp_path / "out")),
        max_bytes=1_000,
    )
    assert process.returncode == 2
    error = f"error: {tmp_path}/out/bigram.safetensors: File too large"
    assert process.stderr.splitlines()[-1] == error
    assert output(tmp_path) == before


def test_the_error_names_an_output_that_is_not_a_folder(tmp_path: Path) -> None:
    process = run("--models", "bigram", "--out", write(tmp_path, b"a file"))
    assert (process.returncode, process.stderr.count("\n")) == (2, 1)
    assert str(tmp_path / "list.txt") in process.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--models", "trigram"], "unknown model 'trigram'; choose from bigram, positional"),
        (["--models", ""], "unknown model ''"),
        (["--positions", "0"], "'0' is not valid; use a whole number from 1 to 256"),
        (["--positions", "many"], "'many' is not valid; use a whole number from 1 to 256"),
        (["--dta", "x"], "unrecognized arguments: --dta x"),
    ],
)
def test_the_error_explains_an_invalid_command(
    capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert reason in capsys.readouterr().err


def test_a_checkpoint_is_readable_by_all_users(tmp_path: Path) -> None:
    train(tmp_path, "--data", write(tmp_path, NAMES), "--models", "bigram")
    assert (tmp_path / "out" / "bigram.safetensors").stat().st_mode & 0o777 == 0o644


def test_the_embedded_list_is_the_output_of_its_script() -> None:
    script = EMBEDDED_LIST.parent / "make_us_names.py"
    script_names: dict[str, object] = {"__name__": "script", "__file__": str(script)}
    exec(compile(script.read_text(encoding="utf-8"), script, "exec"), script_names)
    assert callable(make := script_names["make"])
    assert EMBEDDED_LIST.read_text(encoding="utf-8") == make()


@pytest.mark.parametrize(("characters", "recipe"), [(127, "post"), (128, "converged")])
def test_the_default_recipe_depends_on_the_size_of_the_alphabet(
    characters: int, recipe: str, tmp_path: Path
) -> None:
    letters = [chr(0xAC00 + index) for index in range(characters)]  # Hangul syllables
    data = tmp_path / "list.txt"
    data.write_text("\n".join(map("".join, zip(letters, letters[1:] + letters[:1], strict=True))))
    assert main(["--data", str(data), "--models", "bigram", "--out", str(tmp_path)]) == 0
    provenance = load((tmp_path / "bigram.safetensors").read_bytes()).provenance
    assert provenance.recipe == recipe
