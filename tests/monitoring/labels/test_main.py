"""`python -m monitoring.labels` with real files, over a log written by hand and over a real one."""

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from monitoring.labels.__main__ import main
from monitoring.labels.store import LabelStore
from tests.monitoring.labels.given import (
    COLUMNS,
    PREDICTIONS,
    SECRET,
    counted,
    key_of,
    snapshot,
    told,
    write,
)
from tests.server import Server, command, wait_for


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_labels_by_prediction_come_out_of_all_three_formats(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    when: Any = datetime(2026, 6, 1, 10, 30)
    rows = [[PREDICTIONS[0], 1, when], [PREDICTIONS[1], 0, when], ["nobody-0", 1, when]]
    path = write(tmp_path / f"labels{suffix}", COLUMNS, rows)
    facts = told(capsys, "import", path)
    assert counted(facts) == {"new": 3, "orphans": 1}
    current = LabelStore(home / "labels").current().set_index("prediction_id")
    assert current["label"].to_dict() == {PREDICTIONS[0]: 1, PREDICTIONS[1]: 0, "nobody-0": 1}
    assert set(current["observed_at"]) == {pd.Timestamp("2026-06-01 10:30", tz="UTC")}
    assert current["entity"].isna().all()
    before = snapshot(home)
    again = told(capsys, "import", path)
    assert counted(again) == {"known": 3, "orphans": 1}
    assert snapshot(home) == before


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_labels_by_entity_and_period_find_sent_and_derived_periods(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    """Rows without a period are of the year in which they were scored, 2026."""
    rows: list[list[Any]] = [["0001", 2024, 1], ["0004", 2026, 0], ["0004", 2024, 0]]
    rows += [["0001", 2026, 1], ["9999", 2024, 1]]
    path = write(tmp_path / f"l{suffix}", ["aluno_id", "ano", "em_risco"], rows)
    facts = told(capsys, "import", path)
    assert counted(facts) == {"new": 5, "orphans": 3}
    assert facts["orphan_rows"] == [4, 5, 6]
    orphans = pd.read_csv(facts["orphan_report"])
    assert orphans["row"].tolist() == [4, 5, 6]
    assert orphans["reason"].str.contains("not in this period").tolist() == [True, True, False]
    history = LabelStore(home / "labels").history()
    assert history["entity"].tolist() == [key_of(str(row[0])) for row in rows]
    assert history["period"].tolist() == [row[1] for row in rows]
    for content in snapshot(home).values():
        assert b"0001" not in content.replace(PREDICTIONS[1].encode(), b"") or b"PAR1" in content
        assert b"9999" not in content


def test_a_csv_of_a_brazilian_spreadsheet_is_read(home: Path, tmp_path: Path) -> None:
    lines = [
        "Aluno_ID;Ano;Em_Risco;observed_at;nome",
        "0001;2024,0;1,0;22/05/2026 10:30;x;".rstrip(";"),
        "0002;2024;FALSO;22/05/2026;",
        "0003;2024;;;",
        ";;;;",
    ]
    path = tmp_path / "labels.csv"
    path.write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    assert main(["import", str(path)]) == 0
    current = LabelStore(home / "labels").current().set_index("entity")
    assert current["label"].to_dict() == {key_of("0001"): 1, key_of("0002"): 0}
    times = current["observed_at"].to_dict()
    assert times[key_of("0001")] == datetime(2026, 5, 22, 10, 30, tzinfo=UTC)
    assert times[key_of("0002")] == datetime(2026, 5, 22, tzinfo=UTC)


def test_what_a_label_may_look_like(home: Path, tmp_path: Path) -> None:
    spelled = {"1": 1, "0": 0, "true": 1, "False": 0, "1.0": 1, "0,0": 0}
    for suffix, values in ((".csv", list(spelled)), (".parquet", list(spelled))):
        ids = [f"{suffix}-{n}" for n in range(len(values) + 2)]
        rows = [[one, value] for one, value in zip(ids, [*values, "", "NA"], strict=True)]
        assert main(["import", str(write(tmp_path / f"l{suffix}", COLUMNS[:2], rows))]) == 0
    several: list[list[Any]] = [[True, False, None], [1.0, 0.0, float("nan")], [1, 0, 0]]
    for n, typed in enumerate(several):
        rows = [[f"typed-{n}-{m}", value] for m, value in enumerate(typed)]
        assert main(["import", str(write(tmp_path / f"t{n}.parquet", COLUMNS[:2], rows))]) == 0
    current = LabelStore(home / "labels").current().set_index("prediction_id")["label"]
    for suffix in (".csv", ".parquet"):
        assert [current[f"{suffix}-{n}"] for n in range(6)] == list(spelled.values())
        assert f"{suffix}-6" not in current
    assert [current[f"typed-{n}-{m}"] for n in range(3) for m in range(2)] == [1, 0] * 3
    assert {f"typed-{n}-2" in current for n in range(2)} == {False}


def test_times_with_zones_dates_and_none_are_utc(home: Path, tmp_path: Path) -> None:
    stamps = ["2026-05-01T12:00:00-03:00", "2026-05-01 15:00:00", "2026-05-01", None]
    rows = [[PREDICTIONS[n], 1, stamp] for n, stamp in enumerate(stamps)]
    start = datetime.now(UTC)
    assert main(["import", str(write(tmp_path / "l.csv", COLUMNS, rows))]) == 0
    typed = [[PREDICTIONS[4], 1, date(2026, 5, 2)]]
    assert main(["import", str(write(tmp_path / "d.parquet", COLUMNS, typed))]) == 0
    times = LabelStore(home / "labels").current().set_index("prediction_id")["observed_at"]
    expected = [datetime(2026, 5, 1, 15, tzinfo=UTC)] * 2 + [datetime(2026, 5, 1, tzinfo=UTC)]
    assert [times[one] for one in PREDICTIONS[:3]] == expected
    assert start <= times[PREDICTIONS[3]] <= datetime.now(UTC)
    assert times[PREDICTIONS[4]] == datetime(2026, 5, 2, tzinfo=UTC)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_ids_are_read_without_spaces_around_and_words_for_nothing_are_none(
    home: Path, tmp_path: Path, suffix: str
) -> None:
    header = ["prediction_id", "entity_id", "period", "label"]
    rows: list[list[Any]] = [
        [f" {PREDICTIONS[0]} ", "n/a", "NA", "1"],
        ["NA", " 0001", "2024", "1"],
        ["NULL", "0002 ", "2024", "0"],
        ["None", "0003", "2024", "1"],
    ]
    assert main(["import", str(write(tmp_path / f"l{suffix}", header, rows))]) == 0
    current = LabelStore(home / "labels").current()
    by_entity = current.dropna(subset="entity").set_index("entity")["label"].to_dict()
    assert by_entity == {key_of("0001"): 1, key_of("0002"): 0, key_of("0003"): 1}
    assert current["prediction_id"].dropna().tolist() == [PREDICTIONS[0]]
    assert not current["conflict"].any()


def test_a_revised_label_replaces_the_old_one_and_both_stay(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, label, day, expected in (
        ("a.csv", 1, "2026-05-01", {"new": 1}),
        ("b.csv", 0, "2026-05-09", {"revised": 1}),
        ("c.csv", 0, "2026-04-01", {"older": 1}),
        ("b.csv", 0, "2026-05-09", {"known": 1}),
    ):
        path = write(tmp_path / name, COLUMNS, [[PREDICTIONS[0], label, day]])
        assert counted(told(capsys, "import", path)) == expected
    store = LabelStore(home / "labels")
    assert store.current()["label"].tolist() == [0]
    assert store.current()["revisions"].tolist() == [2]
    assert store.history()["label"].tolist() == [1, 0, 0]


def test_a_contradiction_within_a_file_is_listed_and_none_of_it_counts(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [[PREDICTIONS[0], 1, "2026-05-01"], [PREDICTIONS[1], 1, "2026-05-01"]]
    rows += [[PREDICTIONS[0], 0, "2026-05-01"], [PREDICTIONS[1], 1, "2026-05-01"]]
    path = write(tmp_path / "l.csv", COLUMNS, rows)
    assert main(["import", str(path), "--dry_run"]) == 0
    assert "conflict in rows 2, 4" in capsys.readouterr().out
    assert not (home / "labels").exists()
    facts = told(capsys, "import", path)
    assert counted(facts) == {"new": 1, "conflict": 2, "duplicate": 1}
    assert facts["conflict_rows"] == [2, 4]
    current = LabelStore(home / "labels").current().set_index("prediction_id")
    assert current["conflict"].to_dict() == {PREDICTIONS[0]: True, PREDICTIONS[1]: False}
    assert pd.isna(current["label"][PREDICTIONS[0]])
    settled = write(tmp_path / "right.csv", COLUMNS, [[PREDICTIONS[0], 0, "2026-05-02"]])
    assert counted(told(capsys, "import", settled)) == {"new": 1}
    assert not LabelStore(home / "labels").current()["conflict"].any()


def test_list_counts_and_orphans_match_once_the_log_has_their_rows(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list"]) == 0
    assert "no labels yet" in capsys.readouterr().out
    rows = [[PREDICTIONS[0], 1, "2026-04-30"], ["later-0", 1, "2026-05-01"]]
    told(capsys, "import", write(tmp_path / "l.csv", COLUMNS, rows))
    counts = told(capsys, "list")
    assert (counts["labels"], counts["positives"], counts["orphans"]) == (2, 2, 1)
    assert counts["by_month_observed"] == {"2026-04": 1, "2026-05": 1}
    log = home / "inference_log/dt=2026-03-01/host-1-1.jsonl"
    first = log.read_text().splitlines()[0]
    log.write_text(log.read_text() + first.replace(PREDICTIONS[0], "later-0") + "\n")
    assert told(capsys, "list")["orphans"] == 0


@pytest.fixture
def served(registered: Path, tmp_path: Path) -> Path:
    home = tmp_path / "served"
    shutil.copytree(registered, home)
    return home


def test_labels_find_rows_that_were_compacted(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    folder = home / "inference_log/dt=2026-03-01"
    log = folder / "host-1-1.jsonl"
    log.write_text(log.read_text().replace("2026-03-01", yesterday.isoformat()))
    folder.rename(folder.with_name(f"dt={yesterday}"))
    command(home, "monitoring.compact")
    assert not list((home / "inference_log").rglob("*.jsonl"))
    assert list((home / "inference_log").rglob("*.parquet"))
    rows = [[PREDICTIONS[5], None, None, 1], ["nobody-0", None, None, 1]]
    rows += [[None, "0001", 2024, 1], [None, "0004", yesterday.year, 1], [None, "0004", 2024, 1]]
    header = ["prediction_id", "entity_id", "period", "label"]
    facts = told(capsys, "import", write(tmp_path / "l.csv", header, rows))
    assert counted(facts) == {"new": 5, "orphans": 2}
    assert facts["orphan_rows"] == [3, 6]


@pytest.mark.slow
def test_labels_of_the_bundled_cohort_match_what_the_service_logged(
    served: Path, tmp_path: Path
) -> None:
    rows, labels = tmp_path / "rows.json", tmp_path / "labels.csv"
    plan = ("--rows", "60", "--period", "2025", "--seed", "4")
    command(served, "training.cohort", *plan, "--output", rows, "--labels", labels)
    instances = json.loads(rows.read_text())["instances"]
    with Server(served, DATATHON_ENTITY_SECRET=SECRET) as server:
        wait_for(lambda: server.health()["model_loaded"], 30)
        assert server.predict(instances[:50]).status_code == 200
    table = pd.read_csv(labels)
    assert not table["observed_at"].str.startswith("2027").any()
    done = command(
        served, "monitoring.labels", "import", labels, "--json", DATATHON_ENTITY_SECRET=SECRET
    )
    facts = json.loads(done.stdout)
    assert counted(facts) == {"new": 60, "orphans": 10}
    current = LabelStore(served / "labels").current().set_index("entity")
    expected = {
        key_of(entity): label
        for entity, label in zip(table["entity_id"], table["label"], strict=True)
    }
    assert current["label"].to_dict() == expected
    other = command(
        served, "monitoring.labels", "import", labels, "--json", DATATHON_ENTITY_SECRET="other"
    )
    assert json.loads(other.stdout)["orphans"] == 60
