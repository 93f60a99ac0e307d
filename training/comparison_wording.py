"""What a comparison says to a person: three sentences, and the next command. Pure."""

import shlex
from collections.abc import Mapping
from typing import Any, TypeAlias

from monitoring.rendering.wording import figure, percent
from registry.errors import GuardrailError
from registry.verdict import Check, points

Document: TypeAlias = Mapping[str, Any]

ANSWERS = {
    "yes": "yes",
    "no": "no",
    "not_shown": "not shown",
    "first": "no champion yet",
    "not_comparable": "cannot be told",
}
_MOST_TIMES = 20  # as many rows: more than that is no plan


def title(document: Document) -> str:
    name = f"{document['model']}: {document['model_version']}"
    champion = document["champion_version"]
    return f"{name} against the champion {champion}" if champion else f"{name}, the first version"


def sentences(document: Document) -> list[str]:
    """Is retraining worth it, what the guardrails say, and what to do next."""
    return [_worth(document), _guarded(document), _next(document)]


def command(document: Document) -> str | None:
    """The command of the next step, where there is one to give; none is about a version that was
    not registered."""
    if not document["registered"]:
        return None
    version = shlex.quote(document["model_version"])
    step = document["next_step"]
    promote = f"python -m registry promote --version {version}"
    if _takes_force(document):
        return f'{promote} --force --reason "…"'
    if step == "promote":
        return promote
    if step == "shadow":
        return f"python -m registry shadow --version {version}"
    if step == "confirm":
        return "python -m registry verify"
    return None


def next_step(document: Document) -> str:
    """`done` where it was promoted, else `confirm` (promoted, not confirmed by every worker),
    `promote`, `keep`, `shadow` (let the challenger show more on live rows), `more_labels`, or
    `look` (at what the guardrails lack)."""
    promotion, status = document["promotion"], document["verdict"]["status"]
    if promotion is not None and promotion["done"]:
        return "confirm" if promotion["problem"] else "done"
    if document["answer"] == "no" or status == "fail" or _overtaken(document):
        return "keep"
    if document["answer"] == "not_comparable":
        return "look"
    if status == "undecided":
        return "more_labels"
    if document["answer"] == "not_shown":
        return "shadow" if document["registered"] else "more_labels"
    return "promote"


def signed(value: float | None) -> str:
    """A difference with its sign, a real minus; what rounds to nothing is +0.000."""
    return "–" if value is None else f"{round(value, 3) + 0.0:+.3f}".replace("-", "−")


def between(estimate: Document) -> str:
    if estimate["low"] is None:
        return "–"
    return f"{signed(estimate['low'])} to {signed(estimate['high'])}"


def rows(document: Document) -> str:
    """What the comparison rests on."""
    held, training = document["held_out"], document["training"]
    base = percent(held["positives"] / held["rows"])
    periods = ", ".join(str(period) for period in training["evaluated_periods"] or ())
    of = f" of period {periods}" if periods else ""
    how = "after the fitted ones" if training["protocol"] == "temporal" else "out of fold"
    return (
        f"{held['rows']} rows{of}, {held['entities']} entities, {base} positive, scored {how}; "
        f"{training['algorithm']} fitted on {training['fitted_rows']} rows"
    )


def sources(document: Document) -> list[str]:
    """Where the rows came from, one fact a line."""
    lines = []
    for part in document["data"].get("parts", [document["data"]]):
        if "predictions" in part:
            lines += log_lines(part)
        else:
            lines.append(f"{part['rows']} rows of {part['name']}, SHA-256 {part['sha256'][:12]}…")
    return [*lines, *document["notes"]]


def log_lines(source: Document) -> list[str]:
    """What came of the log, one fact a line; what did not occur is left out."""
    versions = ", ".join(source["versions"]) or "no version"
    lines = [
        f"{source['predictions']} predictions of {versions} in the log; {source['labelled']} have "
        f"a label, {source['rows']} of them are taken"
    ]
    counts = {
        "known_before": "predictions were made after the day their label was observed",
        "older": "predictions have a newer one of the same entity and period",
        "in_the_file": "rows are in the file too, which counts",
        "contested": "labels contradict each other and are left out",
        "labels_without_prediction": f"of {source['labels']} labels are about none of these "
        "predictions",
    }
    lines += [f"{source[key]} {words}" for key, words in counts.items() if source[key]]
    outside = source["outside_contract"].items()
    lines += [
        f"left out: {count} value(s) of {name} break today's contract" for name, count in outside
    ]
    left_out = source["left_out_versions"].items()
    return lines + [f"rows of {version} are not read: {reason}" for version, reason in left_out]


def _worth(document: Document) -> str:
    new, old = document["model_version"], document["champion_version"]
    if document["answer"] == "first":
        return f"There is no champion yet, so {new} has nothing to be worth more than."
    if document["answer"] == "not_comparable":
        return f"Whether retraining is worth it cannot be told: {document['problem']}."
    gain = document["gain"]
    found = gain["differences"][gain["metric"]]
    change = f"PR-AUC changes by {signed(found['value'])} (95% {between(found)})"
    if gain["reason"] == "gain":
        return f"Retraining is worth it: {new} ranks better than {old}, {change}."
    if gain["reason"] == "no_gain":
        return (
            f"Retraining is not worth it: {change}, so {new} is less than {gain['margin']:g} "
            f"better than {old}, if it is better at all."
        )
    if gain["reason"] == "seen":
        return (
            f"It is not shown that retraining is worth it: {change}, but {old} may have been "
            "fitted on these rows, which flatters it."
        )
    if gain["reason"] == "few_positives":
        return (
            f"It is not shown that retraining is worth it: {change}, on positives of too few "
            f"entities ({document['held_out']['positives']} positive rows)."
        )
    return (
        f"It is not shown that retraining is worth it: {change}; {new} could be "
        f"{figure(-found['low'], 3)} worse than {old} or {figure(found['high'], 3)} better"
        f"{_enough(found, gain['margin'])}."
    )


def _enough(found: Document, margin: float) -> str:
    """How many times the rows would decide it if the gain stayed what it is: the interval narrows
    with the root of the rows, until it leaves out 0 or the margin."""
    half = (found["high"] - found["low"]) / 2
    times = (half / max(found["value"], margin - found["value"])) ** 2
    if times >= _MOST_TIMES:
        return ""
    return f" (some {max(times, 1.1):.1f} times as many rows would decide it)"


def _guarded(document: Document) -> str:
    verdict = document["verdict"]
    note = f" ({verdict['note']})" if verdict.get("note") else ""
    checks = [Check.from_dict(check) for check in verdict["checks"]]
    if verdict["status"] == "pass":
        return f"The guardrails pass{note}."
    decisive = [points(check) for check in checks if check.status == verdict["status"]]
    told = "; ".join(decisive)
    word = "fail" if verdict["status"] == "fail" else "are undecided"
    return f"The guardrails {word}{': ' * bool(told)}{told}{note}."


def _next(document: Document) -> str:
    promotion, step = document["promotion"], document["next_step"]
    if promotion is not None and promotion["done"]:
        told = promotion["problem"] or promotion["words"]
        return f"Promoted: {told}."
    if document["dry_run"]:
        advice = _advice(document)
        if step == "promote":
            advice = "run it with --promote instead of --dry-run"
        return f"Nothing was registered (dry run): {advice}."
    stands = f"{document['model_version']} is registered as a challenger"
    if promotion is not None:
        moved = "the champion was moved meanwhile, and " if _overtaken(document) else ""
        stands += f" and was not promoted: {moved}{promotion['problem']}"
    return f"{stands}; {_advice(document)}."


def _advice(document: Document) -> str:
    champion = document["champion_version"]
    keep = f"keep {champion}" if champion else "do not promote it"
    if _overtaken(document):
        keep = "keep the new champion"
    advice = {
        "promote": "promote it",
        "keep": keep,
        "shadow": f"{keep} for now, and let it show what it can do in its shadow or on more labels",
        "more_labels": f"{keep} until more labels are in",
        "look": "see why it cannot be compared",
    }[document["next_step"]]
    return f"{advice}, or promote it with --force --reason" if _takes_force(document) else advice


def _takes_force(document: Document) -> bool:
    """Whether only a person's decision makes it the champion: the guardrails refused it, or would
    where it is not shown to be worse."""
    promotion = document["promotion"]
    if promotion is not None:
        return bool(promotion.get("exit_code") == GuardrailError.exit_code)
    if document["verdict"]["status"] == "pass":
        return False
    return document["next_step"] in ("more_labels", "look")


def _overtaken(document: Document) -> bool:
    """Whether the guardrails refused it that pass against the champion of the comparison: somebody
    moved the pointer while it was trained."""
    return document["verdict"]["status"] == "pass" and _takes_force(document)
