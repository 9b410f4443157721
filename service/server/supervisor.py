"""The supervisor: several processes that serve at one address, replaced if they die or hang.

uvicorn's own supervisor also stops the healthy processes if a replacement cannot start, and
ignores a second signal to stop until all processes have ended.
"""

import logging
import multiprocessing
import os
import select
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from ctypes import c_ulong
from dataclasses import dataclass
from itertools import count
from multiprocessing.context import SpawnProcess
from pathlib import Path
from time import monotonic

from prometheus_client import values
from prometheus_client.multiprocess import mark_process_dead
from uvicorn.config import STARTUP_FAILURE

from service.server.server import serve
from service.settings import Settings, SettingsError
from service.shared_folder import SharedFolder

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
RESTART_DELAY = 1.0  # seconds before a process that never served is replaced
CHECK_INTERVAL = 1.0  # seconds between two checks of the heartbeats
REPLACE_AFTER, KILL_AFTER = 5, 10  # checks without a heartbeat

logger = logging.getLogger("moniker")
spawn = multiprocessing.get_context("spawn")


def supervise(settings: Settings, bound: socket.socket) -> int:
    """Serve with several processes until a signal; return the exit status. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix="moniker-") as folder:
        return Supervisor(settings, bound, SharedFolder.within(Path(folder))).run()


class Signals:
    """A queue of the signals that this process receives from now on."""

    def __init__(self) -> None:
        self._reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for sig in SIGNALS:
            signal.signal(sig, lambda sig, frame: None)

    def wait(self, seconds: float) -> int:
        """Return the next signal, or 0 if none arrives in time."""
        ready, _, _ = select.select([self._reader], [], [], seconds)
        return os.read(self._reader, 1)[0] if ready else 0


@dataclass(eq=False)
class Worker:
    """A process that serves.

    index: the name of its metrics; the next process with this index continues them
    heartbeats: number of heartbeats so far, in shared memory; 0 before it serves and after
    last_heartbeats: their number at the last check
    missed_checks: checks since the last heartbeat
    is_old: whether it is to be replaced
    is_draining: whether it has been asked to stop
    """

    process: SpawnProcess
    index: int
    heartbeats: c_ulong
    last_heartbeats: int = 0
    missed_checks: int = 0
    is_old: bool = False
    is_draining: bool = False

    @property
    def serves(self) -> bool:
        """Whether the process is serving."""
        return self.heartbeats.value > 0

    def check_heartbeat(self) -> None:
        """Mark the process as old if its event loop is blocked, and kill it later."""
        heartbeats = self.heartbeats.value
        is_missed = heartbeats and heartbeats == self.last_heartbeats
        self.missed_checks = self.missed_checks + 1 if is_missed else 0
        self.last_heartbeats = heartbeats
        self.is_old |= self.missed_checks == REPLACE_AFTER  # a replacement starts for seconds
        if self.missed_checks == KILL_AFTER:
            logger.error("worker %d does not respond, killed", self.process.pid)
            self.send_signal(signal.SIGKILL)

    def send_signal(self, sig: int) -> None:
        """Send a signal to the process, if it has not ended."""
        if self.process.exitcode is None and self.process.pid:
            os.kill(self.process.pid, sig)


class Supervisor:
    """Keeps as many processes as the settings say, and one more during a replacement."""

    def __init__(self, settings: Settings, bound: socket.socket, shared: SharedFolder) -> None:
        self._settings, self._bound, self._shared = settings, bound, shared
        self._workers: list[Worker] = []
        self._signals = Signals()
        self._have_served = False
        self._next_start = self._next_check = 0.0  # earliest times, by the monotonic clock

    def run(self) -> int:
        """Start the processes, replace and in the end stop them; return the exit status."""
        self._adjust()
        while (sig := self._wait()) not in (signal.SIGTERM, signal.SIGINT):
            if sig == signal.SIGHUP:
                self._mark_all_old()
            for worker in self._remove_ended():
                if worker.process.exitcode == STARTUP_FAILURE and not self._have_served:
                    self._stop(signal.SIGTERM)
                    return STARTUP_FAILURE
                self._handle_end(worker)
            self._adjust()
        return self._stop(sig)

    def _wait(self) -> int:
        """Check the heartbeats and return the next signal, or 0 after CHECK_INTERVAL seconds."""
        sig = self._signals.wait(CHECK_INTERVAL)
        if monotonic() >= self._next_check:  # a signal comes earlier
            self._next_check = monotonic() + CHECK_INTERVAL
            for worker in self._workers:
                worker.check_heartbeat()
        self._have_served |= any(worker.serves for worker in self._workers)
        return sig

    def _adjust(self) -> None:
        """Start missing processes; or, if all processes serve, drain one that is old."""
        staying = [worker for worker in self._workers if not worker.is_draining]
        old = [worker for worker in staying if worker.is_old]
        missing = self._settings.workers + bool(old) - len(staying)
        if missing > 0 and monotonic() >= self._next_start:
            for _ in range(missing):
                self._start()
        elif missing <= 0 and old and all(worker.serves for worker in staying):
            old[0].is_draining = True
            old[0].send_signal(signal.SIGHUP)

    def _start(self) -> None:
        self._shared.create()
        taken = {worker.index for worker in self._workers}
        index = next(index for index in count() if index not in taken)
        heartbeats = spawn.RawValue(c_ulong, 0)
        args = (self._settings, self._bound, self._shared, index, heartbeats)
        process = spawn.Process(target=_run_worker, args=args, name="worker")
        process.start()
        self._workers.append(Worker(process, index, heartbeats))

    def _mark_all_old(self) -> None:
        """Read the settings again and have all processes replaced, one after another."""
        try:
            self._settings = Settings.from_environment(os.environ)
        except SettingsError as error:
            logger.error("workers not replaced: %s", "; ".join(str(error).splitlines()))
            return
        logger.info("replacing the workers one by one")
        for worker in self._workers:
            worker.is_old = True

    def _remove_ended(self) -> Iterator[Worker]:
        """Remove the processes that have ended, and yield them."""
        for worker in [worker for worker in self._workers if worker.process.exitcode is not None]:
            folder = str(self._shared.metrics)
            mark_process_dead(worker.index, folder)  # type: ignore[no-untyped-call]
            self._workers.remove(worker)
            yield worker

    def _handle_end(self, worker: Worker) -> None:
        """Log the end of a process. If it never served, delay the next start."""
        pid, status = worker.process.pid, worker.process.exitcode
        if not worker.is_draining:
            logger.error("worker %d ended with status %s, replaced", pid, status)
        elif status != 0:
            logger.error("worker %d ended with status %s", pid, status)
        if worker.is_draining or status == 0 or worker.serves:
            return
        self._next_start = monotonic() + RESTART_DELAY
        if any(other.is_old for other in self._workers):
            logger.error("the old workers stay in service")
        for other in self._workers:
            other.is_old = False

    def _stop(self, sig: int) -> int:
        """Send a signal to all processes and wait for them; kill them at a second signal."""
        self._bound.close()
        for worker in self._workers:
            worker.send_signal(sig if worker.serves else signal.SIGTERM)
        failed = False
        while self._workers:
            for worker in self._remove_ended():
                # A process that has not begun to serve ends by SIGTERM.
                failed |= worker.process.exitcode not in (0, -signal.SIGTERM)
            if self._workers and (second := self._wait()) in (signal.SIGTERM, signal.SIGINT):
                for worker in self._workers:
                    worker.send_signal(signal.SIGKILL)
                return 128 + second
        return int(failed)


def _run_worker(
    settings: Settings, bound: socket.socket, shared: SharedFolder, index: int, heartbeats: c_ulong
) -> None:
    """Serve in a process of its own, until a signal or the end of the parent stops it."""
    os.setpgrp()  # Ctrl+C reaches the parent alone, which sends the signal to its processes
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    values.ValueClass = values.MultiProcessValue(lambda: index)  # type: ignore[no-untyped-call]
    serve(settings, bound, shared, heartbeats)
    heartbeats.value = 0  # the process may need a while to end


def _stop_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
