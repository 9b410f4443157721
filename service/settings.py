"""The settings of the service: MONIKER_* environment variables, read once and checked at start."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

PREFIX = "MONIKER_"
MODEL_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"  # fits into file names, paths and headers


class SettingsError(Exception):
    """An environment variable that is wrong; the message is one line naming it."""


def _none_if_empty(value: object) -> object:
    return value or None


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

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the variables that begin with MONIKER_. Raises SettingsError."""
        given = {
            name.removeprefix(PREFIX).lower(): value
            for name, value in environment.items()
            if name.startswith(PREFIX)
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            wrong = error.errors()[0]
            unknown = wrong["type"] == "extra_forbidden"
            reason = "there is no such setting" if unknown else wrong["msg"]
            variable = f"{PREFIX}{wrong['loc'][0]}".upper()
            raise SettingsError(f"{variable}: {reason}") from error
