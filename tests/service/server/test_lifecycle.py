"""The service stops in an orderly way: whoever is being answered is answered."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event

import httpx
import pytest

from tests.support.http.server import PATIENCE, Server, environment
from tests.support.http.wire import ASK, Wire, until

STREAM = b"GET /sample?n=10000000 HTTP/1.1\r\nHost: moniker\r\nAccept: text/plain\r\n\r\n"


def service(folder: Path, leave: float = 0, finish: int = 20) -> Server:
    return Server(
        MONIKER_CHECKPOINTS=str(folder),
        MONIKER_DRAIN_SECONDS=str(leave),
        MONIKER_SHUTDOWN_SECONDS=str(finish),
    )


def ended(server: Server, patience: float = PATIENCE) -> int:
    """The exit status; a stop that is orderly logs no traceback."""
    status = server.process.wait(patience)
    assert "Traceback" not in server.log
    return status


def test_when_told_to_stop_the_service_is_not_ready_and_still_answers(one_model: Path) -> None:
    with service(one_model, leave=1.5) as server, Wire(server) as kept:
        kept.send(ASK)
        assert "connection" not in kept.reply().headers
        server.process.terminate()
        until(lambda: server.get("/readyz").status_code == 503)
        kept.send(ASK)
        reply = kept.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert server.get("/sample").status_code == 200
        assert ended(server) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url)


def test_a_stream_that_is_under_way_is_finished(one_model: Path) -> None:
    with service(one_model) as server:
        ask = f"{server.url}/sample?n=1000000"
        with httpx.stream("GET", ask, headers={"Accept": "text/plain"}, timeout=PATIENCE) as stream:
            server.process.terminate()
            assert sum(part.count(b"\n") for part in stream.iter_bytes()) == 1_000_000
        assert ended(server) == 0


def test_a_stream_that_takes_too_long_is_cut(one_model: Path) -> None:
    with service(one_model, finish=1) as server, Wire(server, buffer=4096) as wire:
        wire.send(STREAM)
        assert wire.receive()
        began = time.monotonic()
        server.process.terminate()
        assert ended(server) == 0
        assert time.monotonic() - began >= 1


def test_a_second_signal_ends_it_at_once(one_model: Path) -> None:
    with service(one_model) as server, Wire(server, buffer=4096) as wire:
        wire.send(STREAM)
        assert wire.receive()
        server.process.terminate()
        until(lambda: "Shutting down" in server.log)
        server.process.terminate()
        assert server.process.wait(3) == 128 + signal.SIGTERM


def test_a_person_who_stops_it_does_not_wait(one_model: Path) -> None:
    with service(one_model, leave=60) as server:
        server.process.send_signal(signal.SIGINT)
        assert ended(server) == 0


def ask_until(stopped: Event, port: int) -> Counter[object]:
    """Ask again and again, as a client that tries anew when it is refused; what came of it."""
    came: Counter[object] = Counter()
    kept = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    while not stopped.is_set():
        try:
            kept.request("GET", "/sample")
            reply = kept.getresponse()
            reply.read()  # raises if it is cut short
            came[reply.status] += 1
        except (OSError, HTTPException) as error:
            came[type(error)] += 1
            kept.close()
            time.sleep(0.02)
    kept.close()
    return came


def test_nobody_is_refused_a_reply_while_the_service_is_restarted(one_model: Path) -> None:
    stopped = Event()
    with ThreadPoolExecutor(8) as clients:
        with service(one_model, leave=1) as server:
            port = server.port
            asking = [clients.submit(ask_until, stopped, port) for _ in range(8)]
            time.sleep(1)
        again = Server(MONIKER_CHECKPOINTS=str(one_model), MONIKER_PORT=str(port))
        with again:
            time.sleep(1)
            stopped.set()
            came = sum((one.result() for one in asking), Counter[object]())
    assert came[200] > 1000
    # A connection that is made between the last look at who has come and the closing is reset
    # by the kernel. Afterwards a client is refused; no reply is cut short or missing.
    resets = {ConnectionResetError, BrokenPipeError}
    assert set(came) <= {200, ConnectionRefusedError, *resets}
    assert sum(came[kind] for kind in resets) <= 8


def test_sighup_makes_it_look_at_the_checkpoints_and_go_on(one_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(one_model, tmp_path / "checkpoints")
    with service(folder) as server:
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "looking at the checkpoints again" in server.log)
        assert server.get("/sample").status_code == 200
        assert server.process.poll() is None


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_the_pipe_of_the_log_stays_blocking_for_whoever_else_has_it(
    one_model: Path, workers: str, sig: int
) -> None:
    out, into = os.pipe()
    settings = environment(MONIKER_CHECKPOINTS=str(one_model), MONIKER_WORKERS=workers)
    with subprocess.Popen([sys.executable, "-m", "service"], env=settings, stderr=into) as process:
        log = b""
        while b"running on" not in log:
            log += os.read(out, 2**16)
        assert os.get_blocking(into)
        flags = Path(f"/proc/{process.pid}/fdinfo/2").read_text().split()[3]
        assert int(flags, 8) & os.O_NONBLOCK
        process.send_signal(sig)
    assert os.get_blocking(into)
    os.close(out)
    os.close(into)
