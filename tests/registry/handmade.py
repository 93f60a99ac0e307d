"""Version folders without a model inside: what moves of the pointer need, and no more."""

import hashlib
import json
from pathlib import Path
from typing import Any

from registry import manifest, moves
from registry.state import BENTO_NAME, State

MODEL = "pupil-risk"


def make_version(state: State, version: str, model: str = MODEL) -> Path:
    """A folder whose manifest is true, and its Bento."""
    folder = state.models / model / version
    folder.mkdir(parents=True)
    for name in manifest.REQUIRED:
        (folder / name).write_bytes(f"{name} of {model}:{version}".encode())
    metric = {"value": 0.8, "low": 0.7, "high": 0.9}
    metrics = {"metrics": dict.fromkeys(("recall", "precision", "pr_auc"), metric)}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "provenance.json").write_text(json.dumps({"trained_at": "2026-11-22T10:00:00Z"}))
    (folder / "model.json").write_text(json.dumps({"model": model}))
    manifest.write(folder)
    bento = state.home / "bentos" / BENTO_NAME / version
    bento.mkdir(parents=True, exist_ok=True)
    (bento / "bento.yaml").write_text("name: x\n")
    return folder


def flip_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def tree_sha256(root: Path) -> str:
    """One digest of every path, mode and byte under `root`."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        digest.update(f"{path.relative_to(root)} {path.lstat().st_mode}\n".encode())
        if path.is_file():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def history_lines(state: State) -> list[dict[str, Any]]:
    return [json.loads(line) for line in state.history.read_bytes().splitlines()]


def promote(state: State, *versions: str, reason: str = "") -> None:
    for version in versions:
        moves.promote(state, model=MODEL, version=version, reason=reason)


def rollback(state: State, version: str | None = None) -> str:
    return moves.rollback(state, version=version, reason="drill").after


def champion(state: State) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(state.champion.read_bytes())
    return content


def crash_after_pointer(state: State, version: str) -> bytes:
    """Leave what a crash between the pointer and the history leaves; the lost line."""
    promote(state, version)
    *before, last = state.history.read_bytes().splitlines(keepends=True)
    state.history.write_bytes(b"".join(before))
    return last


def assert_chained(state: State) -> None:
    """Each line carries the sha256 of the line before it, worked out from the bytes on disk."""
    previous = None
    for number, line in enumerate(state.history.read_bytes().splitlines(), start=1):
        event = json.loads(line)
        assert event["generation"] == number
        assert event["prev_sha256"] == previous
        previous = hashlib.sha256(line).hexdigest()
