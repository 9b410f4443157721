"""Progress on a terminal, with the loss, of what takes longer than a second."""

from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from models.fitting import Watch


@contextmanager
def progress(what: str) -> Iterator[Watch]:
    """A watcher that shows each step and its loss on standard error, if that is a terminal."""
    with tqdm(desc=what, unit=" steps", delay=1, leave=False, disable=None) as bar:

        def watch(loss: float) -> None:
            bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
            bar.update()

        yield watch
