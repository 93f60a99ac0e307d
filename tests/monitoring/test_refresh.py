"""`python -m monitoring.refresh`, beside the service that runs it by itself."""

import json
import os
import time
from pathlib import Path

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


def test_labels_that_are_damaged_are_no_quiet_report(home: Path) -> None:
    labels = home / "labels/part-0.parquet"
    labels.parent.mkdir()
    labels.write_bytes(b"no parquet")
    done = command(home, "monitoring.refresh", check=False)
    assert (done.returncode, done.stderr.count("\n")) == (6, 1), done.stderr
    document = json.loads((home / "reports/latest/performance.json").read_text())
    assert not document["expected"]


def test_a_home_that_is_a_file_and_an_age_that_is_none_are_one_line_each(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = command(tmp_path / "file", "monitoring.refresh", check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    done = command(tmp_path, "monitoring.refresh", "--max-age", "nan", check=False)
    assert done.returncode == 2
