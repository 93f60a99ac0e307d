"""The shadow log is cared for as the inference log is: compacted, expired, erased, looked up."""

import json
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from monitoring import compact
from monitoring.log import erasure
from monitoring.log import files as log_files
from monitoring.log.files import LogBusyError
from monitoring.log.writing import EntityKeys
from registry.state import State
from tests.monitoring.log.crashes import at_every_step
from tests.monitoring.log.log_rows import DAY, record, write
from tests.server import PROJECT, command

SECRET = "a secret of these tests"
MARIA = EntityKeys(SECRET).key("maria")
assert MARIA is not None


def shadowed(number: int, **changes: Any) -> dict[str, Any]:
    return record(
        number, **{"model_version": "v1.1.0", "risk_score": 0.25, "risk_label": 0} | changes
    )


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """Three rows of each log, the first one maria's, and a configuration that keeps their day."""
    text = (PROJECT / "configuration.yaml").read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if "retention_days" not in line]
    kept[kept.index("log:")] = "log:\n  retention_days: 36500"
    (tmp_path / "configuration.yaml").write_text("\n".join(kept), encoding="utf-8")
    monkeypatch.setenv("DATATHON_CONFIGURATION", str(tmp_path / "configuration.yaml"))
    found = State(tmp_path / "home")
    write(found.inference_log, DAY, record(0, entity=MARIA), record(1), record(2))
    write(found.shadow_log, DAY, shadowed(0, entity=MARIA), shadowed(1), shadowed(2))
    return found


def run(state: State, module: str, *flags: str) -> "subprocess.CompletedProcess[str]":
    return command(state.home, module, *flags, check=False, DATATHON_ENTITY_SECRET=SECRET)


def compacted(state: State, *, today: str = "2026-03-05") -> compact.Done:
    day = date.fromisoformat(today)
    return compact.run(state, today=day, include_today=False, dry_run=False)


def everything(root: Path) -> str:
    """What all files of a log hold; Parquet as text."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return "".join(
        repr(pq.read_table(path).to_pylist()) if path.suffix == ".parquet" else path.read_text()
        for path in files
    )


def test_both_logs_are_compacted_and_each_says_so(state: State) -> None:
    dry = json.loads(run(state, "monitoring.compact", "--dry-run", "--json").stdout)
    assert [one["sources"] for one in (*dry["days"], *dry["shadow_log"]["days"])] == [1, 1]
    done = run(state, "monitoring.compact")
    assert done.returncode == 0, done.stderr
    assert f"{DAY}: 3 row(s) (v1.0.0 3) from 1 file(s)" in done.stdout
    assert f"shadow log {DAY}: 3 row(s) (v1.1.0 3) from 1 file(s)" in done.stdout
    for root, version in ((state.inference_log, "v1.0.0"), (state.shadow_log, "v1.1.0")):
        (table,) = root.rglob("*.parquet")
        assert table.stem == version
        assert pq.read_table(table).column("prediction_id").to_pylist() == ["p-0", "p-1", "p-2"]
    assert run(state, "monitoring.compact").stdout == "nothing to compact\n"


def test_retention_is_one_for_both(state: State, tmp_path: Path) -> None:
    path = tmp_path / "configuration.yaml"
    path.write_text(path.read_text().replace("retention_days: 36500", "retention_days: 3"))
    write(state.shadow_log, "2026-03-04", shadowed(9))
    done = compacted(state)
    assert [log.removed for log in done.logs] == [(date(2026, 3, 1),)] * 2
    assert [path.name for path in state.shadow_log.glob("dt=*")] == ["dt=2026-03-04"]
    assert not [*state.inference_log.glob("dt=*")]
    assert done.to_dict()["shadow_log"]["removed_days"] == [DAY]


def test_a_damaged_shadow_log_does_not_stop_the_other(state: State) -> None:
    compacted(state)
    (facts,) = state.shadow_log.rglob("part.json")
    facts.write_text("garbage")
    for root in (state.inference_log, state.shadow_log):
        write(root, DAY, record(7), name="later")
    done = run(state, "monitoring.compact")
    assert (done.returncode, done.stderr.count("\n")) == (6, 1)
    assert done.stderr.startswith(f"error: shadow log {DAY}: ")
    assert f"{DAY}: 1 row(s)" in done.stdout


@pytest.mark.parametrize("first", [False, True], ids=["lines", "parquet"])
def test_an_entity_is_forgotten_in_both(state: State, first: bool) -> None:
    if first:
        compacted(state)
    dry = json.loads(
        run(state, "monitoring.forget", "--entity", "maria", "--dry_run", "--json").stdout
    )
    assert (dry["log_rows"], dry["shadow_rows"], dry["shadow_files"]) == (1, 1, 1)
    done = run(state, "monitoring.forget", "--entity", "maria")
    assert done.returncode == 0, done.stderr
    assert "removed 1 row(s) from 1 file(s) of the inference log" in done.stdout
    assert "1 row(s) from 1 file(s) of the shadow log" in done.stdout
    assert MARIA is not None
    for root in (state.inference_log, state.shadow_log):
        left = everything(root)
        assert MARIA not in left
        assert repr(bytes.fromhex(MARIA)) not in left
        assert "p-0" not in left
        assert "p-1" in left


def test_a_row_that_only_the_shadow_log_still_has_is_forgotten(state: State) -> None:
    log_files.remove_day(state.inference_log / f"dt={DAY}")
    assert MARIA is not None
    assert erasure.erase(state, MARIA, dry_run=False).shadow_rows == 1
    assert MARIA not in everything(state.shadow_log)


def test_a_forget_that_is_killed_anywhere_is_finished_by_the_next(
    state: State, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert MARIA is not None
    copies = at_every_step(
        state.home,
        tmp_path_factory.mktemp("killed") / "at",
        imports="from monitoring.log import erasure\nfrom registry.state import State",
        call=f"erasure.erase(State(home), {MARIA!r}, dry_run=False)",
    )
    assert len(copies) > 10
    for copy in map(State, copies):
        erasure.erase(copy, MARIA, dry_run=False)
        assert MARIA not in everything(copy.inference_log) + everything(copy.shadow_log)
        assert everything(copy.shadow_log).count("p-1") == 1


def test_nobody_compacts_the_shadow_log_while_somebody_forgets(state: State) -> None:
    with log_files.maintenance(state.shadow_log), pytest.raises(LogBusyError, match="shadow_log"):
        compacted(state)


@pytest.mark.parametrize("first", [False, True], ids=["lines", "parquet"])
def test_a_lookup_shows_what_the_challenger_said_after_the_answer(
    state: State, first: bool
) -> None:
    if first:
        compacted(state)
    told = run(state, "monitoring.lookup", "--request_id", "r-1", "--json").stdout
    answer, shadow = map(json.loads, told.splitlines())
    unknown = {"label": None, "observed_at": None}
    assert answer == record(1) | unknown
    assert shadow == {"shadow": True, **shadowed(1), **unknown}
    shown = run(state, "monitoring.lookup", "--prediction_id", "p-1").stdout
    assert shown.index("model_version v1.0.0") < shown.index("shadow True  prediction_id p-1")
