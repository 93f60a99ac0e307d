"""What a drill starts does not outlive it, whatever loses its parent meanwhile."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from monitoring.drills import processes
from monitoring.drills.errors import DrillError
from monitoring.drills.running import environment, run
from monitoring.drills.service import Service
from registry.processes import is_alive
from registry.state import PROJECT
from tests.server import wait_for

# A parent that starts a sleeper which ignores SIGTERM, tells its pid, and ends when told to.
ORPHAN = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal, time;"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"],
    stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.readline()
"""


def test_an_orphan_that_ignores_sigterm_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_END_SECONDS", 0.3)
    with processes.adopting():
        parent = subprocess.Popen(
            [sys.executable, "-c", ORPHAN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert parent.stdout is not None
        orphan = int(parent.stdout.readline())
        parent.communicate(b"\n", timeout=30)
        assert is_alive(orphan)
        assert orphan in processes.descendants(os.getpid())
    assert not is_alive(orphan)


def test_who_was_there_before_is_left_alone() -> None:
    before = subprocess.Popen(["sleep", "600"])
    try:
        with processes.adopting():
            pass
        assert before.poll() is None
    finally:
        before.kill()
        before.wait()


def test_a_stopped_process_can_be_ended() -> None:
    stopped = subprocess.Popen(["sleep", "600"])
    try:
        stopped.send_signal(signal.SIGSTOP)
        processes.end([stopped.pid], 5)
        assert stopped.wait(5) == -signal.SIGTERM
    finally:
        stopped.kill()


def test_a_command_gets_the_scratch_state_and_nothing_of_the_caller(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATATHON_ENTITY_SECRET", "the caller's")
    monkeypatch.setenv("BENTOML_HOME", "/the/callers")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/the/callers")
    around = environment(tmp_path, tmp_path / "c.yaml", DATATHON_OTHER="ours")
    show = "import os; print(sorted(k for k in os.environ if k[:8] in ('DATATHON','PROMETHE')))"
    done = run(["python", "-c", show + "; print(os.environ['BENTOML_HOME'])"], around)
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "['DATATHON_CONFIGURATION', 'DATATHON_OTHER']",
        str(tmp_path),
    ]


def test_a_service_that_cannot_start_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    wrong = tmp_path / "configuration.yaml"
    wrong.write_text("model: {}\n")
    service = Service(environment(tmp_path, wrong), tmp_path / "log")
    with pytest.raises(DrillError, match="the service ended: "):
        service.start()
    assert not processes.descendants(os.getpid())


def test_ctrl_c_of_a_drill_leaves_no_process_and_no_scratch(tmp_path: Path) -> None:
    environ = os.environ | {"TMPDIR": str(tmp_path)}
    drill = subprocess.Popen(
        [sys.executable, "-m", "monitoring.drill", "5xx"],
        cwd=PROJECT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: len(owners(tmp_path)) >= 2 or drill.poll() is not None, 30)
        if drill.poll() == 3:
            pytest.skip(f"NOT TESTED: Ctrl-C of a drill: {drill.communicate()[1].strip()}")
        drill.send_signal(signal.SIGINT)
        _, said = drill.communicate(timeout=60)
    finally:
        drill.kill()
    assert drill.returncode == 130
    assert said.splitlines() == ["stopped; everything that the drill started was ended"]
    assert owners(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def owners(folder: Path) -> list[int]:
    """The processes whose environment names the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if str(folder).encode() in path.read_bytes() and int(path.parts[2]) != os.getpid():
                found.append(int(path.parts[2]))
        except OSError:
            continue
    return found
