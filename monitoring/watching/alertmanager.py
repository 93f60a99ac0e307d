"""An Alertmanager by the product's own template, with the teams' webhooks put in.

Alertmanager reads no environment variables. A receiver whose variable is not set gets no webhook,
rather than a wrong one, and that is said.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import yaml

from monitoring.watching.binaries import Binary, find
from monitoring.watching.ports import free_port
from monitoring.watching.rules import Document
from registry.errors import UsageError
from registry.state import PROJECT

TEMPLATE = PROJECT / "deploy" / "prometheus" / "alertmanager.yml"
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Waits:
    """How long Alertmanager gathers alerts before it notifies, as durations of Prometheus."""

    group_wait: str
    group_interval: str


@dataclass(frozen=True)
class Rendered:
    """A configuration, and one line for each variable that was not set."""

    content: Document
    missing: list[str]


def render(variables: Mapping[str, str], *, waits: Waits | None = None) -> Rendered:
    """deploy/prometheus/alertmanager.yml with the values of its variables.

    Raises:
        UsageError: a value is no http or https URL.
    """
    content: Document = yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))
    missing = []
    for receiver in content["receivers"]:
        receiver["webhook_configs"], unset = _filled(receiver["webhook_configs"], variables)
        missing += [
            f"{name} is not set: nobody is told what receiver {receiver['name']!r} would get"
            for name in unset
        ]
    if waits is not None:
        content["route"]["group_wait"] = waits.group_wait
        content["route"]["group_interval"] = waits.group_interval
    return Rendered(content, missing)


class Alertmanager:
    """`alertmanager` from entering the block to leaving it, without a cluster."""

    def __init__(self, content: Document, folder: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._content = content
        self._folder = folder
        command = [
            find("prometheus-alertmanager", "alertmanager"),
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]
        self._binary = Binary("alertmanager", command, folder / "alertmanager.log")

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        write(self._folder / "alertmanager.yml", self._content)
        self._binary.start(f"http://{self.address}/-/ready")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._binary.end()

    def check(self) -> None:
        """Raises WatchError where the process has ended by itself."""
        self._binary.check()


def write(path: Path, content: Document, *, mode: int = 0o600) -> None:
    """Write a rendered configuration; for the owner only, as webhook URLs are often secrets.

    Raises:
        OSError: it cannot be written.
    """
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        os.fchmod(handle, mode)
        yaml.safe_dump(content, stream, sort_keys=False)


def _filled(
    webhooks: list[Document], variables: Mapping[str, str]
) -> tuple[list[Document], list[str]]:
    filled, unset = [], []
    for webhook in webhooks:
        found = _VARIABLE.fullmatch(webhook["url"])
        name = found[1] if found else None
        value = variables.get(name, "").strip() if name else webhook["url"]
        if name and not value:
            unset.append(name)
            continue
        if not _is_address(value):
            raise UsageError(f"{name or TEMPLATE}: expected http://host… or https://host…")
        filled.append(webhook | {"url": value})
    return filled, unset


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False
