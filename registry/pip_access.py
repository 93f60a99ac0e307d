"""How this machine's pip reaches the package index, as secrets for an image's build: they are in
reach of one step and in no layer, and no address stands in a file of the project."""

import ast
import os
import subprocess
import sys
from pathlib import Path

_KEPT = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
_BUNDLE_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
_BUNDLE_INSIDE = "/run/ca-bundle.pem"


def pip_access(folder: Path) -> list[tuple[str, Path]]:
    """Write into `folder` a pip.conf, and name it and the bundle of trusted certificates, if this
    machine has one of its own, by their ids in Dockerfile.j2."""
    settings = _settings()
    kept = {name: settings[name] for name in _KEPT if name in settings}
    if "extra-index-url" in kept:  # a folder of this machine is not in reach of the build
        urls = [url for url in kept["extra-index-url"].split() if not url.startswith("file:")]
        kept["extra-index-url"] = " ".join(urls)
    secrets = []
    bundle = settings.get("cert") or _bundle_of_environment()
    if bundle is not None and Path(bundle).is_file():
        kept["cert"] = _BUNDLE_INSIDE
        secrets.append(("ca-bundle", Path(bundle).resolve()))
    lines = [f"{name} = {value}" for name, value in kept.items() if value]
    path = folder / "pip.conf"
    path.write_text("\n".join(["[global]", *lines, ""]), encoding="utf-8")
    return [("pip-conf", path), *secrets]


def _settings() -> dict[str, str]:
    """pip's settings, those of the environment over those of files."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True)
    found = {}
    for line in sorted(done.stdout.splitlines(), reverse=True):  # ":env:" sorts before "global"
        key, equals, value = line.partition("=")
        if equals:
            found[key.rpartition(".")[2]] = str(ast.literal_eval(value))
    return found


def _bundle_of_environment() -> str | None:
    return next((os.environ[name] for name in _BUNDLE_VARIABLES if os.environ.get(name)), None)
