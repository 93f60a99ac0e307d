"""Real, small versions judged on the rows that they were not fitted on."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import precision_score, recall_score, roc_auc_score

from registry import challenge, held_out, loaded, manifest, store
from registry.errors import GuardrailError, IntegrityError
from registry.loaded import LoadedVersion
from registry.pipeline import frame_of
from registry.pointer import Champion
from registry.schema import Schema
from registry.state import State
from registry.verdict import Check
from tests.artefacts import MODEL, install, tiny_configuration, tiny_rows, write
from tests.registry.handmade import flip_byte
from training.data import check
from training.fit import Trained, train

SETTINGS = tiny_configuration()
OLD, NEW = "v1.0.0", "v1.1.0"


@pytest.fixture
def installed(tmp_path: Path, artefacts: Path) -> State:
    state = State(tmp_path / "home")
    install(state, artefacts / "0", OLD)
    install(state, artefacts / "1", NEW)
    return state


@pytest.fixture(scope="session")
def crossed() -> Trained:
    """Fitted on all rows of one year, which out-of-fold scores evaluate."""
    rows = tiny_rows(2, 240).assign(year=2023)
    return train(check(rows, SETTINGS), SETTINGS, lambda step: None)


def change(folder: Path, name: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit one of a version's JSON files; its manifest is true again afterwards."""
    content = json.loads((folder / name).read_bytes())
    edit(content)
    (folder / name).write_text(json.dumps(content))
    manifest.write(folder)


def reigning(state: State, version: str = OLD, model: str = MODEL) -> Champion:
    digest = manifest.digest_of(state.models / MODEL / version)
    return Champion(model, version, 1, digest, {}, {})


def judge(state: State, champion: Champion | None, version: str = NEW) -> dict[str, Any]:
    challenger = store.get(state, MODEL, version)
    document = challenge.judge(state, champion=champion, challenger=challenger, settings=SETTINGS)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    return document


def ready(state: State, version: str) -> LoadedVersion:
    return loaded.load(state.models / MODEL / version, version, None, max_rows=1)


def rows_of(state: State, version: str = NEW) -> held_out.HeldOut:
    path = state.held_out / f"{version}.parquet"
    return held_out.read(path, hashlib.sha256(path.read_bytes()).hexdigest())


def found(document: dict[str, Any], name: str) -> Check:
    return next(Check.from_dict(c) for c in document["checks"] if c["name"] == name)


def flags(trained: Trained, rows: Trained) -> NDArray[np.bool_]:
    frame = frame_of(rows.evaluated.columns)
    return np.asarray(trained.model.predict_proba(frame)[:, 1] >= trained.threshold)


def test_both_are_scored_now_on_the_challengers_rows(
    installed: State, trained: tuple[Trained, Trained]
) -> None:
    document = judge(installed, reigning(installed))
    old, new = trained
    target = new.evaluated.target
    for name, metric in (("recall", recall_score), ("precision", precision_score)):
        one = found(document, name)
        assert one.champion == pytest.approx(metric(target, flags(old, new)), abs=1e-6)
        assert one.challenger == pytest.approx(metric(target, flags(new, new)), abs=1e-6)
    assert (document["rows"], document["positives"]) == (len(target), int(target.sum()))
    content = (installed.held_out / f"{NEW}.parquet").read_bytes()
    assert document["held_out_sha256"] == hashlib.sha256(content).hexdigest()
    assert (document["champion"], document["challenger"]) == (OLD, NEW)
    assert (document["protocol"], document["challenger_scores"]) == ("temporal", "now")
    assert document["seed"] == SETTINGS.training.seed
    assert "fitted on these rows" not in document["note"]
    assert document["champion_may_know_rows"] is False
    assert document == judge(installed, reigning(installed))


def test_a_version_passes_against_itself(installed: State) -> None:
    assert judge(installed, reigning(installed, NEW))["status"] == "pass"


def test_without_a_champion_it_is_judged_alone(
    installed: State, trained: tuple[Trained, Trained]
) -> None:
    document = judge(installed, None)
    assert (document["champion"], document["status"]) == (None, "pass")
    expected = roc_auc_score(trained[1].evaluated.target, trained[1].scores)
    assert found(document, "roc_auc").challenger == pytest.approx(expected, abs=1e-6)


def test_where_it_was_fitted_on_the_rows_its_out_of_fold_scores_count(
    installed: State, crossed: Trained, tmp_path: Path
) -> None:
    install(installed, write(crossed, tmp_path / "crossed", 2), "v2.0.0")
    document = judge(installed, reigning(installed), "v2.0.0")
    assert document["challenger_scores"] == "out of fold"
    target = crossed.evaluated.target
    out_of_fold = recall_score(target, crossed.scores >= crossed.threshold)
    assert found(document, "recall").challenger == pytest.approx(out_of_fold, abs=1e-6)
    own = judge(installed, reigning(installed, "v2.0.0"), "v2.0.0")
    in_sample = recall_score(target, flags(crossed, crossed))
    assert found(own, "recall").champion == pytest.approx(in_sample, abs=1e-6)
    assert "fitted on these rows, which flatters it" in own["note"]
    assert own["champion_may_know_rows"] is True


def test_a_champion_that_was_fitted_on_the_period_is_flattered(installed: State) -> None:
    def later(content: dict[str, Any]) -> None:
        content["fitted"]["periods"] = ["2022", "2023"]

    change(installed.models / MODEL / OLD, "provenance.json", later)
    assert (
        "fitted on these rows, which flatters it" in judge(installed, reigning(installed))["note"]
    )


def test_without_periods_a_champion_that_was_fitted_on_all_its_rows_may_know_any(
    installed: State, crossed: Trained, tmp_path: Path
) -> None:
    install(installed, write(crossed, tmp_path / "crossed"), "v2.0.0")

    def timeless(content: dict[str, Any]) -> None:
        content["fitted"]["periods"] = content["evaluated"]["periods"] = None
        content["data"]["sha256"] = "1" * 64

    change(installed.models / MODEL / "v2.0.0", "provenance.json", timeless)
    document = judge(installed, reigning(installed, "v2.0.0"))
    assert document["champion_may_know_rows"] is True
    assert "which flatters it" in document["note"]


@pytest.mark.parametrize("joined", [(), ("champion",), ("champion", "challenger")])
def test_the_same_file_is_known_by_its_sha256_as_a_part_too(
    installed: State, crossed: Trained, tmp_path: Path, joined: tuple[str, ...]
) -> None:
    """Periods that are spelt in another way are other periods."""
    install(installed, write(crossed, tmp_path / "crossed"), "v2.0.0")
    folders = {"champion": "v2.0.0", "challenger": NEW}

    def edit(folder: str, shared: str) -> None:
        def other(content: dict[str, Any]) -> None:
            content["fitted"]["periods"] = [f"of the {folder}"]
            content["data"]["sha256"] = shared
            if folder in joined:
                own = folder.encode().hex()
                content["data"] |= {"sha256": own, "parts": [{"sha256": shared}, {"sha256": own}]}

        change(installed.models / MODEL / folders[folder], "provenance.json", other)

    def known() -> bool:
        document = judge(installed, reigning(installed, "v2.0.0"))
        return bool(document["champion_may_know_rows"])

    edit("challenger", "2" * 64)
    edit("champion", "2" * 64)
    assert known()
    edit("champion", "3" * 64)
    assert not known()


def test_rows_that_were_not_kept_leave_two_ways_out(installed: State) -> None:
    (installed.held_out / f"{NEW}.parquet").unlink()
    for champion in (None, reigning(installed)):
        with pytest.raises(GuardrailError, match=r"train and register it anew.*--force --reason"):
            judge(installed, champion)


def test_a_version_from_before_rows_were_kept_is_told_the_same(installed: State) -> None:
    change(installed.models / MODEL / NEW, "provenance.json", lambda facts: facts.pop("held_out"))
    with pytest.raises(GuardrailError, match="were not kept"):
        judge(installed, None)


def test_rows_that_are_not_those_of_the_provenance_are_refused(installed: State) -> None:
    flip_byte(installed.held_out / f"{NEW}.parquet")
    with pytest.raises(IntegrityError, match="provenance names"):
        judge(installed, reigning(installed))


def test_scores_that_are_not_reproduced_are_refused(installed: State) -> None:
    held = rows_of(installed)
    content = held_out.to_bytes(
        held.columns, held.target, held.entities, held.scores + 1e-5, protocol=held.protocol
    )
    (installed.held_out / f"{NEW}.parquet").write_bytes(content)

    def renamed(facts: dict[str, Any]) -> None:
        facts["held_out"]["sha256"] = hashlib.sha256(content).hexdigest()

    change(installed.models / MODEL / NEW, "provenance.json", renamed)
    with pytest.raises(IntegrityError, match="not reproduced"):
        judge(installed, reigning(installed))


def test_a_damaged_challenger_is_refused(installed: State) -> None:
    flip_byte(installed.models / MODEL / NEW / "pipeline.skops")
    with pytest.raises(IntegrityError, match="pipeline"):
        judge(installed, reigning(installed))


@pytest.mark.parametrize("damage", ["flipped", "gone", "other model"])
def test_a_champion_that_cannot_be_compared_with_leaves_the_way_out(
    installed: State, damage: str
) -> None:
    champion = reigning(installed, model="other-risk" if damage == "other model" else MODEL)
    if damage == "flipped":
        flip_byte(installed.models / MODEL / OLD / "pipeline.skops")
    elif damage == "gone":
        shutil.rmtree(installed.models / MODEL / OLD)
    with pytest.raises(GuardrailError, match=r"champion.*--force --reason") as caught:
        judge(installed, champion)
    assert "\n" not in str(caught.value)


def _without(
    installed: State, name: str, values: NDArray[Any] | None = None
) -> tuple[held_out.HeldOut, LoadedVersion]:
    """A challenger that does not know a feature, and rows that lack it or have other `values`."""
    held, challenger = rows_of(installed), ready(installed, NEW)
    columns = {key: column for key, column in held.columns.items() if key != name}
    if values is not None:
        columns[name] = values
    features = tuple(f for f in challenger.schema.features if f.name != name)
    return (
        replace(held, columns=columns, protocol="cross-validation"),
        replace(challenger, schema=Schema(features)),
    )


def test_an_optional_feature_that_the_rows_lack_is_null(
    installed: State, trained: tuple[Trained, Trained]
) -> None:
    held, challenger = _without(installed, "mark")
    champion = ready(installed, OLD)
    document = challenge.weigh(held, champion=champion, challenger=challenger, settings=SETTINGS)
    new = trained[1].evaluated
    frame = frame_of(new.columns | {"mark": np.full(new.rows, np.nan)})
    nulls = trained[0].model.predict_proba(frame)[:, 1] >= trained[0].threshold
    expected = recall_score(new.target, nulls)
    assert found(document, "recall").champion == pytest.approx(expected, abs=1e-6)
    assert "the rows lack the champion's mark: null for all of them" in document["note"]


@pytest.mark.parametrize("kind", ["lacking", "null here and there", "texts"])
def test_a_feature_that_the_champion_requires_must_be_there(installed: State, kind: str) -> None:
    rows = len(rows_of(installed).target)
    values = {
        "lacking": None,
        "null here and there": np.where(np.arange(rows) == 3, np.nan, 9.0),
        "texts": np.full(rows, "nine", dtype=object),
    }[kind]
    held, challenger = _without(installed, "age", values)
    with pytest.raises(GuardrailError, match=r"age must be an integer from 3 to 99 in.*--force"):
        challenge.weigh(
            held, champion=ready(installed, OLD), challenger=challenger, settings=SETTINGS
        )
    assert challenge.weigh(held, champion=None, challenger=challenger, settings=SETTINGS)
