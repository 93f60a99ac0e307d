"""The inference log: one JSON line a scored row, in the file before the answer leaves.

Each process appends to a file of its own a UTC day, one write a batch, so that nothing that was
acknowledged is lost to kill -9 and no writer can harm another. Files are never renamed while live.
"""

import hashlib
import hmac
import os
import socket
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import orjson

from registry.loaded import LoadedVersion
from registry.validation import Value

SECRET_VARIABLE = "DATATHON_ENTITY_SECRET"


class Scored(NamedTuple):
    """One row with its score, as it is logged and answered."""

    prediction_id: str
    request_id: str
    version: LoadedVersion
    values: tuple[Value, ...]
    entity_id: str | None
    score: float
    label: int


class LogWriteError(Exception):
    """Rows could not be written; none of them is in the log."""


class EntityKeys:
    """Turns an entity id into a key that says the same entity and nothing else: HMAC-SHA256 under
    a secret, cut to 32 hex digits. Without a secret there is no key, and the id is dropped."""

    def __init__(self, secret: str | None) -> None:
        self._secret = secret.encode() if secret else None

    @classmethod
    def from_environment(cls) -> "EntityKeys":
        return cls(os.environ.get(SECRET_VARIABLE))

    @property
    def enabled(self) -> bool:
        return self._secret is not None

    def key(self, entity_id: str | None) -> str | None:
        if self._secret is None or entity_id is None:
            return None
        return hmac.digest(self._secret, entity_id.encode(), hashlib.sha256).hex()[:32]


class InferenceLog:
    """Appends to this process's file of the day; `problem` says why the last append failed."""

    def __init__(self, root: Path, keys: EntityKeys) -> None:
        self.problem: str | None = None
        self._root = root
        self.keys = keys
        self._name = f"{socket.gethostname()}-{os.getpid()}-{time.time_ns()}.jsonl"
        self._day = ""
        self._handle: int | None = None
        self._lock = threading.Lock()

    def append(self, rows: Sequence[Scored], now: datetime) -> None:
        """Write the rows, all or none, stamped with `now` (UTC).

        Raises:
            LogWriteError: nothing of them is in the log.
        """
        stamp = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        content = b"".join(self._line(row, stamp) for row in rows)
        with self._lock:
            try:
                self._write(content, stamp[:10])
            except OSError as error:
                self._close()
                self.problem = f"inference log {self._root}: {error.strerror}"
                raise LogWriteError(f"{self.problem}; {len(rows)} row(s) not logged") from error
            self.problem = None

    def _line(self, row: Scored, stamp: str) -> bytes:
        record = {
            "prediction_id": row.prediction_id,
            "request_id": row.request_id,
            "ts": stamp,
            "model_version": row.version.version,
            "schema": row.version.schema_digest,
            "features": dict(zip(row.version.schema.names, row.values, strict=True)),
            "risk_score": row.score,
            "risk_label": row.label,
            "entity": self.keys.key(row.entity_id),
        }
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)

    def _write(self, content: bytes, day: str) -> None:
        if self._handle is None or day != self._day:
            self._open(day)
        assert self._handle is not None
        start = os.lseek(self._handle, 0, os.SEEK_END)
        try:
            done = os.write(self._handle, content)
            while done < len(content):
                done += os.write(self._handle, content[done:])
        except OSError:
            # The file is this process's alone: take back what a full disk let through.
            os.ftruncate(self._handle, start)
            raise

    def _open(self, day: str) -> None:
        self._close()
        folder = self._root / f"dt={day}"
        folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._handle = os.open(folder / self._name, flags, 0o640)
        self._day = day

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
