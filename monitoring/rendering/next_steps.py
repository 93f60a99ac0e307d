"""What to do about a report: a sentence, and commands that can be pasted as they stand."""

import math
import shlex
from collections.abc import Callable, Mapping
from datetime import datetime

from monitoring.rendering.wording import Document, Wording


def sentence(document: Document, words: Wording) -> str:
    """The next step of a report in one or two sentences."""
    step = document["next_step"]
    if step == "roll_back_check" and document["rollback_to"] is None:
        return words(f"next.no_roll_back.{document['kind']}")
    if document["kind"] == "performance":
        key = "next.watch.performance" if step == "watch" else f"next.{step}"
        return words(key, checks=words.doubtful(document))
    bugs = [cause["feature"] for cause in document["causes"] if cause["is_bug"]]
    names = bugs if step == "fix_data" and bugs else words.drifting(document)
    return words(f"next.{step}", names=words.names(names))


def commands(document: Document) -> list[str]:
    """The commands of a report's next step, in the order in which to run them."""
    return _COMMANDS[document["next_step"]](document)


def _nothing(document: Document) -> list[str]:
    return []


def _watch(document: Document) -> list[str]:
    """The next window of the same length; or the same rows, once they have more labels."""
    if document["kind"] == "performance":
        return [_same_window(document)]
    return [_up_to_now(document, days=_days(document, "end"))]


def _fix_data(document: Document) -> list[str]:
    """The rows of the first broken request, then the report again; a request id is the client's
    text, so it is quoted, and one that cannot be pasted is not looked for."""
    first = next((c for c in document["causes"] if c["is_bug"] and c["first_request"]), None)
    if first is None:
        return [_up_to_now(document, days=1)]
    request = shlex.quote(f"--request_id={first['first_request']}")
    if not request.isprintable():
        return [_up_to_now(document, days=1)]
    day = datetime.fromisoformat(first["first_at"]).date()
    return [f"python -m monitoring.lookup {request} --day {day}", _up_to_now(document, days=1)]


def _retrain_check(document: Document) -> list[str]:
    """Compare without a trace, then register, and promote if the guardrails pass."""
    new = document["next_version"] or "vX.Y.Z"
    retrain = f"python -m training.retrain --new_version {new} --data FILE --labels-from-log"
    return [
        _recall(document),
        f"{retrain} --dry-run",
        f"{retrain} --promote",
    ][document["kind"] == "performance" :]


def _roll_back_check(document: Document) -> list[str]:
    """The history, and the rollback where there is a champion to go back to; where there is none,
    an estimate needs labels, and a recall another model."""
    history = "python -m registry history"
    if document["rollback_to"] is None:
        estimated = document["kind"] == "drift"
        otherwise = _label_imports(_recall(document)) if estimated else _retrain_check(document)
        return [history, *otherwise]
    start, end = (document[key][:10] for key in ("start", "end"))
    what = f"{document['kind']} {document['status']}"
    if document.get("estimate_below_floor"):
        what = "estimated recall below its floor"
    reason = f"{what}, {start} to {end}"
    return [
        history,
        f'python -m registry rollback --dry-run --reason "{reason}"',
        f'python -m registry rollback --reason "{reason}"',
    ]


def _more_rows(document: Document) -> list[str]:
    return [_up_to_now(document, days=max(30, 2 * _days(document, "made_at")))]


def _import_labels(document: Document) -> list[str]:
    return _label_imports(_same_window(document))


def _label_imports(report: str) -> list[str]:
    return [
        "python -m monitoring.labels import FILE --dry-run",
        "python -m monitoring.labels import FILE",
        report,
    ]


def _recall(document: Document) -> str:
    version = shlex.quote(document["model_version"])
    return f"python -m monitoring.performance_drift --model_version {version} --window 180"


def _up_to_now(document: Document, *, days: int) -> str:
    flag = "--last_n_days" if document["kind"] == "drift" else "--window"
    return f"{_report(document)} {flag} {days}"


def _same_window(document: Document) -> str:
    start, end = (
        datetime.fromisoformat(document[key]).replace(tzinfo=None).isoformat()
        for key in ("start", "end")
    )
    return f"{_report(document)} --from {start} --to {end}"


def _report(document: Document) -> str:
    module = "drift_report" if document["kind"] == "drift" else "performance_drift"
    version = shlex.quote(document["model_version"])
    return f"python -m monitoring.{module} --model_version {version}"


def _days(document: Document, until: str) -> int:
    """Whole days from the window's start, at least one."""
    start, end = (datetime.fromisoformat(document[key]) for key in ("start", until))
    return max(1, math.ceil((end - start).total_seconds() / 86_400))


_COMMANDS: Mapping[str, Callable[[Document], list[str]]] = {
    "nothing": _nothing,
    "watch": _watch,
    "fix_data": _fix_data,
    "retrain_check": _retrain_check,
    "roll_back_check": _roll_back_check,
    "more_rows": _more_rows,
    "check_labels": _import_labels,
    "wait_for_labels": _import_labels,
}
