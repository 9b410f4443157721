"""Reader for lists of names: UTF-8, one name per line, normalised, empty lines skipped."""

import gzip
import hashlib
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from models.errors import MonikerError
from models.lazy_property import lazy
from models.text.corpus import blocks, normalize_lines
from models.text.normalization import CONTROL_CHARACTER
from models.text.vocabulary import Vocabulary

STANDARD_INPUT = "-"
TURKISH_I = re.compile("[\u0130\u0131]|I\u0307")  # capital I with a dot, small i without a dot


class NameListError(MonikerError):
    """A list of names or a table of counts is not valid.

    The message is one line. It names the file and, if there is one, the line or row.
    """


@dataclass(frozen=True)
class NameList:
    """Normalised names in the order of the list.

    name: name of the file, without its folder
    sha256: digest of the text before normalisation and after decompression, 64 hex digits
    text: the names, each followed by a line end
    keep_case, turkish: how the names were normalised
    warnings: one sentence for each problem that did not stop the reader
    """

    name: str
    sha256: str
    text: str
    keep_case: bool = False
    turkish: bool = False
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of names."""
        return self.text.count("\n")

    @property
    def names(self) -> list[str]:
        """The names as a list of strings, which takes much memory for millions of names."""
        return self.text.split("\n")[:-1]

    @lazy
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the names."""
        return Vocabulary.of_lines(self.text, self.keep_case, self.turkish)


def read_names(data: str, keep_case: bool = False, turkish: bool = False) -> NameList:
    """Return the list in a file, in a gzip file (.gz), or on standard input (-).

    Raises NameListError if it cannot be read, is not UTF-8, has no names, or has a control
    character in a name.
    """
    label = "standard input" if data == STANDARD_INPUT else data
    payload = _read_bytes(data, label)
    sha256 = hashlib.sha256(payload).hexdigest()
    lines = _decode(payload, label)
    del payload  # frees as much memory as the file is long
    warnings = () if keep_case or turkish else _turkish_warnings(lines)
    text = "".join(normalize_lines(block, keep_case, turkish) for block in blocks(lines))
    if not text:
        raise NameListError(f"{label}: the list has no names; write one name per line")
    name_list = NameList(file_name(label), sha256, text, keep_case, turkish, warnings)
    if CONTROL_CHARACTER.search(name_list.vocabulary.characters):
        raise NameListError(f"{label}:{_first_control_character(lines)}")
    return name_list


def file_name(path: str) -> str:
    """Return the last part of a path as valid Unicode, which a path need not be."""
    return os.fsencode(Path(path).name).decode(errors="replace")


def _turkish_warnings(lines: str) -> tuple[str, ...]:
    """Return a warning if the list has I and also a letter that only Turkish lists have."""
    if "I" not in lines or not TURKISH_I.search(lines):
        return ()
    return ("I was read as i; if the names are Turkish, use --turkish to read I as \u0131",)


def _first_control_character(lines: str) -> str:
    """Return the line number and a description of the first control character in a name."""
    for number, line in enumerate(lines.split("\n"), start=1):
        if match := CONTROL_CHARACTER.search(line.strip()):
            return (
                f"{number}: the name has the control character U+{ord(match[0]):04X};"
                " write one name per line, without other columns"
            )
    raise AssertionError("no name has a control character")


def _read_bytes(data: str, label: str) -> bytes:
    try:
        if data == STANDARD_INPUT:
            with open(0, "rb", closefd=False) as file:
                return file.read()
        if data.endswith(".gz"):
            with gzip.open(data) as file:
                return file.read()
        return Path(data).read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise NameListError(
            f"{label}: the gzip file is truncated or damaged; compress the list again"
        ) from error
    except OSError as error:
        raise NameListError(f"{label}: {error.strerror}") from error


def _decode(payload: bytes, label: str) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        line = payload.count(b"\n", 0, error.start) + 1
        raise NameListError(
            f"{label}:{line}: byte 0x{payload[error.start]:02X} is not valid UTF-8;"
            " save the list as UTF-8"
        ) from error
