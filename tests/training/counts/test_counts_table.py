"""Tables of counts: valid tables of any writer are read, others are rejected, and round trips."""

import contextlib
import hashlib
import re
import sqlite3
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
from tests.support.paths import ROOT
from training.__main__ import main
from training.counts.counting import MAX_ORDER, CountedList, count_names
from training.counts.counts_table import read_table, write_table
from training.lists.name_list import NameListError, read_names

pytestmark = pytest.mark.usefixtures("coarse_percentiles")

Row = tuple[int | None, str | None, str | None, int | None]

VALID: list[Row] = [(0, "", "a", 2), (1, "a", "", 2)]
MODELS = sorted(ARCHITECTURES)


def table_of(names: list[str]) -> list[Row]:
    """The table of a list, computed without numpy."""
    transitions = [
        (position, name[max(position - 4, 0) : position], name[position : position + 1])
        for name in names
        for position in range(len(name) + 1)
    ]
    return [(*transition, count) for transition, count in Counter(transitions).items()]


def columns(rows: list[Row]) -> dict[str, list[object]]:
    return {
        column: [row[index] for row in rows]
        for index, column in enumerate(["position", "last", "next", "count"])
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


def weights_of(trained: dict[str, Checkpoint]) -> list[bytes]:
    return [checkpoint.model.weights.tobytes() for checkpoint in trained.values()]


ARABIC = "\u0645\u200c"  # a letter that joins, and a joiner
letters = st.sampled_from(
    f"ab \N{GREEK SMALL LETTER ALPHA}\N{COMBINING ACUTE ACCENT}小\U0001f600{ARABIC}"
)
names = st.text(letters, max_size=9).map(normalize).filter(len)


@given(st.lists(names, min_size=1, max_size=8))
def test_writing_and_reading_a_table_preserve_the_list(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    (folder / "list").write_text("\n".join(names), encoding="utf-8")
    of_list = count_names(read_names(str(folder / "list")), MAX_ORDER)
    write_table(folder / "table", of_list)
    assert sorted(rows_of(folder / "table")) == sorted(table_of(names))
    of_table = read_table(write(folder / "plain", table_of(names)))
    assert of_table.vocabulary == of_list.vocabulary
    assert (of_table.source.names, of_table.source.transitions) == (
        len(names), sum(len(name) + 1 for name in names),
    )  # fmt: skip
    write_table(folder / "again", of_table)
    assert (folder / "again").read_bytes() == (folder / "table").read_bytes()


def test_the_sql_of_the_documentation_computes_the_table() -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    (query,) = re.findall("```sql\n(.*?)```", page, re.DOTALL)
    names = ["emma", "bob", "emma", "christopher", "小明", "a"]
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE names(name TEXT)")
        database.executemany("INSERT INTO names VALUES (?)", [(name,) for name in names])
        rows = database.execute(query).fetchall()
    assert sorted(rows) == sorted(table_of(names))


@pytest.fixture(params=[1_000, pytest.param(32_469, marks=pytest.mark.slow)])
def data(request: pytest.FixtureRequest, us_names: list[str], tmp_path: Path) -> Path:
    """A list of the first names of the embedded list."""
    path = tmp_path / "names.txt"
    path.write_text("".join(f"{name}\n" for name in us_names[: request.param]), encoding="utf-8")
    return path


def test_a_table_and_its_list_give_the_same_weights(tmp_path: Path, data: Path) -> None:
    table = tmp_path / "counts.parquet"
    of_list = train(
        tmp_path / "list", "--data", str(data), "--write-counts", str(table), models=MODELS
    )
    of_table = train(tmp_path / "table", "--counts", str(table), models=MODELS)
    assert weights_of(of_table) == weights_of(of_list)
    for name in MODELS:
        assert of_table[name].model.vocabulary == of_list[name].model.vocabulary
        assert of_list[name].lexicon.known
        assert not of_table[name].lexicon.known  # a table has no names
        source, from_list = of_table[name].provenance.source, of_list[name].provenance.source
        assert (source.names, source.transitions) == (from_list.names, from_list.transitions)
        assert source.name == "counts.parquet"
        assert source.lengths == from_list.lengths
        assert source.sha256 == hashlib.sha256(table.read_bytes()).hexdigest()


def test_a_table_gives_the_weights_of_its_list_for_any_number_of_positions(
    tmp_path: Path, data: Path
) -> None:
    table = str(tmp_path / "counts.parquet")
    train(tmp_path / "any", "--data", str(data), "--write-counts", table, "--positions", "2")
    of_list = train(tmp_path / "list", "--data", str(data), "--positions", "9")
    assert weights_of(
        train(tmp_path / "table", "--counts", table, "--positions", "9")
    ) == weights_of(of_list)


def test_the_tables_of_the_parts_of_a_list_add_up_to_the_table_of_the_list(
    tmp_path: Path, data: Path
) -> None:
    lines = data.read_text(encoding="utf-8").splitlines(keepends=True)
    parts, whole = tmp_path / "parts", tmp_path / "whole.parquet"
    parts.mkdir()
    for part in range(3):
        (tmp_path / "part.txt").write_text("".join(lines[part::3]), encoding="utf-8")
        counts = str(parts / f"part-{part}")
        train(tmp_path / "out", "--data", str(tmp_path / "part.txt"), "--write-counts", counts)
    (parts / "_SUCCESS").touch()
    (parts / ".part-0.crc").write_bytes(b"not Parquet")
    of_list = train(tmp_path / "list", "--data", str(data), "--write-counts", str(whole))
    merged = tmp_path / "merged.parquet"
    of_parts = train(tmp_path / "merged", "--counts", str(parts), "--write-counts", str(merged))
    assert weights_of(of_parts) == weights_of(of_list)
    assert merged.read_bytes() == whole.read_bytes()
    digests = sorted(hashlib.sha256(p.read_bytes()).hexdigest() for p in parts.glob("part-*"))
    source = of_parts["bigram"].provenance.source
    assert (source.name, source.names) == ("parts", len(lines))
    assert source.sha256 == hashlib.sha256("".join(digests).encode()).hexdigest()


def test_the_order_of_a_table_is_the_highest_order_of_a_model() -> None:
    assert max(architecture.order for architecture in ARCHITECTURES.values()) == MAX_ORDER


@pytest.mark.parametrize("integer", [pa.int8(), pa.uint8(), pa.int32(), pa.uint64()])
@pytest.mark.parametrize(
    "string",
    [pa.large_string(), pa.dictionary(pa.int8(), pa.string()),
     pa.dictionary(pa.int32(), pa.large_string())],
)  # fmt: skip
def test_all_integer_and_string_types_are_accepted(
    tmp_path: Path, integer: pa.DataType, string: pa.DataType
) -> None:
    types = {"count": integer, "next": string, "last": string, "position": integer}
    values = columns(VALID)
    table = pa.table({name: pa.array(values[name], kind) for name, kind in types.items()})
    pq.write_table(table.append_column("note", pa.array(["x", "y"])), tmp_path / "table")
    counted = read_table(str(tmp_path / "table"))
    assert counted.vocabulary.characters == "a"
    assert counted.counts.counts.tolist() == [2, 2]


def test_keep_case_accepts_capitals(tmp_path: Path) -> None:
    table = write(tmp_path / "table", table_of(["McKay"]))
    assert read_table(table, keep_case=True).vocabulary.characters == "KMacy"
    assert read_table(table, keep_case=True).vocabulary.keep_case


def test_long_names_are_accepted(tmp_path: Path) -> None:
    table = write(tmp_path / "table", table_of(["ab" * 2_000, "a"]))
    counted = read_table(table)
    assert counted.counts.transitions.contexts.positions.max() == 4_000
    assert (counted.source.names, counted.source.lengths) == (2, [1, *[0] * 255])


# Flow conservation


def names_with_counts(rows: list[Row]) -> list[str] | None:
    """A list of names with these counts, found by walking along them; None if no list has them."""
    remaining: Counter[tuple[object, ...]] = Counter()
    for *transition, count in rows:
        remaining[tuple(transition)] += count or 0
    names = []
    while any(transition[0] == 0 for transition in +remaining):
        name, next_ = "", "?"
        while next_:
            context = (len(name), name[-4:])
            characters = [str(each[2]) for each in +remaining if each[:2] == context]
            if not characters:
                return None
            next_ = characters[0]
            remaining[*context, next_] -= 1
            name += next_
        names.append(name)
    return None if +remaining else names


def read_rows(folder: Path, rows: list[Row]) -> CountedList:
    return read_table(write(folder / "table", rows))


few_names = st.lists(st.text("ab", min_size=1, max_size=7), min_size=1, max_size=5)


@given(few_names, st.data())
def test_a_table_is_accepted_if_some_list_has_its_counts(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], data: st.DataObject
) -> None:
    rows = table_of(names)
    for _ in range(data.draw(st.integers(0, 2), "changes")):
        position, last, next_, _ = rows[data.draw(st.integers(0, len(rows) - 1), "row")]
        other = data.draw(st.sampled_from(["a", "b", ""] if position else ["a", "b"]), "next")
        rows += [(position, last, next_, 1), (position, last, other, 2)]
        rows = rows[data.draw(st.integers(0, len(rows) - 2), "dropped") :]
    expected = names_with_counts(rows)
    folder = tmp_path_factory.mktemp("tables")
    if expected is None:
        with pytest.raises(NameListError):
            read_rows(folder, rows)
    else:
        counted = read_rows(folder, rows)
        assert sorted(rows_written(folder, counted)) == sorted(table_of(expected))


def rows_written(folder: Path, counted: CountedList) -> list[Row]:
    write_table(folder / "written", counted)
    return rows_of(folder / "written")


@given(st.lists(names, min_size=1, max_size=8), st.data())
def test_a_table_with_a_missing_or_changed_row_is_rejected(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], data: st.DataObject
) -> None:
    rows = table_of(names)
    position, last, next_, count = rows.pop(data.draw(st.integers(0, len(rows) - 1)))
    assert last is not None
    assert count is not None
    replacements: list[list[Row]] = [
        [],
        [(position, last, next_, count + 1)],
        [(position, last, next_, count)] * 2,
        [(position, last, "x" if next_ == "" else "", count)],
        [(position, last, "x", count)],
        [(position, "x" * len(last), next_, count)] if last else [],
        [(position + 1, last, next_, count)] if len(last) == 4 and position else [],
    ]
    folder = tmp_path_factory.mktemp("tables")
    for replacement in replacements:
        with pytest.raises(NameListError):
            read_rows(folder, rows + replacement)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([(5, "abcd", "", 7)],
         "position 5, last 'abcd': 0 names arrive from position 4, but 7 continue or end"),
        ([*VALID, (65536, "aaaa", "", 1)],
         "position 65536, last 'aaaa': 0 names arrive from position 65535, but 1 continue"),
        ([*table_of(["emmet", "ada"]), (3, "emm", "", 2)],
         "position 3, last 'emm': 1 names arrive from position 2, but 3 continue or end"),
        ([(0, "", "a", 1_000), (1, "a", "b", 900), (1, "a", "", 100), (0, "", "b", 1)],
         "position 1, last 'b': 1 names arrive from position 0, but 0 continue or end"),
        ([(0, "", "\ue000", 1), (1, "\ue000", "a", 2), (2, "\ue000a", "", 1)],
         "position 1, last '\\ue000': 1 names arrive from position 0, but 2 continue or end"),
    ],
)  # fmt: skip
def test_the_error_names_the_first_context_without_flow_conservation(
    tmp_path: Path, rows: list[Row], problem: str
) -> None:
    with pytest.raises(NameListError) as error:
        read_rows(tmp_path, rows)
    assert str(error.value).startswith(f"{tmp_path}/table: {problem}")
    assert "\n" not in str(error.value)


def test_the_rows_of_a_name_can_be_in_several_files(tmp_path: Path) -> None:
    counts = table_of(["anna", "ann", "anna"])
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
    ("row", "problem"),
    [
        ((None, "a", "b", 1), "column position: null"),
        ((1, None, "b", 1), "column last: null"),
        ((1, "a", None, 1), "column next: null"),
        ((1, "a", "b", None), "column count: null"),
        ((-1, "", "b", 1), "column position: -1 must be 0 to 65536"),
        ((2**16 + 1, "aaaa", "b", 1), "column position: 65537 must be 0 to 65536"),
        ((1, "a", "b", 0), "column count: 0 must be 1 to 9007199254740992"),
        ((1, "a", "b", -3), "column count: -3 must be 1 to 9007199254740992"),
        ((1, "a", "b", 2**62), "column count: 4611686018427387904 must be 1 to"),
        ((1, "a", "bc", 1), "column next: 'bc' has more than one character"),
        ((1, "", "b", 1), "column last: '' must have 1 characters"),
        ((3, "aaaa", "b", 1), "column last: 'aaaa' must have 3 characters"),
        ((5, "aaaaa", "b", 1), "column last: 'aaaaa' must have 4 characters"),
        ((0, "", "", 1), "column next: a name ends before its first character"),
        ((1, "\n", "b", 1), "the text has the control character U+"),
        ((1, "\0", "b", 1), "the text has the control character U+"),
        ((1, "a", "\n", 1), "the text has the control character U+"),
        ((1, "a", "\x85", 1), "the text has the control character U+"),
        ((0, "", " ", 1), "a name starts or ends with white space"),
        ((2, "a\u3000", "", 1), "a name starts or ends with white space"),
        ((1, "a", "B", 1), "the text is not in lower case and NFC"),
        ((1, "e", ACUTE, 1), "the text is not in lower case and NFC"),
        ((2, "e" + ACUTE, "b", 1), "the text is not in lower case and NFC"),
        ((1, "a", "\N{ANGSTROM SIGN}", 1), "the text is not in lower case and NFC"),
        ((1, "a", "\N{NO-BREAK SPACE}", 1), "the text is not in lower case and NFC"),
        ((1, "a", "\N{ZERO WIDTH SPACE}", 1), "the text is not in lower case and NFC"),
        ((1, "a", "\N{ZERO WIDTH JOINER}", 1), "the text is not in lower case and NFC"),
        ((2, ARABIC, "", 1), "the text is not in lower case and NFC"),
    ],
)
def test_the_error_names_the_first_invalid_row_and_column(
    tmp_path: Path, row: Row, problem: str
) -> None:
    valid: Row = (1, "a" if row[1] == "e" else COMPOSED, COMPOSED, 1)
    table = write(tmp_path / "table", [*VALID, valid, row, row])
    with pytest.raises(NameListError) as error:
        read_table(table)
    assert str(error.value).startswith(f"{table}: row 4, {problem}")


def test_text_that_is_not_nfc_is_rejected_with_keep_case(tmp_path: Path) -> None:
    table = write(tmp_path / "table", [(0, "", "E", 1), (1, "E", ACUTE, 1)])
    with pytest.raises(NameListError, match="row 2, the text is not in NFC"):
        read_table(table, keep_case=True)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (
            {"position": [0], "last": [""], "next": ["a"]},
            "0 columns are called count; write exactly one",
        ),
        ({**columns(VALID), "count": ["2", "2"]}, "column count has type string; write integers"),
        (
            {**columns(VALID), "position": [0.0, 1.0]},
            "column position has type double; write integers",
        ),
        ({**columns(VALID), "next": [b"a", b""]}, "column next has type binary; write strings"),
        (
            {**columns(VALID), "last": [[], []]},
            "column last has type list<element: null>; write strings",
        ),
        (columns(VALID[:1]), "no row ends a name"),
        (
            columns([*VALID, *[(1, "a", "b", 2**53)] * 1_100]),
            "the sum of the counts must be at most",
        ),
    ],
)
def test_the_error_names_an_invalid_table_and_the_reason(
    tmp_path: Path, table: dict[str, object], reason: str
) -> None:
    pq.write_table(pa.table(table), tmp_path / "table")
    with pytest.raises(NameListError) as error:
        read_table(str(tmp_path / "table"))
    assert str(error.value).startswith(f"{tmp_path}/table: {reason}")


def test_a_repeated_column_is_rejected(tmp_path: Path) -> None:
    table = pa.table(columns(VALID))
    pq.write_table(table.append_column("next", table["last"]), tmp_path / "table")
    with pytest.raises(NameListError, match="2 columns are called next"):
        read_table(str(tmp_path / "table"))


def test_an_empty_table_is_rejected_unless_it_is_a_part(tmp_path: Path) -> None:
    empty = pa.table(columns(VALID)).slice(0, 0)
    pq.write_table(empty, tmp_path / "a")
    with pytest.raises(NameListError, match="no row ends a name"):
        read_table(str(tmp_path))
    write(tmp_path / "b", VALID)
    assert read_table(str(tmp_path)).source.names == 2


def test_strings_that_are_not_utf8_are_rejected(tmp_path: Path) -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 2, pa.array([b"\xff", b"a"]).buffers()
    )  # fmt: skip
    pq.write_table(pa.table({**columns(VALID), "next": broken}), tmp_path / "table")
    with pytest.raises(NameListError, match="a string is not valid UTF-8"):
        read_table(str(tmp_path / "table"))


def test_files_that_are_not_tables_stop_the_job_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    valid = Path(write(tmp_path / "valid", VALID)).read_bytes()
    (tmp_path / "folder").mkdir()
    for name, content in [("foreign", b"not Parquet"), ("empty", b""), ("cut", valid[:-9])]:
        (tmp_path / name).write_bytes(content)
    for name, reason in [
        ("foreign", "not a valid Parquet file; write the table again"),
        ("empty", "not a valid Parquet file; write the table again"),
        ("cut", "not a valid Parquet file; write the table again"),
        ("folder", "the folder has no files; write Parquet files to it"),
        ("missing", "No such file or directory"),
    ]:
        table = str(tmp_path / name)
        assert main(["--counts", table, "--out", str(tmp_path / "out")]) == 2
        assert capsys.readouterr().err == f"error: {table}: {reason}\n"
    assert not (tmp_path / "out").exists()


def test_a_damaged_table_is_read_or_rejected(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "table", VALID))
    payload = path.read_bytes()
    for index, byte in enumerate(payload):
        path.write_bytes(payload[:index] + bytes([byte ^ 0xFF]) + payload[index + 1 :])
        with contextlib.suppress(NameListError):  # other exceptions fail the test
            read_table(str(path))


def test_a_table_that_cannot_be_written_stops_the_job_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = str(tmp_path / "missing" / "counts.parquet")
    assert main(["--write-counts", counts, "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"error: {counts}: No such file or directory\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("surplus", [0, 1])
def test_a_table_is_only_written_if_it_can_be_read_again(tmp_path: Path, surplus: int) -> None:
    names, table = tmp_path / "names.txt", tmp_path / "table.parquet"
    names.write_text("ab" * 2**15 + "c" * surplus)
    counted = count_names(read_names(str(names)), MAX_ORDER)
    if surplus:
        with pytest.raises(NameListError, match="more than 65,536 characters"):
            write_table(table, counted)
        assert not table.exists()
    else:
        write_table(table, counted)
        assert read_table(str(table)).counts.counts.sum() == 2**16 + 1


def test_data_and_counts_together_are_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--data", "names.txt", "--counts", "counts.parquet"])
    assert exit_.value.code == 2
    assert "--counts: not allowed with argument --data" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "module"), [("--data", "pyarrow"), ("--counts", "torch")])
def test_slow_modules_are_imported_only_when_needed(
    tmp_path: Path, option: str, module: str
) -> None:
    program = (
        "import sys; from training.__main__ import main\n"
        f"status = main([{option!r}, {str(tmp_path / 'missing')!r}])\n"
        f"sys.exit(status if {module!r} not in sys.modules else 'it was imported')"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert process.returncode == 2


def test_the_counts_of_equal_rows_add_up(tmp_path: Path) -> None:
    once, twice = write(tmp_path / "once", VALID), write(tmp_path / "twice", VALID * 2)
    assert np.array_equal(read_table(twice).counts.counts, 2 * read_table(once).counts.counts)
