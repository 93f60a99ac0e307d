"""The person on call: runs the runbook's lines in a shell, on a machine of the test's own.

`docker` is on the path as a small program that hands its words to the test, which restarts the
service or shows its log: what the commands do to a real container is tests/container's to show.
"""

import os
import subprocess
import sys
import threading
from multiprocessing.connection import Connection, Listener
from pathlib import Path

from registry.state import PROJECT
from tests.runbook.blocks import Command
from tests.runbook.incidents import Scene
from tests.server import environment

_DOCKER = """#!{python}
import sys
from multiprocessing.connection import Client
with Client({address!r}) as test:
    test.send(sys.argv[1:])
    code, said = test.recv()
sys.stdout.write(said)
sys.exit(code)
"""
_SECONDS = 120


class Operator:
    """Runs commands over a scene, until the end of the block."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._bin = scene.folder / "bin"
        self._bin.mkdir()
        address = str(scene.folder / "docker.sock")
        self._listener = Listener(address, "AF_UNIX")
        docker = self._bin / "docker"
        docker.write_text(_DOCKER.format(python=sys.executable, address=address))
        docker.chmod(0o755)
        (scene.folder / "curl-format.txt").symlink_to(PROJECT / "curl-format.txt")
        threading.Thread(target=self._serve, daemon=True).start()

    def run(self, command: Command) -> "subprocess.CompletedProcess[str]":
        """The line as it stands, but for the port."""
        port = self._scene.server.port
        url = f"http://127.0.0.1:{port}"
        text = command.text.replace("http://localhost:8000", url)
        text = text.replace("monitoring.status", f"monitoring.status --url {url}")
        path = f"{self._bin}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        extra = {"PATH": path, "PYTHONPATH": str(PROJECT)}
        return subprocess.run(
            ["bash", "-c", text],
            cwd=self._scene.folder,
            env=environment(self._scene.home, **extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
        )

    def _serve(self) -> None:
        while True:
            with self._listener.accept() as asked:
                self._answer(asked)

    def _answer(self, asked: Connection) -> None:
        words = asked.recv()
        server = self._scene.server
        match words:
            case ["logs", "datathon-api", "--tail", count]:
                asked.send((0, "\n".join(server.log.splitlines()[-int(count) :]) + "\n"))
            case ["logs", "datathon-api", "--since", _]:
                asked.send((0, server.log))
            case ["restart", "datathon-api"]:
                server.stop()
                server.__enter__()
                asked.send((0, "datathon-api\n"))
            case _:
                asked.send((125, f"the runbook's test knows no `docker {' '.join(words)}`\n"))
