"""Forgetting one entity: its bytes are gone from log and labels, everybody else's rows stay."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitoring.log import erasure
from monitoring.log import files as log_files
from monitoring.log.writing import EntityKeys, InferenceLog, ScoredRequest
from registry.schema import Feature, Schema
from registry.state import State
from registry.validation import ValidRow
from tests.monitoring.log.crashes import at_every_step
from tests.monitoring.log.log_rows import DAY, read, record, write
from tests.server import PROJECT

SECRET = "a secret of these tests"
KEYS = EntityKeys(SECRET)
MARIA, JOAO = KEYS.key("maria"), KEYS.key("joao")


def run(home: Path, module: str, *flags: str, **environment: str) -> Any:
    settings = {"BENTOML_HOME": str(home), "DATATHON_ENTITY_SECRET": SECRET, **environment}
    settings["DATATHON_CONFIGURATION"] = str(home / "configuration.yaml")
    return subprocess.run(
        [sys.executable, "-m", module, *flags],
        cwd=PROJECT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
    )


def forget(home: Path, *flags: str, **environment: str) -> Any:
    return run(home, "monitoring.forget", "--entity", "maria", *flags, **environment)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Rows of two entities, and of nobody, in a part, in its unusable lines, in a sealed and in a
    live file; labels about entities and about predictions."""
    text = (PROJECT / "configuration.yaml").read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if "retention_days" not in line]
    if "log:" in kept:
        kept.remove("log:")
    kept += ["log:", "  retention_days: 36500", ""]
    (tmp_path / "configuration.yaml").write_text("\n".join(kept), encoding="utf-8")
    root = State(tmp_path).inference_log
    mixed = [record(n, entity=(MARIA, JOAO, None)[n % 3]) for n in range(9)]
    odd = record(50, entity=MARIA, features={"kind": 5, "age": 1})
    write(root, DAY, *mixed, odd)
    write(root, "2026-03-02", *(record(n, entity=MARIA) for n in range(20, 23)))
    assert run(tmp_path, "monitoring.compact").returncode == 0
    folder = write(root, DAY, record(9, entity=MARIA), record(10, entity=JOAO)).parent
    with log_files.changing(root):
        log_files.seal(folder)
    write(root, DAY, record(12, entity=MARIA), record(13), tail=f'{{"entity":"{MARIA}"')
    labels = State(tmp_path).labels
    labels.mkdir()
    for name, keys in (("one", ("p-0", "p-1", "p-2", "p-9")), ("two", ("p-1", "p-2"))):
        by_id = [{"prediction_id": key, "entity": None, "label": 1} for key in keys]
        by_entity = [{"prediction_id": None, "entity": JOAO, "label": 0}]
        if name == "one":
            by_entity.append({"prediction_id": None, "entity": MARIA, "label": 0})
        pq.write_table(pa.Table.from_pylist(by_id + by_entity), labels / f"{name}.parquet")
    return tmp_path


def all_bytes(home: Path) -> bytes:
    """Every file of log and labels; Parquet decompressed, as text."""
    files = [*State(home).inference_log.rglob("*"), *State(home).labels.rglob("*")]
    found = b""
    for path in (path for path in files if path.is_file()):
        table = path.suffix == ".parquet"
        found += repr(pq.read_table(path).to_pylist()).encode() if table else path.read_bytes()
    return found


def test_everything_about_the_entity_goes_and_nothing_else(home: Path) -> None:
    root = State(home).inference_log
    before = read(root, end="2026-03-03")
    others = [
        name
        for name, key in zip(before.prediction_ids, before.entity_keys, strict=True)
        if key != MARIA
    ]
    untouched = (State(home).labels / "two.parquet").stat().st_ino
    done = forget(home)
    assert done.returncode == 0, done.stderr
    # p-0, 3, 6, 9, 12, 20, 21, 22, the unusable line and the torn one
    assert done.stdout.startswith("removed 10 row(s) from 5 file(s) of the inference log, 3 label")
    assert "brings its labels back when it is imported again" in done.stdout
    for kept in ("backups", "imported by prediction_id", "request ids and new levels", "reports/"):
        assert kept in done.stdout
    after = read(root, end="2026-03-03")
    assert after.prediction_ids == others
    assert MARIA not in after.entity_keys
    assert MARIA is not None
    left = all_bytes(home)
    assert MARIA.encode() not in left
    assert repr(bytes.fromhex(MARIA)).encode() not in left
    labels = pq.read_table(State(home).labels / "one.parquet").to_pylist()
    assert [(one["prediction_id"], one["entity"]) for one in labels] == [
        ("p-1", None),
        ("p-2", None),
        (None, JOAO),
    ]
    assert (State(home).labels / "two.parquet").stat().st_ino == untouched


def test_what_is_rewritten_is_as_private_as_before(home: Path) -> None:
    root = State(home).inference_log
    for path in root.glob("dt=*/*.*"):
        if path.is_file():
            path.chmod(0o640)
    assert forget(home).returncode == 0
    files = [path for path in root.glob("dt=*/**/*") if path.is_file()]
    assert len(files) > 5
    assert {path.stat().st_mode & 0o777 for path in files} == {0o640}


def test_forgetting_again_finds_nothing(home: Path) -> None:
    assert forget(home).returncode == 0
    before = all_bytes(home)
    again = forget(home, "--json")
    assert again.returncode == 3
    assert json.loads(again.stdout) == {
        "dry_run": False,
        "log_rows": 0,
        "log_files": 0,
        "shadow_rows": 0,
        "shadow_files": 0,
        "label_rows": 0,
        "label_files": 0,
    }
    assert (again.stderr, forget(home).stdout) == (forget(home).stderr, "")
    assert again.stderr.startswith("nothing found")
    assert all_bytes(home) == before


def test_a_dry_run_counts_the_same_and_changes_nothing(home: Path) -> None:
    before = all_bytes(home)
    dry = json.loads(forget(home, "--dry_run", "--json").stdout)
    assert all_bytes(home) == before
    done = json.loads(forget(home, "--json").stdout)
    assert {**done, "dry_run": True} == dry


def test_without_the_secret_it_says_so(home: Path) -> None:
    before = all_bytes(home)
    done = forget(home, DATATHON_ENTITY_SECRET="")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: DATATHON_ENTITY_SECRET is not set")
    assert all_bytes(home) == before


@pytest.mark.parametrize("dry", [(), ("--dry_run",)])
def test_another_secret_is_no_erasure(home: Path, dry: tuple[str, ...]) -> None:
    done = forget(home, *dry, DATATHON_ENTITY_SECRET="another secret of these tests")
    assert done.returncode == 3
    assert "the secret of the service?" in done.stderr


def test_a_damaged_file_is_named_and_nothing_is_changed(home: Path) -> None:
    (table,) = State(home).inference_log.glob("dt=2026-03-02/part-*/*.parquet")
    table.write_bytes(table.read_bytes()[:-20])
    before = (State(home).labels / "one.parquet").read_bytes()
    done = forget(home)
    assert (done.returncode, done.stdout) == (6, "")
    assert done.stderr.startswith(f"error: {table}: ")
    assert done.stderr.count("\n") == 1
    assert (State(home).labels / "one.parquet").read_bytes() == before


def test_a_run_that_is_killed_anywhere_is_finished_by_the_next(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert MARIA is not None
    call = f"erasure.erase(State(home), {MARIA!r}, dry_run=False)"
    imports = "from monitoring.log import erasure\nfrom registry.state import State"
    copies = at_every_step(
        home, tmp_path_factory.mktemp("killed") / "at", imports=imports, call=call
    )
    assert len(copies) > 20
    done = all_bytes(copies[-1])
    for copy in copies:
        erasure.erase(State(copy), MARIA, dry_run=False)
        assert sorted(all_bytes(copy)) == sorted(done)
        assert read(State(copy).inference_log, end="2026-03-03").prediction_ids


def test_a_service_that_runs_keeps_on_logging(home: Path) -> None:
    """The log's own writer, before and after: what it wrote about others stays."""
    log = InferenceLog(State(home).inference_log, KEYS)
    version: Any = SimpleNamespace(
        version="v1.0.0",
        schema=Schema((Feature("age", "integer", "years"),)),
        schema_digest="s",
        threshold=0.5,
    )

    def append(names: list[str], *entities: str) -> None:
        rows = [ValidRow((1,), entity) for entity in entities]
        request = ScoredRequest("r", names, version, rows, [0.5] * len(rows))
        log.append([request], datetime(2026, 3, 3, tzinfo=UTC))

    append(["w-1", "w-2"], "maria", "ana")
    assert forget(home).returncode == 0
    append(["w-3", "w-4"], "ana", "maria")
    found = read(State(home).inference_log, "2026-03-03", "2026-03-04")
    assert found.prediction_ids == ["w-2", "w-3", "w-4"]
