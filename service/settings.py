"""Settings of the service: MONIKER_* environment variables, read and validated at the start."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast

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

from models.errors import MonikerError

LogFormat = Literal["text", "json"]

PREFIX = "MONIKER_"
MODEL_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"  # valid in file names, URL paths and headers
UNIX = "unix:"  # prefix of a host that is the path of a Unix socket
# NAME=value of the variables that Kubernetes sets in each pod for a Service called moniker or
# moniker-<suffix>.
KUBERNETES = re.compile(
    r"MONIKER_([A-Z0-9_]+_)?(SERVICE_HOST=[0-9a-f.:]+|SERVICE_PORT(_[A-Z0-9_]+)?=\d+"
    r"|PORT(_\d+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://([0-9.]+|\[[0-9a-f.:]+\]):\d+"
    r"|PORT_\d+_(TCP|UDP|SCTP)_(PROTO=(tcp|udp|sctp)|PORT=\d+|ADDR=[0-9a-f.:]+))"
)


class SettingsError(MonikerError):
    """Environment variables are invalid. The message has one line for each, with its name."""


def _split(value: object) -> object:
    """`"a, b"` -> `("a", "b")`."""
    if not isinstance(value, str):
        return value
    return tuple(part for part in map(str.strip, value.split(",")) if part)


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _not_empty(keys: tuple[object, ...]) -> tuple[object, ...]:
    if not keys:  # the operator expects protection, and the service would have none
        raise PydanticCustomError("no_key", "it has no key; unset it to serve without keys")
    return keys


def _lines(path: str) -> list[str]:
    try:
        content = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise PydanticCustomError("no_file", "{why}", {"why": error.strerror}) from error
    return [line for line in map(str.strip, content.splitlines()) if line]


def _only_source(keys: tuple[object, ...], info: ValidationInfo) -> tuple[object, ...]:
    if info.data.get("api_keys"):
        raise PydanticCustomError("two_sources", "MONIKER_API_KEYS is set too; set one of them")
    return keys


CommaSeparated = BeforeValidator(_split)
Key = Secret[Annotated[str, Field(pattern=r"^[!-~]+$")]]  # valid in a header; hidden in logs
Origin = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[^/,*\s]+)$")]


class Settings(BaseModel):
    """The settings. Each field is set by the variable MONIKER_<FIELD>."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on, or unix:<path>")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 selects a free port")
    checkpoints: Path = Field(
        Path("checkpoints"), description="folder with one <name>.safetensors for each model"
    )
    default_model: str = Field(
        "positional", pattern=MODEL_NAME, description="model of requests that name no model"
    )
    blocklist: Path | None = Field(
        None, description="file of substrings, one per line, that no sampled name contains"
    )
    cache_mb: int = Field(
        128, ge=1, le=1_000_000, description="size of the cache of compiled constraints, in MB"
    )
    workers: int = Field(1, ge=1, le=256, description="number of processes that serve")
    max_wait_seconds: float = Field(
        2, ge=0, le=3600, description="longest estimated wait; requests above it are rejected"
    )
    max_streams: int = Field(8, ge=1, le=1000, description="number of concurrent streams")
    shed_status: Annotated[Literal[429, 503], BeforeValidator(_number)] = Field(
        503, description="status of requests that are rejected under overload"
    )
    header_seconds: float = Field(
        10, gt=0, le=3600, description="time limit to receive the request line and headers"
    )
    body_seconds: float = Field(
        30, gt=0, le=3600, description="time limit to receive a JSON body, or the next lines"
    )
    write_seconds: float = Field(
        30, gt=0, le=3600, description="write timeout: time limit for a client to read its response"
    )
    drain_seconds: float = Field(
        1, ge=0, le=3600, description="drain delay: from SIGTERM to the last accepted connection"
    )
    shutdown_seconds: int = Field(
        20,
        ge=0,
        le=3600,
        description="graceful shutdown timeout: time to complete requests after the drain delay",
    )
    api_keys: Annotated[tuple[Key, ...], AfterValidator(_not_empty), CommaSeparated] = Field(
        (), description="comma-separated API keys; if set, each request must send one"
    )
    api_keys_file: Annotated[
        tuple[Key, ...],
        AfterValidator(_not_empty),
        AfterValidator(_only_source),
        BeforeValidator(_lines),
    ] = Field((), description="file of API keys, one per line, instead of MONIKER_API_KEYS")
    cors_origins: Annotated[tuple[Origin, ...], CommaSeparated] = Field(
        (), description="comma-separated origins whose pages may send requests; * allows all"
    )
    log_requests: bool = Field(True, description="whether to log each request")
    log_format: LogFormat | None = Field(
        None, description="text or json; by default text on a terminal and json elsewhere"
    )

    @property
    def keys(self) -> tuple[Secret[str], ...]:
        """The API keys of `api_keys` or `api_keys_file`."""
        return self.api_keys or self.api_keys_file

    @property
    def unix_socket(self) -> Path | None:
        """The path of the Unix socket to listen on; None for a TCP port."""
        return Path(self.host.removeprefix(UNIX)) if self.host.startswith(UNIX) else None

    @classmethod
    def describe(cls) -> str:
        """Return a line for each variable: its name, default and description."""
        names = [f"{PREFIX}{field.upper()}" for field in cls.model_fields]
        infos = cls.model_fields.values()
        defaults = ["" if info.default in (None, ()) else str(info.default) for info in infos]
        width, default_width = max(map(len, names)), max(map(len, defaults))
        return "\n".join(
            f"  {name:{width}}  {default:{default_width}}  {info.description}"
            for name, default, info in zip(names, defaults, infos, strict=True)
        )

    @classmethod
    def in_state(cls, state: Mapping[str, Any]) -> "Settings":
        """Return the settings in the state of an ASGI scope."""
        return cast(Settings, state["settings"])

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the variables that begin with MONIKER_. Raises SettingsError.

        An empty variable counts as not set, except those of API keys, which are errors: a
        mistake in a script must not leave the service without keys.
        """
        may_be_empty = cls.model_fields.keys() - {"api_keys", "api_keys_file"}
        empty = [f"{PREFIX}{field.upper()}" for field in may_be_empty]
        ignored = {*kubernetes_variables(environment)}
        ignored |= {name for name in empty if not environment.get(name)}
        variables = {
            name: value
            for name, value in environment.items()
            if name.startswith(PREFIX) and name not in ignored
        }
        faults = [f"{name}: must be upper case" for name in variables if name != name.upper()]
        try:
            settings = cls.model_validate(
                {name.removeprefix(PREFIX).lower(): value for name, value in variables.items()}
            )
        except ValidationError as error:
            faults += map(_fault, error.errors())
        if faults:
            raise SettingsError("\n".join(dict.fromkeys(faults)))
        return settings


def kubernetes_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the names of the MONIKER_ variables that Kubernetes has set for a Service."""
    return [name for name in environment if KUBERNETES.fullmatch(f"{name}={environment[name]}")]


def _fault(error: ErrorDetails) -> str:
    unknown = error["type"] == "extra_forbidden"
    reason = "there is no such setting" if unknown else error["msg"]
    return f"{PREFIX}{error['loc'][0]}".upper() + f": {reason}"
