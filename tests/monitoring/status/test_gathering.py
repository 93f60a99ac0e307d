"""Looking at servers that answer anything: facts, never an error, and always in time."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pytest

from monitoring.status.facts import Facts, Interval
from monitoring.status.gathering import gather, settings
from monitoring.status.judgement import judge
from monitoring.watching.ports import free_port
from registry.state import PROJECT, State
from tests.monitoring.status.expositions import exposition
from tests.monitoring.status.situations import with_performance

OK = {"status": "ok", "model_loaded": True, "model_version": "v1.1.0", "generation": 2}
HEALTHY = (200, json.dumps(OK | {"uptime_seconds": 9}).encode())
Reply = tuple[int, bytes]


@contextmanager
def answering(health: Reply, *metrics: str) -> Iterator[SplitResult]:
    """A server whose /metrics gives one text after the other, and the last for ever."""
    texts = list(metrics)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = health
            if self.path == "/metrics":
                status, body = 200, (texts.pop(0) if len(texts) > 1 else texts[0]).encode()
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield urlsplit(f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def raw(reply: bytes, *, hang: bool = False) -> Iterator[SplitResult]:
    """A server that sends these bytes to whoever connects, and then nothing until the end."""
    import socket

    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)

        def serve() -> None:
            kept = []
            while not done.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                connection.sendall(reply)
                kept.append(connection)
                if not hang:
                    connection.close()
            for connection in kept:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield urlsplit(f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            done.set()
            thread.join()


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "home")


def look(state: State, url: SplitResult, seconds: float = 0.05) -> Facts:
    return gather(state, url, seconds=seconds)


def test_a_service_is_seen_as_it_says(state: State) -> None:
    before = exposition(requests={("/predict", "200"): 10}, seconds={"0.01": 10})
    after = exposition(
        requests={("/predict", "200"): 18, ("/predict", "500"): 2}, seconds={"0.01": 20}
    )
    with answering(HEALTHY, before, after) as url:
        facts = look(state, url, 0.2)
    assert (facts.health.status, facts.health.version, facts.health.generation) == (
        "ok",
        "v1.1.0",
        2,
    )
    assert facts.health.uptime_seconds == 9.0
    assert 0.2 <= facts.traffic.sample_seconds < 2.0
    assert facts.traffic.sample is not None
    assert (facts.traffic.sample.requests, facts.traffic.sample.server_errors) == (10.0, 2.0)
    assert "DatathonErrors" in [finding.section for finding in judge(facts)]


ODD: dict[str, tuple[Reply, str]] = {
    "html": ((200, b"<html>It works!</html>"), "HTTP 200"),
    "a proxy": ((502, b"bad gateway"), "HTTP 502"),
    "a list": ((200, b"[1]"), "HTTP 200"),
    "another status": ((200, b'{"status": "UP"}'), "HTTP 200"),
    "bytes": ((404, bytes(range(256))), "HTTP 404"),
    "deep": ((200, b"[" * 100_000), "HTTP 200"),
}


@pytest.mark.parametrize(("reply", "words"), ODD.values(), ids=ODD.keys())
def test_what_is_not_the_service_is_said_to_be_none(state: State, reply: Reply, words: str) -> None:
    with answering(reply, "<html>") as url:
        facts = look(state, url)
    assert facts.health.status is None
    assert words in (facts.health.problem or "")
    assert facts.traffic.problem == "/metrics is not in Prometheus's format"
    assert judge(facts)[0].section == "DatathonDown"


def test_unavailable_is_an_answer(state: State) -> None:
    body = {"status": "unavailable", "model_loaded": False, "model_version": None}
    reply = (503, json.dumps(body | {"generation": None, "reason": "no champion yet"}).encode())
    with answering(reply, exposition()) as url:
        facts = look(state, url)
    assert (facts.health.http_status, facts.health.status) == (503, "unavailable")
    assert judge(facts)[0].section == "DatathonNoChampion"


def test_odd_types_in_health_are_not_known(state: State) -> None:
    body = {"status": "degraded", "reason": 4, "generation": True, "uptime_seconds": "9"}
    with answering((200, json.dumps(body).encode()), exposition()) as url:
        health = look(state, url).health
    assert health.status == "degraded"
    assert (health.reason, health.generation, health.uptime_seconds) == (None, None, None)


@pytest.mark.parametrize("reply", [b"", b"\x00\xff\x00\xff\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_no_http_is_down(state: State, reply: bytes) -> None:
    with raw(reply) as url:
        facts = look(state, url)
    assert facts.health.http_status is None
    assert facts.health.problem


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
def test_a_service_that_hangs_costs_two_seconds(state: State, reply: bytes) -> None:
    with raw(reply, hang=True) as url:
        began = time.monotonic()
        facts = look(state, url, seconds=5.0)
        assert 1.9 < time.monotonic() - began < 3.5
    assert facts.health.problem == "no answer within 2 s"


def test_nobody_there_is_known_at_once(state: State) -> None:
    began = time.monotonic()
    facts = look(state, urlsplit(f"http://127.0.0.1:{free_port()}"), seconds=5.0)
    assert time.monotonic() - began < 1.5
    assert facts.health.problem == "connection refused"
    assert facts.standing.exists is False


def test_the_command_about_recall_reaches_as_far_back_as_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "configuration.yaml"
    text = (PROJECT / "configuration.yaml").read_text(encoding="utf-8")
    path.write_text(text.replace("performance_days: 120", "performance_days: 200.5"))
    monkeypatch.setenv("DATATHON_CONFIGURATION", str(path))
    facts = with_performance(recall=Interval(0.6, 0.5, 0.69), status="red")
    (finding,) = judge(replace(facts, settings=settings()))
    assert finding.commands == ("python -m monitoring.performance_drift --window 200.5",)


@pytest.mark.parametrize(("delay", "overdue"), [(90, 120), (365, 395)])
def test_until_there_is_a_report_the_settings_say_when_an_import_is_overdue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, delay: int, overdue: int
) -> None:
    path = tmp_path / "configuration.yaml"
    text = (PROJECT / "configuration.yaml").read_text(encoding="utf-8")
    text = text.replace("performance_days: 120", f"performance_days: {delay + 30}")
    path.write_text(text.replace("label_delay_days: 90", f"label_delay_days: {delay}"))
    monkeypatch.setenv("DATATHON_CONFIGURATION", str(path))
    assert settings().overdue_days == overdue
