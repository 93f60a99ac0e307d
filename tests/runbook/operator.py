"""The person on call: runs the runbook's lines in a shell, on a machine of the test's own.

`docker` is on the path as a small program that hands its words to the test, which restarts the
service or shows its log: what the commands do to a real container is tests/container's to show.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection, Listener
from pathlib import Path

import yaml

from monitoring.drills.base import LIGHT
from registry.configuration import DEFAULT_FILE
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
_IMAGE = "datathon-api:v1.0.0"  # the Bento that it was built from has the same name
_SECONDS = 120


class Operator:
    """Runs commands over a scene, each in a new shell after the lines of the `login`."""

    def __init__(self, scene: Scene, login: Sequence[str]) -> None:
        self._scene = scene
        self._login = login
        self._section = ""
        self._bin = scene.folder / "bin"
        self._bin.mkdir()
        address = str(scene.folder / "docker.sock")
        self._listener = Listener(address, "AF_UNIX")
        docker = self._bin / "docker"
        docker.write_text(_DOCKER.format(python=sys.executable, address=address))
        docker.chmod(0o755)
        ours = ("curl-format.txt", "configuration.yaml")
        self._links = {name: PROJECT / name for name in ours} | {".venv": Path(sys.prefix)}
        for name, target in self._links.items():
            (scene.desk / name).symlink_to(target)
        self._configuration = _light(scene.folder / "light.yaml")
        threading.Thread(target=self._serve, daemon=True).start()

    def turn_to(self, section: str) -> None:
        """Whoever comes to an alert's section has no file that another section made."""
        if section != self._section and section.startswith("Datathon"):
            for path in self._scene.desk.iterdir():
                if path.name not in self._links:
                    path.unlink()
        self._section = section

    def run(self, command: Command) -> "subprocess.CompletedProcess[str]":
        """The line as it stands, but for the port."""
        port = self._scene.server.port
        url = f"http://127.0.0.1:{port}"
        text = command.text.replace("http://localhost:8000", url)
        text = text.replace("monitoring.status", f"monitoring.status --url {url}")
        ours = str(Path(sys.prefix) / "bin")  # that is for the login to bring
        others = [one for one in os.environ["PATH"].split(":") if one != ours]
        extra = {"PATH": ":".join([str(self._bin), *others]), "PYTHONPATH": str(PROJECT)}
        extra["DATATHON_CONFIGURATION"] = str(self._configuration)
        return subprocess.run(
            ["bash", "-c", "\n".join([*self._login, text])],
            cwd=self._scene.desk,
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
            case ["logs", "datathon-api", "--tail", count] | [
                "logs",
                "--tail",
                count,
                "datathon-api",
            ]:
                asked.send((0, "\n".join(server.log.splitlines()[-int(count) :]) + "\n"))
            case ["logs", "--since", _, "datathon-api"]:
                asked.send((0, server.log))
            case ["restart", "datathon-api"]:
                self._scene.restart()
                asked.send((0, "datathon-api\n"))
            case ["inspect", "--format", "{{.Config.Image}}", "datathon-api"]:
                asked.send((0, f"{_IMAGE}\n"))
            case ["stop", "datathon-api"]:
                server.stop()
                asked.send((0, "datathon-api\n"))
            case ["rm", "-f", "datathon-api"]:
                self._scene.remove()
                asked.send((0, "datathon-api\n"))
            case ["run", "-d", "--name", "datathon-api", "-p", "8000:8000", *options, image]:
                self._scene.run(image, _variables(options, self._scene.home))
                asked.send((0, "4c01db0b339c\n"))
            case _:
                asked.send((125, f"the runbook's test knows no `docker {' '.join(words)}`\n"))


def _variables(options: list[str], home: Path) -> dict[str, str]:
    """What the options of `docker run` set in a container that has `home` as its /state."""
    assert options[:2] == ["-v", f"{home}:/state"]
    flags, values = options[2::2], options[3::2]
    assert set(flags) <= {"-e"}
    given = dict(value.split("=", 1) for value in values if "=" in value)
    return {name: value.replace("/state", str(home)) for name, value in given.items()}


def _light(path: Path) -> Path:
    """The product's configuration, but for a training of seconds."""
    content = yaml.safe_load(DEFAULT_FILE.read_text(encoding="utf-8"))
    content["training"] |= LIGHT
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path
