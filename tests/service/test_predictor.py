"""A batch in which one request makes scoring raise, or two versions meet."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from monitoring.log.writing import EntityKeys, InferenceLog
from registry.loaded import LoadedVersion
from registry.schema import Feature, Schema
from registry.validation import RowValidator, ValidRow, Value
from serving.exchange import Exchange
from serving.predictor import Predictor, answer

SCHEMA = Schema((Feature("x", "number", "a number"),))


class Scorer:
    """Gives `scale * x`, and raises, or gives too little, for rows it was told to."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def score(self, rows: Sequence[tuple[Value, ...]]) -> NDArray[np.float64]:
        values = np.array([row[0] for row in rows], dtype=float)
        if (values == 13).any():
            raise ValueError("could not convert Maria 123.456.789-09")
        if (values == 14).any():
            return values[:-1]
        return np.where(values == 15, np.nan, values * self.scale)


def version(name: str, scale: float) -> LoadedVersion:
    return LoadedVersion(
        model="m",
        version=name,
        digest=name,
        threshold=0.5,
        schema=SCHEMA,
        schema_digest="s",
        validator=RowValidator(SCHEMA, 10),
        scorer=Scorer(scale),
        metrics={},
        provenance={},
        examples=(),
    )


def exchange(loaded: LoadedVersion, *values: float) -> Exchange:
    return Exchange("r", version=loaded, rows=[ValidRow((value,), None) for value in values])


def predictor(folder: Path) -> Predictor:
    return Predictor(InferenceLog(folder, EntityKeys(None)), on_log_failure="serve")


def answered(one: Exchange) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = orjson.loads(answer(one))
    return found


@pytest.mark.parametrize("bad", [13.0, 14.0, 15.0])
def test_only_the_request_that_cannot_be_scored_is_refused(
    tmp_path: Path, bad: float, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = version("v1.0.0", 0.1)
    batch = [exchange(loaded, 1, 2), exchange(loaded, 3, bad), exchange(loaded, 9)]
    predictor(tmp_path).predict(batch)
    refused = batch[1].refusal
    assert refused is not None
    assert refused.status == 500
    assert [one["risk_score"] for one in answered(batch[0])] == pytest.approx([0.1, 0.2])
    assert [one["risk_label"] for one in answered(batch[2])] == [1]
    logged = [json.loads(line) for path in tmp_path.glob("dt=*/*") for line in path.open()]
    assert [record["features"]["x"] for record in logged] == [1, 2, 9]
    (entry,) = caplog.records
    assert entry.levelname == "ERROR"
    assert "ValueError" in entry.getMessage()
    assert "Maria" not in repr(vars(entry)), "a value about a person reached the log"


def test_each_request_is_scored_by_the_version_that_validated_it(tmp_path: Path) -> None:
    old = version("v1.0.0", 0.1)
    new = replace(old, version="v1.1.0", scorer=Scorer(0.01))
    batch = [exchange(old, 1), exchange(new, 1, 2), exchange(old, 2)]
    predictor(tmp_path).predict(batch)
    found = [[(p["model_version"], p["risk_score"]) for p in answered(one)] for one in batch]
    assert found[0] == [("v1.0.0", pytest.approx(0.1))]
    assert found[1] == [("v1.1.0", pytest.approx(0.01)), ("v1.1.0", pytest.approx(0.02))]
    assert found[2] == [("v1.0.0", pytest.approx(0.2))]
