"""Several processes that serve at one address, each replaced if it dies or hangs.

uvicorn's own supervisor stops the healthy ones too when a replacement cannot start, and
waits to the end for the second signal to stop.
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

from service.process import SharedFolder
from service.server.server import serve
from service.settings import Settings, SettingsError

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
PAUSE = 1.0  # seconds before a process is replaced that never served
TICK = 1.0  # seconds between two looks at the processes
SLOW, HUNG = 5, 10  # looks without a sign of life until it is to be replaced, and is killed

logger = logging.getLogger("moniker")
spawn = multiprocessing.get_context("spawn")


def supervise(settings: Settings, bound: socket.socket) -> int:
    """Serve with several processes until told to stop; the exit status. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix="moniker-") as folder:
        return Supervisor(settings, bound, SharedFolder.within(Path(folder))).run()


class Signals:
    """The signals that this process gets from now on, to be waited for one after another."""

    def __init__(self) -> None:
        self._signals, to_us = os.pipe()
        os.set_blocking(to_us, False)
        signal.set_wakeup_fd(to_us, warn_on_full_buffer=False)
        for sig in SIGNALS:
            signal.signal(sig, lambda sig, frame: None)

    def wait(self, seconds: float) -> int:
        """The next one, 0 if none comes in time."""
        come, _, _ = select.select([self._signals], [], [], seconds)
        return os.read(self._signals, 1)[0] if come else 0


@dataclass(eq=False)
class Worker:
    """A process that serves.

    slot: the name of its metrics, which the next process with this slot goes on counting in
    pulse: signs of life so far, 0 before it serves and after; `seen` at the last look
    missed: looks since the last sign of life
    is_old: it is to be replaced; is_leaving: it has been told to stop
    """

    process: SpawnProcess
    slot: int
    pulse: c_ulong
    seen: int = 0
    missed: int = 0
    is_old: bool = False
    is_leaving: bool = False

    @property
    def serves(self) -> bool:
        """Whether it has begun to serve and goes on."""
        return self.pulse.value > 0

    def look(self) -> None:
        """If its event loop stands still, have it replaced, and kill it in the end."""
        pulse = self.pulse.value
        self.missed = self.missed + 1 if pulse and pulse == self.seen else 0
        self.seen = pulse
        self.is_old |= self.missed == SLOW  # its replacement takes seconds to start
        if self.missed == HUNG:
            logger.error("worker %d does not react, killed", self.process.pid)
            self.tell(signal.SIGKILL)

    def tell(self, sig: int) -> None:
        """Send it a signal, if it has not ended."""
        if self.process.exitcode is None and self.process.pid:
            os.kill(self.process.pid, sig)


class Supervisor:
    """The processes, as many as the settings say; one more while they are replaced."""

    def __init__(self, settings: Settings, bound: socket.socket, shared: SharedFolder) -> None:
        self._settings, self._bound, self._shared = settings, bound, shared
        self._workers: list[Worker] = []
        self._signals = Signals()
        self._have_served = False
        self._next_start = self._next_look = 0.0  # not before, by the monotonic clock

    def run(self) -> int:
        """Start them, replace those that die or hang, stop all when told to; the exit status."""
        self._go_on()
        while (sig := self._wait()) not in (signal.SIGTERM, signal.SIGINT):
            if sig == signal.SIGHUP:
                self._renew()
            for worker in self._ended():
                if worker.process.exitcode == STARTUP_FAILURE and not self._have_served:
                    self._stop(signal.SIGTERM)
                    return STARTUP_FAILURE
                self._miss(worker)
            self._go_on()
        return self._stop(sig)

    def _wait(self) -> int:
        """Return the next signal, or 0 after TICK seconds without one."""
        sig = self._signals.wait(TICK)
        if monotonic() >= self._next_look:  # not by each signal
            self._next_look = monotonic() + TICK
            for worker in self._workers:
                worker.look()
        self._have_served |= any(worker.serves for worker in self._workers)
        return sig

    def _go_on(self) -> None:
        """Start those that are wanting; of those to be replaced, stop one if all others serve."""
        staying = [worker for worker in self._workers if not worker.is_leaving]
        old = [worker for worker in staying if worker.is_old]
        wanting = self._settings.workers + bool(old) - len(staying)
        if wanting > 0 and monotonic() >= self._next_start:
            for _ in range(wanting):
                self._start()
        elif wanting <= 0 and old and all(worker.serves for worker in staying):
            old[0].is_leaving = True
            old[0].tell(signal.SIGHUP)

    def _start(self) -> None:
        self._shared.make()
        taken = {worker.slot for worker in self._workers}
        slot = next(slot for slot in count() if slot not in taken)
        pulse = spawn.RawValue(c_ulong, 0)
        given = (self._settings, self._bound, self._shared, slot, pulse)
        process = spawn.Process(target=_work, args=given, name="worker")
        process.start()
        self._workers.append(Worker(process, slot, pulse))

    def _renew(self) -> None:
        """Replace all, one after another, by processes with the settings as they are now."""
        try:
            self._settings = Settings.from_environment(os.environ)
        except SettingsError as error:
            logger.error("not restarted: %s", "; ".join(str(error).splitlines()))
            return
        logger.info("replacing the workers one by one")
        for worker in self._workers:
            worker.is_old = True

    def _ended(self) -> Iterator[Worker]:
        """Forget those that have ended, and yield them."""
        for worker in [one for one in self._workers if one.process.exitcode is not None]:
            folder = str(self._shared.metrics)
            mark_process_dead(worker.slot, folder)  # type: ignore[no-untyped-call]
            self._workers.remove(worker)
            yield worker

    def _miss(self, worker: Worker) -> None:
        """See to it that a process which has ended is replaced."""
        pid, status = worker.process.pid, worker.process.exitcode
        if not worker.is_leaving:
            logger.error("worker %d ended with status %s, replaced", pid, status)
        elif status != 0:
            logger.error("worker %d ended with status %s", pid, status)
        if worker.is_leaving or status == 0 or worker.serves:
            return
        self._next_start = monotonic() + PAUSE
        if any(other.is_old for other in self._workers):
            logger.error("the workers from before stay")
        for other in self._workers:
            other.is_old = False

    def _stop(self, sig: int) -> int:
        """Pass a signal on and wait; at a second one do not."""
        self._bound.close()
        for worker in self._workers:
            worker.tell(sig if worker.serves else signal.SIGTERM)
        failed = False
        while self._workers:
            for worker in self._ended():
                # SIGTERM ends one that has not begun to serve.
                failed |= worker.process.exitcode not in (0, -signal.SIGTERM)
            if self._workers and (second := self._wait()) in (signal.SIGTERM, signal.SIGINT):
                for worker in self._workers:
                    worker.tell(signal.SIGKILL)
                return 128 + second
        return int(failed)


def _work(
    settings: Settings, bound: socket.socket, shared: SharedFolder, slot: int, pulse: c_ulong
) -> None:
    """What a worker does: serve, until it is told to stop or there is nobody to tell it."""
    os.setpgrp()  # Ctrl+C is for the parent alone, which passes it on
    threading.Thread(target=_follow_parent, daemon=True).start()
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]
    serve(settings, bound, shared, pulse)
    pulse.value = 0  # it may take a while to end


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
