"""Progress of the phases of the job on standard error, at a terminal and elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TextIO

from tqdm import tqdm

DELAY = 1.0  # seconds before a terminal shows a phase
REFRESH = 0.25  # seconds between two updates at a terminal
INTERVAL = 10.0  # seconds between two lines elsewhere


class Phase:
    """The state of a phase: the number of its steps so far, and the loss before the last one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps = 0
        self.loss: float | None = None

    def __call__(self, loss: float | None = None) -> None:
        """Count a step."""
        self.steps += 1
        self.loss = loss


@contextmanager
def progress(name: str, unit: str = "steps") -> Iterator[Phase]:
    """Show a phase while it lasts; call the value at each step, with the loss if there is one.

    A terminal shows it after a second. Elsewhere it prints a line every ten seconds.
    """
    phase, ended = Phase(name), Event()
    stream = sys.stderr
    if stream is None:  # standard error is closed
        yield phase
        return
    show = _bar if stream.isatty() else _lines
    # A thread, because a phase may be one long call.
    thread = Thread(target=show, args=(phase, unit, stream, ended.wait), daemon=True)
    thread.start()
    try:
        yield phase
    finally:
        ended.set()
        thread.join()


def _lines(phase: Phase, unit: str, stream: TextIO, wait: Callable[[float], bool]) -> None:
    while not wait(INTERVAL):
        steps = f", {phase.steps:,} {unit}" if phase.steps else ""
        loss = "" if phase.loss is None else f", loss {phase.loss:.4f}"
        print(f"{phase.name}{steps}{loss}", file=stream, flush=True)


def _bar(phase: Phase, unit: str, stream: TextIO, wait: Callable[[float], bool]) -> None:
    if wait(DELAY):
        return
    with tqdm(
        desc=phase.name,
        unit=f" {unit}",
        leave=False,
        file=stream,
        mininterval=0,
        miniters=0,
        delay=REFRESH / 2,  # else tqdm draws an empty bar first
    ) as bar:
        bar.start_t -= DELAY
        while not wait(REFRESH):
            bar.bar_format = None if phase.steps else "{desc} [{elapsed}]"
            if phase.loss is not None:
                bar.set_postfix(loss=f"{phase.loss:.4f}", refresh=False)
            bar.update(phase.steps - bar.n)
