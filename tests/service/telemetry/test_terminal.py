"""The log on a terminal and elsewhere, and the commands that the service logs at its start."""

import json
import logging
import os
import pty
import re
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from service.server.server import _examples
from service.settings import Settings
from service.telemetry.logs import TextFormatter
from tests.support.http.server import PATIENCE, PLAIN, Server, environment
from tests.support.http.wire import until

COLOUR = re.compile(r"\033\[[0-9;]*m")
UP = re.compile(r"running on (http://127\.0\.0\.1:\d+)")
LINE = re.compile(r"\d\d:\d\d:\d\d (INFO|WARNING|ERROR): +(.+)")


class Screen:
    """The output of a program on a terminal."""

    def __init__(self, terminal: int) -> None:
        self._terminal, self._shown = terminal, b""
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        with suppress(OSError):  # the program has ended
            while part := os.read(self._terminal, 2**16):
                self._shown += part

    @property
    def text(self) -> str:
        return self._shown.decode().replace("\r\n", "\n")

    @property
    def lines(self) -> list[str]:
        """The lines without colours."""
        return COLOUR.sub("", self.text).splitlines()

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until a text, and the rest of its line, has been shown."""
        until(lambda: self.text.count(text) >= times and self.text.endswith("\n"))

    def close(self) -> None:
        """Close the terminal, after the program has ended."""
        self._reading.join(PATIENCE)
        os.close(self._terminal)

    @property
    def url(self) -> str:
        """The address of the service, after all lines of its start."""
        self.wait_for("curl ", times=2)
        match = UP.search(self.text)
        assert match
        return match[1]


@contextmanager
def at_a_terminal(folder: Path, **settings: str) -> Iterator[Screen]:
    """Run the service with its log on a terminal."""
    ours, theirs = pty.openpty()
    variables = environment(MONIKER_CHECKPOINTS=str(folder), MONIKER_DRAIN_SECONDS="0")
    process = subprocess.Popen(
        [sys.executable, "-m", "service"],
        env=variables | {"TERM": "xterm"} | settings,
        stderr=theirs,
    )
    os.close(theirs)
    screen = Screen(ours)
    try:
        yield screen
    finally:
        process.terminate()
        process.wait(PATIENCE)
        screen.close()


def test_a_terminal_shows_coloured_text(one_model: Path) -> None:
    with at_a_terminal(one_model) as screen:
        url = screen.url
        httpx.get(f"{url}/sample", **PLAIN).raise_for_status()
        httpx.get(f"{url}/nowhere", **PLAIN)
        screen.wait_for("unmatched")
        *started, found, unmatched = [LINE.fullmatch(line) for line in screen.lines]
    assert all(started)
    assert found
    assert re.fullmatch(r"GET /sample 200 \d+\.\d ms", found[2])
    assert unmatched
    assert re.fullmatch(r"GET unmatched 404 \d+\.\d ms", unmatched[2])
    assert "\033[32m200\033[0m" in screen.text
    assert "\033[33m404\033[0m" in screen.text


def test_the_commands_at_the_start_work(one_model: Path) -> None:
    with at_a_terminal(one_model) as screen:
        url = screen.url
        *_, address, first, second = screen.lines
        assert f"running on {url} " in address
        for line, key in ((first, "names"), (second, "scores")):
            command = line.partition("try: ")[2]
            curl = subprocess.run(
                [*shlex.split(command), "-sS"], capture_output=True, text=True, check=True
            )
            assert json.loads(curl.stdout)[key]


@pytest.mark.parametrize("variable", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_turned_off(one_model: Path, variable: dict[str, str]) -> None:
    with at_a_terminal(one_model, **variable) as screen:
        httpx.get(f"{screen.url}/nowhere", **PLAIN)
        screen.wait_for("unmatched")
        assert "\033" not in screen.text


def test_json_can_be_chosen_on_a_terminal(one_model: Path) -> None:
    with at_a_terminal(one_model, MONIKER_LOG_FORMAT="json") as screen:
        httpx.get(f"{screen.url}/nowhere", **PLAIN)
        screen.wait_for("unmatched")
        assert all(json.loads(line)["level"] == "info" for line in screen.lines)


def test_text_can_be_chosen_elsewhere(one_model: Path) -> None:
    settings = {"MONIKER_CHECKPOINTS": str(one_model), "MONIKER_LOG_FORMAT": "text"}
    with Server(**settings) as server:
        server.get("/nowhere")
        until(lambda: "unmatched" in server.log and server.log.endswith("\n"))
        assert all(map(LINE.fullmatch, server.log.splitlines()))


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "'http://127.0.0.1:80/"),
        ("0.0.0.0", "'http://127.0.0.1:80/"),
        ("::", "'http://[::1]:80/"),
        ("192.0.2.7", "'http://192.0.2.7:80/"),
    ],
)
def test_the_commands_have_a_reachable_address(host: str, shown: str) -> None:
    commands = _examples(Settings(), host, 80)
    assert len(commands) == 2
    assert all(shown in command for command in commands)


def test_the_commands_have_a_placeholder_for_the_key() -> None:
    settings = Settings.from_environment({"MONIKER_API_KEYS": "secret-key"})
    for command in _examples(settings, "127.0.0.1", 80):
        assert "-H 'Authorization: Bearer <key>'" in command
        assert "secret" not in command


def test_control_characters_in_a_message_are_escaped() -> None:
    record = logging.makeLogRecord({"msg": "bad: %s", "args": ("a\n12:00 INFO: b\x1b[2J\udcff",)})
    shown = TextFormatter().format(record)
    assert shown.endswith("bad: a\\n12:00 INFO: b\\x1b[2J\\udcff")


def test_the_service_runs_without_standard_error(one_model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = environment(MONIKER_CHECKPOINTS=str(one_model), MONIKER_PORT=str(port))
    command = ["bash", "-c", f"exec {sys.executable} -m service 2>&-"]
    with subprocess.Popen(command, env=variables) as process:

        def answers() -> bool:
            assert process.poll() is None
            with suppress(httpx.ConnectError):
                return httpx.get(f"http://127.0.0.1:{port}/sample", **PLAIN).is_success
            return False

        try:
            until(answers)
        finally:
            process.terminate()
        assert process.wait(PATIENCE) == 0
