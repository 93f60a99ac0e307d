"""The drill's client against a server that answers what the test wants."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from monitoring.drills.client import Client, Traffic
from tests.server import wait_for


class Answering(BaseHTTPRequestHandler):
    """Status by what the body holds; `drop` closes the connection without an answer."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if b"drop" in body:
            self.close_connection = True
            return
        self.send_response(500 if b"bad" in body else 200)
        self.send_header("X-Request-ID", "one")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def test_rows_travel_in_requests_of_one_size() -> None:
    traffic = Traffic.of([{"n": n} for n in range(7)], size=3)
    assert traffic.bodies == (
        b'{"instances":[{"n":0},{"n":1},{"n":2}]}',
        b'{"instances":[{"n":3},{"n":4},{"n":5}]}',
    )
    assert traffic.rows == 3


def test_statuses_and_lost_answers_are_remembered(port: int) -> None:
    rows = [{"is": kind} for kind in ("good", "bad", "drop")]
    with Client(port, Traffic.of(rows, size=1)) as client:
        client.send(Traffic.of(rows, size=1), rate=100)
        wait_for(lambda: len(client.answers()) >= 6, 10)
    found = {(answer.status, answer.request_id) for answer in client.answers()}
    assert found == {(200, "one"), (500, "one"), (0, "")}


def test_what_is_sent_changes_at_once(port: int) -> None:
    with Client(port, Traffic.of([{"is": "bad"}], size=1)) as client:
        client.send(Traffic.of([{"is": "bad"}], size=1), rate=50)
        wait_for(lambda: len(client.answers()) >= 3, 10)
        changed = time.monotonic()
        client.send(Traffic.of([{"is": "good"}], size=1), rate=50)
        wait_for(lambda: len(client.answers(changed)) >= 6, 10)
    later = client.answers(changed)[2:]  # one or two turns were taken before the change
    assert {answer.status for answer in later} == {200}


def test_turns_that_nobody_could_take_are_not_made_up_for(port: int) -> None:
    """As many requests as the pace gives, also after a server that held everybody up."""
    with Client(port, Traffic.of([{"is": "good"}], size=1)) as client:
        client.send(Traffic.of([{"is": "good"}], size=1), rate=20)
        began = time.monotonic()
        wait_for(lambda: len(client.answers()) >= 20, 20)
        took = time.monotonic() - began
    assert took > 0.8  # 19 pauses of 50 ms
