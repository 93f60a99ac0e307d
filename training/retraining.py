"""One retraining from rows to a registered challenger, and to a champion where that is asked for.

Everything is found out before anything is registered: who is stopped until then leaves nothing
behind. Of what exists from then on, the comparison is kept whatever comes after it.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from registry import challenge, manifest, pointer, promotion, store
from registry.configuration import Configuration
from registry.errors import (
    GuardrailError,
    IntegrityError,
    RegistryError,
    UnconfirmedError,
    UnknownVersionError,
    UsageError,
)
from registry.pointer import Champion
from registry.register import refuse_existing, register
from registry.state import State
from registry.versions import Version
from training import comparison, comparison_wording, retrain_rows, stopping
from training.contest import Reigning, compare, reign
from training.fit import Progress
from training.retrain_rows import Sources
from training.run import make, telling


@dataclass(frozen=True)
class Plan:
    """What is asked for; `file` is the configuration's own, which goes into the Bento. `promote`
    may be `force`d, which skips the guardrails and needs a reason."""

    version: str
    sources: Sources
    configuration: Configuration
    file: Path
    promote: bool = False
    force: bool = False
    reason: str = ""
    dry_run: bool = False


@dataclass(frozen=True)
class Outcome:
    """The comparison's document, and what the command ends with."""

    document: dict[str, Any]
    exit_code: int = 0
    stopped: bool = False


def run(state: State, plan: Plan, console: Console) -> Outcome:
    """Do it, step by step.

    Raises:
        TrainingError, RegistryError: nothing was registered.
        KeyboardInterrupt: the same; who is stopped later gets an Outcome that says so. After that,
            nothing stops (`stopping.hold`).
    """
    _refuse_early(state, plan)
    with (
        tempfile.TemporaryDirectory(prefix="retrain-") as folder,
        telling(console, "look at the champion") as progress,
    ):
        reigning = reign(state, plan.configuration)
        progress("read the rows")
        gathered = retrain_rows.gather(state, plan.sources, plan.configuration, console, progress)
        artifacts = Path(folder) / "artifacts"
        trained = make(gathered.dataset, gathered.source, plan.configuration, artifacts, progress)
        found = compare(artifacts, trained, reigning, plan.version, plan.configuration, progress)
        document = comparison.document(found, trained, gathered.source) | {
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "notes": list(gathered.notes),
            "dry_run": plan.dry_run,
            "registered": False,
            "promotion": None,
        }
        if plan.dry_run:
            outcome = Outcome(document, _foretold(plan, document))
        else:
            outcome = _commit(state, plan, artifacts, reigning, document, progress)
    outcome.document["next_step"] = comparison_wording.next_step(outcome.document)
    return outcome


def _refuse_early(state: State, plan: Plan) -> None:
    """What would be refused after minutes of work is refused before them."""
    refuse_existing(state, str(Version.parse(plan.version)))
    nearest = next(folder for folder in (state.models, *state.models.parents) if folder.exists())
    if not plan.dry_run and not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        raise UsageError(f"{state.models}: cannot be written; nothing could be registered there")


def _foretold(plan: Plan, document: Mapping[str, Any]) -> int:
    """What a dry run ends with: as a `--promote` would that the guardrails decide."""
    refused = not plan.force and _is_refused(document["verdict"])
    return GuardrailError.exit_code if refused else 0


def _is_refused(verdict: Mapping[str, Any]) -> bool:
    return bool(verdict["status"] != "pass")


def _commit(
    state: State,
    plan: Plan,
    artifacts: Path,
    reigning: Reigning,
    document: dict[str, Any],
    progress: Progress,
) -> Outcome:
    """Register, and promote where that is asked for and allowed."""
    digest = manifest.digest_of(artifacts)
    name = f"{plan.configuration.model.name}:{plan.version}"
    try:
        progress(f"register {name}")
        register(state, artifacts=artifacts, version=plan.version, configuration=plan.file)
        document["registered"] = True
        if plan.promote:
            progress(f"promote {name}")
            document["promotion"] = _promote(state, plan, reigning, document)
        stopping.hold()  # within the try: who stops it until then is told what was registered
    except KeyboardInterrupt:
        if not _is_registered(state, plan, digest):
            raise
        done = _leads(state, plan)
        told = "stopped before every worker was heard of" if done else "stopped"
        document["registered"] = True
        if plan.promote:
            document["promotion"] = {"done": done, "words": "", "problem": told}
        return Outcome(document, 130, stopped=True)
    return Outcome(document, (document["promotion"] or {}).get("exit_code", 0))


def _promote(
    state: State, plan: Plan, reigning: Reigning, document: Mapping[str, Any]
) -> dict[str, Any]:
    """What came of it; never raises what only says that it was not, or not wholly, done."""
    verdict = document["verdict"]

    def judge(champion: Champion | None, stored: store.Stored) -> Mapping[str, Any]:
        found: Mapping[str, Any] = verdict
        if champion != reigning.champion:  # somebody moved it while this one was trained
            found = challenge.judge(
                state, champion=champion, challenger=stored, settings=plan.configuration
            )
        if _is_refused(found):
            raise GuardrailError("the guardrails do not let it take the champion's place")
        return found

    try:
        done = promotion.promote(
            state,
            model=plan.configuration.model.name,
            version=plan.version,
            reason=plan.reason or _reason(document),
            judge=None if plan.force else judge,
        )
    except RegistryError as error:
        moved = isinstance(error, UnconfirmedError)
        return {"done": moved, "words": "", "problem": str(error), "exit_code": error.exit_code}
    except OSError as error:  # a full disk: the version is registered all the same
        problem = f"{error.filename or state.registry}: {error.strerror}"
        return {"done": _leads(state, plan), "words": "", "problem": problem, "exit_code": 1}
    return {"done": True, "words": str(done), "problem": "", "exit_code": 0}


def _reason(document: Mapping[str, Any]) -> str:
    if document["gain"] is None:
        return "retrained; no champion to compare with"
    found = document["gain"]["differences"][document["gain"]["metric"]]
    change = comparison_wording.signed(found["value"])
    return f"retrained: PR-AUC {change} ({comparison_wording.between(found)})"


def _leads(state: State, plan: Plan) -> bool:
    """Whether the version, which is registered, is the champion."""
    champion = pointer.last(state)
    wanted = (plan.configuration.model.name, plan.version)
    return champion is not None and (champion.model, champion.version) == wanted


def _is_registered(state: State, plan: Plan, digest: str) -> bool:
    try:
        return store.get(state, plan.configuration.model.name, plan.version).digest == digest
    except (UnknownVersionError, IntegrityError):
        return False
