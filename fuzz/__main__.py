"""python -m fuzz TARGET SECONDS: look for an input that breaks what is said of a target.

TARGET is `pattern` or `checkpoint`. The exit status is 0 if nothing was found; else the
input is left in the folder .fuzz, and `python -m fuzz TARGET FILE` tries it again.
"""

import sys
import warnings
from functools import partial
from pathlib import Path

import atheris

# What is imported here tells which of its branches an input takes.
with atheris.instrument_imports(include=["models"]):
    from fuzz import checkpoint, pattern

FOUND = Path(".fuzz")
LIMITS = ["-timeout=20", "-rss_limit_mb=2048"]  # seconds and memory of a single input


def main() -> int:
    """Fuzz a target; ends the process if it finds something or the time is over."""
    if len(sys.argv) != 3 or sys.argv[1] not in ("pattern", "checkpoint"):
        print(__doc__, file=sys.stderr)
        return 2
    _, target, rest = sys.argv
    warnings.simplefilter("error")
    if not rest.isdecimal():
        (pattern.check if target == "pattern" else checkpoint.check)(Path(rest).read_bytes())
        return 0
    FOUND.mkdir(exist_ok=True)
    # What is tried again and again is kept in memory: the process ends without clearing up.
    options = [target, *LIMITS, f"-max_total_time={rest}", f"-artifact_prefix={FOUND}/{target}-"]
    if target == "pattern":
        atheris.Setup([*options, "-max_len=300"], pattern.check)
    else:
        # Looked up when it is needed: fuzzing puts another function in its place.
        change = partial(checkpoint.mutated, lambda data, most: atheris.Mutate(data, most))
        most = f"-max_len={checkpoint.MOST}"
        atheris.Setup([*options, most], checkpoint.check, custom_mutator=change)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
