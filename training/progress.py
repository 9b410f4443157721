"""Progress on a terminal, with the loss, of what takes longer than a second."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from models.fitting import Watch


@contextmanager
def progress(what: str) -> Iterator[Watch]:
    """A watcher that shows each step and its loss on standard error, if that is a terminal."""
    nowhere = True if sys.stderr is None else None  # None: as the terminal says
    with tqdm(desc=what, unit=" steps", delay=1, leave=False, disable=nowhere) as bar:

        def watch(loss: float) -> None:
            bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
            bar.update()

        yield watch
