"""Nine common cases that each have one right answer, and what every tool makes of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table

from benchmarks import alarms_model, alarms_others
from benchmarks.alarms_case_streams import CASE_FEATURES, CASES, REFERENCE, Case
from benchmarks.alarms_others import SCORE, WAYS, Way
from benchmarks.alarms_ours import Watch
from benchmarks.alarms_outcomes import ALARMS, Rate
from benchmarks.alarms_streams import Columns, Stream, rows
from benchmarks.others import EVIDENTLY, NANNYML
from monitoring.performance.analysis import judge
from monitoring.performance.evaluation import rate

OURS = "ours"
FLOOR, RECALL, POSITIVES, LABELLED = 0.70, 0.75, 30, 75
RECALL_CASE = f"recall {RECALL:.2f}, {POSITIVES} positives"
_LEAN = {"steady": -0.8, "patchy": 0.5}
_RECALL_WAYS = (Way("Evidently", EVIDENTLY, "recall"), Way("NannyML", NANNYML, "recall"))


@dataclass(frozen=True)
class Verdict:
    """Whether a tool gave the right answer to one stream, and the number that it gave."""

    right: bool
    value: float | None


Answers = Mapping[str, Sequence[Verdict]]


def run(
    folder: Path, *, trials: int, others: bool, tell: Callable[[str], None]
) -> dict[str, Answers]:
    """Every case by its name: what each tool said of `trials` streams. `folder` holds the version
    of the streams and takes another one, and files."""
    rng = np.random.default_rng(2)
    lines = rows(rng, alarms_model.ROWS, CASE_FEATURES)
    alarms_model.make(folder / "cases", CASE_FEATURES, lines, _LEAN)
    watches = {name: Watch.of(folder / name) for name in ("version", "cases")}
    found: dict[str, Answers] = {}
    for case in CASES:
        tell(f"case: {case.name}")
        streams = [case.make(seed) for seed in range(trials)]
        watch = watches[case.version]
        said = {OURS: [_ours(case, watch, stream) for stream in streams]}
        found[case.name] = said | (_theirs(case, folder, watch, streams) if others else {})
    tell(f"case: {RECALL_CASE}")
    found[RECALL_CASE] = _recall(folder, trials=trials, others=others)
    return found


def table(found: Mapping[str, Answers]) -> Table:
    """Right answers in percent, and the median of the numbers given."""
    shown = Table(title="Cases with one right answer: right, % (median number)")
    shown.add_column("case", no_wrap=True)
    shown.add_column("right\nanswer")
    names = (OURS, *(way.name for way in WAYS))
    for name in names:
        shown.add_column(name.replace(" ", "\n", 1), justify="right")
    drift = {case.name: case.drift for case in CASES}
    for case, said in found.items():
        right = "alarm" if drift.get(case) else "no alarm"
        shown.add_row(case, right, *(_cell(said.get(name, ())) for name in names))
    return shown


def as_json(found: Mapping[str, Answers]) -> dict[str, Any]:
    """Each case and tool: how often right, and the numbers given."""
    return {
        case: {
            name: {
                "right": Rate.of([one.right for one in verdicts]).to_dict(),
                "values": [one.value for one in verdicts],
            }
            for name, verdicts in said.items()
            if verdicts
        }
        for case, said in found.items()
    }


def _ours(case: Case, watch: Watch, stream: Stream) -> Verdict:
    document = watch.document(stream, entities=case.entities)
    drifts = {item["name"]: item for item in document["features"]}
    if case.feature is None:
        return Verdict((document["status"] in ALARMS) == case.drift, None)
    item = drifts[case.feature]
    return Verdict((item["status"] in ALARMS) == case.drift, item["psi"])


def _theirs(
    case: Case, folder: Path, watch: Watch, streams: Sequence[Stream]
) -> dict[str, list[Verdict]]:
    pairs = []
    for seed, stream in enumerate(streams):
        sides: list[Columns] = [
            {**part, SCORE: alarms_model.scores(watch.version, part)}
            for part in (stream.reference, stream.window)
        ]
        pairs.append(
            alarms_others.write(folder, f"case-{seed}", reference=sides[0], window=sides[1])
        )
    found = {}
    for way in WAYS:
        said = alarms_others.answers(folder, way, pairs)
        found[way.name] = [_verdict(case, answer) for answer in said if "error" not in answer]
    return found


def _verdict(case: Case, answer: Mapping[str, Any]) -> Verdict:
    if case.feature is None:
        return Verdict(any(one["alarm"] for one in answer.values()) == case.drift, None)
    one = answer[case.feature]
    return Verdict(one["alarm"] == case.drift, one["value"])


def _recall(folder: Path, *, trials: int, others: bool) -> Answers:
    """A model whose recall is what it was at training, seen through few positives; an alarm is
    wrong."""
    rng = np.random.default_rng(12)
    windows = [_labelled(rng, LABELLED, POSITIVES) for _ in range(trials)]
    hits = [window["prediction"][window["target"] == 1] == 1 for window in windows]
    nobody_twice = np.arange(POSITIVES)
    verdicts = [
        judge(rate(hit.to_numpy(), nobody_twice), floor=FLOOR, training=RECALL) for hit in hits
    ]
    found = {
        OURS: [
            Verdict(verdict.status not in ALARMS, float(hit.mean()))
            for verdict, hit in zip(verdicts, hits, strict=True)
        ]
    }
    if not others:
        return found
    reference = folder / "recall-reference.parquet"
    _labelled(rng, REFERENCE, REFERENCE * POSITIVES // LABELLED).to_parquet(reference)
    tasks = []
    for seed, window in enumerate(windows):
        path = folder / f"recall-{seed}.parquet"
        window.to_parquet(path)
        sides = {"reference": str(reference), "window": str(path)}
        tasks.append({**sides, "way": "recall", "floor": FLOOR})
    for way in _RECALL_WAYS:
        said = [one["recall"] for one in alarms_others.run(folder, way, tasks)]
        found[way.name] = [Verdict(not one["alarm"], one["value"]) for one in said]
    return found


def _labelled(rng: np.random.Generator, count: int, positives: int) -> pd.DataFrame:
    """Labels with as many positives, and predictions that find each with the same probability."""
    target = np.arange(count) < positives
    right = rng.random(count) < RECALL
    prediction = np.where(target, right, ~right).astype(int)
    frame = pd.DataFrame({"target": target.astype(int), "prediction": prediction})
    frame["score"] = 0.1 + 0.8 * frame["prediction"]
    return frame


def _cell(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return "–"
    values = [one.value for one in verdicts if one.value is not None]
    number_given = f" ({median(values):.3g})" if values else ""
    return f"{100 * Rate.of([one.right for one in verdicts]).share:.0f}{number_given}"
