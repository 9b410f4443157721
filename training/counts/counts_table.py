"""Tables of counts in Parquet, which a database can compute from the names that it stores.

A row says how often a character follows a context. The counts of equal rows add up, so the tables
of the parts of a list are together the table of the list.

    position  integer  number of characters before, from 0
    last      string   the characters before, in reading order, at most the last four
    next      string   the next character; empty at the end of a name
    count     integer  number of names with this transition, from 1
"""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.arrays import Counts, Ints
from models.counts.context_counts import ContextCounts, add
from models.counts.transitions import Contexts, Transitions
from models.text.vocabulary import LINE_END, Vocabulary, code_points
from training.atomic_files import write_atomically
from training.counts.counting import MAX_ORDER, CountedList
from training.counts.flow_check import first_imbalance
from training.counts.row_validation import PADDING, row_problem
from training.lists.name_list import NameListError, file_name

MAX_POSITION = 2**16  # far beyond any name
MAX_TOTAL = 2**53  # training adds counts as 64-bit floats, which are exact up to here


def _is_string(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


# Column -> (type in messages, type check, Arrow type).
INTEGERS = ("integers", pa.types.is_integer, pa.int64())
STRINGS = ("strings", _is_string, pa.string())
COLUMNS = {"position": INTEGERS, "last": STRINGS, "next": STRINGS, "count": INTEGERS}


def read_table(data: str, keep_case: bool = False, turkish: bool = False) -> CountedList:
    """Return the counts in a Parquet file, or in all the files of a folder.

    Ignores files whose names start with a dot or an underscore, such as `_SUCCESS`. Raises
    NameListError naming the file and, if there is one, the row.
    """
    files = _files(Path(data))
    sha256 = _digest(Path(data), files)
    counts = add(_read_file(file, keep_case) for file in files)
    if not (counts.transitions.tokens == LINE_END).any():
        raise NameListError(f"{data}: no row ends a name; write a row with an empty next for each")
    _check_total(data, counts.counts)
    counted = CountedList(file_name(data), sha256, *_to_tokens(counts, keep_case, turkish))
    _check_flow(data, counted)
    return counted


def write_table(path: Path, counted: CountedList) -> None:
    """Write counts of order MAX_ORDER as a table, sorted; replaces the file atomically.

    Raises OSError naming `path` if it cannot be written, and NameListError if a name is longer
    than MAX_POSITION.
    """
    if (counted.counts.transitions.contexts.positions > MAX_POSITION).any():
        raise NameListError(
            f"{counted.name}: a name has more than {MAX_POSITION:,} characters, the limit of a"
            " table of counts; remove it, or train without --write-counts"
        )
    transitions, points = counted.counts.transitions, _points_of_tokens(counted.vocabulary)
    last = np.ascontiguousarray(points[transitions.contexts.history[:, ::-1]])
    columns = {
        "position": pa.array(transitions.contexts.positions),
        "last": pc.utf8_ltrim(pa.array(last.view(f"=U{MAX_ORDER}").ravel()), PADDING),
        "next": pc.utf8_ltrim(pa.array(points[transitions.tokens].view("=U1")), PADDING),
        "count": pa.array(counted.counts.counts),
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    write_atomically(path, sink.getvalue().to_pybytes())


def _files(path: Path) -> list[Path]:
    try:
        if not path.is_dir():
            return [path]
        files = [file for file in sorted(path.iterdir()) if file.name[0] not in "._"]
    except OSError as error:
        raise NameListError(f"{path}: {error.strerror}") from error
    if not files:
        raise NameListError(f"{path}: the folder has no files; write Parquet files to it")
    return files


def _digest(path: Path, files: list[Path]) -> str:
    """Return the SHA-256 of a file, or of the sorted digests of the files of a folder."""
    digests = sorted(hashlib.sha256(_read_bytes(file)).hexdigest() for file in files)
    return hashlib.sha256("".join(digests).encode()).hexdigest() if path.is_dir() else digests[0]


def _read_bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise NameListError(f"{file}: {error.strerror}") from error


def _read_file(file: Path, keep_case: bool) -> ContextCounts:
    """Return the counts in one file, sorted, with code points as tokens."""
    table = _read_columns(file)
    _check_numbers(file, table)
    _check_text(file, table, keep_case)
    counts = table["count"].to_numpy()
    _check_total(file, counts)
    history = _code_points(table["last"], MAX_ORDER)[:, ::-1]
    contexts = Contexts(table["position"].to_numpy(), history)
    return add([ContextCounts(Transitions(contexts, _code_points(table["next"], 1)[:, 0]), counts)])


def _read_columns(file: Path) -> pa.Table:
    """Return the four columns of a file as 64-bit integers and strings."""
    try:
        parquet = pq.ParquetFile(pa.BufferReader(_read_bytes(file)))
        _check_schema(file, parquet.schema_arrow)
        table = parquet.read(columns=list(COLUMNS))
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise NameListError(f"{file}: not a valid Parquet file; write the table again") from error
    try:
        table.validate(full=True)
    except pa.ArrowInvalid as error:
        raise NameListError(f"{file}: a string is not valid UTF-8; encode it as UTF-8") from error
    try:
        # Unsafe: an unsigned number that is too large becomes negative, which is an error later.
        return pa.table({c: table[c].cast(to, safe=False) for c, (_, _, to) in COLUMNS.items()})
    except pa.ArrowInvalid as error:
        raise NameListError(f"{file}: too many strings; split the table into files") from error


def _check_schema(file: Path, schema: pa.Schema) -> None:
    """Raise NameListError if a column is missing, repeated or of another type."""
    for column, (kind, fits, _) in COLUMNS.items():
        indices = schema.get_all_field_indices(column)
        if len(indices) != 1:
            raise NameListError(
                f"{file}: {len(indices)} columns are called {column}; write exactly one"
            )
        if not fits(actual := schema.field(column).type):
            raise NameListError(f"{file}: column {column} has type {actual}; write {kind}")


def _check_numbers(file: Path, table: pa.Table) -> None:
    """Raise NameListError for a value that is null or out of range."""
    for column in COLUMNS:
        if (row := pc.index(table[column].is_null(), True).as_py()) >= 0:
            raise NameListError(f"{file}: row {row + 1}, column {column}: null; write a value")
    for column, minimum, maximum in (("position", 0, MAX_POSITION), ("count", 1, MAX_TOTAL)):
        values = table[column].to_numpy()
        rows = np.flatnonzero((values < minimum) | (values > maximum))
        if len(rows):
            raise NameListError(
                f"{file}: row {rows[0] + 1}, column {column}: {values[rows[0]]} must be"
                f" {minimum} to {maximum}"
            )


def _check_text(file: Path, table: pa.Table, keep_case: bool) -> None:
    """Raise NameListError for the first row whose text is not valid."""
    rows = pa.table(
        {
            "context_length": np.minimum(table["position"].to_numpy(), MAX_ORDER),
            "last": table["last"],
            "next": table["next"],
            "row": np.arange(1, len(table) + 1),
        }
    )
    key = ["context_length", "last", "next"]
    distinct = rows.group_by(key).aggregate([("row", "min")])
    columns = (distinct[name].to_numpy().tolist() for name in [*key, "row_min"])
    problems = (
        (row, problem)
        for context_length, last, next_, row in zip(*columns, strict=True)
        if (problem := row_problem(context_length, last, next_, keep_case))
    )
    if first := min(problems, default=None):
        raise NameListError(f"{file}: row {first[0]}, {first[1]}")


def _check_total(label: Path | str, counts: Counts) -> None:
    if counts.sum(dtype=float) > MAX_TOTAL:
        raise NameListError(
            f"{label}: the sum of the counts must be at most {MAX_TOTAL}; use a part of the list"
        )


def _check_flow(data: str, counted: CountedList) -> None:
    """Raise NameListError if the counts cannot be those of complete names."""
    if (imbalance := first_imbalance(counted.counts)) is None:
        return
    position, history = imbalance.position, imbalance.history[::-1]
    last = "".join(map(chr, _points_of_tokens(counted.vocabulary)[history])).lstrip(PADDING)
    raise NameListError(
        f"{data}: position {position}, last {last!r}: {imbalance.inflow:,} names arrive from"
        f" position {position - 1}, but {imbalance.outflow:,} continue or end; write every row of"
        " all names, with its full count"
    )


def _code_points(strings: pa.ChunkedArray, width: int) -> Ints:
    """Return the code points of n strings, padded at their start, (n, width)."""
    text = "".join(pc.utf8_lpad(strings, width, PADDING).to_pylist())
    return code_points(text).reshape(-1, width).astype(np.intp)


def _points_of_tokens(vocabulary: Vocabulary) -> NDArray[np.uint32]:
    """Return the code point of each token, PADDING for BOUNDARY; (tokens,)."""
    return code_points(PADDING + vocabulary.characters).astype(np.uint32)


def _to_tokens(
    counts: ContextCounts, keep_case: bool, turkish: bool
) -> tuple[Vocabulary, ContextCounts]:
    """Return the vocabulary of counts with code points as tokens, and the counts in its tokens."""
    transitions, history = counts.transitions, counts.transitions.contexts.history
    points = np.unique(np.append(history, (LINE_END, *transitions.tokens)))  # LINE_END sorts first
    vocabulary = Vocabulary("".join(map(chr, points[1:])), keep_case, turkish)
    contexts = Contexts(transitions.contexts.positions, np.searchsorted(points, history))
    tokens = np.searchsorted(points, transitions.tokens)
    return vocabulary, ContextCounts(Transitions(contexts, tokens), counts.counts)
