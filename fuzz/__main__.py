"""python -m fuzz TARGET SECONDS: search for an input that fails the checks of a target.

TARGET is `pattern` or `checkpoint`. The exit status is 0 if no input fails. Otherwise the input is
saved in the folder .fuzz; `python -m fuzz TARGET FILE` checks it again.
"""

import sys
import warnings
from functools import partial
from pathlib import Path

import atheris

# Instrumented code reports which branches an input takes.
with atheris.instrument_imports(include=["models"]):
    from fuzz import checkpoint, pattern

FAILURES = Path(".fuzz")
LIMITS = ["-timeout=20", "-rss_limit_mb=2048"]  # seconds and memory for a single input


def main() -> int:
    """Fuzz a target; the process ends when an input fails or the time is over."""
    if len(sys.argv) != 3 or sys.argv[1] not in ("pattern", "checkpoint"):
        print(__doc__, file=sys.stderr)
        return 2
    _, target, seconds_or_file = sys.argv
    warnings.simplefilter("error")
    if not seconds_or_file.isdecimal():
        check = pattern.check if target == "pattern" else checkpoint.check
        check(Path(seconds_or_file).read_bytes())
        return 0
    FAILURES.mkdir(exist_ok=True)
    options = [
        target,
        *LIMITS,
        f"-max_total_time={seconds_or_file}",
        f"-artifact_prefix={FAILURES}/{target}-",
    ]
    if target == "pattern":
        atheris.Setup([*options, "-max_len=300"], pattern.check)
    else:
        # A lambda, because Setup() replaces atheris.Mutate.
        mutator = partial(checkpoint.mutate, lambda data, size: atheris.Mutate(data, size))
        max_length = f"-max_len={checkpoint.MAX_BYTES}"
        atheris.Setup([*options, max_length], checkpoint.check, custom_mutator=mutator)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
