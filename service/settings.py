"""The settings of the service: MONIKER_* environment variables, read once and checked at start."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Secret,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import ErrorDetails, PydanticCustomError

LogFormat = Literal["text", "json"]

PREFIX = "MONIKER_"
MODEL_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"  # fits into file names, paths and headers
UNIX = "unix:"  # begins a host that is the path of a Unix socket
# What Kubernetes sets in each pod for a Service called moniker or moniker-<more>: NAME=value.
OF_KUBERNETES = re.compile(
    r"MONIKER_([A-Z0-9_]+_)?(SERVICE_HOST=[0-9a-f.:]+|SERVICE_PORT(_[A-Z0-9_]+)?=\d+"
    r"|PORT(_\d+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://([0-9.]+|\[[0-9a-f.:]+\]):\d+"
    r"|PORT_\d+_(TCP|UDP|SCTP)_(PROTO=(tcp|udp|sctp)|PORT=\d+|ADDR=[0-9a-f.:]+))"
)


class SettingsError(Exception):
    """Environment variables that are wrong; the message has a line for each, naming it."""


def _parts(value: object) -> object:
    """`"a, b"` -> `("a", "b")`."""
    if not isinstance(value, str):
        return value
    return tuple(part for part in map(str.strip, value.split(",")) if part)


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _some(keys: tuple[object, ...]) -> tuple[object, ...]:
    if not keys:  # said to be locked, and open to everybody
        raise PydanticCustomError("no_key", "there is no key in it; unset it to let everybody in")
    return keys


def _lines(path: str) -> list[str]:
    try:
        content = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise PydanticCustomError("no_file", "{why}", {"why": error.strerror}) from error
    return [key for key in map(str.strip, content.splitlines()) if key]


def _alone(keys: tuple[object, ...], info: ValidationInfo) -> tuple[object, ...]:
    if info.data.get("api_keys"):
        raise PydanticCustomError("two_lists", "MONIKER_API_KEYS is set, too; set one of them")
    return keys


Parts = BeforeValidator(_parts)
Key = Secret[Annotated[str, Field(pattern=r"^[!-~]+$")]]  # what a header can hold, hidden in logs
Origin = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[^/,*\s]+)$")]


class Settings(BaseModel):
    """Each field is the variable MONIKER_<FIELD>."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on, or unix:<path>")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    checkpoints: Path = Field(
        Path("checkpoints"), description="folder with a <name>.safetensors for each model"
    )
    default_model: str = Field(
        "positional", pattern=MODEL_NAME, description="the model of a request that names none"
    )
    blocklist: Path | None = Field(
        None, description="file of substrings, one a line, that no name may have"
    )
    cache_mb: int = Field(
        128, ge=1, le=1_000_000, description="memory for compiled wishes, in megabytes"
    )
    workers: int = Field(1, ge=1, le=256, description="processes that serve")
    max_wait_seconds: float = Field(
        2, ge=0, le=3600, description="longest estimated wait of a request that is not refused"
    )
    max_streams: int = Field(8, ge=1, le=1000, description="streams under way at a time")
    shed_status: Annotated[Literal[429, 503], BeforeValidator(_number)] = Field(
        503, description="status of the reply when there is too much to do"
    )
    header_seconds: float = Field(10, gt=0, le=3600, description="for the head of a request")
    body_seconds: float = Field(
        30, gt=0, le=3600, description="for a body of JSON, or between two parts of lines"
    )
    write_seconds: float = Field(
        30, gt=0, le=3600, description="for the client to read what was sent"
    )
    drain_seconds: float = Field(
        1, ge=0, le=3600, description="from SIGTERM until no more connections are accepted"
    )
    shutdown_seconds: int = Field(
        20, ge=0, le=3600, description="from then on, to finish what is under way"
    )
    api_keys: Annotated[tuple[Key, ...], AfterValidator(_some), Parts] = Field(
        (), description="keys, with commas between, one of which every request has to bear"
    )
    api_keys_file: Annotated[
        tuple[Key, ...], AfterValidator(_some), AfterValidator(_alone), BeforeValidator(_lines)
    ] = Field((), description="file with such keys, one a line")
    cors_origins: Annotated[tuple[Origin, ...], Parts] = Field(
        (), description="origins, with commas between, whose pages may ask"
    )
    log_requests: bool = Field(True, description="whether to log a line for each request")
    log_format: LogFormat | None = Field(
        None, description="text or json; text on a terminal and json elsewhere if it is not set"
    )

    @property
    def keys(self) -> tuple[Secret[str], ...]:
        """The API keys, wherever they come from."""
        return self.api_keys or self.api_keys_file

    @property
    def unix_socket(self) -> Path | None:
        """The path of the Unix socket to listen on, if it is one."""
        return Path(self.host.removeprefix(UNIX)) if self.host.startswith(UNIX) else None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the variables that begin with MONIKER_. Raises SettingsError.

        An empty variable counts as not set, except one for keys, which is an error: a mistake
        in a script would leave the service open to everybody.
        """
        may_be_empty = cls.model_fields.keys() - {"api_keys", "api_keys_file"}
        empty = [f"{PREFIX}{field.upper()}" for field in may_be_empty]
        passed_over = [*of_kubernetes(environment), *(n for n in empty if not environment.get(n))]
        given = {
            name: value
            for name, value in environment.items()
            if name.startswith(PREFIX) and name not in passed_over
        }
        faults = [f"{name}: settings are in upper case" for name in given if name != name.upper()]
        try:
            settings = cls.model_validate(
                {name.removeprefix(PREFIX).lower(): value for name, value in given.items()}
            )
        except ValidationError as error:
            faults += map(_fault, error.errors())
        if faults:
            raise SettingsError("\n".join(dict.fromkeys(faults)))
        return settings


def of_kubernetes(environment: Mapping[str, str]) -> list[str]:
    """The variables that begin like settings and are set by Kubernetes for a Service."""
    return [name for name in environment if OF_KUBERNETES.fullmatch(f"{name}={environment[name]}")]


def _fault(error: ErrorDetails) -> str:
    unknown = error["type"] == "extra_forbidden"
    reason = "there is no such setting" if unknown else error["msg"]
    return f"{PREFIX}{error['loc'][0]}".upper() + f": {reason}"
