"""A real `python -m service` process for the tests."""

import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

READY = re.compile(r"running on (http://127\.0\.0\.1:(\d+))")
# Settings of malloc that return freed memory at once, so that the resident memory is what the
# service holds. By default it keeps freed memory, and grows a little with each new peak.
THRIFTY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
# Timeout in seconds of operations that take a few seconds at most on an idle machine. Only an
# operation that never completes should fail, however busy the machine is.
PATIENCE = 120.0
# Without TLS: loading its certificates takes longer than twenty requests.
PLAIN: dict[str, Any] = {"verify": False, "timeout": PATIENCE}


def environment(**settings: str) -> dict[str, str]:
    """Return the environment of this process with these MONIKER_* settings and no others."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("MONIKER_")
    }
    # No load balancer has to notice before the service stops.
    return inherited | {"MONIKER_PORT": "0", "MONIKER_DRAIN_SECONDS": "0"} | settings


def run_service(**settings: str) -> subprocess.CompletedProcess[str]:
    """Run a service that is expected to exit."""
    return subprocess.run(
        [sys.executable, "-m", "service"],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def resident(process: int, kind: str = "VmRSS") -> int:
    """Return the resident memory of a process in kB, or its peak for the kind `VmHWM`."""
    status = (Path("/proc") / str(process) / "status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if kind in line)


class Server:
    """Context manager of a service on a free port, which answers when the block begins."""

    host = "127.0.0.1"

    def __init__(self, **settings: str) -> None:
        self._environment = environment(**settings)

    def __enter__(self) -> "Server":
        # A file, because a full pipe would block the service.
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
        """Return a client with its own connections."""
        return httpx.Client(base_url=self.url, **PLAIN)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request over a new connection."""
        return httpx.request(method, f"{self.url}{path}", **{**PLAIN, **options})

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Send a GET over a new connection."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """Send a POST over a new connection."""
        return self.request("POST", path, **options)

    def head(self, path: str, **options: Any) -> httpx.Response:
        """Send a HEAD over a new connection."""
        return self.request("HEAD", path, **options)

    @property
    def log(self) -> str:
        """The log so far."""
        return Path(self._log.name).read_text(encoding="utf-8")

    @property
    def resident(self) -> int:
        """Resident memory in kB."""
        return resident(self.process.pid)

    @property
    def peak(self) -> int:
        """Peak of the resident memory since `forget_peak`, in kB."""
        return resident(self.process.pid, "VmHWM")

    def forget_peak(self) -> None:
        """Reset the peak of the resident memory."""
        (Path("/proc") / str(self.process.pid) / "clear_refs").write_text("5")

    @property
    def worked(self) -> float:
        """Processor time of the service so far, in seconds."""
        stat = (Path("/proc") / str(self.process.pid) / "stat").read_text()
        return sum(map(int, stat.split()[13:15])) / os.sysconf("SC_CLK_TCK")

    @property
    def files(self) -> int:
        """Number of open file descriptors, sockets included."""
        return len(list((Path("/proc") / str(self.process.pid) / "fd").iterdir()))

    @property
    def sockets(self) -> int:
        """Number of open sockets, the listening one included."""
        count = 0
        for descriptor in (Path("/proc") / str(self.process.pid) / "fd").iterdir():
            with suppress(FileNotFoundError):  # closed in the meantime
                count += "socket" in str(descriptor.readlink())
        return count

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=PATIENCE)
        self._log.close()
