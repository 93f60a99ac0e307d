"""The streams through our own analysis, in memory: the entry that the drift report calls."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import alarms_model
from benchmarks.alarms_streams import DAYS, START, Columns, Stream
from monitoring.drift.analysis import Subject, analyse
from monitoring.log.reading import NOBODY, Batch, Query, RowIds
from monitoring.reference.coded_rows import CodedRows
from monitoring.reference.profiling import build_reference
from registry.configuration import DriftLimits
from registry.loaded import LoadedVersion


@dataclass(frozen=True)
class Watch:
    """The version that a stream is scored and watched with."""

    version: LoadedVersion

    @classmethod
    def of(cls, folder: Path) -> "Watch":
        return cls(alarms_model.load(folder))

    def document(
        self, stream: Stream, *, entities: NDArray[np.uint64] | None = None
    ) -> dict[str, Any]:
        """The drift document of a stream; `entities`, shape (rows,), say whom the window's rows are
        about, else everybody is met once."""
        before = alarms_model.scores(self.version, stream.reference)
        now = alarms_model.scores(self.version, stream.window)
        batch = _batch(stream, now, now >= self.version.threshold, entities)
        limits = DriftLimits()
        subject = self._subject(stream.reference, before, limits)
        read = _reader(batch)
        document = analyse(subject, START, START + timedelta(days=DAYS), read, limits)
        assert document is not None
        return document

    def _subject(
        self, reference: Columns, scores: NDArray[np.float64], limits: DriftLimits
    ) -> Subject:
        schema = self.version.schema
        profile = build_reference(reference, schema.kinds, scores, entities=len(scores))
        coded = CodedRows.build(
            profile, reference, np.arange(len(scores)), rows=limits.reference_rows, seed=0
        )
        return Subject(
            version=self.version.version,
            schema=schema,
            threshold=self.version.threshold,
            reference=profile,
            training={},
            calibration=None,
            coded=coded,
            load=lambda: self.version,
        )


def _batch(
    stream: Stream,
    scores: NDArray[np.float64],
    flags: NDArray[np.bool_],
    entities: NDArray[np.uint64] | None,
) -> Batch:
    rows = len(stream.times)
    return Batch(
        times=stream.times,
        scores=scores,
        flags=flags,
        entities=np.full(rows, NOBODY, dtype=np.uint64) if entities is None else entities,
        columns=stream.window,
        ids=RowIds(
            prediction_ids=[f"p{row}" for row in range(rows)],
            request_ids=[f"r{row}" for row in range(rows)],
            entity_keys=[None] * rows,
            periods=[None] * rows,
        ),
    )


def _reader(batch: Batch) -> Any:
    """What `analyse` reads from: it may ask for some of the columns, with ids or without."""

    def read(query: Query) -> Iterator[Batch]:
        yield Batch(
            times=batch.times,
            scores=batch.scores,
            flags=batch.flags,
            entities=batch.entities,
            columns={name: batch.columns[name] for name in query.features},
            ids=batch.ids if query.ids else None,
        )

    return read
