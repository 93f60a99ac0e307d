"""One drill while it runs: a service with its client and its Prometheus, and the stages it goes
through. A stage that does not come about as it should ends the drill with its name."""

import shlex
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from monitoring.drills.base import Base
from monitoring.drills.client import Client
from monitoring.drills.errors import DrillError
from monitoring.drills.running import Ran, run
from monitoring.drills.service import Service
from monitoring.drills.timeline import Command, Stage, StageName, tally
from monitoring.status import remedies
from monitoring.watching.stack import Stack
from registry.state import State

_FIRED = 'count by (alertname) (count_over_time(ALERTS{{alertstate="firing"}}[{since}s]))'
_POLL_SECONDS = 0.05
_CALM_SECONDS = 2.0
_CALM_REQUESTS = 3
_ALERT_SECONDS = 120.0
_RECOVERY_SECONDS = 90.0
_TOLD_SECONDS = 30.0

Say = Callable[[str], None]


@dataclass
class Scene:
    """What a drill's plot works with. `say` tells a person what goes on; `alert` is the one that
    the fault is to raise."""

    alert: str
    folder: Path
    base: Base
    service: Service
    client: Client
    stack: Stack
    environment: Mapping[str, str]
    say: Say
    stages: list[Stage] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stage: StageName = "start"
    settled: float | None = None
    _told_before: int = 0
    _faulted: float | None = None
    _entered: float = field(default_factory=time.monotonic)

    @property
    def state(self) -> State:
        return State(self.folder / "home")

    @contextmanager
    def during(self, name: StageName) -> Iterator[None]:
        """A stage, until the end of the block; the fault's end is second 0 of the timeline."""
        self.stage, self._entered = name, time.monotonic()
        yield
        now = time.monotonic()
        if name == "fault":
            self._faulted = now
        ended = now - (now if self._faulted is None else self._faulted)
        statuses = tally(
            [a.status for a in self.client.answers() if self._entered <= a.ended < now]
        )
        self.stages.append(Stage(name, ended, statuses))
        failed = self.stages[-1].failed
        lost = f", {failed} of {self.stages[-1].requests} requests failed" if failed else ""
        self.say(f"{_TOLD[name]} at {ended:.1f} s{lost}" if name != "start" else "calm")

    def settle(self) -> None:
        """Wait until the client is answered, Prometheus sees it, and nothing fires."""
        with self.during("start"):
            self.stack.wait_scraped(_ALERT_SECONDS)
            self.wait(lambda: not self.stack.alerts(), _ALERT_SECONDS, "alerts before any fault")
            self.wait_calm()
        self._told_before = len(self.stack.notifications())
        self.settled = time.monotonic()

    def fired(self) -> tuple[str, ...]:
        """The alerts that fired since all was calm, silenced ones too."""
        if self.settled is None:
            return ()
        since = max(1, round(time.monotonic() - self.settled))
        found = self.stack.query(_FIRED.format(since=since))
        return tuple(sorted(sample.labels["alertname"] for sample in found))

    def told(self) -> tuple[str, ...]:
        """The alerts that reached the webhook since all was calm, which silenced ones do not."""
        if self.settled is None:
            return ()
        found = self.stack.notifications()[self._told_before :]
        return tuple(sorted({one.name for one in found if one.firing}))

    def wait_alert(self, seconds: float = _ALERT_SECONDS) -> None:
        """Wait until the alert fires."""
        with self.during("alert"):
            self.stack.wait_firing(self.alert, seconds)
            self.say(f"  {self.alert} fires")

    def wait_resolved(self, seconds: float = _RECOVERY_SECONDS) -> None:
        """Wait until the alert does not fire any more."""
        with self.during("resolution"):
            self.stack.wait_quiet(self.alert, seconds)

    @contextmanager
    def diagnosing(self) -> Iterator[None]:
        """The stage of the diagnosis; before it ends, somebody has been told of the alert."""
        with self.during("diagnosis"):
            yield
            told = self.stack.wait_notified(self.alert, _TOLD_SECONDS)
            self.notes.append(f"{self.alert} was told to {told.receiver}")

    def run(self, *words: str, expect: int | Collection[int] = 0) -> Ran:
        """Run a command of the runbook and keep it in the timeline.

        Raises:
            DrillError: its exit code is none of the expected.
        """
        return self._kept(run(words, self.environment), expect)

    def shell(self, line: str, *, expect: int | Collection[int] = 0) -> Ran:
        """The same for a line with pipes. Its `docker logs` shows what the service printed."""
        docker = f"docker() {{ cat {shlex.quote(str(self.service.log))}; }}"
        done = run(["bash", "-c", f"{docker}\n{line}"], self.environment)
        return self._kept(replace(done, text=line), expect)

    def meanwhile(self, *words: str) -> None:
        """`python -m words`, which others run: no command of whoever is on call.

        Raises:
            DrillError: it failed.
        """
        done = run(["python", "-m", *words], self.environment)
        if done.exit_code != 0:
            raise DrillError(f"{done.text}: exit {done.exit_code}: {done.last_line}")

    def _kept(self, done: Ran, expect: int | Collection[int]) -> Ran:
        self.commands.append(Command(self.stage, done.text, done.seconds, done.exit_code))
        self.say(f"  $ {done.text}   [{done.seconds:.1f} s, exit {done.exit_code}]")
        (self.folder / f"command-{len(self.commands)}.txt").write_text(done.output)
        if done.exit_code not in ({expect} if isinstance(expect, int) else expect):
            raise DrillError(
                f"{done.text}: exit {done.exit_code}, expected {expect}: {done.last_line}"
            )
        return done

    def python(self, module: str, *words: str, expect: int | Collection[int] = 0) -> Ran:
        """`python -m module words`."""
        return self.run("python", "-m", module, *words, expect=expect)

    def status(self, *, seconds: float = 2) -> None:
        """Ask `monitoring.status`, which counts requests for so long and has to name the alert.

        Raises:
            DrillError: it does not.
        """
        words = ["--url", self.service.url, "--seconds", f"{seconds:g}"]
        said = self.python("monitoring.status", *words, expect=(10, 20))
        if self.alert.lower() not in said.output.lower():  # as the runbook's anchor
            raise DrillError(f"the status does not name {self.alert}: {said.last_line}")

    def note(self, words: str) -> None:
        """Keep something that was seen, and say it."""
        self.notes.append(words)
        self.say(f"  {words}")

    def wait(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until it is so.

        Raises:
            DrillError: it is not in time; `what` says what there is instead.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise DrillError(f"{what} after {seconds:g} s")
            time.sleep(_POLL_SECONDS)

    def wait_calm(self, seconds: float = _RECOVERY_SECONDS) -> None:
        """Wait until all requests of the last two seconds were answered with 200."""
        since = time.monotonic()

        def calm() -> bool:
            recent = self.client.answers(max(since, time.monotonic() - 2 * _CALM_SECONDS))
            return (
                len(recent) >= _CALM_REQUESTS
                and all(answer.status == 200 for answer in recent)
                and recent[-1].ended - recent[0].began >= _CALM_SECONDS
            )

        self.wait(calm, seconds, "requests still fail")

    def wait_health(self, version: str, workers: int, seconds: float = _RECOVERY_SECONDS) -> None:
        """Wait until so many workers live, and all of them serve the version and are well."""
        expected = 'min(datathon_worker_serving{job="datathon-api"}) == 1 and '
        expected += 'max(datathon_worker_degraded{job="datathon-api"}) == 0'

        def well() -> bool:
            health = self.service.health()
            return (
                len(self.service.workers()) == workers
                and health is not None
                and (health["status"], health["model_version"]) == ("ok", version)
                and bool(self.stack.query(expected))
            )

        self.wait(well, seconds, f"not all {workers} workers serve {version}")

    def restart(self) -> None:
        """What `docker restart` does to a container, which a drill has not: the service's processes
        end and come anew."""
        began = time.monotonic()
        self.service.stop()
        self.service.start()
        seconds = time.monotonic() - began
        self.commands.append(Command(self.stage, remedies.RESTART, seconds, 0))
        self.say(f"  $ {remedies.RESTART}   [{seconds:.1f} s]")


_TOLD: dict[StageName, str] = {
    "start": "calm",
    "fault": "fault",
    "alert": "alert",
    "diagnosis": "diagnosed",
    "recovery": "recovered",
    "resolution": "resolved",
}
