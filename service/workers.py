"""Several processes that serve at one address, each replaced if it dies.

uvicorn's own supervisor stops the healthy ones too when a replacement cannot start, and
waits to the end for the second signal to stop.
"""

import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from multiprocessing.context import SpawnProcess
from pathlib import Path

from prometheus_client.multiprocess import mark_process_dead
from uvicorn.config import STARTUP_FAILURE

from service.server import serve
from service.settings import Settings
from service.shared import Shared

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
PAUSE = 1.0  # seconds before a process is replaced that did not live longer than that

logger = logging.getLogger("moniker")
spawn = multiprocessing.get_context("spawn")


def serve_with_workers(settings: Settings, bound: socket.socket) -> int:
    """Serve with several processes until told to stop; the exit status. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix="moniker-") as folder:
        return Workers(settings, bound, Shared.within(Path(folder))).run()


class Signals:
    """The signals that this process gets from now on, to be waited for one after another."""

    def __init__(self) -> None:
        self._signals, to_us = os.pipe()
        os.set_blocking(to_us, False)
        signal.set_wakeup_fd(to_us, warn_on_full_buffer=False)
        for sig in SIGNALS:
            signal.signal(sig, lambda sig, frame: None)

    def wait(self) -> int:
        """The next one."""
        return os.read(self._signals, 1)[0]


class Workers:
    """The processes, each with when it was started."""

    def __init__(self, settings: Settings, bound: socket.socket, shared: Shared) -> None:
        self._settings, self._bound, self._shared = settings, bound, shared
        self._started: dict[SpawnProcess, float] = {}
        self._signals = Signals()
        self._has_served = False

    def run(self) -> int:
        """Start them, replace those that die, stop all when told to; the exit status."""
        for _ in range(self._settings.workers):
            self._start()
        while (sig := self._signals.wait()) == signal.SIGCHLD:
            for worker in self._ended():
                if worker.exitcode == STARTUP_FAILURE and not self._served():
                    self._stop(signal.SIGTERM)
                    return STARTUP_FAILURE
                self._replace(worker)
        return self._stop(sig)

    def _served(self) -> bool:
        """Whether a process has ever had a model: then others will."""
        self._has_served |= self._shared.has_models
        return self._has_served

    def _start(self) -> None:
        self._shared.make()
        given = (self._settings, self._bound, self._shared)
        worker = spawn.Process(target=_work, args=given, name="worker")
        worker.start()
        self._started[worker] = time.monotonic()

    def _ended(self) -> list[SpawnProcess]:
        return [worker for worker in self._started if worker.exitcode is not None]

    def _replace(self, worker: SpawnProcess) -> None:
        self._served()
        lived = time.monotonic() - self._forget(worker)
        logger.error("worker %d ended with status %s, replaced", worker.pid, worker.exitcode)
        if lived < PAUSE:
            time.sleep(PAUSE)
        self._start()

    def _forget(self, worker: SpawnProcess) -> float:
        mark_process_dead(worker.pid, str(self._shared.metrics))  # type: ignore[no-untyped-call]
        return self._started.pop(worker)

    def _stop(self, sig: int) -> int:
        """Pass a signal on and wait; at a second one do not."""
        self._bound.close()
        self._tell(sig)
        failed = False
        while self._started:
            for worker in self._ended():
                failed |= worker.exitcode != 0
                self._forget(worker)
            if self._started and (second := self._signals.wait()) != signal.SIGCHLD:
                self._tell(signal.SIGKILL)
                return 128 + second
        return int(failed)

    def _tell(self, sig: int) -> None:
        for worker in self._started:
            if worker.exitcode is None and worker.pid:
                os.kill(worker.pid, sig)


def _work(settings: Settings, bound: socket.socket, shared: Shared) -> None:
    """What a worker does: serve, until it is told to stop or there is nobody to tell it."""
    os.setpgrp()  # Ctrl+C is for the parent alone, which passes it on
    threading.Thread(target=_follow_parent, daemon=True).start()
    serve(settings, bound, shared)


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
