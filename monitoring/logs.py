"""Logs as JSON lines with a level, so that `grep ERROR` finds what the runbook looks for."""

import logging
import traceback

from pythonjsonlogger.json import JsonFormatter

from monitoring import metrics

LOGGER = logging.getLogger("bentoml.datathon")
_OF_REQUEST = "failed_request"
"""Its id on its way: BentoML's filter puts a `request_id` of its own on every record."""
_LOGGERS = ("", "bentoml", "uvicorn.error", "circus")


def configure() -> None:
    """Put one JSON formatter on the handlers that BentoML installed; called again in each worker,
    where BentoML installs them anew."""
    formatter = JsonFormatter(
        "%(asctime)s %(levelname)s %(name)s %(message)s",
        rename_fields={
            "asctime": "ts",
            "levelname": "level",
            "name": "logger",
            _OF_REQUEST: "request_id",
        },
        datefmt="%Y-%m-%dT%H:%M:%S%z",
        reserved_attrs=_RESERVED,
        json_ensure_ascii=False,
    )
    for name in _LOGGERS:
        for handler in logging.getLogger(name).handlers:
            handler.setFormatter(formatter)


def failure(what: str, error: BaseException, *request_ids: str) -> None:
    """Count an exception and log it, a line for each request that it failed, by its type and place:
    its message may repeat a value about a person."""
    metrics.count_error(error)
    frames = [
        f"{frame.filename}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    for request_id in request_ids:
        extra = {_OF_REQUEST: request_id, "frames": frames}
        LOGGER.error("%s: %s", what, type(error).__name__, extra=extra)


# What logging and BentoML's own filter put on every record and nobody reads.
_RESERVED = [
    *logging.LogRecord("", 0, "", 0, "", (), None).__dict__,
    *("message", "asctime", "taskName", "color_message"),
    *("levelname_bracketed", "component", "trace_msg", "service_name", "request_id"),
]
