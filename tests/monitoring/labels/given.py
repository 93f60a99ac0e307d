"""A log written by hand, and files of labels in every format."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pandas as pd
import pytest

from monitoring.labels.__main__ import main

SECRET = "segredo"
CPF = "529.982.247-25"
PREDICTIONS = [f"{n:024x}-0" for n in range(6)]
COLUMNS = ["prediction_id", "label", "observed_at"]


def key_of(entity: str) -> str:
    return hmac.new(SECRET.encode(), entity.encode(), hashlib.sha256).hexdigest()[:32]


def log(home: Path) -> None:
    """Six rows: pupils 0001 to 0006, three of 2024 as they say, three that do not say."""
    folder = home / "inference_log" / "dt=2026-03-01"
    folder.mkdir(parents=True)
    with (folder / "host-1-1.jsonl").open("w") as log:
        for n, prediction in enumerate(PREDICTIONS):
            record = {
                "prediction_id": prediction,
                "request_id": "r",
                "ts": "2026-03-01T12:00:00.000000Z",
                "model_version": "v1.0.0",
                "schema": "0" * 12,
                "features": {"ieg": 7.0},
                "risk_score": 0.5,
                "risk_label": 1,
                "entity": key_of(f"000{n + 1}"),
                **({"period": 2024} if n < 3 else {}),
            }
            log.write(json.dumps(record) + "\n")


def write(path: Path, header: list[str], rows: list[list[Any]]) -> Path:
    """A file as its kind of program writes it."""
    if path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        for row in (header, *rows):
            book.active.append(row)
        book.save(path)
    elif path.suffix == ".parquet":
        pd.DataFrame(rows, columns=header).to_parquet(path, index=False)
    else:
        pd.DataFrame(rows, columns=header).to_csv(path, index=False)
    return path


def told(capsys: pytest.CaptureFixture[str], *arguments: Any) -> dict[str, Any]:
    assert main([*map(str, arguments), "--json"]) == 0
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    return facts


def counted(facts: dict[str, Any]) -> dict[str, int]:
    words = ("new", "revised", "older", "known", "duplicate", "conflict", "unknown", "orphans")
    return {word: facts[word] for word in words if facts[word]}


def snapshot(home: Path) -> dict[str, bytes]:
    """Every file but the locks, which are empty."""
    files = (path for path in home.rglob("*") if path.is_file())
    return {str(path): content for path in files if (content := path.read_bytes())}
