"""`python -m registry.image`: the champion's Bento as an image, with docker or podman.

The recipe travels in the Bento (deploy/container/); what depends on who builds is said here: the
backend, how this machine reaches the package index, and whose files the state holds.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from registry import flags, pointer, store
from registry.errors import RegistryError, UsageError
from registry.pip_access import pip_access
from registry.state import BENTO_NAME, State

BACKENDS = ("docker", "podman")
DEFAULT_UID = 1034
_STEP = re.compile(r"\[?(STEP \d+/\d+|#\d+ \[)")
_SHOWN = 100  # columns of a step
_LAST = 15  # lines of a build that failed


@dataclass(frozen=True)
class Image:
    """What was built."""

    tag: str
    backend: str
    size: int  # bytes


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m registry.image", description=__doc__)
    parser.add_argument("--version", help="an exact version; the champion where it is not given")
    parser.add_argument("--backend", choices=BACKENDS, help="what is there where it is not given")
    options = flags.parse(parser, arguments)
    try:
        state = State.from_environment()
        image = build(state, options.version, options.backend)
        print("\n".join(run_lines(state, image)))
    except (RegistryError, OSError) as error:
        return flags.tell(error, about="image")
    except KeyboardInterrupt:
        return 130
    return 0


def build(state: State, version: str | None, backend: str | None) -> Image:
    """Build `datathon-api:<version>`.

    Raises:
        UnknownVersionError: there is no champion, or no such version.
        UsageError: its Bento is gone or has no recipe, or nothing can build an image here.
        RegistryError: the build failed.
    """
    wanted = version or pointer.required(state).version
    name = str(store.find(state, wanted).version)
    if not (state.bentos / name / "env" / "docker" / "Dockerfile.template").is_file():
        raise UsageError(
            f"{state.bentos / name}: no Bento that holds the image's recipe; register the "
            "version's artefacts once more, under a new number"
        )
    chosen = backend or find_backend()
    tag = f"{BENTO_NAME}:{name}"
    with tempfile.TemporaryDirectory() as folder:
        command = _command(tag, chosen, owner_of(state), pip_access(Path(folder)))
        _containerize(command, state, Path(folder))
    return Image(tag, chosen, _size(chosen, tag))


def find_backend() -> str:
    """docker where its daemon answers, else podman.

    Raises:
        UsageError: neither is there.
    """
    if shutil.which("docker"):
        asked = ["docker", "version", "--format", "{{.Server.Version}}"]
        if subprocess.run(asked, capture_output=True).returncode == 0:
            return "docker"
    if shutil.which("podman"):
        return "podman"
    raise UsageError("an image needs docker with a running daemon, or podman: install one of them")


def owner_of(state: State) -> tuple[int, int]:
    """Whom the container runs as: the state's owner, so that a mount needs nothing else; never
    root."""
    facts = state.home.stat()
    return (facts.st_uid, facts.st_gid) if facts.st_uid else (DEFAULT_UID, DEFAULT_UID)


def run_lines(state: State, image: Image) -> list[str]:
    """What to type next."""
    run = [image.backend, "run", "-d", "--name", BENTO_NAME, "-p", "8000:8000"]
    if image.backend == "podman" and os.geteuid() != 0:
        run += ["--userns", "keep-id"]
    run += ["-v", f"{state.home}:/state", image.tag]
    lines = [f"{image.tag}: {image.size / 1e6:.0f} MB, run it with"]
    if state.home.stat().st_uid == 0:
        owner = f"{DEFAULT_UID}:{DEFAULT_UID}"
        lines.append(f"  chown -R {owner} {shlex.quote(str(state.home))}   # once: it is root's")
    return [*lines, f"  {shlex.join(run)}"]


def _command(
    tag: str, backend: str, owner: tuple[int, int], secrets: Sequence[tuple[str, Path]]
) -> list[str]:
    command = [str(Path(sys.executable).parent / "bentoml"), "containerize", tag, "-t", tag]
    command += ["--backend", backend]
    options = [f"build-arg=STATE_UID={owner[0]}", f"build-arg=STATE_GID={owner[1]}"]
    options += [f"secret=id={name},src={path}" for name, path in secrets]
    if backend == "podman":
        options.append("format=docker")  # podman's own format has no HEALTHCHECK
    return command + [word for option in options for word in ("--opt", option)]


def _containerize(command: Sequence[str], state: State, folder: Path) -> None:
    """Run BentoML in the folder that it unpacks the Bento in: it takes no recipe from outside the
    current one."""
    environment = os.environ | {
        "BENTOML_HOME": str(state.home),
        "BENTOML_DO_NOT_TRACK": "True",
        "TMPDIR": str(folder),
    }
    lines: list[str] = []
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.strip())
            if _STEP.search(line):
                print(line.strip()[:_SHOWN], flush=True)
    if process.returncode != 0:
        print("\n".join(_before_traceback(lines)[-_LAST:]), file=sys.stderr)
        raise RegistryError("the image could not be built: see the builder's last lines above")


def _before_traceback(lines: Sequence[str]) -> list[str]:
    """What the builder said; BentoML adds its own stack."""
    end = next((n for n, line in enumerate(lines) if line.startswith("Traceback")), len(lines))
    return [line for line in lines[:end] if line]


def _size(backend: str, tag: str) -> int:
    command = [backend, "image", "inspect", "--format", "{{.Size}}", tag]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RegistryError(f"{tag} was built and cannot be found: {done.stderr.strip()[:300]}")
    return int(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
