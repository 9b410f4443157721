"""Counts as a table in Parquet, which any database can make of names that it holds.

A row says how often a step occurs; the counts of equal rows add up, so the tables of
the parts of a list are, one after the other, the table of the list.

    position  integer  the number of characters before, from 0
    last      string   the characters before, in reading order, the last four at most
    next      string   the character that comes then, empty for the end of the name
    count     integer  how many names do this, from 1
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.counts.context_counts import ContextCounts, add
from models.counts.transitions import Contexts, Transitions
from models.text.normalization import normalize_part
from models.text.vocabulary import LINE_END, Points, Vocabulary, code_points
from training.atomic_files import write_whole
from training.counts.counting import DEEPEST, Counted
from training.counts.flow_check import first_imbalance
from training.lists.name_list import NameListError, plain_name

WIDTH = DEEPEST + 1  # characters of a row: `last`, padded at its start, and `next`
PAD = chr(LINE_END)  # stands for the boundary: no name has it, and it sorts before all of them
LAST_POSITION = 2**16  # far beyond any name
MOST = 2**53  # of what a float counts exactly, as training does

Bools: TypeAlias = NDArray[np.bool_]


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


# What a column holds, whether a type is that, and as what it is worked on.
INTEGERS = ("integers", pa.types.is_integer, pa.int64())
STRINGS = ("strings", _is_text, pa.large_string())
COLUMNS = {"position": INTEGERS, "last": STRINGS, "next": STRINGS, "count": INTEGERS}


def read_table(data: str, keep_case: bool = False, turkish: bool = False) -> Counted:
    """The counts in a Parquet file, or in all the files of a folder.

    Files whose names begin with a dot or an underscore are notes of those who wrote the
    folder. Raises NameListError naming the file and, if there is one, the row.
    """
    files = _files(Path(data))
    sha256 = _digest(Path(data), files)
    counts = add(_read(file, keep_case) for file in files)
    if not (counts.transitions.tokens == LINE_END).any():
        raise NameListError(f"{data}: there is no whole name in it")
    if counts.counts.sum(dtype=float) > MOST:
        raise NameListError(f"{data}: the counts add up to more than {MOST}")
    counted = Counted(plain_name(data), sha256, *_tokens(counts, keep_case, turkish))
    _check_flow(data, counted)
    return counted


def _check_flow(data: str, counted: Counted) -> None:
    """Raises NameListError if the counts cannot be those of whole names."""
    if (bad := first_imbalance(counted.counts)) is None:
        return
    last = "".join(map(chr, _points(counted.vocabulary)[bad.history[::-1]])).lstrip(PAD)
    raise NameListError(
        f"{data}: position {bad.position}, last {last!r}: {bad.arriving:,} names arrive, by rows of"
        f" position {bad.position - 1}, but {bad.leaving:,} go on or end; a table needs every row"
        " of all its names, with its whole count"
    )


def write_table(path: Path, counted: Counted) -> None:
    """Write counts that show as much history as a table has, sorted, whole or not at all.

    Raises OSError naming `path` if it cannot be written, and NameListError if a name is longer
    than a table may show.
    """
    if (counted.counts.transitions.contexts.positions > LAST_POSITION).any():
        raise NameListError(
            f"{counted.name}: a name has more than {LAST_POSITION:,} characters, the limit of a"
            " table of counts"
        )
    steps, points = counted.counts.transitions, _points(counted.vocabulary)
    last = np.ascontiguousarray(points[steps.contexts.history[:, ::-1]])
    columns = {
        "position": pa.array(steps.contexts.positions),
        "last": pc.utf8_ltrim(pa.array(last.view(f"=U{DEEPEST}").ravel()), PAD),
        "next": pc.utf8_ltrim(pa.array(points[steps.tokens].view("=U1")), PAD),
        "count": pa.array(counted.counts.counts),
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    write_whole(path, sink.getvalue().to_pybytes())


def _points(vocabulary: Vocabulary) -> NDArray[np.uint32]:
    """Token -> code point, with PAD for the boundary."""
    return code_points(PAD + vocabulary.characters).astype(np.uint32)


def _tokens(
    counts: ContextCounts, keep_case: bool, turkish: bool
) -> tuple[Vocabulary, ContextCounts]:
    """The vocabulary of counts in which code points stand for tokens, and the counts in tokens."""
    steps, history = counts.transitions, counts.transitions.contexts.history
    points = np.unique(np.append(history, (LINE_END, *steps.tokens)))  # LINE_END is the least
    vocabulary = Vocabulary("".join(map(chr, points[1:])), keep_case, turkish)
    contexts = Contexts(steps.contexts.positions, np.searchsorted(points, history))
    tokens = np.searchsorted(points, steps.tokens)
    return vocabulary, ContextCounts(Transitions(contexts, tokens), counts.counts)


def _files(path: Path) -> list[Path]:
    try:
        if not path.is_dir():
            return [path]
        files = [file for file in sorted(path.iterdir()) if file.name[0] not in "._"]
    except OSError as error:
        raise NameListError(f"{path}: {error.strerror}") from error
    if not files:
        raise NameListError(f"{path}: there is no file in it")
    return files


def _digest(path: Path, files: list[Path]) -> str:
    """SHA-256 of a file, or of the digests of the files of a folder, whatever they are called."""
    digests = sorted(hashlib.sha256(_bytes(file)).hexdigest() for file in files)
    return hashlib.sha256("".join(digests).encode()).hexdigest() if path.is_dir() else digests[0]


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise NameListError(f"{file}: {error.strerror}") from error


def _read(file: Path, keep_case: bool) -> ContextCounts:
    """The counts in one file, sorted, with code points for tokens."""
    table = _load(file)
    for bad, fault in _faults(table, keep_case):
        if bad.any():
            raise NameListError(f"{file}: row {bad.argmax() + 1}: {fault}")
    counts = table["count"].to_numpy()
    if counts.sum(dtype=float) > MOST:
        raise NameListError(f"{file}: the counts add up to more than {MOST}")
    points = _grid(_text(table)).astype(np.intp)
    contexts = Contexts(table["position"].to_numpy(), points[:, DEEPEST - 1 :: -1])
    return add([ContextCounts(Transitions(contexts, points[:, DEEPEST]), counts)])


def _load(file: Path) -> pa.Table:
    """The four columns of a file as 64-bit integers and large strings."""
    try:
        parquet = pq.ParquetFile(pa.BufferReader(_bytes(file)))
        _check(file, parquet.schema_arrow)
        table = parquet.read(columns=list(COLUMNS))
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise NameListError(f"{file}: not a whole Parquet file") from error
    try:
        table.validate(full=True)
    except pa.ArrowInvalid as error:
        raise NameListError(f"{file}: a string in it is not UTF-8") from error
    # An unsigned number that is too large becomes a negative one.
    return pa.table({c: table[c].cast(to, safe=False) for c, (_, _, to) in COLUMNS.items()})


def _check(file: Path, schema: pa.Schema) -> None:
    """Raises NameListError if a column is missing or holds something else."""
    for column, (kind, fits, _) in COLUMNS.items():
        found = schema.get_all_field_indices(column)
        if len(found) != 1:
            many = "more than one" if found else "no"
            raise NameListError(f"{file}: there is {many} column {column}")
        if not fits(holds := schema.field(column).type):
            raise NameListError(f"{file}: column {column} is {holds}, not {kind}")


def _faults(table: pa.Table, keep_case: bool) -> Iterator[tuple[Bools, str]]:
    """Which rows have a fault, (rows,), and the fault in words, for each that there can be.

    A fault is only looked for where there are none of those before it.
    """
    for column in COLUMNS:
        yield table[column].is_null().to_numpy(), f"its {column} is null"
    position, count = table["position"].to_numpy(), table["count"].to_numpy()
    last = pc.utf8_length(table["last"]).to_numpy()
    ends = pc.utf8_length(table["next"]).to_numpy() == 0
    yield (position < 0) | (position > LAST_POSITION), f"its position is not 0 to {LAST_POSITION}"
    yield (count < 1) | (count > MOST), f"its count is not 1 to {MOST}"
    yield pc.utf8_length(table["next"]).to_numpy() > 1, "its next is more than one character"
    yield (
        last != np.minimum(position, DEEPEST),
        f"its last is not the {DEEPEST} characters before, or all if there are fewer",
    )
    yield ends & (position == 0), "it ends a name that has no character"
    text = _text(table)
    grid = _grid(text)
    # The padding consists of control characters too.
    controls = (grid < ord(" ")) | ((grid >= 0x7F) & (grid <= 0x9F))
    yield controls.sum(axis=1) > WIDTH - last - ~ends, "a control character is in it"
    spaces = [ord(c) for c in set(text) if c.isspace() and c != PAD]
    starts_with_space = (position == 0) & np.isin(grid[:, DEEPEST], spaces)
    yield starts_with_space | (ends & np.isin(grid[:, DEEPEST - 1], spaces)), "it is not trimmed"
    form = "NFC" if keep_case else "lower case and NFC"
    yield _unfolded(text, keep_case), f"it is not in {form}"


def _text(table: pa.Table) -> str:
    """All rows in one: `last` padded at its start, `next` or a PAD, and a PAD to part the rows."""
    last = pc.utf8_lpad(table["last"], DEEPEST, PAD)
    next_ = pc.utf8_lpad(table["next"], 1, PAD)
    nothing, pad = (pa.scalar(text, pa.large_string()) for text in ("", PAD))
    rows = pc.binary_join_element_wise(last, next_, pad, nothing).combine_chunks()
    whole = pa.LargeListArray.from_arrays(pa.array([0, len(rows)], pa.int64()), rows)
    text: str = pc.binary_join(whole, nothing)[0].as_py()
    return text


def _grid(text: str) -> Points:
    """The code points of `last` and `next` in such a text, (rows, WIDTH)."""
    return code_points(text).reshape(-1, WIDTH + 1)[:, :WIDTH]


def _unfolded(text: str, keep_case: bool) -> Bools:
    """Which rows are not in the form in which names are counted, (rows,)."""
    starts = range(0, len(text), WIDTH + 1)
    if normalize_part(text, keep_case) == text:
        return np.zeros(len(starts), dtype=bool)
    rows = (text[start : start + WIDTH] for start in starts)
    return np.array([normalize_part(row, keep_case) != row for row in rows])
