"""`python -m monitoring.forget`: one entity's rows out of the inference log, the log of what
challengers said of them, and the labels."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from monitoring.log.writing import SECRET_VARIABLE, EntityKeys
from registry import flags, terminal
from registry.errors import RegistryError, UsageError
from registry.state import State

_KEPT = (
    "registered versions keep counts over all their rows, and rows that name no entity; a label "
    "that was imported by prediction_id stays where its prediction has left the log, for nothing "
    "says whose it is; rows that evaluated a version (registry/held_out) have numbers and no ids: "
    "delete vX.Y.Z.parquet if they must go, and that version is promoted with --force only; a row "
    "that waits in a service for the challenger's score is logged later: end the shadow first "
    "(`python -m registry shadow --off`) or run this again; reports that are written keep "
    "prediction and request ids and new levels: delete them under reports/ if they must go; "
    "backups of the state are not reached: restore one, and this has to be run again; a file of "
    "labels that has the entity brings its labels back when it is imported again: take it out there"
)


NOTHING_FOUND = 3  # as of a lookup: an erasure with a wrong id or secret must not look done


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done; 2 usage; 3 nothing found; 5 somebody else is at work on the log or labels."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.forget", description=__doc__)
    parser.add_argument("--entity", required=True, metavar="ID", help="as sent in entity_id")
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = flags.parse(parser, arguments)
    try:
        return _forget(options.entity, dry_run=options.dry_run, as_json=options.json)
    except (RegistryError, OSError) as error:
        return flags.tell(error, about="inference log")
    except KeyboardInterrupt:
        print("stopped; run it again to finish", file=sys.stderr)
        return 130


def _forget(entity: str, *, dry_run: bool, as_json: bool) -> int:
    from monitoring.log import erasure  # pandas takes a second

    key = EntityKeys.from_environment().key(entity)
    if key is None:
        raise UsageError(
            f"{SECRET_VARIABLE} is not set; rows are found by a key that is made with the secret "
            "of the service, so run this with the same one"
        )
    done = erasure.erase(State.from_environment(), key, dry_run=dry_run)
    if as_json:
        print(json.dumps({"dry_run": dry_run, **asdict(done)}, indent=1))
    if not done:
        told = "nothing found; is it the id as sent, and the secret of the service?"
        print(told, file=sys.stderr)
        return NOTHING_FOUND
    if as_json:
        return 0
    console = terminal.console(markup=False)
    console.print(
        f"{'would remove' if dry_run else 'removed'} {done.log_rows} row(s) from {done.log_files} "
        f"file(s) of the inference log, {done.label_rows} label(s) from {done.label_files} file(s) "
        f"and {done.shadow_rows} row(s) from {done.shadow_files} file(s) of the shadow log",
        soft_wrap=True,
    )
    console.print(_KEPT, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
