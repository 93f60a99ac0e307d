import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry import configuration
from registry.configuration import Configuration, load, parse
from registry.errors import ConfigurationError
from registry.state import PROJECT

SMALL: dict[str, Any] = {
    "model": {"name": "risk", "target": "y"},
    "features": {
        "fase": {"type": "integer", "meaning": "phase", "hard_range": [0, 12]},
        "mark": {"type": "number", "meaning": "mark", "optional": True},
        "school": {"type": "category", "meaning": "kind", "levels": ["A", "B"]},
    },
    "derived": {"double": "2 * fase"},
}
Change = Callable[[dict[str, Any]], object]


def changed(change: Change) -> dict[str, Any]:
    content = copy.deepcopy(SMALL)
    change(content)
    return content


def setting(section: str, key: str, value: Any) -> Change:
    return lambda content: content.setdefault(section, {}).update({key: value})


def feature(name: str, **facts: Any) -> Change:
    return lambda content: content["features"].update({name: {"meaning": "m"} | facts})


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "configuration.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_projects_own_file_is_valid() -> None:
    found = load(PROJECT / "configuration.yaml")
    assert found.model.target not in found.schema.names
    assert set(found.training.candidates) == set(configuration.CANDIDATES)


def test_what_is_left_out_has_its_default() -> None:
    found = parse(SMALL)
    assert found == Configuration(model=found.model, schema=found.schema)
    assert found.model.time_column is None
    assert found.schema.names == ("fase", "mark", "school")
    assert found.schema.numeric == ("fase", "mark", "double")


@pytest.mark.parametrize(
    "watch", [{"refresh_seconds": 0}, {"performance_days": 366}, {"performance_days": 365.5}]
)
def test_labels_may_take_a_year_where_reports_reach_further_or_are_off(watch: Any) -> None:
    content = changed(setting("performance", "label_delay_days", 365)) | {"watch": watch}
    assert parse(content).performance.label_delay_days == 365


def test_derived_columns_keep_their_order_and_read_exact_names() -> None:
    content = changed(lambda c: c.update(derived={"b": "fase - mark", "a": "(fase)"}))
    assert parse(content).schema.derived == (("b", "fase - mark"), ("a", "(fase)"))


def test_the_environment_names_the_file_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert configuration.file_in_force() == PROJECT / "configuration.yaml"
    path = written(
        tmp_path, "model: {name: m, target: y}\nfeatures: {a: {type: number, meaning: m}}"
    )
    monkeypatch.setenv("DATATHON_CONFIGURATION", str(path))
    assert load().model.name == "m"


REFUSED: dict[str, tuple[Change, str]] = {
    "unknown section": (
        lambda c: c.update(modell={}),
        "unknown key `modell`; did you mean `model`?",
    ),
    "unknown key": (
        setting("training", "fold", 3),
        "unknown key `training.fold`; did you mean `folds`?",
    ),
    "unknown key of a feature": (
        feature("x", type="number", hardrange=[0, 1]),
        "unknown key `features.x.hardrange`; did you mean `hard_range`?",
    ),
    "no model": (lambda c: c.pop("model"), "section `model` is missing"),
    "no features": (lambda c: c.pop("features"), "section `features` is missing"),
    "empty features": (lambda c: c.update(features={}), "features: at least one"),
    "no target": (lambda c: c["model"].pop("target"), "model.target is missing"),
    "no type": (feature("x"), "features.x.type is missing"),
    "text for a number": (setting("training", "folds", "five"), "training.folds: expected an int"),
    "number for a text": (setting("model", "target", 3), "model.target: expected a text"),
    "true for a number": (setting("training", "folds", True), "training.folds: expected an int"),
    "float for an integer": (setting("training", "folds", 5.0), "training.folds: expected an int"),
    "huge integer for a number": (
        setting("drift", "yellow", 10**400),
        "drift.yellow: expected a number",
    ),
    "text for a list": (setting("training", "candidates", "random_forest"), "expected a list"),
    "number among texts": (
        feature("x", type="category", levels=["A", 1]),
        "features.x.levels: expected a text",
    ),
    "other word": (setting("training", "calibration", "platt"), "expected sigmoid or isotonic"),
    "list for a section": (lambda c: c.update(training=[1]), "training: expected a mapping"),
    "list for a file": (lambda c: c.clear(), "section `model` is missing"),
    "number as a name": (lambda c: c["features"].update({1: {}}), "features: expected a mapping"),
    "unknown candidate": (
        setting("training", "candidates", ["random_forrest"]),
        "did you mean `random_forest`?",
    ),
    "no candidate": (setting("training", "candidates", []), "at least one, each once"),
    "candidate twice": (
        setting("training", "candidates", ["random_forest"] * 2),
        "at least one, each once",
    ),
    "negative seed": (setting("training", "seed", -1), "training.seed"),
    "one fold": (setting("training", "folds", 1), "training.folds: expected at least 2"),
    "recall of nothing": (setting("training", "target_recall", 0.0), "training.target_recall"),
    "recall above one": (setting("training", "target_recall", 1.01), "training.target_recall"),
    "no number for a share": (setting("training", "capacity_share", math.nan), "capacity_share"),
    "no rows": (setting("serving", "max_rows", 0), "serving.max_rows: expected more than 0"),
    "endless poll": (setting("serving", "poll_ms", -50), "serving.poll_ms: expected more than 0"),
    "endless timeout": (setting("serving", "timeout_seconds", math.inf), "serving.timeout_seconds"),
    "a timeout that nobody reads": (
        setting("bentoml", "traffic", {"timeout": 10}),
        "bentoml.traffic.timeout: not used; set serving.timeout_seconds",
    ),
    "another limit of requests at once": (
        setting("bentoml", "traffic", {"max_concurrency": 10}),
        "bentoml.traffic.max_concurrency: not used; set serving.max_concurrency",
    ),
    "red below yellow": (setting("drift", "red", 0.05), "drift: expected 0 < yellow < red"),
    "no number for red": (setting("drift", "red", math.nan), "drift: expected 0 < yellow < red"),
    "a drop of more than everything": (
        setting("guardrails", "recall_drop_points", 101.0),
        "guardrails.recall_drop_points: expected 0 to 100",
    ),
    "a coin for an interval": (
        setting("guardrails", "confidence", 0.4),
        "guardrails.confidence: expected a share from 0.5",
    ),
    "a handful of resamples": (
        setting("guardrails", "resamples", 10),
        "guardrails.resamples: expected at least 100",
    ),
    "no queue": (setting("shadow", "queue_rows", 0), "shadow.queue_rows: expected at least 1"),
    "reports from the past": (
        setting("watch", "refresh_seconds", -1),
        "watch.refresh_seconds: exp",
    ),
    "a window of nothing": (setting("watch", "drift_days", 0), "watch.drift_days: expected days"),
    "a window in which no label is due": (
        setting("watch", "performance_days", 90),
        "watch.performance_days: expected more than performance.label_delay_days, which is 90",
    ),
    "labels that are due after the window": (
        setting("performance", "label_delay_days", 365),
        "watch.performance_days: expected more than performance.label_delay_days, which is 365",
    ),
    "a number as a contact": (
        setting("contacts", "on_call", 190),
        "contacts.on_call: expected a t",
    ),
    "no time": (setting("shadow", "time_share", 0.0), "shadow.time_share: expected a share"),
    "target is a feature": (setting("model", "target", "mark"), "'mark' is a feature too"),
    "time is a feature": (setting("model", "time_column", "fase"), "'fase' is a feature too"),
    "entity is a feature": (
        setting("model", "entity_column", "school"),
        "'school' is a feature too",
    ),
    "model's name leads elsewhere": (
        setting("model", "name", "../up"),
        "model.name: '../up' is not",
    ),
    "derived of an unknown feature": (
        setting("derived", "x", "fase - marc"),
        "derived.x: 'marc' is no declared number; did you mean `mark`?",
    ),
    "derived of a text": (setting("derived", "x", "school + 1"), "'school' is no declared number"),
    "derived of a derived": (setting("derived", "x", "double + 1"), "'double' is no declared"),
    "derived of the target": (setting("derived", "x", "y + 1"), "derived.x: 'y' is no declared"),
    "derived named like a feature": (setting("derived", "mark", "fase"), "a feature has this name"),
    "derived is a program": (
        setting("derived", "x", "__import__('os').system('true')"),
        "derived.x: ",
    ),
    "derived is an attribute": (setting("derived", "x", "fase.real"), "derived.x: "),
    "derived is a call": (setting("derived", "x", "abs(fase)"), "derived.x: "),
    "derived is a power": (setting("derived", "x", "fase ** 9"), "derived.x: "),
    "derived is a text": (setting("derived", "x", "'fase'"), "derived.x: "),
    "derived is huge": (
        setting("derived", "x", "fase" + "+fase" * 200),
        "derived.x: expression lon",
    ),
    "derived is nothing": (setting("derived", "x", None), "derived.x: "),
    "derived is a list": (setting("derived", "x", ["fase"]), "derived.x: "),
    "odd feature name": (feature("a b", type="number"), "features.a b: a name has letters"),
    "reserved name": (feature("entity_id", type="category"), "entity_id is reserved"),
    "name of the score": (feature("score", type="number"), "score is what reports call"),
    "category with a range": (feature("x", type="category", soft_range=[0, 1]), "not a range"),
    "number with levels": (feature("x", type="number", levels=["A"]), "not levels"),
    "closed without levels": (feature("x", type="category", closed=True), "closed needs levels"),
    "range upside down": (feature("x", type="number", hard_range=[1, 0]), "with low < high"),
    "range of one": (feature("x", type="number", hard_range=[1]), "with low < high"),
    "range without a number": (feature("x", type="number", hard_range=[0, math.nan]), "low < high"),
    "endless range": (feature("x", type="number", hard_range=[0, math.inf]), "can be scored"),
    "range that no model takes": (
        feature("x", type="number", soft_range=[0, 1e39]),
        "can be scored",
    ),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_file_is_refused_in_words_that_say_where(change: Change, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(changed(change))
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping"),
        ("- a\n", "expected a mapping"),
        ("a: [1\n", "not YAML"),
        ("a: 2026-13-45\n", "not YAML"),
        ("a: !!python/object/apply:os.system [true]\n", "not YAML"),
        ("? [a]\n: 1\n", "not YAML"),
        ("model: {name: m, target: y}\nfeatures:\n  a: {}\n  b: {}\n  a: {}\n", "'a' stands twice"),
        ("model: {name: m, name: n, target: y}\n", "'name' stands twice"),
        ("model: {}\nmodel: {}\n", "'model' stands twice"),
    ],
)
def test_what_is_no_sound_yaml_is_refused_with_its_path(
    tmp_path: Path, text: str, message: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(ConfigurationError, match=str(path)):
            load(path)
    path = tmp_path / "latin.yaml"
    path.write_bytes("meaning: ação".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load(path)


def test_a_merged_mapping_is_no_key_that_stands_twice(tmp_path: Path) -> None:
    text = """
model: {name: m, target: y}
features:
  a: &mark {type: number, meaning: mark, hard_range: [0, 10]}
  b: {<<: *mark, meaning: another mark}
"""
    first, second = load(written(tmp_path, text)).schema.features
    assert (first.meaning, second.meaning) == ("mark", "another mark")
    assert first.hard_range == second.hard_range == (0.0, 10.0)
