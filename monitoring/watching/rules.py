"""Alerting rules as data: their names, and the same rules with their times shortened for a drill.

A drill cannot wait ten minutes for each alert. Shortened are `for`, `keep_firing_for`, every range,
subquery step and offset, and the numbers that the rules mark with "# shortened"; other numbers keep
their value, so that a limit on a share or a heartbeat means in a drill what it means at night.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from registry.errors import UsageError
from registry.state import PROJECT

RULES = PROJECT / "deploy" / "prometheus" / "rules.yml"

Document = dict[str, Any]

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_UNITS |= {"y": 365 * _UNITS["d"]}
_DURATION = r"(?:\d+(?:ms|[smhdwy]))+"
_SAMPLES = 4  # in a range: a rate needs two, and a scrape may fail or be late
# What is quoted or a comment is passed over; a marked number and the times are what is left.
_TIMES = re.compile(
    r'"(?:[^"\\]|\\.)*"'
    r"|(?P<number>\b\d+(?:\.\d+)?)(?P<marker>[ \t]*#[ \t]*shortened\b[^\n]*)"
    r"|\#[^\n]*"
    rf"|\[(?P<range>{_DURATION})(?::(?P<step>{_DURATION})?)?\]"
    rf"|(?P<word>\boffset\s+-?)(?P<offset>{_DURATION})"
)
_QUOTED_RANGE = re.compile(rf"\[(?P<range>{_DURATION})\]")


@dataclass(frozen=True)
class Pace:
    """How much faster a drill goes than the rules say, and how often it scrapes."""

    factor: float = 1.0
    scrape_seconds: float = 15.0

    def duration(self, text: str, *, least_scrapes: int = 0) -> str:
        """A shortened duration, `least_scrapes` scrapes at least where it was not 0."""
        before = milliseconds(text)
        least = min(before, least_scrapes * self.scrape_seconds * 1000)
        return written(max(before / self.factor, least))


def read(path: Path = RULES) -> Document:
    """The rules of a file.

    Raises:
        UsageError: it is not there, or holds no rules.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"rules {path}: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict) or not isinstance(document.get("groups"), list):
        raise UsageError(f"rules {path}: expected groups of rules")
    return document


def each(rules: Document) -> list[Document]:
    """Every rule, alerting and recording, in the order of the file."""
    return [rule for group in rules["groups"] for rule in group["rules"]]


def alerts(rules: Document) -> list[Document]:
    """The alerting rules."""
    return [rule for rule in each(rules) if "alert" in rule]


def shortened(rules: Document, pace: Pace) -> Document:
    """The same rules with their times divided by the pace's factor; factor 1 changes nothing.

    A range keeps four scrapes and `for` one, or it would hold no samples.
    """
    if pace.factor == 1:
        return rules
    groups = [
        group | {"rules": [_shorter(rule, pace) for rule in group["rules"]]}
        for group in rules["groups"]
    ]
    return rules | {"groups": groups}


def milliseconds(text: str) -> int:
    """A duration of Prometheus, such as `1h30m` or `500ms`."""
    if text == "0":
        return 0
    if re.fullmatch(_DURATION, text) is None:
        raise UsageError(f"duration {text!r}: expected one such as 15s, 500ms or 1h30m")
    return sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)(ms|[smhdwy])", text))


def written(duration: float) -> str:
    """Milliseconds as a duration of Prometheus, rounded up, as 0 would mean another thing."""
    whole = -int(-duration // 1)
    return f"{whole // 1000}s" if whole % 1000 == 0 else f"{whole}ms"


def _shorter(rule: Document, pace: Pace) -> Document:
    changed = dict(rule)
    changed["expr"] = _TIMES.sub(lambda found: _shorter_time(found, pace), rule["expr"])
    for key in ("for", "keep_firing_for"):
        if key in rule:
            changed[key] = pace.duration(str(rule[key]), least_scrapes=1)
    if "annotations" in rule:
        changed["annotations"] = {
            name: _QUOTED_RANGE.sub(lambda found: _shorter_range(found, pace), text)
            for name, text in rule["annotations"].items()
        }
    return changed


def _shorter_time(found: "re.Match[str]", pace: Pace) -> str:
    if found["number"] is not None:
        return f"{float(found['number']) / pace.factor:g}{found['marker']}"
    if found["range"] is not None:
        return _shorter_range(found, pace)
    if found["offset"] is not None:
        return found["word"] + pace.duration(found["offset"])
    return found[0]


def _shorter_range(found: "re.Match[str]", pace: Pace) -> str:
    inside = pace.duration(found["range"], least_scrapes=_SAMPLES)
    if ":" in found[0]:
        step = found["step"]
        inside += ":" + (pace.duration(step, least_scrapes=1) if step else "")
    return f"[{inside}]"
