"""`python -m monitoring.refresh`, beside the service that runs it by itself."""

import json
import os
import re
import subprocess
import time
from datetime import datetime
from pathlib import Path

from tests.disks import mounted
from tests.server import command


def test_without_a_champion_it_says_so_and_exposes_nothing(tmp_path: Path) -> None:
    done = command(tmp_path, "monitoring.refresh")
    latest = tmp_path / "reports/latest"
    for kind in ("drift", "performance"):
        document = json.loads((latest / f"{kind}.json").read_text())
        assert document["kind"] == kind
        assert "no champion" in document["problem"]
        assert document["expected"]
    assert (latest / "metrics.prom").read_text() == ""
    assert "no champion" in done.stdout


def test_what_is_fresh_is_left_alone(home: Path) -> None:
    metrics = home / "reports/latest/metrics.prom"
    metrics.parent.mkdir(parents=True)
    metrics.write_text("# the newest\n")
    command(home, "monitoring.refresh", "--max_age", "60")
    assert metrics.read_text() == "# the newest\n"
    promoted = ["--version", "v1.1.0", "--force", "--reason", "the reports are of another version"]
    command(home, "registry", "promote", *promoted)
    command(home, "monitoring.refresh", "--max_age", "60")
    assert metrics.read_text() != "# the newest\n"
    metrics.write_text("# the newest\n")
    an_hour_ago = time.time() - 3600
    os.utime(metrics, (an_hour_ago, an_hour_ago))
    command(home, "monitoring.refresh", "--max_age", "60")
    assert metrics.read_text() != "# the newest\n"


def test_reports_that_cannot_be_kept_are_one_line(home: Path) -> None:
    (home / "reports").write_text("a file where a folder should be")
    done = command(home, "monitoring.refresh", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def damage_labels(home: Path) -> None:
    labels = home / "labels/part-0.parquet"
    labels.parent.mkdir()
    labels.write_bytes(b"no parquet")


def failing(home: Path) -> dict[str, float]:
    """When /metrics says that each kind of report began to fail."""
    text = (home / "reports/latest/metrics.prom").read_text()
    found = re.findall(
        r'^datathon_report_failing_timestamp_seconds\{kind="(\w+)"\} (\S+)', text, re.M
    )
    return {kind: float(value) for kind, value in found}


def test_labels_that_are_damaged_are_no_quiet_report(home: Path) -> None:
    damage_labels(home)
    done = command(home, "monitoring.refresh", check=False)
    assert (done.returncode, done.stderr.count("\n")) == (6, 1), done.stderr
    document = json.loads((home / "reports/latest/performance.json").read_text())
    assert not document["expected"]
    began = datetime.fromisoformat(document["failing_since"]).timestamp()
    assert failing(home) == {"performance": began}
    assert abs(began - time.time()) < 60


def test_a_report_that_cannot_be_made_any_more_ages_from_the_last_one(home: Path) -> None:
    report = home / "reports/latest/performance.json"
    report.parent.mkdir(parents=True)
    report.write_text(json.dumps({"kind": "performance", "made_at": "2026-11-20T10:00:00+00:00"}))
    damage_labels(home)
    for _ in range(2):
        command(home, "monitoring.refresh", check=False)
        # 2026-11-20T10:00Z, by `date -u -d ... +%s`
        assert failing(home) == {"performance": 1795168800.0}
    (home / "labels/part-0.parquet").unlink()
    command(home, "monitoring.refresh")
    assert failing(home) == {}


def test_a_champion_that_is_not_in_the_store_is_no_quiet_report(home: Path) -> None:
    (home / "models/defasagem-risk/v1.0.0").rename(home / "away")
    done = command(home, "monitoring.refresh", check=False)
    assert done.returncode == 3, done.stdout
    for kind in ("drift", "performance"):
        document = json.loads((home / f"reports/latest/{kind}.json").read_text())
        assert not document["expected"]
    assert set(failing(home)) == {"drift", "performance"}


def test_a_user_who_may_not_write_reports_is_told_so_by_a_code_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    with mounted(tmp_path / "home/reports", megabytes=1) as reports:
        subprocess.run(["mount", "-o", "remount,ro", str(reports)], check=True)
        done = command(tmp_path / "home", "monitoring.refresh", check=False)
    assert (done.returncode, done.stderr.count("\n")) == (8, 1), done.stderr
    assert str(reports) in done.stderr


def test_a_home_that_is_a_file_and_an_age_that_is_none_are_one_line_each(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = command(tmp_path / "file", "monitoring.refresh", check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    done = command(tmp_path, "monitoring.refresh", "--max-age", "nan", check=False)
    assert done.returncode == 2
