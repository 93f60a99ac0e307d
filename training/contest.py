"""Champion and challenger on the rows that evaluate the challenger: the guardrails' verdict, and
what is gained."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitoring.performance.evaluation import evaluate
from registry import challenge, held_out, loaded, manifest, pointer
from registry.configuration import Configuration
from registry.errors import GuardrailError
from registry.guardrails import Rows, Scored
from registry.held_out import HeldOut
from registry.loaded import LoadedVersion
from registry.pointer import Champion
from registry.state import State
from training import gain
from training.comparison import Comparison, View
from training.fit import Progress, Trained
from training.gain import Gain


@dataclass(frozen=True)
class Reigning:
    """Who would be replaced: None and no `problem` where nobody is; `ready` is None where it
    cannot be compared with, and `problem` says why."""

    champion: Champion | None
    ready: LoadedVersion | None = None
    problem: str = ""


def reign(state: State, configuration: Configuration) -> Reigning:
    """Load who serves now, or who did last."""
    champion = pointer.last(state)
    if champion is None:
        return Reigning(None)
    try:
        ready = challenge.load_champion(state, champion, configuration.model.name)
    except GuardrailError as error:
        return Reigning(champion, problem=str(error))
    return Reigning(champion, ready)


def compare(
    artifacts: Path,
    trained: Trained,
    reigning: Reigning,
    version: str,
    settings: Configuration,
    progress: Progress,
) -> Comparison:
    """Hold what was trained, which stands in a folder and will be called `version`, against the
    champion.

    Raises:
        IntegrityError: the artefacts do not say what was trained.
    """
    progress("hold it against the champion" if reigning.champion else "judge it alone")
    digest = manifest.digest_of(artifacts)
    ready = loaded.load(artifacts, version, digest, max_rows=1, held_out=True)
    held = held_out.read(artifacts / held_out.FILE, ready.provenance["held_out"]["sha256"])
    verdict, problem = _judged(held, reigning, ready, settings)
    rows = Rows(held.target, held.entities, {})
    challenger = View(version, Scored(trained.scores, trained.threshold), trained.evaluation)
    champion, gained, seen = None, None, False
    if reigning.ready is not None and not problem:
        seen = bool(verdict["champion_may_know_rows"])
        progress(f"measure the gain, {settings.training.bootstrap_resamples} resamples")
        champion = _view(reigning.ready, held, settings)
        gained = _gained(rows, champion.scored, challenger.scored, settings, seen=seen)
    return Comparison(
        model=settings.model.name,
        rows=rows,
        challenger=challenger,
        champion=champion,
        champion_version=reigning.champion.version if reigning.champion else None,
        gain=gained,
        verdict=verdict,
        problem=problem,
        seen=seen,
    )


def _judged(
    held: HeldOut, reigning: Reigning, challenger: LoadedVersion, settings: Configuration
) -> tuple[Mapping[str, Any], str]:
    """The guardrails' verdict, and why there is none."""
    problem = reigning.problem
    if not problem:
        try:
            found = challenge.weigh(
                held, champion=reigning.ready, challenger=challenger, settings=settings
            )
            return found, ""
        except GuardrailError as error:
            problem = str(error)
    positives = int(held.target.sum())
    size = {"rows": len(held.target), "positives": positives, "held_out_sha256": held.sha256}
    return {"status": "undecided", **size, "checks": [], "note": problem}, problem


def _gained(
    rows: Rows, champion: Scored, challenger: Scored, settings: Configuration, *, seen: bool
) -> Gain:
    return gain.measure(
        rows,
        champion,
        challenger,
        resamples=settings.training.bootstrap_resamples,
        seed=settings.training.seed,
        min_positives=settings.guardrails.min_positives,
        seen=seen,
    )


def _view(version: LoadedVersion, held: HeldOut, settings: Configuration) -> View:
    scored = challenge.scored(version, held, [])
    evaluation = evaluate(
        held.target,
        scored.scores,
        scored.flags,
        held.entities,
        resamples=settings.training.bootstrap_resamples,
        seed=settings.training.seed,
    )
    return View(version.version, scored, evaluation)
