"""Logs as JSON lines with a level, so that `grep ERROR` finds what the runbook looks for."""

import logging

from pythonjsonlogger.json import JsonFormatter

LOGGER = logging.getLogger("bentoml.datathon")
_LOGGERS = ("", "bentoml", "uvicorn.error", "circus")


def configure() -> None:
    """Put one JSON formatter on the handlers that BentoML installed; called again in each worker,
    where BentoML installs them anew."""
    formatter = JsonFormatter(
        "%(asctime)s %(levelname)s %(name)s %(message)s",
        rename_fields={"asctime": "ts", "levelname": "level", "name": "logger"},
        datefmt="%Y-%m-%dT%H:%M:%S%z",
        reserved_attrs=_RESERVED,
        json_ensure_ascii=False,
    )
    for name in _LOGGERS:
        for handler in logging.getLogger(name).handlers:
            handler.setFormatter(formatter)


# What logging and BentoML's own filter put on every record and nobody reads.
_RESERVED = [
    *logging.LogRecord("", 0, "", 0, "", (), None).__dict__,
    *("message", "asctime", "taskName", "color_message"),
    *("levelname_bracketed", "component", "trace_msg", "service_name"),
]
