"""`make bench` really runs, or says in one line what it needs."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.results import METRICS
from benchmarks.servers import OURS, THEIRS
from tests.benchmarks.commands import NEEDS_WRK, PATH, run


def test_without_wrk_one_line_says_how_to_install_it(tmp_path: Path) -> None:
    done = run("serving", "--quick", PATH=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (2, "", NEEDS_WRK)


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--seconds", "1.5"]])
def test_a_wrong_flag_is_refused(arguments: list[str]) -> None:
    done = run("serving", *arguments, PATH=PATH)
    assert done.returncode == 2
    assert "expected a whole number above 0" in done.stderr


@pytest.mark.benchmark
def test_quick_measures_both_services_without_errors(registered: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    output = tmp_path / "bench.json"
    done = run(
        "serving",
        "--quick",
        "--home",
        registered,
        "--json",
        output,
        PATH=PATH,
        TMPDIR=str(temporary),
    )
    assert list(temporary.glob("datathon-bench-*")) == []
    if shutil.which("wrk", path=PATH) is None:
        assert (done.returncode, done.stderr) == (2, NEEDS_WRK)
        return

    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("0 errors")
    assert done.stdout.count("ratio") >= 4
    cases = json.loads(output.read_text())["cases"]
    assert [(c["rows"], c["connections"]) for c in cases] == [(1, 1), (1, 16), (1, 64), (1000, 4)]
    for case in cases:
        ours, theirs = (
            next(m for m in case["measurements"] if m["service"] == service)
            for service in (OURS, THEIRS)
        )
        assert ours["failed"] == theirs["failed"] == 0
        assert case["ratios"].keys() == METRICS.keys()
        expected = ours["requests"] / ours["seconds"] * theirs["seconds"] / theirs["requests"]
        assert case["ratios"]["rows/s"]["median"] == pytest.approx(expected)
