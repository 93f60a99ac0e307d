"""`python -m registry register` with a real BentoML, and what BentoML's own commands then see."""

import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import skops.io
import yaml
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from registry import manifest
from registry import register as register_module
from registry.configuration import DEFAULT_FILE
from registry.errors import IntegrityError
from registry.loaded import load
from registry.state import BENTO_NAME, PROJECT, State
from tests.artefacts import MODEL
from tests.registry.handmade import flip_byte, make_version, tree_sha256
from tests.server import bentoml_tags, command, environment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def registered(artefacts: Path, tmp_path_factory: pytest.TempPathFactory) -> State:
    """v1.2.0 and v1.10.0, registered for real; nobody changes it."""
    state = State(tmp_path_factory.mktemp("registered") / "home")
    for variation, version in ((0, "v1.2.0"), (1, "v1.10.0")):
        done = register(state, version, artefacts / str(variation))
        assert done.returncode == 0, done.stderr
    return state


@pytest.fixture
def state(registered: State, tmp_path: Path) -> State:
    """A copy of the test's own."""
    shutil.copytree(registered.home, tmp_path / "home")
    return State(tmp_path / "home")


def registry(state: State, *arguments: str, **extra: str) -> "subprocess.CompletedProcess[str]":
    done = command(state.home, "registry", *arguments, check=False, **extra)
    assert "Traceback" not in done.stderr
    return done


def register(
    state: State, version: str, artefacts: Path, *more: str, **extra: str
) -> "subprocess.CompletedProcess[str]":
    arguments = ["register", "--version", version, "--artifacts", str(artefacts), *more]
    return registry(state, *arguments, **extra)


def assert_nothing_staged(state: State) -> None:
    assert list(state.staging.iterdir()) == []


def assert_refused(state: State, artefacts: Path, words: str) -> None:
    """As an integrity error, by `--dry-run` too; in this process, which has scikit-learn loaded."""
    for dry_run in (False, True):
        with pytest.raises(IntegrityError, match=words):
            register_module.register(
                state,
                artifacts=artefacts,
                version="v2.0.0",
                configuration=DEFAULT_FILE,
                dry_run=dry_run,
            )


def test_bentoml_lists_each_version_under_its_own_name(registered: State) -> None:
    assert bentoml_tags(registered.home, "models", "list") == {
        f"{MODEL}:v1.2.0",
        f"{MODEL}:v1.10.0",
    }
    assert bentoml_tags(registered.home, "list") == {
        f"{BENTO_NAME}:v1.2.0",
        f"{BENTO_NAME}:v1.10.0",
    }
    assert_nothing_staged(registered)


def test_what_is_registered_is_what_was_trained(registered: State, artefacts: Path) -> None:
    folder = registered.models / MODEL / "v1.2.0"
    names = {path.name for path in (artefacts / "0").iterdir()} - {manifest.HELD_OUT}
    assert {path.name for path in folder.iterdir()} - {"model.yaml"} == names
    for name in names:
        assert (folder / name).read_bytes() == (artefacts / "0" / name).read_bytes()
    loaded = load(folder, "v1.2.0", manifest.digest_of(artefacts / "0"), max_rows=10)
    assert loaded.model == MODEL


def test_the_rows_that_evaluated_it_stand_beside_the_version_and_never_in_it(
    registered: State, artefacts: Path
) -> None:
    """They are real people's: no model folder, Bento or container image may hold them."""
    content = (artefacts / "0" / manifest.HELD_OUT).read_bytes()
    kept = registered.held_out / "v1.2.0.parquet"
    assert kept.read_bytes() == content
    assert kept.stat().st_mode & 0o777 == 0o640
    assert kept.parent.stat().st_mode & 0o777 == 0o750
    provenance = json.loads((registered.models / MODEL / "v1.2.0" / "provenance.json").read_bytes())
    assert provenance["held_out"]["sha256"] == hashlib.sha256(content).hexdigest()
    copies = [path for path in registered.home.rglob("*") if path.is_file()]
    holding = [path for path in copies if path.read_bytes() == content]
    assert holding == [kept]
    assert not list(registered.home.rglob(manifest.HELD_OUT))


def test_a_bento_names_its_model_exactly_and_holds_what_the_recipe_lists(registered: State) -> None:
    bento = registered.bentos / "v1.10.0"
    facts = yaml.safe_load((bento / "bento.yaml").read_text())
    assert [entry["tag"] for entry in facts["models"]] == [f"{MODEL}:v1.10.0"]
    recipe = yaml.safe_load((PROJECT / "bentofile.yaml").read_text())
    expected = {
        str(p.relative_to(PROJECT)) for glob in recipe["include"] for p in PROJECT.glob(glob)
    }
    source = bento / "src"
    found = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert found - {"bentofile.yaml"} == expected


def test_a_containers_user_can_read_every_file(registered: State) -> None:
    for root in (registered.models / MODEL / "v1.2.0", registered.bentos / "v1.2.0"):
        for path in [root, *root.rglob("*")]:
            assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)


def test_list_promote_rollback_and_verify_on_real_versions(state: State) -> None:
    listed = json.loads(registry(state, "list", "--json").stdout)
    assert [entry["version"] for entry in listed] == ["v1.2.0", "v1.10.0"]
    assert registry(state, "promote", "--version", "v1.2.0").returncode == 0
    done = registry(state, "promote", "--version", "v1.10.0")
    assert done.returncode == 4  # fifty positives decide little
    assert "undecided" in done.stderr
    forced = ("--force", "--reason", "drill")
    assert registry(state, "promote", "--version", "v1.10.0", *forced).returncode == 0
    assert registry(state, "verify").returncode == 0
    assert "v1.10.0" in registry(state, "champion").stdout
    assert registry(state, "rollback", "--reason", "drill").returncode == 0
    history = json.loads(registry(state, "history", "--json").stdout)
    assert [event["to"] for event in history] == ["v1.2.0", "v1.10.0", "v1.2.0"]
    assert registry(state, "promote", "--version", "v1.1").returncode == 3


def test_a_version_is_never_overwritten(state: State, artefacts: Path) -> None:
    before = tree_sha256(state.home)
    for variation in ("0", "1"):
        done = register(state, "v1.2.0", artefacts / variation)
        assert done.returncode == 1
        assert "never overwritten" in done.stderr
    assert tree_sha256(state.home) == before


def test_a_number_that_another_model_has_is_taken_for_its_bento_has_it(
    state: State, artefacts: Path
) -> None:
    make_version(state, "v2.0.0", model="other-risk")
    before = tree_sha256(state.home)
    done = register(state, "v2.0.0", artefacts / "0")
    assert done.returncode == 1
    assert "other-risk:v2.0.0 is registered already" in done.stderr
    assert tree_sha256(state.home) == before


@pytest.mark.parametrize(
    "version",
    [".", "..", "", "latest", "v1.2", "V2.0.0", "v2.0.0\n", "2.0.0", "../v2.0.0", "v2.0.0/"],
)
def test_only_an_exact_version_is_registered(state: State, artefacts: Path, version: str) -> None:
    before = tree_sha256(state.home)
    assert register(state, version, artefacts / "0").returncode == 2
    assert tree_sha256(state.home) == before


def test_tampered_artefacts_exit_6_and_leave_nothing(
    state: State, artefacts: Path, tmp_path: Path
) -> None:
    before = tree_sha256(state.home)
    for name in ("pipeline.skops", "model_card.md", "manifest.json"):
        tampered = tmp_path / name
        shutil.copytree(artefacts / "0", tampered)
        flip_byte(tampered / name)
        assert register(state, "v2.0.0", tampered).returncode == 6
    assert tree_sha256(state.home) == before
    assert bentoml_tags(state.home, "models", "list") == {f"{MODEL}:v1.2.0", f"{MODEL}:v1.10.0"}


def test_held_out_rows_that_provenance_does_not_name_exit_6(
    state: State, artefacts: Path, tmp_path: Path
) -> None:
    crafted = tmp_path / "crafted"
    shutil.copytree(artefacts / "0", crafted)
    before = tree_sha256(state.home)
    shutil.copy(artefacts / "1" / manifest.HELD_OUT, crafted)
    done = register(state, "v2.0.0", crafted)
    assert done.returncode == 6
    assert "held_out.parquet: the bytes are not those" in done.stderr
    assert_refused(state, crafted, "the bytes are not those")
    flip_byte(crafted / manifest.HELD_OUT)
    assert_refused(state, crafted, "the bytes are not those")
    assert tree_sha256(state.home) == before


def test_artefacts_without_held_out_rows_are_registered_and_never_get_anothers(
    state: State, artefacts: Path, tmp_path: Path
) -> None:
    older = tmp_path / "older"
    shutil.copytree(artefacts / "0", older)
    (older / manifest.HELD_OUT).unlink()
    left_over = state.held_out / "v2.0.0.parquet"  # by a register that was killed
    left_over.write_bytes(b"somebody")
    assert register(state, "v2.0.0", older).returncode == 0
    assert not left_over.exists()
    assert registry(state, "verify").returncode == 0


class _Intruder:
    """Leaves a trace wherever it comes to life."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return (Path.touch, (self.trace,))


def test_a_pipeline_with_a_foreign_type_exits_6_and_is_never_run(
    state: State, artefacts: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    crafted = tmp_path / "crafted"
    shutil.copytree(artefacts / "0", crafted)
    before = tree_sha256(state.home)
    for content, words in (
        (pickle.dumps(_Intruder(trace)), "cannot be loaded"),
        (skops.io.dumps({"no": "pipeline"}), "cannot score its golden rows"),
        (skops.io.dumps(make_pipeline(FunctionTransformer(func=os.system))), "cannot be loaded"),
    ):
        (crafted / "pipeline.skops").write_bytes(content)
        manifest.write(crafted)
        assert_refused(state, crafted, words)
    assert not trace.exists()
    done = register(state, "v2.0.0", crafted)
    assert done.returncode == 6
    assert len(done.stderr.strip().splitlines()) == 1
    assert tree_sha256(state.home) == before


def test_golden_scores_that_are_not_reproduced_exit_6(
    state: State, artefacts: Path, tmp_path: Path
) -> None:
    crafted = tmp_path / "crafted"
    shutil.copytree(artefacts / "0", crafted)
    shutil.copy(artefacts / "1" / "golden.json", crafted)
    manifest.write(crafted)
    before = tree_sha256(state.home)
    assert_refused(state, crafted, "golden scores are not reproduced")
    assert tree_sha256(state.home) == before


def test_when_the_last_rename_fails_nothing_is_left(state: State, artefacts: Path) -> None:
    """A link that leads nowhere is in the way of the model, after all else has been moved in."""
    (state.models / MODEL / "v2.0.0").symlink_to("nowhere")
    before = tree_sha256(state.home)
    done = register(state, "v2.0.0", artefacts / "0")
    assert done.returncode == 1
    assert "nothing was registered" in done.stderr
    assert tree_sha256(state.home) == before


@pytest.mark.parametrize(
    "model", ["{", "[]", "{}", '{"model": 3}', '{"model": "../../up"}', '{"model": "Risk"}']
)
def test_artefacts_that_name_no_model_exit_6(
    state: State, artefacts: Path, tmp_path: Path, model: str
) -> None:
    crafted = tmp_path / "crafted"
    shutil.copytree(artefacts / "0", crafted)
    (crafted / "model.json").write_text(model)
    manifest.write(crafted)
    before = tree_sha256(state.home)
    for more in ((), ("--dry-run",)):
        assert register(state, "v2.0.0", crafted, *more).returncode == 6
    assert tree_sha256(state.home) == before


def test_no_artefacts_exit_2_and_a_folder_without_manifest_6(state: State, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    before = tree_sha256(state.home)
    for name, code in (("none", 2), ("file", 2), ("empty", 6)):
        done = register(state, "v2.0.0", tmp_path / name)
        assert done.returncode == code
        assert name in done.stderr
    assert tree_sha256(state.home) == before


def test_dry_run_checks_and_changes_nothing(state: State, artefacts: Path) -> None:
    before = tree_sha256(state.home)
    done = register(state, "v2.0.0", artefacts / "0", "--dry_run", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "model": MODEL,
        "version": "v2.0.0",
        "digest": manifest.digest_of(artefacts / "0"),
    }
    assert register(state, "v1.2.0", artefacts / "0", "--dry-run").returncode == 1
    assert tree_sha256(state.home) == before


def test_a_configuration_that_could_not_be_served_is_not_packed(
    state: State, artefacts: Path, tmp_path: Path
) -> None:
    path = tmp_path / "configuration.yaml"
    path.write_text("modell: {}\n")
    before = tree_sha256(state.home)
    done = register(state, "v2.0.0", artefacts / "0", DATATHON_CONFIGURATION=str(path))
    assert done.returncode == 2
    assert "did you mean `model`" in done.stderr
    assert tree_sha256(state.home) == before


def test_a_build_that_fails_leaves_nothing(state: State, artefacts: Path, tmp_path: Path) -> None:
    before = tree_sha256(state.home)
    missing = str(tmp_path / "none.yaml")
    done = register(state, "v2.0.0", artefacts / "0", BENTOML_CONFIG=missing)
    assert done.returncode == 1
    assert missing in done.stderr
    assert tree_sha256(state.home) == before


def test_a_killed_register_shows_nothing_half_made(state: State, artefacts: Path) -> None:
    arguments = ["register", "--version", "v2.0.0", "--artifacts", str(artefacts / "0")]
    process = subprocess.Popen(
        [sys.executable, "-m", "registry", *arguments],
        cwd=PROJECT,
        env=environment(state.home),
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not list(state.staging.glob("*/models/*/v2.0.0")):
        assert process.poll() is None
        assert time.monotonic() < deadline
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert bentoml_tags(state.home, "models", "list") == {f"{MODEL}:v1.2.0", f"{MODEL}:v1.10.0"}
    assert registry(state, "promote", "--version", "v2.0.0").returncode == 3


def test_of_four_that_race_one_wins_and_replaces_the_bento_that_a_crash_left(
    state: State, artefacts: Path
) -> None:
    shutil.rmtree(state.models / MODEL / "v1.10.0")
    left_over = state.bentos / "v1.10.0" / "src" / "left-over.py"
    left_over.write_text("")
    rows = state.held_out / "v1.10.0.parquet"
    rows.write_bytes(b"left over")
    arguments = ["register", "--version", "v1.10.0", "--artifacts"]
    racing = [
        subprocess.Popen(
            [sys.executable, "-m", "registry", *arguments, str(artefacts / str(number % 2))],
            cwd=PROJECT,
            env=environment(state.home),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    ended = [process.communicate(timeout=120) for process in racing]
    codes = [process.returncode for process in racing]
    assert sorted(codes) == [0, 1, 1, 1], ended
    assert all("Traceback" not in errors for _, errors in ended)
    assert registry(state, "verify").returncode == 0
    winner = artefacts / str(codes.index(0) % 2)
    assert manifest.digest_of(state.models / MODEL / "v1.10.0") == manifest.digest_of(winner)
    assert not left_over.exists()
    assert rows.read_bytes() == (winner / manifest.HELD_OUT).read_bytes()
    assert_nothing_staged(state)
