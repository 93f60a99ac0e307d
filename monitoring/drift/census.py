"""One pass over a window: all that the drift report keeps of the rows, in constant memory."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitoring.drift.entities import DistinctEntities
from monitoring.log.reading import Batch
from monitoring.performance.cbpe import ScoreCounts
from monitoring.reference.bins import Coded
from monitoring.reference.profile import ReferenceProfile

Counts = NDArray[np.int64]

SAMPLED = 20_000  # rows kept as they are, to look at what changed in them
WAITING = 8  # batches whose scores are counted at once, which costs a third less
HOUR = 3_600_000_000  # in microseconds
HOURS_A_DAY = 24


@dataclass
class Bucket:
    """An hour (or a day): its rows by bin, an array of shape (bins,) for each feature and, last,
    the score."""

    rows: int
    counts: list[Counts]


class Census:
    """Counts by hour and feature, entities by day, distinct scores, and a uniform sample of rows.

    `bucket_hours` is 1, or 24 where the window is too long for hours to be worth their memory.
    """

    def __init__(
        self, reference: ReferenceProfile, *, threshold: float, bucket_hours: int, seed: int
    ) -> None:
        self.bucket_hours = bucket_hours
        self.rows = 0
        self._scores = ScoreCounts.of(np.empty(0), threshold=threshold)
        self._waiting: list[NDArray[np.float64]] = []
        self.buckets: dict[int, Bucket] = {}
        self.entities: dict[int, DistinctEntities] = {}
        self.sample = RowSample(SAMPLED, seed)
        self._profiles = (*reference.features, reference.score)

    def add(self, batch: Batch) -> None:
        """Count a batch; a feature without a column counts as all null."""
        self.rows += len(batch)
        self._waiting.append(batch.scores)
        if len(self._waiting) >= WAITING:
            self._count_scores()
        self.sample.add(batch)
        for bucket, rows in _runs(batch.times // (HOUR * self.bucket_hours)):
            self._count(bucket, _take(batch, rows))

    @property
    def scores(self) -> ScoreCounts:
        """The scores of all rows so far."""
        self._count_scores()
        return self._scores

    def days(self) -> dict[int, list[int]]:
        """The buckets of each day (days since 1970), in order."""
        found: dict[int, list[int]] = {}
        for bucket in sorted(self.buckets):
            found.setdefault(bucket * self.bucket_hours // HOURS_A_DAY, []).append(bucket)
        return found

    def totals(self, buckets: Iterable[int]) -> list[Counts]:
        """The counts of some buckets, one at least, added up: in the order of a bucket's."""
        parts = zip(*(self.buckets[bucket].counts for bucket in buckets), strict=True)
        return [np.sum(part, axis=0) for part in parts]

    def moment(self, bucket: int) -> int:
        """When a bucket begins, in microseconds since 1970."""
        return bucket * self.bucket_hours * HOUR

    @property
    def anonymous(self) -> int:
        """Rows that name no entity."""
        return sum(entities.anonymous for entities in self.entities.values())

    def entity_count(self) -> int:
        """How many entities the whole window is about, at most its rows."""
        everyone = DistinctEntities()
        for entities in self.entities.values():
            everyone.merge(entities)
        return min(everyone.count, self.rows)

    def _count_scores(self) -> None:
        if self._waiting:
            self._scores = self._scores.add(np.concatenate(self._waiting))
            self._waiting = []

    def _count(self, bucket: int, batch: Batch) -> None:
        day = bucket * self.bucket_hours // HOURS_A_DAY
        self.entities.setdefault(day, DistinctEntities()).add(batch.entities)
        here = self.buckets.get(bucket)
        if here is None:
            empty = [np.zeros(len(profile.counts), np.int64) for profile in self._profiles]
            here = self.buckets[bucket] = Bucket(0, empty)
        here.rows += len(batch)
        for counts, profile in zip(here.counts, self._profiles, strict=True):
            values = (
                batch.scores if profile is self._profiles[-1] else batch.columns.get(profile.name)
            )
            if values is None:
                counts[-1] += len(batch)
            else:
                counts += profile.count(values)


class RowSample:
    """Up to `size` rows, each equally likely to be kept: those with the smallest random keys."""

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._random = np.random.default_rng(seed)
        self._parts: list[Batch] = []
        self._keys: list[NDArray[np.float64]] = []
        self._limit = 1.0  # a larger key is not among the smallest any more

    def add(self, batch: Batch) -> None:
        keys = self._random.random(len(batch))
        chosen = np.flatnonzero(keys < self._limit)
        if not len(chosen):
            return
        self._parts.append(_plain(_take(batch, chosen)))
        self._keys.append(keys[chosen])
        # Seldom, because putting the parts together is what costs.
        if sum(map(len, self._parts)) > 2 * self._size:
            self._shrink()

    @property
    def rows(self) -> Batch:
        """The kept rows in the order of time, texts as objects.

        Raises ValueError if no row was added.
        """
        if not self._parts:
            raise ValueError("no rows were sampled")
        self._shrink()
        (kept,) = self._parts
        return _take(kept, np.argsort(kept.times, kind="stable"))

    def _shrink(self) -> None:
        kept, keys = _joined(self._parts), np.concatenate(self._keys)
        if len(keys) > self._size:
            chosen = np.sort(np.argpartition(keys, self._size)[: self._size])
            kept, keys = _take(kept, chosen), keys[chosen]
            self._limit = float(keys.max())
        self._parts, self._keys = [kept], [keys]


def _runs(buckets: NDArray[np.int64]) -> Iterator[tuple[int, slice | NDArray[np.intp]]]:
    """Each bucket and which rows it has: slices where the rows stand in order of time."""
    order = None
    if np.any(buckets[1:] < buckets[:-1]):
        order = np.argsort(buckets, kind="stable")
        buckets = buckets[order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(buckets)) + 1]).tolist()
    for start, end in zip(starts, [*starts[1:], len(buckets)], strict=True):
        if start < end:
            span = slice(start, end)
            yield int(buckets[start]), span if order is None else order[span]


def _take(batch: Batch, rows: slice | NDArray[np.intp]) -> Batch:
    return Batch(
        times=batch.times[rows],
        scores=batch.scores[rows],
        flags=batch.flags[rows],
        entities=batch.entities[rows],
        columns={
            name: values.take(rows) if isinstance(values, Coded) else np.asarray(values)[rows]
            for name, values in batch.columns.items()
        },
    )


def _plain(batch: Batch) -> Batch:
    """Texts as objects: the codes of two batches mean different levels."""
    columns = {
        name: values.texts() if isinstance(values, Coded) else values
        for name, values in batch.columns.items()
    }
    return Batch(batch.times, batch.scores, batch.flags, batch.entities, columns)


def _joined(parts: Sequence[Batch]) -> Batch:
    return Batch(
        times=np.concatenate([part.times for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        flags=np.concatenate([part.flags for part in parts]),
        entities=np.concatenate([part.entities for part in parts]),
        columns={
            name: np.concatenate([np.asarray(part.columns[name]) for part in parts])
            for name in parts[0].columns
        },
    )
