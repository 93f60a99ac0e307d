"""`python -m registry register` killed at any moment: nothing half-made is seen, and the version
can be registered afterwards."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import pytest

from registry import manifest, store, verification
from registry.state import BENTO_NAME, PROJECT, State
from tests.artefacts import MODEL
from tests.registry.mortal import KILLED, Aim, Forks
from tests.server import bentoml_tags, command, environment, wait_for

pytestmark = pytest.mark.long

WHOLE_KILLS, LATE_KILLS = 10, 50


@pytest.fixture(scope="module")
def registered(artefacts: Path, tmp_path_factory: pytest.TempPathFactory) -> State:
    """v1.0.0, registered for real; nobody changes it."""
    state = State(tmp_path_factory.mktemp("registered") / "home")
    command(state.home, "registry", *register_words("v1.0.0", artefacts))
    return state


@pytest.fixture
def state(registered: State, tmp_path: Path) -> State:
    """A copy of the test's own."""
    shutil.copytree(registered.home, tmp_path / "home")
    return State(tmp_path / "home")


def register_words(version: str, artefacts: Path) -> list[str]:
    return ["register", "--version", version, "--artifacts", str(artefacts / "0")]


@contextmanager
def registering(state: State, version: str, artefacts: Path) -> Iterator["subprocess.Popen[str]"]:
    """The command in a group of its own, with what it starts; none of it outlives the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "registry", *register_words(version, artefacts)],
        cwd=PROJECT,
        env=environment(state.home),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:  # not reaped, so that the group is still its own
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=60)


def listed(state: State) -> set[str]:
    """What `registry list` shows, each whole, with its Bento and the rows to compare it on."""
    shown = {str(found.version): found for found in store.versions(state, MODEL)}
    for version, found in shown.items():
        provenance = json.loads(manifest.read_verified(found.folder)["provenance.json"])
        assert whole_bento(state, version)
        rows = (state.held_out / f"{version}.parquet").read_bytes()
        assert hashlib.sha256(rows).hexdigest() == provenance["held_out"]["sha256"]
    assert {path.name for path in (state.models / MODEL).iterdir()} == shown.keys()
    for bento in state.bentos.iterdir():
        assert whole_bento(state, bento.name)
    assert all(finding.problem is None for finding in verification.verify(state, MODEL))
    return set(shown)


def bentos_of(state: State) -> set[str]:
    return {path.name for path in state.bentos.iterdir()}


def whole_bento(state: State, version: str) -> bool:
    """As many files as the Bento of v1.0.0 has, of the same names."""
    whole, found = (
        {path.relative_to(bento) for path in bento.rglob("*")}
        for bento in (state.bentos / "v1.0.0", state.bentos / version)
    )
    return found == whole


def assert_seen_by_commands(
    state: State, versions: set[str], *, left_over: Collection[str] = ()
) -> None:
    """By `registry list` and BentoML's own commands, as processes. Bentos may be `left_over` until
    the next register."""
    done = command(state.home, "registry", "list", "--json")
    assert {entry["version"] for entry in json.loads(done.stdout)} == versions
    assert bentoml_tags(state.home, "models", "list") == {
        f"{MODEL}:{version}" for version in versions
    }
    assert bentoml_tags(state.home, "list") == {
        f"{BENTO_NAME}:{version}" for version in versions.union(left_over)
    }


def assert_registers(state: State, version: str, artefacts: Path) -> None:
    """As if no register had been killed before."""
    command(state.home, "registry", *register_words(version, artefacts))
    digest = manifest.digest_of(artefacts / "0")
    assert store.get(state, MODEL, version).digest == digest
    assert listed(state) == {"v1.0.0", version}
    assert {path.stem for path in state.held_out.iterdir()} == {"v1.0.0", version}
    assert_seen_by_commands(state, {"v1.0.0", version})


def test_a_kill_of_the_command_and_its_build_at_any_moment(
    registered: State, artefacts: Path, tmp_path: Path
) -> None:
    """Two homes at once. Every other time the command dies alone, and the build that it started
    goes on for a while."""

    def kill_often(turns: Sequence[int]) -> int:
        state = State(tmp_path / f"home{turns[0]}")
        shutil.copytree(registered.home, state.home)
        whole, killed = 6.0, 0  # seconds; measured by what ends before it is killed
        again = cycle(turns)
        while killed < len(turns):
            turn = next(again)
            began = time.monotonic()
            with registering(state, "v2.0.0", artefacts) as process:
                try:
                    process.communicate(timeout=whole * turn / WHOLE_KILLS)
                except subprocess.TimeoutExpired:
                    process.kill() if turn % 4 < 2 else os.killpg(process.pid, signal.SIGKILL)
                    killed += 1
                else:
                    assert process.returncode == 0
                    whole = time.monotonic() - began
                found = listed(state)
            assert listed(state) == found
            assert found in ({"v1.0.0"}, {"v1.0.0", "v2.0.0"})
            if turn == WHOLE_KILLS // 2:
                assert_seen_by_commands(state, found, left_over=bentos_of(state))
            shutil.rmtree(state.models / MODEL / "v2.0.0", ignore_errors=True)
        assert_registers(state, "v2.0.0", artefacts)
        return killed

    turns = range(WHOLE_KILLS)
    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(kill_often, (turns[0::2], turns[1::2]))) == WHOLE_KILLS


@pytest.fixture
def built(
    state: State, artefacts: Path, tmp_path: Path
) -> Iterator[tuple[Forks, Callable[[], None]]]:
    """Forks of a register that has built, and what puts the home back to that moment."""
    with Forks(state.home, *register_words("v2.0.0", artefacts)) as forks:
        shutil.copytree(state.home, tmp_path / "built", copy_function=os.link)

        def put_back() -> None:
            shutil.rmtree(state.home)
            # Nothing writes into what was built: links are enough, and on disk already.
            shutil.copytree(tmp_path / "built", state.home, copy_function=os.link)

        yield forks, put_back


def test_a_kill_at_any_moment_after_the_build(
    state: State,
    artefacts: Path,
    built: tuple[Forks, Callable[[], None]],
) -> None:
    forks, put_back = built
    began = time.monotonic()
    assert forks.run() == 0
    aim = Aim(time.monotonic() - began, random.Random(3))
    while aim.kills < LATE_KILLS:
        put_back()
        code = forks.run(seconds=aim.seconds())
        found = listed(state)
        assert code in (0, KILLED)
        assert found in ({"v1.0.0"}, {"v1.0.0", "v2.0.0"})
        aim.tell(code, committed="v2.0.0" in found)
        if code == KILLED and aim.kills == LATE_KILLS // 2:
            assert_seen_by_commands(state, found, left_over=bentos_of(state))
    # What comes after is short; the next test is sure to see both sides.
    assert aim.before > 2
    assert aim.after > 0
    put_back()
    assert forks.run(step=0) == KILLED
    assert_registers(state, "v2.0.0", artefacts)


def test_a_kill_before_each_change_on_disk_after_the_build(
    state: State, artefacts: Path, built: tuple[Forks, Callable[[], None]]
) -> None:
    forks, put_back = built
    seen, kept = [], 0
    while forks.run(step=kept) == KILLED:
        found = listed(state)
        bentos = bentos_of(state)
        seen.append((len(found), len(bentos)))
        if (len(found), len(bentos)) == (1, 2):
            bento_alone = kept
        put_back()
        kept += 1 + kept // 8  # most of them remove what was staged
    # Nothing; the Bento, which makes no version; the model.
    assert seen == sorted(seen)
    assert set(seen) == {(1, 1), (1, 2), (2, 2)}
    for version in ("v2.0.0", "v3.0.0"):
        put_back()
        assert forks.run(step=bento_alone) == KILLED
        assert_seen_by_commands(state, {"v1.0.0"}, left_over={"v2.0.0"})
        assert_registers(state, version, artefacts)


def test_a_build_that_is_killed_is_one_line_and_leaves_nothing(
    state: State, artefacts: Path
) -> None:
    with registering(state, "v2.0.0", artefacts) as process:
        wait_for(lambda: list(state.staging.glob("*/context/service.py")), 60)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert errors.startswith("error: BentoML could not build v2.0.0")
    assert errors.count("\n") == 1
    assert listed(state) == {"v1.0.0"}
    assert list(state.staging.iterdir()) == []


def test_ctrl_c_is_one_line_and_leaves_nothing(state: State, artefacts: Path) -> None:
    with registering(state, "v2.0.0", artefacts) as process:
        wait_for(lambda: list(state.staging.glob("*/context/service.py")), 60)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "stopped; the champion was not moved\n")
    assert listed(state) == {"v1.0.0"}
    assert list(state.staging.iterdir()) == []
