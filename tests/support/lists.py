"""Sample lists of names in the formats that spreadsheets, databases and editors export.

Every file contains the names of NAMES in that order; they differ in format and encoding.
"""

import csv
import gzip
import io
import json

import pyarrow
import pyarrow.parquet

NAMES = ["Amélie", "Bruno", "D'Arcy", "Esra", "Jean-Luc", "Maria", "Óscar", "Zoë"]
SEXES = "FMMFMFMF"
COUNTS = [730, 2610, 45, 388, 1204, 7065, 990, 512]
RECORDS = [*zip(NAMES, SEXES, COUNTS, strict=True)]
TEXT = "\n".join(NAMES) + "\n"


def separated(separator: str, header: bool = True) -> bytes:
    """Return all columns as CSV with a separator."""
    file = io.StringIO()
    writer = csv.writer(file, delimiter=separator)
    if header:
        writer.writerow(["name", "sex", "count"])
    writer.writerows(RECORDS)
    return file.getvalue().encode()


def parquet() -> bytes:
    """Return all columns as Parquet."""
    columns = {"name": NAMES, "sex": [*SEXES], "count": COUNTS}
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


OBJECTS = [{"name": name, "sex": sex, "count": count} for name, sex, count in RECORDS]
LISTS = {
    "plain.txt": TEXT.encode(),
    "mark.txt": TEXT.encode("utf-8-sig"),
    "carriage-returns.txt": TEXT.replace("\n", "\r\n").encode(),
    "windows.txt": TEXT.encode("cp1252"),
    "utf-16.txt": TEXT.encode("utf-16"),
    "no-break-spaces.txt": TEXT.replace("\n", "\N{NO-BREAK SPACE}\n").encode(),
    "invisible.txt": TEXT.replace("a", "a\N{ZERO WIDTH SPACE}").encode(),
    "comments.txt": f"# first names, checked by hand\n{TEXT}".encode(),
    "bullets.md": ("# Names\n" + "".join(f"- {name}\n" for name in NAMES)).encode(),
    "quoted.txt": "".join(f'"{name}",\n' for name in NAMES).encode(),
    "one-line.txt": ",".join(NAMES).encode(),
    "fixed-width.txt": "".join(f"{name:<14}{count:>8}\n" for name, _, count in RECORDS).encode(),
    "header.csv": separated(","),
    "no-header.csv": separated(",", header=False),
    "semicolons.csv": separated(";"),
    "tabs.tsv": separated("\t"),
    "packed.csv.gz": gzip.compress(separated(","), mtime=0),
    "array.json": json.dumps(NAMES, indent=1, ensure_ascii=False).encode(),
    "escaped.json": json.dumps(NAMES).encode(),
    "objects.json": json.dumps(OBJECTS).encode(),
    "one-list.json": json.dumps({"source": "a survey", "names": NAMES}).encode(),
    "lines.jsonl": "".join(f"{json.dumps(item)}\n" for item in OBJECTS).encode(),
    "table.parquet": parquet(),
    "five-times.txt": (TEXT * 5).encode(),
}
