"""Structured logs: one JSON object a line on stderr, with the ids of the request."""

import logging
import sys
import time
from typing import Any

import orjson

from baas.kernel import context

_STANDARD = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "request"}


class JsonFormatter(logging.Formatter):
    """Renders a record as JSON; keys given as `extra=` become members."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        here = context.current()
        if here.request_id:
            line["request_id"] = here.request_id
        if here.traceparent:
            line["trace_id"] = context.trace_id(here.traceparent)
        if here.project:
            line["project"] = here.project
        if here.invocation_id:
            line["invocation_id"] = here.invocation_id
        line.update({k: v for k, v in record.__dict__.items() if k not in _STANDARD})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def config(level: str) -> dict[str, Any]:
    """The `LOGGING` setting."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "baas.kernel.logs.JsonFormatter"}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "stream": sys.stderr, "formatter": "json"}
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Our doors say what went wrong themselves, with the request id.
            "django.request": {"level": "CRITICAL"},
            "django": {"level": "WARNING"},
        },
    }
