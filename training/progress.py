"""Progress of long phases on standard error: a bar on a terminal, log lines elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TextIO

from tqdm import tqdm

BAR_DELAY = 1.0  # seconds before a terminal shows the bar of a phase
BAR_INTERVAL = 0.25  # seconds between two updates of a bar
LINE_INTERVAL = 10.0  # seconds between two log lines


class Phase:
    """A running phase: the number of completed units of work, and the most recent loss."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.completed = 0
        self.loss: float | None = None

    def __call__(self, loss: float | None = None) -> None:
        """Count a completed unit."""
        self.completed += 1
        self.loss = loss


@contextmanager
def progress(name: str, unit: str = "steps") -> Iterator[Phase]:
    """Show the progress of a phase while the context lasts.

    Call the yielded phase after each unit of work, with the loss if there is one. A terminal shows
    a bar after one second. Other streams, such as the log of a container, get a line every ten
    seconds.
    """
    phase, finished = Phase(name), Event()
    stream = sys.stderr
    if stream is None:  # standard error is closed
        yield phase
        return
    show = _show_bar if stream.isatty() else _print_lines
    # In a thread, because a phase may consist of one long call.
    thread = Thread(target=show, args=(phase, unit, stream, finished.wait), daemon=True)
    thread.start()
    try:
        yield phase
    finally:
        finished.set()
        thread.join()


def _print_lines(phase: Phase, unit: str, stream: TextIO, wait: Callable[[float], bool]) -> None:
    while not wait(LINE_INTERVAL):
        completed = f", {phase.completed:,} {unit}" if phase.completed else ""
        loss = "" if phase.loss is None else f", loss {phase.loss:.4f}"
        print(f"{phase.name}{completed}{loss}", file=stream, flush=True)


def _show_bar(phase: Phase, unit: str, stream: TextIO, wait: Callable[[float], bool]) -> None:
    if wait(BAR_DELAY):
        return
    with tqdm(
        desc=phase.name,
        unit=f" {unit}",
        leave=False,
        file=stream,
        mininterval=0,
        miniters=0,
        delay=BAR_INTERVAL / 2,  # otherwise tqdm draws an empty bar first
    ) as bar:
        bar.start_t -= BAR_DELAY
        while not wait(BAR_INTERVAL):
            bar.bar_format = None if phase.completed else "{desc} [{elapsed}]"
            if phase.loss is not None:
                bar.set_postfix(loss=f"{phase.loss:.4f}", refresh=False)
            bar.update(phase.completed - bar.n)
