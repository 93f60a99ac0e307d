"""`python -m monitoring.status`: what the person on call asks first, and what to do about it."""

import argparse
import io
import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from rich.live import Live

from monitoring.status import document, gathering, judgement, screen
from monitoring.status.facts import Facts
from monitoring.status.findings import Finding
from registry import flags, terminal
from registry.errors import RegistryError
from registry.state import State

_REFRESH_SECONDS = 2.0
_MOST_SECONDS = 3600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """0 nothing to do, 10 something to look at, 20 act now, 3 cannot tell, 2 usage."""
    options = flags.parse(_parser(), arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal without → must not end a look
        sys.stdout.reconfigure(errors="replace")
    try:
        state = _state()
        return _watch(state, options) if options.watch else _once(state, options)
    except BrokenPipeError:  # `| head` has seen enough; Python would complain at its end again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (RegistryError, OSError) as error:
        return flags.tell(error, about="status")
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m monitoring.status", description=__doc__)
    parser.add_argument(
        "--url", type=_url, default=_url("http://127.0.0.1:8000"), help="default: port 8000 here"
    )
    parser.add_argument(
        "--seconds", type=_seconds, default=1.0, help="how long to count requests; default: 1"
    )
    parser.add_argument("--json", action="store_true", help="print one document (docs/status.md)")
    parser.add_argument("--watch", action="store_true", help="look again every 2 s until Ctrl-C")
    return parser


def _once(state: State, options: argparse.Namespace) -> int:
    facts, findings = _look(state, options.url, options.seconds)
    _print(facts, findings, options)
    return judgement.EXIT_CODES[judgement.status(findings)]


def _watch(state: State, options: argparse.Namespace) -> int:
    """Until Ctrl-C; into a pipe one screen, or one line of JSON, after the other."""
    console = terminal.console(markup=False)
    if options.json or not console.is_terminal:
        for facts, findings in _looks(state, options):
            _print(facts, findings, options)
    with Live("looking …", console=console, auto_refresh=False, screen=True) as live:
        for facts, findings in _looks(state, options):
            live.update(screen.fitted(facts, findings, console), refresh=True)
    return 0


def _looks(
    state: State, options: argparse.Namespace
) -> Iterator[tuple[Facts, tuple[Finding, ...]]]:
    """One every two seconds, or whenever requests were counted so long; the first is sooner."""
    seconds = min(options.seconds, _REFRESH_SECONDS)
    while True:
        began = time.monotonic()
        yield _look(state, options.url, seconds)
        seconds = max(options.seconds, _REFRESH_SECONDS)
        time.sleep(max(0.0, min(seconds, _REFRESH_SECONDS) - (time.monotonic() - began)))


def _print(facts: Facts, findings: tuple[Finding, ...], options: argparse.Namespace) -> None:
    if options.json:
        content = document.make(facts, findings)
        indent = None if options.watch else 1
        print(json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False), flush=True)
    else:
        terminal.console(markup=False).print(screen.draw(facts, findings), emoji=False)
        sys.stdout.flush()


def _look(state: State, url: SplitResult, seconds: float) -> tuple[Facts, tuple[Finding, ...]]:
    facts = gathering.gather(state, url, seconds=seconds)
    return facts, judgement.judge(facts)


def _state() -> State:
    """The state; one that may not even be looked at is told on the screen."""
    try:
        return State.from_environment()
    except OSError:
        return State(Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml").absolute())


def _url(text: str) -> SplitResult:
    whole = text if "//" in text or text.startswith(("http:", "https:")) else f"http://{text}"
    try:
        found = urlsplit(whole)
        known = found.scheme in ("http", "https") and found.hostname and not found.username
        if known and (found.port is None or found.port > 0):
            return found._replace(path=found.path.rstrip("/"), query="", fragment="")
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected http://host:port, got {text!r}")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= _MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"expected seconds from 0 to {_MOST_SECONDS:g}")
    return value


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the terminal is given back
    sys.exit(main())
