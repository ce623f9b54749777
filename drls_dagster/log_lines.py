"""How the processes of DRLS write their logs: lines for people, or one JSON object per line, without secrets."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from sqlalchemy import make_url

from drls_dagster.redact import known_secrets, redact
from drls_dagster.serving.request_ids import REQUEST_ID
from drls_dagster.settings import Settings

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_LOG = logging.getLogger("drls")


def set_up_logging(settings: Settings, level: int = logging.INFO) -> None:
    """Call it once, when a process begins. `level` is for what libraries say; of DRLS itself, JSON has it from INFO."""
    handler = logging.StreamHandler(sys.stderr)
    if is_json(settings):
        handler.setFormatter(JsonLines(_secrets(settings)))
        logging.getLogger("drls").setLevel(logging.INFO)
        logging.captureWarnings(True)
        sys.excepthook = _log_the_end
    else:
        handler.setFormatter(logging.Formatter(TEXT))
        # Lines for each request are for machines.
        logging.getLogger("drls.requests").setLevel(logging.WARNING)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # httpx logs the address of each request.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def is_json(settings: Settings) -> bool:
    return settings.log.format == "json"


def saying(settings: Settings, say: Callable[[str], object]) -> Callable[[str], object]:
    """How a command says what happens: `say` for people, else a line of the log."""
    return _LOG.info if is_json(settings) else say


class JsonLines(logging.Formatter):
    """One object per line. `secrets` are removed, and whatever looks like one."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        if name := REQUEST_ID.get():
            told["request_id"] = name
        told |= getattr(record, "told", {})
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return json.dumps(redact(told, self._secrets), default=str)


def _secrets(settings: Settings) -> tuple[str, ...]:
    """Those that settings name, and the password in the address of the store."""
    password = make_url(settings.lifecycle.url).password if settings.lifecycle.url else None
    return (*known_secrets(settings), *([password] if password else []))


def _log_the_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        traceback.print_exception(kind, error, trace)
        return
    _LOG.critical("the process ends: %s", kind.__name__, exc_info=(kind, error, trace))
