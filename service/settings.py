"""The settings of the service: MONIKER_* environment variables, read once and checked at start."""

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
)
from pydantic_core import PydanticCustomError

from service.logs import LogFormat

PREFIX = "MONIKER_"
MODEL_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"  # fits into file names, paths and headers


class SettingsError(Exception):
    """An environment variable that is wrong; the message is one line naming it."""


def _none_if_empty(value: object) -> object:
    return value or None


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


Parts = BeforeValidator(_parts)
Key = Secret[Annotated[str, Field(pattern=r"^[!-~]+$")]]  # what a header can hold, hidden in logs
Origin = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[^/,*\s]+)$")]


class Settings(BaseModel):
    """Each field is the variable MONIKER_<FIELD>."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    checkpoints: Path = Field(
        Path("checkpoints"), description="folder with a <name>.safetensors for each model"
    )
    default_model: str = Field(
        "positional", pattern=MODEL_NAME, description="the model of a request that names none"
    )
    blocklist: Annotated[Path | None, BeforeValidator(_none_if_empty)] = Field(
        None, description="file of substrings, one a line, that no name may have"
    )
    wishes_mb: int = Field(
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
    reader_seconds: float = Field(
        30, gt=0, le=3600, description="for the client to read what was sent"
    )
    leave_seconds: float = Field(
        1, ge=0, le=3600, description="from SIGTERM until no more connections are accepted"
    )
    finish_seconds: int = Field(
        20, ge=0, le=3600, description="from then on, to finish what is under way"
    )
    api_keys: Annotated[tuple[Key, ...], AfterValidator(_some), Parts] = Field(
        (), description="keys, with commas between, one of which every request has to bear"
    )
    cors_origins: Annotated[tuple[Origin, ...], Parts] = Field(
        (), description="origins, with commas between, whose pages may ask"
    )
    log_requests: bool = Field(True, description="whether to log a line for each request")
    log_format: Annotated[LogFormat | None, BeforeValidator(_none_if_empty)] = Field(
        None, description="text or json; text on a terminal and json elsewhere if it is not set"
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the variables that begin with MONIKER_. Raises SettingsError."""
        given = {
            name.removeprefix(PREFIX).lower(): value
            for name, value in environment.items()
            if name.startswith(PREFIX)
        }
        for name in environment:
            if name.startswith(PREFIX) and name != name.upper():
                raise SettingsError(f"{name}: settings are in upper case")
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            wrong = error.errors()[0]
            unknown = wrong["type"] == "extra_forbidden"
            reason = "there is no such setting" if unknown else wrong["msg"]
            variable = f"{PREFIX}{wrong['loc'][0]}".upper()
            raise SettingsError(f"{variable}: {reason}") from error
