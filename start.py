"""What `make serve` runs: a champion if there is none yet, then `bentoml serve`, then the lines
that a person needs next."""

import argparse
import fcntl
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from registry import configuration, flags, pointer, store
from registry.errors import RegistryError
from registry.state import PROJECT, State, hand_over, make_folder, open_file

FIRST_VERSION = "v1.0.0"
_READY_SECONDS = 120.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by a proxy


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python start.py", description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 to be reached from outside")
    options = parser.parse_args(arguments)
    try:
        state = State.from_environment()
        configuration.load()  # a wrong one is told here in a line, and by BentoML in a page
        _refuse_busy(options.host, options.port)
        _ensure_champion(state)
        return _serve(options.host, options.port)
    except (RegistryError, OSError) as error:
        return flags.tell(error, about="state")
    except KeyboardInterrupt:
        return 130


class _StartError(RegistryError):
    pass


def _refuse_busy(host: str, port: int) -> None:
    if not 1 <= port <= 65535:
        raise _StartError(f"port {port}: expected 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise _StartError(
                f"port {port} on {host}: {error.strerror}; choose another: make serve PORT=8001"
            ) from error


def _ensure_champion(state: State) -> None:
    """Train on the bundled cohort, register and promote, unless a version was ever promoted.

    Raises:
        IntegrityError: there is a pointer and it cannot be read.
    """
    if pointer.read(state) is not None:
        return
    with _alone(state):
        if pointer.read(state) is not None:  # another start was first
            return
        artifacts = state.registry / "first-artifacts"
        named = ["--version", FIRST_VERSION]
        steps = {
            "train": ["training.train", "--output", str(artifacts)],
            "register": ["registry", "register", *named, "--artifacts", str(artifacts)],
            "promote": ["registry", "promote", *named, "--reason", "first version"],
        }
        if _is_registered(state):  # stopped between register and promote the last time
            steps = {"promote": steps["promote"]}
        print(f"no champion yet in {state.home}: {', '.join(steps)} {FIRST_VERSION}")
        for number, (name, step) in enumerate(steps.items(), 1):
            print(f"[{number}/{len(steps)}] {name}", flush=True)
            done = subprocess.run([sys.executable, "-m", *step], cwd=PROJECT)
            if done.returncode != 0:
                raise _StartError(f"could not {name} the first version, see above")
            if name == "train":  # a start of the owner's replaces what a killed one leaves
                hand_over(artifacts)
        shutil.rmtree(artifacts, ignore_errors=True)  # the registered version holds them


@contextmanager
def _alone(state: State) -> Iterator[None]:
    """One start at a time makes the first version; the others wait for it."""
    make_folder(state.registry)
    with os.fdopen(open_file(state.registry / ".start.lock", os.O_RDWR), "r+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another start is making the first version; wait for it", flush=True)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _is_registered(state: State) -> bool:
    try:
        store.find(state, FIRST_VERSION)
    except RegistryError:
        return False
    return True


def _serve(host: str, port: int) -> int:
    command = [str(Path(sys.executable).parent / "bentoml"), "serve", ".", "--port", str(port)]
    command += ["--host", host]
    server = subprocess.Popen(command, cwd=PROJECT)
    # Ctrl-C reaches the server too, as it is in the same process group; wait for its clean end.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
    if _wait_ready(server, address):
        _print_next_lines(address)
    code = server.wait()
    print("stopped" if code in (0, -signal.SIGINT, -signal.SIGTERM) else f"ended with {code}")
    return 0 if code in (0, -signal.SIGINT, -signal.SIGTERM) else 1


def _wait_ready(server: "subprocess.Popen[bytes]", address: str) -> bool:
    deadline = time.monotonic() + _READY_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with _DIRECT.open(f"{address}/readyz", timeout=2):
                return True
        except OSError:
            time.sleep(0.1)
    if server.poll() is None:
        print(f"error: not ready after {_READY_SECONDS:g} s; see {address}/health", file=sys.stderr)
    return False


def _print_next_lines(address: str) -> None:
    try:
        with _DIRECT.open(f"{address}/metadata", timeout=10) as response:
            metadata = json.load(response)
    except OSError:  # stopped right after it was ready
        return
    row = json.dumps({"instances": metadata["example"]["instances"][:1]}, ensure_ascii=False)
    lines = [
        "",
        f"serving {metadata['model']} {metadata['model_version']} at {address} (Ctrl-C stops it)",
        f"  curl {address}/health",
        f"  curl {address}/metadata",
        f"  curl -H 'Content-Type: application/json' {address}/predict -d {shlex.quote(row)}",
        "",
    ]
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    sys.exit(main())
