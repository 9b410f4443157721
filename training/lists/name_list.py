"""Read a list of names: UTF-8, one a line, normalised, empty lines skipped."""

import gzip
import hashlib
import os
import re
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from models.text.corpus import blocks, normalize_lines
from models.text.vocabulary import Vocabulary

STANDARD_INPUT = "-"
CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")
TURKISH_I = re.compile("[\u0130\u0131]|I\u0307")  # a capital with a dot, a small one without


class NameListError(Exception):
    """A list that cannot be used; the message names the file and, if there is one, the line."""


@dataclass(frozen=True)
class NameList:
    """Normalised names in the order of the list, with the list's name and SHA-256.

    text: the names, a line end after each; its length in names is the list's
    sha256: of the text as it was read, unpacked if it was packed
    warnings: about how the names were read, a sentence each
    """

    name: str
    sha256: str
    text: str
    keep_case: bool = False
    turkish: bool = False
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many names there are."""
        return self.text.count("\n")

    @property
    def names(self) -> list[str]:
        """The names one by one: for lists that are not long."""
        return self.text.split("\n")[:-1]

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The characters of the names."""
        return Vocabulary.of_lines(self.text, self.keep_case, self.turkish)


def read_names(data: str, keep_case: bool = False, turkish: bool = False) -> NameList:
    """The list in a file, in a packed file (.gz) or on standard input (-)."""
    shown = "standard input" if data == STANDARD_INPUT else data
    raw = _read(data, shown)
    sha256 = hashlib.sha256(raw).hexdigest()
    lines = _decode(raw, shown)
    del raw  # a long list need not be in memory twice
    warnings = () if keep_case or turkish else _turkish_warnings(lines)
    text = "".join(normalize_lines(block, keep_case, turkish) for block in blocks(lines))
    if not text:
        raise NameListError(f"{shown}: there is no name in it")
    names = NameList(plain_name(shown), sha256, text, keep_case, turkish, warnings)
    if CONTROL_CHARACTER.search(names.vocabulary.characters):
        raise NameListError(f"{shown}:{_first_control_character(lines)}")
    return names


def plain_name(path: str) -> str:
    """The last part of a path: a file's name need not be UTF-8, a checkpoint's text must."""
    return os.fsencode(Path(path).name).decode(errors="replace")


def _turkish_warnings(lines: str) -> tuple[str, ...]:
    """A warning if some I became i that the rules of Turkish would make a dotless i."""
    if "I" not in lines or not TURKISH_I.search(lines):
        return ()
    return ("I was read as i; if the names are Turkish, use --turkish to read I as \u0131",)


def _first_control_character(lines: str) -> str:
    for number, line in enumerate(lines.split("\n"), start=1):
        if found := CONTROL_CHARACTER.search(line.strip()):
            return f"{number}: a control character, U+{ord(found[0]):04X}, is in the name"
    raise AssertionError("there is no control character")


def _read(data: str, shown: str) -> bytes:
    try:
        if data == STANDARD_INPUT:
            with open(0, "rb", closefd=False) as file:
                return file.read()
        if data.endswith(".gz"):
            with gzip.open(data) as file:
                return file.read()
        return Path(data).read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise NameListError(f"{shown}: not a whole gzip file") from error
    except OSError as error:
        raise NameListError(f"{shown}: {error.strerror}") from error


def _decode(raw: bytes, shown: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise NameListError(f"{shown}:{line}: not UTF-8, byte 0x{raw[error.start]:02X}") from error
