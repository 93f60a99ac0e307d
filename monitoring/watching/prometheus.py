"""A Prometheus that watches given services by the product's own configuration and rules."""

import shutil
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from monitoring.watching import rules as alerting
from monitoring.watching.binaries import Binary, fetch_json, find, wait_until
from monitoring.watching.ports import free_port
from monitoring.watching.rules import Document, Pace
from registry.errors import UsageError
from registry.state import PROJECT

CONFIGURATION = PROJECT / "deploy" / "prometheus" / "prometheus.yml"
_SCRAPE_TIMEOUT_SECONDS = 10.0
_RESEND_SCRAPES = 4


@dataclass(frozen=True)
class Sample:
    """One series of an answer, at the moment of the query."""

    labels: dict[str, str]
    value: float


@dataclass(frozen=True)
class Alert:
    """An alert that is pending or fires."""

    labels: dict[str, str]
    annotations: dict[str, str]
    state: str

    @property
    def name(self) -> str:
        return self.labels["alertname"]


def target(text: str) -> str:
    """`host:port` as it was given.

    Raises:
        UsageError: it is something else, such as a URL.
    """
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isdigit() and 1 <= int(port) <= 65535) or "/" in text:
        raise UsageError(f"target {text!r}: expected host:port, such as 127.0.0.1:8000")
    return text


def configuration(
    targets: Sequence[str], alertmanager: str | None, *, scrape_seconds: float | None = None
) -> Document:
    """deploy/prometheus/prometheus.yml for other addresses; without `scrape_seconds` as often."""
    content: Document = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    if scrape_seconds is not None:
        interval = alerting.written(scrape_seconds * 1000)
        timeout = alerting.written(min(scrape_seconds, _SCRAPE_TIMEOUT_SECONDS) * 1000)
        content["global"] |= {
            "scrape_interval": interval,
            "evaluation_interval": interval,
            "scrape_timeout": timeout,
        }
    (scrape,) = content["scrape_configs"]
    scrape["static_configs"] = [{"targets": [target(text) for text in targets]}]
    if alertmanager is None:
        del content["alerting"]
    else:
        content["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    return content


class Prometheus:
    """`prometheus` from entering the block to leaving it; its data stays in `folder`."""

    def __init__(
        self,
        targets: Sequence[str],
        folder: Path,
        *,
        alertmanager: str | None = None,
        pace: Pace | None = None,
        rules: Document | None = None,
    ) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._folder = folder
        self._targets = len(set(targets))
        self._pace = pace or Pace()
        self._rules = alerting.read() if rules is None else rules
        self._content = configuration(
            targets, alertmanager, scrape_seconds=self._pace.scrape_seconds
        )
        command = [
            find("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={self.address}",
            "--log.level=warn",
        ]
        if self._pace.factor != 1:
            # An alert ends by itself in Alertmanager after four times as long without news.
            again = alerting.written(_RESEND_SCRAPES * self._pace.scrape_seconds * 1000)
            command.append(f"--rules.alert.resend-delay={again}")
        self._binary = Binary("prometheus", command, folder / "prometheus.log")

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        _write(self._folder / "rules.yml", alerting.shortened(self._rules, self._pace))
        first = self._content if self._pace.factor == 1 else self._content | {"rule_files": []}
        _write(self._folder / "prometheus.yml", first)
        self._binary.start(f"http://{self.address}/-/ready")
        if self._pace.factor != 1:
            try:
                self._add_rules()
            except BaseException:
                self._binary.end()
                raise
        return self

    def _add_rules(self) -> None:
        """Prometheus scrapes for the first time five seconds after its start, which shortened rules
        would take for a service that is gone. It forgets its Alertmanager for as long when it reads
        its configuration, and drops what it has to tell."""
        scraped = 'up{job="datathon-api"}'
        wait_until(lambda: len(self.query(scraped)) == self._targets, "nothing was scraped")
        _write(self._folder / "prometheus.yml", self._content)
        self._binary.reload()
        wait_until(lambda: bool(self._get("rules")["groups"]), "the rules were not read")
        if "alerting" in self._content:
            wait_until(
                lambda: bool(self._get("alertmanagers")["activeAlertmanagers"]),
                "Prometheus does not know its Alertmanager",
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._binary.end()

    def query(self, expression: str) -> list[Sample]:
        """The instant vector (or scalar) that an expression is now.

        Raises:
            WatchError: Prometheus does not answer, or not to that.
        """
        answer = self._get("query", query=expression)
        if answer["resultType"] == "scalar":
            return [Sample({}, float(answer["result"][1]))]
        return [Sample(one["metric"], float(one["value"][1])) for one in answer["result"]]

    def alerts(self) -> list[Alert]:
        """Every alert that is pending or fires, by name and instance."""
        found = [
            Alert(one["labels"], one["annotations"], one["state"])
            for one in self._get("alerts")["alerts"]
        ]
        return sorted(found, key=lambda alert: (alert.name, alert.labels.get("instance", "")))

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        return {alert.name for alert in self.alerts() if alert.state == "firing"}

    def check(self) -> None:
        """Raises WatchError where the process has ended by itself."""
        self._binary.check()

    def _get(self, what: str, **parameters: str) -> Any:
        self._binary.check()
        query = urllib.parse.urlencode(parameters)
        return fetch_json(f"http://{self.address}/api/v1/{what}?{query}")["data"]


def write_beside(folder: Path, content: Document) -> None:
    """A Prometheus' whole configuration: its file, and the rules as they are."""
    _write(folder / "prometheus.yml", content)
    shutil.copyfile(alerting.RULES, folder / "rules.yml")


def _write(path: Path, content: Document) -> None:
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
    path.write_text(text, encoding="utf-8")
