"""A real `python -m service` for the tests to talk to."""

import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

READY = re.compile(r"running on (http://127\.0\.0\.1:(\d+))")
# What is free goes back at once, so that the memory a service takes is what it holds. As it is
# by default, a process keeps what it once took, and that grows a little with each new peak.
THRIFTY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
# Seconds for what takes a fraction of one, or a few, where nothing else runs: a machine may be
# busy, and what does not come to pass at all is the only failure.
PATIENCE = 120.0
# There is no TLS here: to load the certificates for it takes longer than twenty requests.
PLAIN: dict[str, Any] = {"verify": False, "timeout": PATIENCE}


def environment(**settings: str) -> dict[str, str]:
    """This environment with these MONIKER_* settings and no others."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MONIKER_")}
    # Nobody is there to turn to others before it stops.
    return inherited | {"MONIKER_PORT": "0", "MONIKER_DRAIN_SECONDS": "0"} | settings


def run_service(**settings: str) -> subprocess.CompletedProcess[str]:
    """Run a service that is not expected to stay up."""
    return subprocess.run(
        [sys.executable, "-m", "service"],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def resident(process: int, kind: str = "VmRSS") -> int:
    """The memory that a process takes, in kB; `VmHWM` is the most it has taken."""
    status = (Path("/proc") / str(process) / "status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if kind in line)


class Server:
    """A service on a free port, from when it answers until the block ends."""

    host = "127.0.0.1"

    def __init__(self, **settings: str) -> None:
        self._environment = environment(**settings)

    def __enter__(self) -> "Server":
        # A file, not a pipe: nobody has to read it for the service to go on.
        self._log = tempfile.NamedTemporaryFile(prefix="service-", suffix=".log")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service"], env=self._environment, stderr=self._log
        )
        deadline = time.monotonic() + PATIENCE
        while not (match := READY.search(self.log)):
            if self.process.poll() is not None:
                raise RuntimeError(f"the service stopped:\n{self.log}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"the service did not start:\n{self.log}")
            time.sleep(0.02)
        self.url, self.port = match[1], int(match[2])
        return self

    def client(self) -> httpx.Client:
        """A client with a connection of its own."""
        return httpx.Client(base_url=self.url, **PLAIN)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The reply to a request over a new connection."""
        return httpx.request(method, f"{self.url}{path}", **{**PLAIN, **options})

    def get(self, path: str, **options: Any) -> httpx.Response:
        """The reply to a GET over a new connection."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """The reply to a POST over a new connection."""
        return self.request("POST", path, **options)

    def head(self, path: str, **options: Any) -> httpx.Response:
        """The reply to a HEAD over a new connection."""
        return self.request("HEAD", path, **options)

    @property
    def log(self) -> str:
        """What the service has logged so far."""
        return Path(self._log.name).read_text(encoding="utf-8")

    @property
    def resident(self) -> int:
        """The memory that the service takes, in kB."""
        return resident(self.process.pid)

    @property
    def peak(self) -> int:
        """The most memory that the service has taken since `forget_peak`, in kB."""
        return resident(self.process.pid, "VmHWM")

    def forget_peak(self) -> None:
        """Begin to measure the peak anew."""
        (Path("/proc") / str(self.process.pid) / "clear_refs").write_text("5")

    @property
    def worked(self) -> float:
        """The processor time that the service has taken, in seconds."""
        stat = (Path("/proc") / str(self.process.pid) / "stat").read_text()
        return sum(map(int, stat.split()[13:15])) / os.sysconf("SC_CLK_TCK")

    @property
    def files(self) -> int:
        """How many files, sockets among them, the service has open."""
        return len(list((Path("/proc") / str(self.process.pid) / "fd").iterdir()))

    @property
    def sockets(self) -> int:
        """How many sockets the service has open, the one that it listens on among them."""
        found = 0
        for descriptor in (Path("/proc") / str(self.process.pid) / "fd").iterdir():
            with suppress(FileNotFoundError):  # it was closed meanwhile
                found += "socket" in str(descriptor.readlink())
        return found

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.terminate()
        self.process.wait(timeout=PATIENCE)
        self._log.close()
