"""python -m service: read the settings, serve until told to stop."""

import logging.config
import os
import sys
from pathlib import Path

from uvicorn.config import STARTUP_FAILURE

from service.listener import bind
from service.logs import chosen_format, configuration
from service.server import serve
from service.settings import Settings, SettingsError
from service.workers import serve_with_workers


def main() -> int:
    """Serve; the exit status is 2 for wrong settings, 3 if there is no model or no free port."""
    if sys.stderr is None:  # it is closed: the log goes nowhere
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
    if len(sys.argv) > 1:
        print("error: the service takes no arguments, only MONIKER_* variables", file=sys.stderr)
        return 2
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        bound = bind(settings)
    except OSError as error:
        print(f"error: {settings.host}:{settings.port}: {error.strerror}", file=sys.stderr)
        return STARTUP_FAILURE
    logging.config.dictConfig(configuration(chosen_format(settings.log_format)))
    if settings.workers > 1:
        return serve_with_workers(settings, bound)
    serve(settings, bound)
    return 0


if __name__ == "__main__":
    sys.exit(main())
