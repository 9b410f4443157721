"""Option --if-changed: which models are trained again."""

import os
from pathlib import Path

import pytest

from models.checkpoint import load
from models.linear.features import ARCHITECTURES
from training.__main__ import main

pytestmark = pytest.mark.usefixtures("coarse_percentiles")

LIST = "emma\nolivia\nava\n"
OLD_TIME = 1_000_000_000  # modification time of files from before the job


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A list and old checkpoints of all its models except `fivegram`."""
    (tmp_path / "list.txt").write_text(LIST)
    run(tmp_path)
    for path in (tmp_path / "out").iterdir():
        os.utime(path, (OLD_TIME, OLD_TIME))
    return tmp_path


def run(folder: Path, *options: str, models: str = "bigram,positional,sinusoidal") -> None:
    data = () if "--counts" in options else ("--data", str(folder / "list.txt"))
    out = ("--out", str(folder / "out"), "--models", models)
    assert main([*data, *out, "--if-changed", *options]) == 0


def trained(folder: Path) -> set[str]:
    """The names of the files in the output folder that the job has written."""
    return {path.name for path in (folder / "out").iterdir() if path.stat().st_mtime != OLD_TIME}


ALL = {f"{name}.safetensors" for name in ("bigram", "positional", "sinusoidal")}


def test_models_of_the_same_list_and_options_are_not_trained_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    run(folder)
    assert trained(folder) == set()
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 3
    assert printed[0] == f"bigram: {folder}/out/bigram.safetensors is up to date, not trained again"


def test_without_the_flag_models_are_trained_again(folder: Path) -> None:
    main(["--data", str(folder / "list.txt"), "--out", str(folder / "out"), "--models", "bigram"])
    assert trained(folder) == {"bigram.safetensors"}


def test_models_of_a_changed_list_are_trained_again(folder: Path) -> None:
    (folder / "list.txt").write_text(f"{LIST}isabella\n")
    run(folder)
    assert trained(folder) == ALL


def test_models_of_a_renamed_list_are_trained_again(folder: Path) -> None:
    (folder / "other.txt").write_text(LIST)
    run(folder, "--data", str(folder / "other.txt"))
    assert trained(folder) == ALL


@pytest.mark.parametrize(
    "options", [("--positions", "5"), ("--recipe", "converged"), ("--keep-case",), ("--turkish",)]
)
def test_models_of_other_options_are_trained_again_once(
    folder: Path, options: tuple[str, ...]
) -> None:
    run(folder, *options)
    assert trained(folder) == ALL
    before = {path: path.read_bytes() for path in (folder / "out").iterdir()}
    run(folder, *options)
    assert {path: path.read_bytes() for path in (folder / "out").iterdir()} == before


def test_naming_the_default_recipe_does_not_train_again(folder: Path) -> None:
    run(folder, "--recipe", "post")
    assert trained(folder) == set()


def test_models_of_other_software_versions_are_trained_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.__version__", "99.0")
    run(folder)
    assert trained(folder) == ALL


def test_only_a_missing_model_is_trained(folder: Path) -> None:
    run(folder, models=",".join(ARCHITECTURES))
    assert trained(folder) == {"fivegram.safetensors"}


@pytest.mark.parametrize("size", [0, 1_000, -1])
def test_a_truncated_checkpoint_is_trained_again(folder: Path, size: int) -> None:
    path = folder / "out" / "bigram.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    os.utime(path, (OLD_TIME, OLD_TIME))
    run(folder)
    assert trained(folder) == {"bigram.safetensors"}


def test_a_checkpoint_with_a_flipped_bit_is_trained_again(folder: Path) -> None:
    path = folder / "out" / "positional.safetensors"
    payload = bytearray(path.read_bytes())
    payload[-1] ^= 1
    path.write_bytes(payload)
    os.utime(path, (OLD_TIME, OLD_TIME))
    run(folder)
    assert trained(folder) == {"positional.safetensors"}


def test_a_checkpoint_of_another_model_is_trained_again(folder: Path) -> None:
    out = folder / "out"
    (out / "bigram.safetensors").write_bytes((out / "positional.safetensors").read_bytes())
    os.utime(out / "bigram.safetensors", (OLD_TIME, OLD_TIME))
    run(folder)
    assert trained(folder) == {"bigram.safetensors"}


def test_models_of_an_unchanged_table_of_counts_are_not_trained_again(folder: Path) -> None:
    table = str(folder / "counts.parquet")
    run(folder, "--write-counts", table)
    assert trained(folder) == set()
    run(folder, "--counts", table)
    assert trained(folder) == ALL  # a table has no names for the lexicon
    before = {path: path.read_bytes() for path in (folder / "out").iterdir()}
    run(folder, "--counts", table)
    assert {path: path.read_bytes() for path in (folder / "out").iterdir()} == before


@pytest.mark.parametrize("problem", ["missing", "of other checkpoints", "not UTF-8"])
def test_an_outdated_report_is_written_again_with_all_models(
    folder: Path, capsys: pytest.CaptureFixture[str], problem: str
) -> None:
    (folder / "list.txt").write_text("\n".join(f"{a}{b}" for a in "abcde" for b in "lmnop"))
    report = folder / "out" / "report.html"
    run(folder, "--evaluate", models="bigram")
    first = report.read_bytes()
    run(folder, "--evaluate", models="bigram")
    assert report.read_bytes() == first
    if problem == "missing":
        report.unlink()
    else:
        version = load((folder / "out" / "bigram.safetensors").read_bytes()).version.encode()
        report.write_bytes(first.replace(version, b"0" * 12 if "other" in problem else b"\xff"))
    outdated = report.exists() and report.read_bytes()
    capsys.readouterr()
    run(folder, "--evaluate", models="bigram")
    assert report.read_bytes() != outdated
    assert "up to date" not in capsys.readouterr().out


def test_a_report_is_written_again_for_more_models(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "list.txt").write_text("\n".join(f"{a}{b}" for a in "abcde" for b in "lmnop"))
    run(folder, "--evaluate", models="bigram")
    capsys.readouterr()
    run(folder, "--evaluate", models="bigram,positional")
    assert "up to date" not in capsys.readouterr().out  # a report covers all models of a run
