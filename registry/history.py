"""history.jsonl: every move of the pointer, one JSON line each, chained by sha256.

It is derived: the pointer is written first and carries its own event, so that a crash in between
loses nothing. Standard library only.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from registry.errors import UsageError
from registry.state import State, open_file, replace_file
from registry.versions import Version, check_model_name

Event = dict[str, Any]
_KEPT_LINES = 10_000


def entry(pointer: Mapping[str, Any]) -> Event:
    """The history line of a champion.json."""
    return {
        "generation": pointer["generation"],
        "model": pointer["model"],
        "digest": pointer["digest"],
        **pointer["event"],
    }


def read(state: State) -> list[Event]:
    """Every event, oldest first; a last line without its end is left out, as `append` drops it."""
    try:
        *lines, _ = state.history.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    return [event for line in lines if (event := _parsed(line)) is not None]


def is_event(event: Any) -> bool:
    """Whether a parsed line has what the next move needs of it."""
    if not isinstance(event, dict) or type(event.get("generation")) is not int:
        return False
    texts = ("model", "digest", "action", "to", "at")
    if not all(isinstance(event.get(key), str) for key in texts):
        return False
    return _is_time(event["at"]) and _is_name(event["model"], event["to"])


def append(state: State, event: Event) -> None:
    """Add one line and force it to disk; a torn last line is dropped first."""
    try:
        content = state.history.read_bytes()
    except FileNotFoundError:
        content = b""
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        replace_file(state.history, whole + _line(event) + b"\n")
        return
    handle = open_file(state.history, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(handle, _line(event) + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def line_sha256(event: Event | None) -> str | None:
    """What the next event's `prev_sha256` must be."""
    return None if event is None else hashlib.sha256(_line(event)).hexdigest()


def broken_links(events: Sequence[Event]) -> list[int]:
    """Generations whose line does not follow from the one before: edited, missing or reordered."""
    broken = []
    previous: Event | None = None
    for event in events:
        expected = 1 if previous is None else previous["generation"] + 1
        linked = event.get("prev_sha256") == line_sha256(previous)
        if not linked or event["generation"] != expected:
            broken.append(event["generation"])
        previous = event
    return broken


def digests(events: Sequence[Event]) -> dict[tuple[str, str], str]:
    """The digest that each model and version had when it was champion last."""
    return {(event["model"], event["to"]): event["digest"] for event in events}


def good_champions(events: Sequence[Event]) -> list[tuple[str, str]]:
    """Models and versions to roll back to, the current champion last.

    A promote goes on top; a rollback takes away what it left, until that is promoted again. So two
    rollbacks in a row go back two good versions and never return to the one just left.
    """
    stack: list[tuple[str, str]] = []
    for event in events:
        champion = (event["model"], event["to"])
        if event["action"] == "rollback" and stack:
            stack.pop()
            while champion in stack and stack[-1] != champion:
                stack.pop()
        # Each stands once, where it last came on top: what is taken away is gone altogether.
        stack = [kept for kept in stack if kept != champion]
        stack.append(champion)
    return stack


def left_champions(events: Sequence[Event]) -> set[tuple[str, str]]:
    """Models and versions that a rollback left or passed over, and none goes to: champions once,
    and not promoted since."""
    return {(event["model"], event["to"]) for event in events} - set(good_champions(events))


@lru_cache(maxsize=_KEPT_LINES)
def _parsed(line: bytes) -> Event | None:
    """None for what is no event. A move reads the whole history several times; nobody changes what
    was read."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if is_event(event) else None


def _is_name(model: str, version: str) -> bool:
    try:
        check_model_name(model)
        Version.parse(version)
    except UsageError:
        return False
    return True


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _line(event: Event) -> bytes:
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="surrogatepass")
