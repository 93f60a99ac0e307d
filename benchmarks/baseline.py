"""The service to compare with: what a competent team would write with FastAPI and pydantic.

It loads the champion of BENTOML_HOME and answers the same rows with the same fields, after the same
checks; it has no batching, no log and no metrics. Of the ways to write it, the fastest on one core
stands here: an `async def` endpoint (a `def` endpoint adds a thread hop to each request, and scores
requests no more in parallel), columns made by `registry.pipeline`, orjson for the answer.

Run by `python -m uvicorn --factory benchmarks.baseline:application`.
"""

from operator import attrgetter
from secrets import token_hex
from typing import Annotated, Any, Literal

import orjson
from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict, Field, create_model

from registry import manifest, pointer, serialization, store
from registry.configuration import load
from registry.pipeline import columns_of, frame_of
from registry.schema import ENTITY_FIELD, PERIOD_FIELD, Feature, Schema
from registry.state import State
from registry.validation import LATEST_PERIOD, MAX_TEXT

Scores = list[dict[str, Any]]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


def body_model(schema: Schema, max_rows: int) -> type[BaseModel]:
    """The pydantic model of a request: {"instances": [row, ...]} with 1 to `max_rows` rows."""
    fields: dict[str, Any] = {feature.name: _field(feature) for feature in schema.features}
    entity = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
    fields[ENTITY_FIELD] = (entity | None, None)
    fields[PERIOD_FIELD] = (Annotated[int, Field(ge=0, le=LATEST_PERIOD)] | None, None)
    row = create_model("Row", __base__=_Strict, **fields)
    rows = Annotated[list[row], Field(min_length=1, max_length=max_rows)]  # type: ignore[valid-type]
    instances: Any = (rows, ...)
    return create_model("Body", __base__=_Strict, instances=instances)


def application() -> FastAPI:
    """The app, with the champion of BENTOML_HOME loaded.

    Raises:
        RegistryError: there is no champion, or its bytes are not those that were registered.
    """
    state = State.from_environment()
    champion = pointer.required(state)
    stored = store.get(state, champion.model, champion.version)
    contents = manifest.read_verified(stored.folder, champion.digest)
    pipeline = serialization.load(contents[manifest.PIPELINE])
    schema = Schema.from_dict(orjson.loads(contents["schema.json"]))
    threshold = float(orjson.loads(contents["model.json"])["threshold"])
    values_of = attrgetter(*schema.names)

    def predict(instances: list[Any]) -> Scores:
        frame = frame_of(columns_of(schema, [values_of(row) for row in instances]))
        prefix = token_hex(12)
        return [
            {
                "prediction_id": f"{prefix}-{position}",
                "risk_score": score,
                "risk_label": int(score >= threshold),
                "model_version": champion.version,
            }
            for position, score in enumerate(pipeline.predict_proba(frame)[:, 1].tolist())
        ]

    app = FastAPI()
    body: Any = body_model(schema, load().serving.max_rows)

    @app.post("/predict", response_model=None)
    async def answer(request: body) -> Response:
        return Response(orjson.dumps(predict(request.instances)), media_type="application/json")

    @app.get("/readyz")
    async def ready() -> dict[str, bool]:
        return {"ready": True}

    return app


def _field(feature: Feature) -> tuple[Any, Any]:
    declared = _type(feature)
    return (declared | None, None) if feature.optional else (declared, ...)


def _type(feature: Feature) -> Any:
    if feature.type == "category":
        if feature.closed:
            return Literal[feature.levels]
        return Annotated[str, Field(max_length=MAX_TEXT)]
    low, high = feature.hard_range or (None, None)
    if feature.type == "integer":
        return Annotated[int, Field(ge=low, le=high)]
    return Annotated[float, Field(ge=low, le=high, allow_inf_nan=False)]
