"""How the daemons log: to stderr, as text or as JSON, from a level on.

Owns: that form, and the options for it. Must not know: what is logged.
"""

from __future__ import annotations

import json
import logging
from enum import StrEnum
from typing import Annotated

import typer


class Level(StrEnum):
    """From which level on messages are logged."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


LogLevel = Annotated[Level, typer.Option("--log-level", help="Log messages from this level on.")]
LogJson = Annotated[bool, typer.Option("--log-json", help="Log a line of JSON for each message.")]


class _AsJson(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """time: seconds since the epoch."""
        said = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def set_up(level: Level, as_json: bool) -> None:
    """For the whole process."""
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(name)s %(message)s")
    handler.setFormatter(_AsJson() if as_json else text)
    logging.basicConfig(handlers=[handler], level=level.upper())
    for library in ("picows", "websockets.server"):  # they tell of every connection
        logging.getLogger(library).setLevel(logging.WARNING)
