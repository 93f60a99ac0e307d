"""`python -m monitoring.watch`: Prometheus and Alertmanager around a running service, until Ctrl-C,
and a line here whenever an alert begins or ends. Data stays in watch/ under BENTOML_HOME."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType

from monitoring.rendering.printable import printable_text
from monitoring.watching import alertmanager, prometheus
from monitoring.watching.alertmanager import Alertmanager
from monitoring.watching.prometheus import Alert, Prometheus
from registry import flags
from registry.errors import RegistryError
from registry.state import State, exclusive

_LOOK_SECONDS = 1.0
_BUSY_SECONDS = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """130 after Ctrl-C, 1 what is needed is not installed or ended, 2 usage, 5 already running."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.watch", description=__doc__)
    parser.add_argument(
        "--target",
        action="append",
        metavar="HOST:PORT",
        help="a service; may be repeated; default: 127.0.0.1:8000",
    )
    options = flags.parse(parser, arguments)
    try:
        with _ending():
            _watch(State.from_environment(), options.target or ["127.0.0.1:8000"])
    except (RegistryError, OSError) as error:
        return flags.tell(error, about="watch")
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


def _watch(state: State, targets: Sequence[str]) -> None:
    for text in targets:
        prometheus.target(text)
    rendered = alertmanager.render(os.environ)
    folder = state.home / "watch"
    with exclusive(folder / ".lock", busy=f"{folder} is in use by another watch",
                   seconds=_BUSY_SECONDS):  # fmt: skip
        notifier = Alertmanager(rendered.content, folder)
        watcher = Prometheus(targets, folder, alertmanager=notifier.address)
        with notifier, watcher:
            print(f"watching {', '.join(targets)} (Ctrl-C stops it)")
            print(f"  Prometheus    http://{watcher.address}/alerts")
            print(f"  Alertmanager  http://{notifier.address}")
            for line in rendered.missing:
                print(f"warning: {line}", file=sys.stderr)
            sys.stdout.flush()
            _tell_changes(watcher, notifier)


def _tell_changes(watcher: Prometheus, notifier: Alertmanager) -> None:
    told: dict[str, Alert] | None = None
    while True:
        notifier.check()
        now = {_key(alert): alert for alert in watcher.alerts() if alert.state == "firing"}
        for line in _changes(told, now):
            print(f"{datetime.now(UTC):%H:%M:%SZ}  {line}", flush=True)
        told = now
        time.sleep(_LOOK_SECONDS)


def _key(alert: Alert) -> str:
    return " ".join([alert.name, alert.labels.get("instance", "")]).rstrip()


def _changes(before: dict[str, Alert] | None, now: dict[str, Alert]) -> Iterator[str]:
    """What to say; the first look says that nothing fires where nothing does."""
    if not now and before != {}:
        yield from (f"ended   {key}" for key in sorted(before or ()))
        yield "nothing fires"
        return
    for key in sorted(set(before or ()) - set(now)):
        yield f"ended   {key}"
    for key in sorted(set(now) - set(before or ())):
        labels, notes = now[key].labels, now[key].annotations
        summary = printable_text(notes["summary"])
        yield (
            f"{labels['severity']:<6}  {key} ({labels['team']}): {summary}\n"
            f"           run: {notes['command']}\n"
            f"           see: {notes['runbook']}"
        )


@contextmanager
def _ending() -> Iterator[None]:
    """A closed terminal and a stop by the system end us as Ctrl-C does, with what we started."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    caught = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in caught}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
