"""Whatever stands in the files that it reads, the screen and the document are drawn."""

import io
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from monitoring.status import document, screen
from monitoring.status.gathering import gather
from monitoring.status.judgement import judge
from monitoring.watching.ports import free_port
from registry import heartbeat
from registry.heartbeat import Beat
from registry.state import State
from tests.monitoring.rendering import documents
from tests.registry.handmade import make_version, promote

_PIECES = ["null", "true", "-1", "1e999", "NaN", '"\\ud800"', "[" * 5000, "{}", "\x00", "", "\n"]
_PIECES += ['"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-14:00"', "10" * 400, "\x1b[2J"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    """One of each file."""
    state = State(tmp_path_factory.mktemp("whole") / "home")
    for version in ("v1.0.0", "v1.1.0"):
        make_version(state, version)
        promote(state, version)
    beat = replace(Beat.of_this_process(), version="v1.1.0", generation=2, resident=("v1.0.0",))
    heartbeat.write(state, beat)
    state.latest_reports.mkdir(parents=True)
    for content in (documents.drift(), documents.performance()):
        (state.latest_reports / f"{content['kind']}.json").write_text(json.dumps(content))
    folder = state.inference_log / "dt=2026-11-22"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text('{"ts":"2026-11-22T10:00:00Z"}\n')
    yield state
    shutil.rmtree(state.home)


def damaged(text: str, start: float, length: float, piece: str) -> str:
    """A piece in the place of a token, or of any part of it."""
    first = int(start * len(text))
    return text[:first] + piece + text[first + int(length * 40) :]


@settings(max_examples=60)
@given(
    which=st.integers(0, 5),
    start=st.floats(0, 1),
    length=st.floats(0, 1),
    piece=st.sampled_from(_PIECES) | st.text(max_size=5),
)
def test_damaged_files_are_told_and_never_raised(
    whole: State, which: int, start: float, length: float, piece: str
) -> None:
    (beat,) = whole.workers.iterdir()
    (log,) = whole.inference_log.rglob("*.jsonl")
    reports = (whole.latest_reports / f"{kind}.json" for kind in ("drift", "performance"))
    path: Path = [whole.champion, whole.history, beat, log, *reports][which]
    sound = path.read_bytes()
    content = damaged(sound.decode(), start, length, piece)
    path.write_bytes(content.encode(errors="surrogatepass"))
    try:
        draw(whole)
    finally:
        path.write_bytes(sound)
        os.utime(path)


def draw(state: State) -> None:
    facts = gather(state, urlsplit(f"http://127.0.0.1:{free_port()}"), seconds=0)
    findings = judge(facts)
    console = Console(file=io.StringIO(), width=80)
    console.print(screen.draw(facts, findings))
    json.dumps(document.make(facts, findings), allow_nan=False)


# Values that only a hand could have written, in the places that are looked at.
_PLACES = [
    "made_at",
    "model_version",
    "status",
    "score",
    "features",
    "causes",
    "estimate",
    "labels",
]


@pytest.mark.parametrize("kind", ["drift", "performance"])
@pytest.mark.parametrize("place", _PLACES)
def test_a_field_of_a_report_may_hold_anything(whole: State, kind: str, place: str) -> None:
    path = whole.latest_reports / f"{kind}.json"
    sound = path.read_text()
    try:
        for piece in ("null", "1e999", "NaN", "{}", "[]", "[[]]", '"9999-12-31T23:59:59-14:00"'):
            content = json.loads(sound)
            text = json.dumps(content | {place: "PLACE"}).replace('"PLACE"', piece)
            path.write_text(text)
            draw(whole)
    finally:
        path.write_text(sound)
