"""`make bench-swap` really switches and restarts a service, or says in one line what it needs."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.swap_service import WORKERS
from tests.benchmarks.commands import NEEDS_WRK, PATH, run
from tests.registry.handmade import tree_sha256


def test_without_wrk_one_line_says_how_to_install_it(tmp_path: Path) -> None:
    done = run("swap", "--quick", PATH=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (2, "", NEEDS_WRK)


@pytest.mark.parametrize("flag", ["--switches", "--restart-seconds"])
def test_a_wrong_flag_is_refused(flag: str) -> None:
    done = run("swap", flag, "0", PATH=PATH)
    assert done.returncode == 2
    assert "expected a whole number above 0" in done.stderr


@pytest.mark.skipif(shutil.which("wrk", path=PATH) is None, reason="needs wrk")
def test_a_home_without_a_champion_is_one_line(tmp_path: Path) -> None:
    done = run("swap", "--quick", "--home", tmp_path / "empty", PATH=PATH)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: no champion yet")


@pytest.mark.benchmark
@pytest.mark.skipif(shutil.which("wrk", path=PATH) is None, reason="needs wrk")
def test_quick_switches_without_an_error_where_a_restart_has_many(
    registered: Path, tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    output = tmp_path / "swap.json"
    before = tree_sha256(registered)
    done = run(
        "swap", "--quick", "--home", registered, "--json", output, PATH=PATH, TMPDIR=str(temporary)
    )
    assert done.returncode == 0, done.stderr
    assert list(temporary.iterdir()) == []
    assert tree_sha256(registered) == before

    found = json.loads(output.read_text())
    assert [switch["action"] for switch in found["switches"]] == ["promote", "rollback"] * 2
    for switch in found["switches"]:
        assert (switch["workers"], switch["resident"]) == (WORKERS, WORKERS)
        assert 0 < switch["seconds"] < switch["wall_seconds"]
        assert 0 < switch["cpu_seconds"] < switch["wall_seconds"]
    for name in ("quiet", "switching"):
        assert found[name]["requests"] > 0
        assert found[name]["failed"] == 0
    slowest = max(switch["seconds"] for switch in found["switches"])
    assert slowest < found["restart"]["down_seconds"]
    failed = found["restart"]["load"]["failed"]
    assert failed > 0
    assert done.stdout.rstrip().endswith(f"0 errors without a restart, {failed} with it")
