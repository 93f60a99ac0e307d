"""The inference log: one JSON line a scored row, in the file before the answer leaves.

Each process appends to a file of its own a UTC day, one write a batch, so that nothing that was
acknowledged is lost to kill -9 and no writer can harm another. A compaction may take the file over
between two appends (see monitoring.log.files); the next append then opens a new one. An append
never waits for anybody else's lock.
"""

import fcntl
import hashlib
import hmac
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from monitoring.log.files import MODE
from registry.state import make_folder, open_file
from registry.validation import ValidRow

if TYPE_CHECKING:
    from registry.loaded import LoadedVersion

SECRET_VARIABLE = "DATATHON_ENTITY_SECRET"


class ScoredRequest(NamedTuple):
    """One request with its scores, as it is logged: a prediction id, row and score each."""

    request_id: str
    prediction_ids: Sequence[str]
    version: "LoadedVersion"
    rows: Sequence[ValidRow]
    scores: Sequence[float]


class LogWriteError(Exception):
    """Rows could not be written; none of them is in the log."""


def _lines(records: list[dict[str, Any]]) -> bytes:
    """JSON lines, by one call: a call a record costs ten times as much.

    Each record starts with its prediction_id and holds no other object, and a quote inside a text
    is escaped; so the bytes between two records occur nowhere else.
    """
    between = b'},{"prediction_id":'
    return orjson.dumps(records)[1:-1].replace(between, between.replace(b",", b"\n")) + b"\n"


class EntityKeys:
    """Turns an entity id into a key that says the same entity and nothing else: HMAC-SHA256 under
    a secret, cut to 32 hex digits. Without a secret there is no key, and the id is dropped."""

    def __init__(self, secret: str | None) -> None:
        self._mac = hmac.new(secret.encode(), digestmod=hashlib.sha256) if secret else None

    @classmethod
    def from_environment(cls) -> "EntityKeys":
        return cls(os.environ.get(SECRET_VARIABLE))

    @property
    def enabled(self) -> bool:
        return self._mac is not None

    def key(self, entity_id: str | None) -> str | None:
        if self._mac is None or entity_id is None:
            return None
        mac = self._mac.copy()
        mac.update(entity_id.encode())
        return mac.hexdigest()[:32]


class InferenceLog:
    """Appends to this process's file of the day; `problem` says why the last append failed."""

    def __init__(self, root: Path, keys: EntityKeys) -> None:
        self.problem: str | None = None
        self._root = root
        self.keys = keys
        self._path: Path | None = None
        self._day = ""
        self._handle: int | None = None
        self._lock = threading.Lock()

    def append(self, requests: Sequence[ScoredRequest], now: datetime) -> None:
        """Write the requests' rows, all or none, stamped with `now` (UTC).

        Raises:
            LogWriteError: nothing of them is in the log.
        """
        stamp = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        records = [record for one in requests for record in self._records(one, stamp)]
        content = _lines(records)
        with self._lock:
            try:
                self._write(content, stamp[:10])
            except OSError as error:
                self._close()
                self.problem = f"inference log {self._root}: {error.strerror}"
                raise LogWriteError(f"{self.problem}; {len(records)} row(s) not logged") from error
            self.problem = None

    def _records(self, request: ScoredRequest, stamp: str) -> Iterator[dict[str, Any]]:
        version, names = request.version, request.version.schema.names
        predictions = zip(request.prediction_ids, request.rows, request.scores, strict=True)
        for prediction_id, row, score in predictions:
            yield {
                "prediction_id": prediction_id,
                "request_id": request.request_id,
                "ts": stamp,
                "model_version": version.version,
                "schema": version.schema_digest,
                "features": dict(zip(names, row.values, strict=True)),
                "risk_score": score,
                "risk_label": int(score >= version.threshold),
                "entity": self.keys.key(row.entity_id),
                "period": row.period,
            }

    def _write(self, content: bytes, day: str) -> None:
        while (handle := self._handle) is None or day != self._day or not self._claimed(handle):
            self._open(day)
        start = os.lseek(handle, 0, os.SEEK_END)
        try:
            done = os.write(handle, content)
            while done < len(content):
                done += os.write(handle, content[done:])
        except OSError:
            # The file is this process's alone: take back what a full disk let through.
            os.ftruncate(handle, start)
            raise
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)

    def _claimed(self, handle: int) -> bool:
        """Lock the file for one append, unless somebody has the lock, or removed or renamed the
        file: rows must not go where nobody looks. Then the next file has another name."""
        path, self._path = self._path, None
        assert path is not None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(path.stat(), os.fstat(handle)):
                return False
        except (BlockingIOError, FileNotFoundError):
            return False
        self._path = path
        return True

    def _open(self, day: str) -> None:
        """After a write that failed it is the same file again: a full disk must not fill with
        empty ones."""
        self._close()
        if self._path is None or day != self._day:
            name = f"{socket.gethostname()}-{os.getpid()}-{time.time_ns()}.jsonl"
            self._path, self._day = self._root / f"dt={day}" / name, day
        make_folder(self._path.parent)
        self._handle = open_file(self._path, os.O_WRONLY | os.O_APPEND, MODE)

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
