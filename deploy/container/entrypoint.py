"""What the container runs: `bentoml serve` over the mounted state.

BentoML ends in a traceback where it cannot read its home or make its folders there. So the state is
looked at first; while it cannot be used, one line in the log and /health say why, and the server
starts as soon as it can be.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import FrameType

_PORT = 8000
_MADE_BY_BENTOML = ("bentos", "models", "envs", "tmp")
_LOOK_SECONDS = 1.0


def main() -> int:
    signal.signal(signal.SIGTERM, _end)  # as process 1 it would be ignored
    signal.signal(signal.SIGINT, _end)
    state = Path(os.environ["BENTOML_HOME"])
    reason = problem_of(state)
    if reason is not None:
        _say("ERROR", f"{reason}; it serves as soon as it can")
        _answer_until_usable(state)
    for warning in _warnings(state):
        _say("WARNING", warning)
    command = ["bentoml", "serve", os.environ["BENTO_PATH"]]
    os.execvp("bentoml", [*command, "--host", "0.0.0.0", "--port", str(_PORT)])


def problem_of(state: Path) -> str | None:
    """Why `bentoml serve` cannot start over this state; None where it can."""
    if not _can_enter(state):
        return f"{state} cannot be read by {_whoami()}; {_remedy(state)}"
    for name in (*_MADE_BY_BENTOML, "registry"):
        folder = state / name
        if folder.exists() and not _can_enter(folder):
            return f"{folder} cannot be read by {_whoami()}; {_remedy(state)}"
        if name in _MADE_BY_BENTOML and not folder.exists() and not os.access(state, os.W_OK):
            return f"{folder} cannot be made by {_whoami()}; {_remedy(state)}"
    return None


def _warnings(state: Path) -> Iterator[str]:
    if not state.is_mount():
        yield f"nothing is mounted at {state}: the image's own model serves, and no log is kept"
        return
    if not (state / "registry" / "champion.json").exists():
        yield f"no champion in {state}: the image's own model serves until one is promoted"
    if not os.access(state, os.W_OK):
        yield (
            f"{state} cannot be written by {_whoami()}: predictions are not logged, and commands "
            f"cannot see the workers; {_remedy(state)}"
        )


def _can_enter(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK)


def _whoami() -> str:
    return f"uid {os.getuid()}"


def _remedy(state: Path) -> str:
    owner = state.stat()
    if owner.st_uid == os.getuid():
        return "mount it writable, and see that its owner may read it"
    if owner.st_uid == 0:
        return f"on the host: chown -R {os.getuid()}:{os.getgid()} the mounted folder"
    return f"run with --user {owner.st_uid}:{owner.st_gid}, its owner"


class _Unavailable(BaseHTTPRequestHandler):
    """Answers everything with 503 and the reason, in the service's own shapes."""

    timeout = 5.0
    reason = ""

    def do_GET(self) -> None:
        content: dict[str, object] = {"error": self.reason, "detail": []}
        if self.path == "/health":
            content = {"status": "unavailable", "model_loaded": False, "model_version": None}
            content |= {"generation": None, "reason": self.reason}
        body = json.dumps(content).encode()
        self.send_response(503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """The one line at the start has said it."""


def _answer_until_usable(state: Path) -> None:
    with HTTPServer(("0.0.0.0", _PORT), _Unavailable) as server:
        server.timeout = _LOOK_SECONDS
        while (reason := problem_of(state)) is not None:
            _Unavailable.reason = reason
            server.handle_request()


def _say(level: str, message: str) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
    line = {"ts": now, "level": level, "logger": "container", "message": message}
    print(json.dumps(line), flush=True)


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
