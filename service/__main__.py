"""python -m service: read the settings, serve until told to stop."""

import os
import sys

import uvicorn
from uvicorn.config import LOGGING_CONFIG

from service.app import create_app
from service.settings import Settings, SettingsError

LOGGING = LOGGING_CONFIG | {
    "loggers": LOGGING_CONFIG["loggers"] | {"moniker": {"handlers": ["default"], "level": "INFO"}}
}


def main() -> int:
    """Serve; the exit status is 2 for wrong settings, 3 if there is no model or no free port."""
    if len(sys.argv) > 1:
        print("error: the service takes no arguments, only MONIKER_* variables", file=sys.stderr)
        return 2
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,  # its lines would hold the names that people ask about
        server_header=False,
        log_config=LOGGING,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
