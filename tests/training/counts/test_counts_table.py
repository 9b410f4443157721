"""Counts as a table: what others write is read or refused, what is written is the list again."""

import contextlib
import hashlib
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.checkpoint import Checkpoint, load
from models.linear.features import ARCHITECTURES
from models.text.normalization import normalize
from training.__main__ import main
from training.counts.counting import DEEPEST, Counted, count_names
from training.counts.counts_table import read_table, write_table
from training.lists.name_list import NameListError, read_names

pytestmark = pytest.mark.usefixtures("coarse_percentiles")

Row = tuple[int | None, str | None, str | None, int | None]

GOOD: list[Row] = [(0, "", "a", 2), (1, "a", "", 2)]
MODELS = sorted(ARCHITECTURES)


def said_plainly(names: list[str]) -> list[Row]:
    """The table of a list, made as the README tells others to make it."""
    steps = [(t, name[max(t - 4, 0) : t], name[t : t + 1])
             for name in names for t in range(len(name) + 1)]  # fmt: skip
    return [(*step, n) for step, n in Counter(steps).items()]


def columns(rows: list[Row]) -> dict[str, list[object]]:
    return {
        column: [row[at] for row in rows]
        for at, column in enumerate(["position", "last", "next", "count"])
    }


def write(path: Path, rows: list[Row]) -> str:
    pq.write_table(pa.table(columns(rows)), path)
    return str(path)


def rows_of(path: Path) -> list[Row]:
    return [tuple(row.values()) for row in pq.read_table(path).to_pylist()]


def train(
    folder: Path, *arguments: str, models: Sequence[str] = ("bigram", "positional")
) -> dict[str, Checkpoint]:
    assert main(["--out", str(folder), "--models", ",".join(models), *arguments]) == 0
    return {name: load((folder / f"{name}.safetensors").read_bytes()) for name in models}


def weights(trained: dict[str, Checkpoint]) -> list[bytes]:
    return [checkpoint.model.weights.tobytes() for checkpoint in trained.values()]


ARABIC = "\u0645\u200c"  # a letter that joins, and a joiner
letters = st.sampled_from(
    f"ab \N{GREEK SMALL LETTER ALPHA}\N{COMBINING ACUTE ACCENT}小\U0001f600{ARABIC}"
)
names = st.text(letters, max_size=9).map(normalize).filter(len)


@given(st.lists(names, min_size=1, max_size=8))
def test_a_table_is_written_as_anyone_would_make_it_and_read_as_the_list(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    (folder / "list").write_text("\n".join(names), encoding="utf-8")
    of_list = count_names(read_names(str(folder / "list")), DEEPEST)
    write_table(folder / "table", of_list)
    assert sorted(rows_of(folder / "table")) == sorted(said_plainly(names))
    of_table = read_table(write(folder / "plain", said_plainly(names)))
    assert of_table.vocabulary == of_list.vocabulary
    assert (of_table.source.names, of_table.source.transitions) == (
        len(names), sum(len(name) + 1 for name in names),
    )  # fmt: skip
    write_table(folder / "again", of_table)
    assert (folder / "again").read_bytes() == (folder / "table").read_bytes()


@pytest.fixture(params=[1_000, pytest.param(32_469, marks=pytest.mark.slow)])
def data(request: pytest.FixtureRequest, us_names: list[str], tmp_path: Path) -> Path:
    """A list: some of the embedded one, and all of it."""
    path = tmp_path / "names.txt"
    path.write_text("".join(f"{name}\n" for name in us_names[: request.param]), encoding="utf-8")
    return path


def test_a_model_of_the_table_is_the_model_of_the_list(tmp_path: Path, data: Path) -> None:
    table = tmp_path / "counts.parquet"
    of_list = train(
        tmp_path / "list", "--data", str(data), "--write-counts", str(table), models=MODELS
    )
    of_table = train(tmp_path / "table", "--counts", str(table), models=MODELS)
    assert weights(of_table) == weights(of_list)
    for name in MODELS:
        assert of_table[name].model.vocabulary == of_list[name].model.vocabulary
        assert of_list[name].lexicon.known
        assert not of_table[name].lexicon.known  # a table has no names
        source, listed = of_table[name].provenance.source, of_list[name].provenance.source
        assert (source.names, source.transitions) == (listed.names, listed.transitions)
        assert source.name == "counts.parquet"
        assert source.lengths == listed.lengths
        assert source.sha256 == hashlib.sha256(table.read_bytes()).hexdigest()


def test_a_table_serves_every_number_of_positions(tmp_path: Path, data: Path) -> None:
    table = str(tmp_path / "counts.parquet")
    train(tmp_path / "any", "--data", str(data), "--write-counts", table, "--positions", "2")
    of_list = train(tmp_path / "list", "--data", str(data), "--positions", "9")
    assert weights(train(tmp_path / "table", "--counts", table, "--positions", "9")) == weights(
        of_list
    )


def test_the_tables_of_parts_are_together_the_table_of_the_list(tmp_path: Path, data: Path) -> None:
    lines = data.read_text(encoding="utf-8").splitlines(keepends=True)
    parts, whole = tmp_path / "parts", tmp_path / "whole.parquet"
    parts.mkdir()
    for part in range(3):
        (tmp_path / "part.txt").write_text("".join(lines[part::3]), encoding="utf-8")
        counts = str(parts / f"part-{part}")
        train(tmp_path / "out", "--data", str(tmp_path / "part.txt"), "--write-counts", counts)
    (parts / "_SUCCESS").touch()
    (parts / ".part-0.crc").write_bytes(b"no Parquet")
    of_list = train(tmp_path / "list", "--data", str(data), "--write-counts", str(whole))
    merged = tmp_path / "merged.parquet"
    of_parts = train(tmp_path / "merged", "--counts", str(parts), "--write-counts", str(merged))
    assert weights(of_parts) == weights(of_list)
    assert merged.read_bytes() == whole.read_bytes()
    digests = sorted(hashlib.sha256(p.read_bytes()).hexdigest() for p in parts.glob("part-*"))
    source = of_parts["bigram"].provenance.source
    assert (source.name, source.names) == ("parts", len(lines))
    assert source.sha256 == hashlib.sha256("".join(digests).encode()).hexdigest()


def test_a_table_reaches_as_far_back_as_the_deepest_model() -> None:
    assert max(architecture.order for architecture in ARCHITECTURES.values()) == DEEPEST


@pytest.mark.parametrize("integer", [pa.int8(), pa.uint8(), pa.int32(), pa.uint64()])
@pytest.mark.parametrize(
    "string",
    [pa.large_string(), pa.dictionary(pa.int8(), pa.string()),
     pa.dictionary(pa.int32(), pa.large_string())],
)  # fmt: skip
def test_any_integers_and_any_strings_will_do(
    tmp_path: Path, integer: pa.DataType, string: pa.DataType
) -> None:
    types = {"count": integer, "next": string, "last": string, "position": integer}
    given = columns(GOOD)
    table = pa.table({name: pa.array(given[name], kind) for name, kind in types.items()})
    pq.write_table(table.append_column("note", pa.array(["x", "y"])), tmp_path / "table")
    counted = read_table(str(tmp_path / "table"))
    assert counted.vocabulary.characters == "a"
    assert counted.counts.counts.tolist() == [2, 2]


def test_case_can_be_kept(tmp_path: Path) -> None:
    table = write(tmp_path / "table", said_plainly(["McKay"]))
    assert read_table(table, keep_case=True).vocabulary.characters == "KMacy"
    assert read_table(table, keep_case=True).vocabulary.keep_case


def test_positions_may_be_far_from_the_start(tmp_path: Path) -> None:
    table = write(tmp_path / "table", said_plainly(["ab" * 2_000, "a"]))
    counted = read_table(table)
    assert counted.counts.transitions.contexts.positions.max() == 4_000
    assert (counted.source.names, counted.source.lengths) == (2, [1, *[0] * 255])


# Whether the counts are those of whole names


def walked(rows: list[Row]) -> list[str] | None:
    """The names of some list that has these counts, found step by step; None if there is none."""
    left: Counter[tuple[object, ...]] = Counter()
    for *step, count in rows:
        left[tuple(step)] += count or 0
    names = []
    while any(step[0] == 0 for step in +left):
        name, next_ = "", "?"
        while next_:
            here = (len(name), name[-4:])
            following = [str(step[2]) for step in +left if step[:2] == here]
            if not following:
                return None
            next_ = following[0]
            left[*here, next_] -= 1
            name += next_
        names.append(name)
    return None if +left else names


def read_rows(folder: Path, rows: list[Row]) -> Counted:
    return read_table(write(folder / "table", rows))


few_names = st.lists(st.text("ab", min_size=1, max_size=7), min_size=1, max_size=5)


@given(few_names, st.data())
def test_a_table_is_accepted_if_some_list_has_its_counts(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], data: st.DataObject
) -> None:
    rows = said_plainly(names)
    for _ in range(data.draw(st.integers(0, 2), "changes")):
        position, last, next_, _ = rows[data.draw(st.integers(0, len(rows) - 1), "row")]
        other = data.draw(st.sampled_from(["a", "b", ""] if position else ["a", "b"]), "next")
        rows += [(position, last, next_, 1), (position, last, other, 2)]
        rows = rows[data.draw(st.integers(0, len(rows) - 2), "dropped") :]
    listed = walked(rows)
    folder = tmp_path_factory.mktemp("tables")
    if listed is None:
        with pytest.raises(NameListError):
            read_rows(folder, rows)
    else:
        counted = read_rows(folder, rows)
        assert sorted(rows_written(folder, counted)) == sorted(said_plainly(listed))


def rows_written(folder: Path, counted: Counted) -> list[Row]:
    write_table(folder / "written", counted)
    return rows_of(folder / "written")


@given(st.lists(names, min_size=1, max_size=8), st.data())
def test_a_table_with_a_row_too_few_or_changed_is_refused(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], data: st.DataObject
) -> None:
    rows = said_plainly(names)
    position, last, next_, count = rows.pop(data.draw(st.integers(0, len(rows) - 1)))
    assert last is not None
    assert count is not None
    changed: list[list[Row]] = [
        [],
        [(position, last, next_, count + 1)],
        [(position, last, next_, count)] * 2,
        [(position, last, "x" if next_ == "" else "", count)],
        [(position, last, "x", count)],
        [(position, "x" * len(last), next_, count)] if last else [],
        [(position + 1, last, next_, count)] if len(last) == 4 and position else [],
    ]
    folder = tmp_path_factory.mktemp("tables")
    for row in changed:
        with pytest.raises(NameListError):
            read_rows(folder, rows + row)


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([(5, "abcd", "", 7)],
         "position 5, last 'abcd': 0 names arrive, by rows of position 4, but 7 go on or end"),
        ([*GOOD, (65536, "aaaa", "", 1)],
         "position 65536, last 'aaaa': 0 names arrive, by rows of position 65535, but 1 go on"),
        ([*said_plainly(["emmet", "ada"]), (3, "emm", "", 2)],
         "position 3, last 'emm': 1 names arrive, by rows of position 2, but 3 go on or end"),
        ([(0, "", "a", 1_000), (1, "a", "b", 900), (1, "a", "", 100), (0, "", "b", 1)],
         "position 1, last 'b': 1 names arrive, by rows of position 0, but 0 go on or end"),
        ([(0, "", "\ue000", 1), (1, "\ue000", "a", 2), (2, "\ue000a", "", 1)],
         "position 1, last '\\ue000': 1 names arrive, by rows of position 0, but 2 go on or end"),
    ],
)  # fmt: skip
def test_the_first_context_at_fault_is_named(tmp_path: Path, rows: list[Row], fault: str) -> None:
    with pytest.raises(NameListError) as error:
        read_rows(tmp_path, rows)
    assert str(error.value).startswith(f"{tmp_path}/table: {fault}")
    assert "\n" not in str(error.value)


def test_a_name_may_be_spread_over_files_and_rows(tmp_path: Path) -> None:
    counts = said_plainly(["anna", "ann", "anna"])
    rows: list[Row] = [(*row[:3], 1) for row in counts for _ in range(row[3] or 0)]
    for part in range(len(rows)):
        write(tmp_path / f"part-{part}", rows[part : part + 1])
    assert read_table(str(tmp_path)).source.names == 3
    (tmp_path / "part-2").unlink()
    with pytest.raises(NameListError) as error:
        read_table(str(tmp_path))
    assert str(error.value).startswith(f"{tmp_path}: position ")


COMPOSED = "\N{LATIN SMALL LETTER E WITH ACUTE}"
ACUTE = "\N{COMBINING ACUTE ACCENT}"


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ((None, "a", "b", 1), "its position is null"),
        ((1, None, "b", 1), "its last is null"),
        ((1, "a", None, 1), "its next is null"),
        ((1, "a", "b", None), "its count is null"),
        ((-1, "", "b", 1), "its position is not 0 to 65536"),
        ((2**16 + 1, "aaaa", "b", 1), "its position is not 0 to 65536"),
        ((1, "a", "b", 0), "its count is not 1 to 9007199254740992"),
        ((1, "a", "b", -3), "its count is not 1 to 9007199254740992"),
        ((1, "a", "b", 2**62), "its count is not 1 to 9007199254740992"),
        ((1, "a", "bc", 1), "its next is more than one character"),
        ((1, "", "b", 1), "its last is not the 4 characters before"),
        ((3, "aaaa", "b", 1), "its last is not the 4 characters before"),
        ((5, "aaaaa", "b", 1), "its last is not the 4 characters before"),
        ((0, "", "", 1), "it ends a name that has no character"),
        ((1, "\n", "b", 1), "a control character is in it"),
        ((1, "\0", "b", 1), "a control character is in it"),
        ((1, "a", "\n", 1), "a control character is in it"),
        ((1, "a", "\x85", 1), "a control character is in it"),
        ((0, "", " ", 1), "it is not trimmed"),
        ((2, "a\u3000", "", 1), "it is not trimmed"),
        ((1, "a", "B", 1), "it is not in lower case and NFC"),
        ((1, "e", ACUTE, 1), "it is not in lower case and NFC"),
        ((2, "e" + ACUTE, "b", 1), "it is not in lower case and NFC"),
        ((1, "a", "\N{ANGSTROM SIGN}", 1), "it is not in lower case and NFC"),
        ((1, "a", "\N{NO-BREAK SPACE}", 1), "it is not in lower case and NFC"),
        ((1, "a", "\N{ZERO WIDTH SPACE}", 1), "it is not in lower case and NFC"),
        ((1, "a", "\N{ZERO WIDTH JOINER}", 1), "it is not in lower case and NFC"),
        ((2, ARABIC, "", 1), "it is not in lower case and NFC"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: Row, fault: str) -> None:
    fine: Row = (1, "a" if row[1] == "e" else COMPOSED, COMPOSED, 1)
    table = write(tmp_path / "table", [*GOOD, fine, row, row])
    with pytest.raises(NameListError) as error:
        read_table(table)
    assert str(error.value).startswith(f"{table}: row 4: {fault}")


def test_what_is_not_nfc_is_refused_though_case_is_kept(tmp_path: Path) -> None:
    table = write(tmp_path / "table", [(0, "", "E", 1), (1, "E", ACUTE, 1)])
    with pytest.raises(NameListError, match="row 2: it is not in NFC"):
        read_table(table, keep_case=True)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"position": [0], "last": [""], "next": ["a"]}, "there is no column count"),
        ({**columns(GOOD), "count": ["2", "2"]}, "column count is string, not integers"),
        ({**columns(GOOD), "position": [0.0, 1.0]}, "column position is double, not integers"),
        ({**columns(GOOD), "next": [b"a", b""]}, "column next is binary, not strings"),
        ({**columns(GOOD), "last": [[], []]}, "column last is list<element: null>, not strings"),
        (columns(GOOD[:1]), "there is no whole name in it"),
        (columns([*GOOD, *[(1, "a", "b", 2**53)] * 1_100]), "the counts add up to more than"),
    ],
)
def test_a_bad_table_is_named(tmp_path: Path, table: dict[str, object], reason: str) -> None:
    pq.write_table(pa.table(table), tmp_path / "table")
    with pytest.raises(NameListError) as error:
        read_table(str(tmp_path / "table"))
    assert str(error.value).startswith(f"{tmp_path}/table: {reason}")


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    table = pa.table(columns(GOOD))
    pq.write_table(table.append_column("next", table["last"]), tmp_path / "table")
    with pytest.raises(NameListError, match="there is more than one column next"):
        read_table(str(tmp_path / "table"))


def test_an_empty_table_is_refused_but_may_be_a_part(tmp_path: Path) -> None:
    empty = pa.table(columns(GOOD)).slice(0, 0)
    pq.write_table(empty, tmp_path / "a")
    with pytest.raises(NameListError, match="there is no whole name in it"):
        read_table(str(tmp_path))
    write(tmp_path / "b", GOOD)
    assert read_table(str(tmp_path)).source.names == 2


def test_strings_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 2, pa.array([b"\xff", b"a"]).buffers()
    )  # fmt: skip
    pq.write_table(pa.table({**columns(GOOD), "next": broken}), tmp_path / "table")
    with pytest.raises(NameListError, match="a string in it is not UTF-8"):
        read_table(str(tmp_path / "table"))


def test_files_that_are_no_tables_stop_the_job_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = Path(write(tmp_path / "good", GOOD)).read_bytes()
    (tmp_path / "folder").mkdir()
    for name, content in [("foreign", b"no Parquet"), ("empty", b""), ("cut", good[:-9])]:
        (tmp_path / name).write_bytes(content)
    for name, reason in [
        ("foreign", "not a whole Parquet file"),
        ("empty", "not a whole Parquet file"),
        ("cut", "not a whole Parquet file"),
        ("folder", "there is no file in it"),
        ("missing", "No such file or directory"),
    ]:
        table = str(tmp_path / name)
        assert main(["--counts", table, "--out", str(tmp_path / "out")]) == 2
        assert capsys.readouterr().err == f"error: {table}: {reason}\n"
    assert not (tmp_path / "out").exists()


def test_a_table_damaged_anywhere_is_read_or_refused(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "table", GOOD))
    payload = path.read_bytes()
    for at in range(len(payload)):
        path.write_bytes(payload[:at] + bytes([payload[at] ^ 0xFF]) + payload[at + 1 :])
        with contextlib.suppress(NameListError):  # anything else fails the test
            read_table(str(path))


def test_a_table_that_cannot_be_written_stops_the_job_before_any_model_is_fitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = str(tmp_path / "missing" / "counts.parquet")
    assert main(["--write-counts", counts, "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"error: {counts}: No such file or directory\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("surplus", [0, 1])
def test_a_table_is_written_if_it_can_be_read_again(tmp_path: Path, surplus: int) -> None:
    names, table = tmp_path / "names.txt", tmp_path / "table.parquet"
    names.write_text("ab" * 2**15 + "c" * surplus)
    counted = count_names(read_names(str(names)), DEEPEST)
    if surplus:
        with pytest.raises(NameListError, match="more than 65,536 characters"):
            write_table(table, counted)
        assert not table.exists()
    else:
        write_table(table, counted)
        assert read_table(str(table)).counts.counts.sum() == 2**16 + 1


def test_a_list_and_a_table_at_once_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--data", "names.txt", "--counts", "counts.parquet"])
    assert exit_.value.code == 2
    assert "--counts: not allowed with argument --data" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "unwanted"), [("--data", "pyarrow"), ("--counts", "torch")])
def test_nothing_heavy_is_loaded_before_it_is_needed(
    tmp_path: Path, option: str, unwanted: str
) -> None:
    program = (
        "import sys; from training.__main__ import main\n"
        f"status = main([{option!r}, {str(tmp_path / 'missing')!r}])\n"
        f"sys.exit(status if {unwanted!r} not in sys.modules else 'it was loaded')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert ended.returncode == 2


def test_equal_rows_add_up(tmp_path: Path) -> None:
    once, twice = write(tmp_path / "once", GOOD), write(tmp_path / "twice", GOOD * 2)
    assert np.array_equal(read_table(twice).counts.counts, 2 * read_table(once).counts.counts)
