"""A webhook on 127.0.0.1 that keeps what Alertmanager sends, for drills and tests."""

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Notification:
    """One message to one receiver: about one name, and one alert or more of it."""

    receiver: str
    status: str
    name: str
    firing: tuple[dict[str, str], ...]
    resolved: tuple[dict[str, str], ...]
    annotations: dict[str, str]


class Webhook:
    """Listens from entering the block to leaving it; any path is taken."""

    def __init__(self) -> None:
        self._received: list[Notification] = []
        self._arrived = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def notifications(self) -> list[Notification]:
        """All so far, in the order in which they came."""
        with self._arrived:
            return list(self._received)

    def wait(self, name: str, seconds: float, *, status: str = "firing") -> Notification | None:
        """The first notification of that alert, waited for; None where none came in time."""

        def found() -> Notification | None:
            fitting = (one for one in self._received if (one.name, one.status) == (name, status))
            return next(fitting, None)

        with self._arrived:
            self._arrived.wait_for(lambda: found() is not None, seconds)
            return found()

    def _keep(self, notification: Notification) -> None:
        with self._arrived:
            self._received.append(notification)
            self._arrived.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        keep = self._keep

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                try:
                    keep(_notification(body))
                    status = 200
                except (ValueError, KeyError, TypeError, AttributeError):
                    status = 400
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the terminal is the drill's."""

        return Handler


def _notification(body: bytes) -> Notification:
    """What a message of Alertmanager's webhook format, version 4, says."""
    content = json.loads(body)
    by_status: dict[str, list[dict[str, str]]] = {"firing": [], "resolved": []}
    for alert in content["alerts"]:
        by_status[alert["status"]].append(alert["labels"])
    return Notification(
        receiver=content["receiver"],
        status=content["status"],
        name=content["groupLabels"]["alertname"],
        firing=tuple(by_status["firing"]),
        resolved=tuple(by_status["resolved"]),
        annotations=content["alerts"][0]["annotations"],
    )
