"""Read a list of names: UTF-8, one a line, trimmed, normalised, empty lines skipped."""

import codecs
import gzip
import hashlib
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from models.vocabulary import normalize

STANDARD_INPUT = "-"
CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class NameListError(Exception):
    """A list that cannot be used; the message names the file and, if there is one, the line."""


@dataclass(frozen=True)
class NameList:
    """Normalised names in the order of the list, with the list's name and SHA-256.

    The digest is of the text as it was read, unpacked if it was packed.
    """

    name: str
    sha256: str
    names: list[str]


def read_names(data: str, keep_case: bool = False) -> NameList:
    """The list in a file, in a packed file (.gz) or on standard input (-)."""
    shown = "standard input" if data == STANDARD_INPUT else data
    raw = _read(data, shown)
    lines = _decode(raw.removeprefix(codecs.BOM_UTF8), shown).split("\n")
    names = [normalize(line, keep_case) for line in lines]
    for number, name in enumerate(names, start=1):
        if found := CONTROL_CHARACTER.search(name):
            code = f"U+{ord(found[0]):04X}"
            raise NameListError(f"{shown}:{number}: a control character, {code}, is in the name")
    names = [name for name in names if name]
    if not names:
        raise NameListError(f"{shown}: there is no name in it")
    # A file's name need not be UTF-8, a checkpoint's text must.
    shown_name = os.fsencode(Path(shown).name).decode(errors="replace")
    return NameList(shown_name, hashlib.sha256(raw).hexdigest(), names)


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
