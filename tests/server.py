"""A real `python -m service` for the tests to talk to."""

import os
import re
import subprocess
import sys
from types import TracebackType

READY = re.compile(r"Uvicorn running on (http://127\.0\.0\.1:\d+)")
PATIENCE = 30  # seconds that a service may take to stop


def environment(**settings: str) -> dict[str, str]:
    """This environment with these MONIKER_* settings and no others."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MONIKER_")}
    return inherited | {"MONIKER_PORT": "0"} | settings


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


class Server:
    """A service on a free port, from when it answers until the block ends."""

    def __init__(self, **settings: str) -> None:
        self._environment = environment(**settings)

    def __enter__(self) -> "Server":
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service"],
            env=self._environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.log = []
        for line in self.process.stderr:
            self.log.append(line)
            if match := READY.search(line):
                self.url = match[1]
                return self
        raise AssertionError("the service did not start:\n" + "".join(self.log))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE)
