"""A Prometheus, an Alertmanager and a webhook around a service: what drills and tests look through.

with Stack("127.0.0.1:8000", folder, pace=Pace(factor=120, scrape_seconds=0.5)) as stack:
    break_it()
    stack.wait_firing("DatathonErrors", 30)
    assert stack.wait_notified("DatathonErrors", 30).receiver == "on-call"
    assert stack.notified() == {"DatathonErrors"}
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from monitoring.watching import alertmanager
from monitoring.watching.alertmanager import Alertmanager, Waits
from monitoring.watching.binaries import WatchError
from monitoring.watching.prometheus import Alert, Prometheus, Sample
from monitoring.watching.rules import Pace, written
from monitoring.watching.webhook import Notification, Webhook

DRILL = Pace(factor=120, scrape_seconds=0.5)
_POLL_SECONDS = 0.1
# A cause and its symptom may fire an evaluation or two apart; inhibition needs both before the
# first notification, as it does with the 30 s of the real configuration.
_GROUP_WAIT_SCRAPES = 6


class Stack:
    """All three, from entering the block to leaving it; every team's webhook is ours."""

    def __init__(self, targets: str | Sequence[str], folder: Path, *, pace: Pace = DRILL) -> None:
        self._targets = [targets] if isinstance(targets, str) else list(targets)
        self._folder = folder
        self._pace = pace
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            self.webhook = starting.enter_context(Webhook())
            self.alertmanager = starting.enter_context(self._alertmanager())
            self.prometheus = starting.enter_context(
                Prometheus(
                    self._targets,
                    self._folder,
                    alertmanager=self.alertmanager.address,
                    pace=self._pace,
                )
            )
            self._closing = starting.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.close()

    def firing(self) -> set[str]:
        """The names of the alerts that fire in Prometheus, inhibited ones too."""
        return self.prometheus.firing()

    def alerts(self) -> list[Alert]:
        """The alerts that are pending or fire."""
        return self.prometheus.alerts()

    def query(self, expression: str) -> list[Sample]:
        """An instant query."""
        return self.prometheus.query(expression)

    def notifications(self) -> list[Notification]:
        """What came to the webhook, in order: neither inhibited nor still gathered."""
        return self.webhook.notifications()

    def notified(self) -> set[str]:
        """The names of the alerts that somebody was told."""
        return {one.name for one in self.notifications() if one.firing}

    def wait_scraped(self, seconds: float) -> None:
        """Wait until every target has answered a scrape.

        Raises:
            WatchError: one has not in time.
        """
        self._wait(
            lambda: len(self.query('up{job="datathon-api"} == 1')) == len(self._targets),
            seconds,
            "not every target answered a scrape",
        )

    def wait_firing(self, name: str, seconds: float) -> None:
        """Wait until an alert fires.

        Raises:
            WatchError: it does not in time; the message says what is pending or fires instead.
        """
        self._wait(lambda: name in self.firing(), seconds, f"{name} does not fire")

    def wait_quiet(self, name: str, seconds: float) -> None:
        """Wait until an alert does not fire any more.

        Raises:
            WatchError: it still does after that time.
        """
        self._wait(lambda: name not in self.firing(), seconds, f"{name} still fires")

    def wait_notified(self, name: str, seconds: float, *, status: str = "firing") -> Notification:
        """Wait for the first notification of an alert, firing or resolved.

        Raises:
            WatchError: none came in time; the message says what did.
        """
        found = self.webhook.wait(name, seconds, status=status)
        if found is None:
            raise WatchError(f"nobody was told that {name} is {status} in {seconds:g} s; "
                             f"told: {', '.join(sorted(self.notified())) or 'nothing'}; "
                             f"{self._state()}")  # fmt: skip
        return found

    def _alertmanager(self) -> Alertmanager:
        names = ("DATATHON_ONCALL_URL", "DATATHON_TECH_LEAD_URL", "DATATHON_DATA_TEAM_URL")
        wait = written(_GROUP_WAIT_SCRAPES * self._pace.scrape_seconds * 1000)
        rendered = alertmanager.render(
            dict.fromkeys(names, self.webhook.url), waits=Waits(wait, wait)
        )
        return Alertmanager(rendered.content, self._folder)

    def _wait(self, condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise WatchError(f"{otherwise} after {seconds:g} s; {self._state()}")
            time.sleep(_POLL_SECONDS)

    def _state(self) -> str:
        found = ", ".join(f"{alert.name} {alert.state}" for alert in self.alerts())
        return f"now: {found or 'no alert'}"
