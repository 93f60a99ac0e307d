"""`python -m registry`: register, promote, rollback, shadow, list, history, champion, verify."""

import argparse
import io
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from registry import flags, promotion
from registry.errors import RegistryError, UnknownVersionError, UsageError
from registry.state import State

_Run = Callable[[State, argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, else the exit code of the error (see registry.errors)."""
    options = flags.parse(_parser(), arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal without arrows must not fail a move
        sys.stdout.reconfigure(errors="replace")
    try:
        code = int(options.run(State.from_environment(), options))
        sys.stdout.flush()  # here, where whoever reads no further is dealt with
        return code
    except (RegistryError, OSError) as error:
        return flags.tell(error, about="state")
    except KeyboardInterrupt:
        print("stopped; the champion was not moved", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m registry", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    register = _command(commands, "register", "make the BentoML model and the Bento", _register)
    register.add_argument("--version", required=True, help="vX.Y.Z or vX.Y.Z-rc.N")
    register.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    register.add_argument("--dry-run", action="store_true", help="check, but change nothing")

    promote = _command(commands, "promote", "make a version the champion", _promote)
    promote.add_argument("--version", required=True)
    promote.add_argument("--reason", default="")
    promote.add_argument("--model", help="default: the one that has the version")
    promote.add_argument(
        "--force", action="store_true", help="skip the guardrails, never integrity; needs --reason"
    )
    promote.add_argument("--dry-run", action="store_true", help="say what would happen")

    rollback = _command(commands, "rollback", "go back to the last good champion", _rollback)
    rollback.add_argument("--version", help="default: the newest champion not rolled away from")
    rollback.add_argument("--reason", required=True)
    rollback.add_argument("--dry-run", action="store_true", help="say what would happen")

    shadow = _command(commands, "shadow", "score a challenger beside the champion", _shadow)
    shadow.add_argument("--version", help="the challenger; default: say who it is")
    shadow.add_argument("--off", action="store_true", help="score none any more")
    shadow.add_argument("--model", help="default: the one that has the version")
    shadow.add_argument("--dry-run", action="store_true", help="say what would happen")

    for name, words, run in (
        ("list", "every version with its metrics", _list),
        ("history", "every move of the pointer", _history),
        ("champion", "what should be serving", _champion),
        ("verify", "check every version, the pointer and the history", _verify),
    ):
        _command(commands, name, words, run).add_argument("--model")
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    words: str,
    run: _Run,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=words, description=words)
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)
    return command


def _register(state: State, options: argparse.Namespace) -> int:
    from registry import configuration
    from registry.register import register

    done = register(
        state,
        artifacts=options.artifacts,
        version=options.version,
        configuration=configuration.file_in_force(),
        dry_run=options.dry_run,
    )
    if options.json:
        _print_json({"model": done.model, "version": done.version, "digest": done.digest})
    elif options.dry_run:
        print(f"would register {done.model}:{done.version} in {done.folder}")
    else:
        print(f"registered {done.model}:{done.version} and its Bento in {done.folder.parents[2]}")
        print(f"next: python -m registry promote --version {done.version}")
    return 0


def _promote(state: State, options: argparse.Namespace) -> int:
    if not options.force and sys.stderr.isatty():
        print("compare it with the champion on the same held-out rows", file=sys.stderr)
    swap = promotion.promote(
        state,
        model=options.model,
        version=options.version,
        reason=options.reason,
        judge=None if options.force else promotion.guarded(state),
        dry_run=options.dry_run,
    )
    return _show_swap(swap, options)


def _rollback(state: State, options: argparse.Namespace) -> int:
    if not options.reason.strip():
        raise UsageError("a rollback stands in the history: say why with --reason")
    swap = promotion.rollback(
        state, version=options.version, reason=options.reason, dry_run=options.dry_run
    )
    return _show_swap(swap, options)


def _show_swap(swap: promotion.Swap, options: argparse.Namespace) -> int:
    if options.json:
        _print_json(swap.to_dict())
    else:
        for line in promotion.reasons(swap):
            print(f"  {line}")
        would = "would " if swap.move.champion is None else ""
        print(f"{would}{swap.move.action}: {swap}")
    return 0


def _shadow(state: State, options: argparse.Namespace) -> int:
    from registry import shadowing

    if options.off and options.version is not None:
        raise UsageError("give --version or --off, not both")
    if options.off:
        shadow = shadowing.end(state, dry_run=options.dry_run)
    elif options.version is not None:
        shadow = shadowing.begin(
            state, model=options.model, version=options.version, dry_run=options.dry_run
        )
    else:
        shadow = shadowing.current(state)
    if options.json:
        _print_json(shadow.to_dict())
    else:
        print(f"shadow: {shadow}")
    return 0


def _list(state: State, options: argparse.Namespace) -> int:
    from registry import listing

    facts = listing.collect(state, options.model)
    if options.json:
        _print_json(facts)
    else:
        listing.show(facts)
    return 0


def _history(state: State, options: argparse.Namespace) -> int:
    from registry import listing, pointer

    events = [e for e in pointer.events(state) if options.model in (None, e["model"])]
    if options.json:
        _print_json(events)
    else:
        listing.show_history(events)
    return 0


def _champion(state: State, options: argparse.Namespace) -> int:
    from registry import pointer

    champion = pointer.required(state)
    if options.model not in (None, champion.model):
        raise UnknownVersionError(f"the champion is of {champion.model}, not of {options.model}")
    if options.json:
        _print_json(champion.raw)
    else:
        event = champion.event
        reason = f", because: {event.get('reason')}" if event.get("reason") else ""
        print(f"{champion.model}:{champion.version}, generation {champion.generation}")
        print(f"{event.get('action')} by {event.get('by')} at {event.get('at')}{reason}")
    return 0


def _verify(state: State, options: argparse.Namespace) -> int:
    from registry import verification

    findings = verification.verify(state, options.model)
    if options.json:
        _print_json([finding.to_dict() for finding in findings])
    else:
        for finding in findings:
            print(f"{'ok     ' if finding.problem is None else 'BROKEN '} {finding}")
    return 0 if all(finding.problem is None for finding in findings) else 6


def _print_json(content: object) -> None:
    print(json.dumps(content, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was begun is taken back
    sys.exit(main())
