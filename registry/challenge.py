"""Challenger against champion: both load and score the challenger's held-out rows now.

What a version said of itself when it was trained is not compared: other rows, another day.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from registry import guardrails, held_out, loaded, store
from registry.configuration import Configuration
from registry.errors import GuardrailError, IntegrityError, UnknownVersionError
from registry.guardrails import Rows, Scored
from registry.held_out import HeldOut
from registry.loaded import LoadedVersion
from registry.pipeline import column
from registry.pointer import Champion
from registry.state import State
from registry.store import Stored

_TOLERANCE = 1e-6
_WAY_OUT = 'promote with --force --reason "…" to do without the comparison'
_CROSS_VALIDATION = "cross-validation"


def judge(
    state: State, *, champion: Champion | None, challenger: Stored, settings: Configuration
) -> dict[str, Any]:
    """The verdict on a registered challenger, as it stands in the event.

    Raises:
        GuardrailError: it cannot be judged: its held-out rows were not kept, or the champion cannot
            score them.
        IntegrityError: the challenger or its held-out rows are not what was registered.
    """
    ready = loaded.load(challenger.folder, str(challenger.version), challenger.digest, max_rows=1)
    held = _held_out(state, ready)
    reigning = None
    if champion is not None:
        try:
            reigning = load_champion(state, champion, ready.model)
        except GuardrailError as error:
            raise GuardrailError(f"{error}; {_WAY_OUT}") from error
    return weigh(held, champion=reigning, challenger=ready, settings=settings)


def weigh(
    held: HeldOut,
    *,
    champion: LoadedVersion | None,
    challenger: LoadedVersion,
    settings: Configuration,
) -> dict[str, Any]:
    """The verdict on loaded versions, over the challenger's held-out rows.

    Raises:
        GuardrailError: the champion cannot score the rows.
        IntegrityError: the challenger does not say what it said of them.
    """
    new = Scored(_challenger_scores(held, challenger), challenger.threshold)
    segments = {name: held.columns[name] for name in challenger.schema.categorical}
    rows = Rows(held.target, held.entities, segments)
    limits, seed = settings.guardrails, settings.training.seed
    notes: list[str] = []
    known = champion is not None and _may_know(champion, challenger)
    if champion is None:
        verdict = guardrails.alone(rows, new, limits, seed=seed)
    else:
        old = scored(champion, held, notes)
        verdict = guardrails.compare(rows, old, new, limits, seed=seed)
    if known:
        notes.append("the champion may have been fitted on these rows, which flatters it")
    again = held.protocol != _CROSS_VALIDATION
    return {
        **verdict.to_dict(),
        "note": "; ".join(words for words in (verdict.note, *notes) if words),
        "champion": None if champion is None else champion.version,
        "champion_may_know_rows": known,
        "challenger": challenger.version,
        "held_out_sha256": held.sha256,
        "protocol": held.protocol,
        "challenger_scores": "now" if again else "out of fold",
        "seed": seed,
    }


def load_champion(state: State, champion: Champion, model: str) -> LoadedVersion:
    """Load who is to be compared with a challenger of `model`.

    Raises:
        GuardrailError: it is of another model, or damaged, or gone.
    """
    if champion.model != model:
        raise GuardrailError(
            f"the champion {champion.version} is of {champion.model}, another model than {model}"
        )
    try:
        folder = store.get(state, champion.model, champion.version).folder
        return loaded.load(folder, champion.version, champion.digest, max_rows=1)
    except (IntegrityError, UnknownVersionError) as error:
        raise GuardrailError(f"the champion cannot be loaded: {error}") from error


def scored(champion: LoadedVersion, held: HeldOut, notes: list[str]) -> Scored:
    """What the champion says of the rows that evaluated another version. What it had to do without
    is added to `notes`.

    Raises:
        GuardrailError: the rows lack a feature that it requires.
    """
    return Scored(_scores(champion, _columns_for(champion, held, notes)), champion.threshold)


def _held_out(state: State, challenger: LoadedVersion) -> HeldOut:
    facts = challenger.provenance.get("held_out")
    path = state.held_out / f"{challenger.version}.parquet"
    if facts is None or not path.exists():
        raise GuardrailError(
            f"{challenger.version} cannot be compared: the rows that evaluated it were not kept "
            f"({path}); train and register it anew, or {_WAY_OUT}"
        )
    try:
        sha256 = str(facts["sha256"])
    except (KeyError, TypeError) as error:
        raise IntegrityError(f"{challenger.version}: provenance.json: held_out: {facts}") from error
    return held_out.read(path, sha256)


def _challenger_scores(held: HeldOut, challenger: LoadedVersion) -> NDArray[np.float64]:
    """Out of fold where the challenger was fitted on these rows, else what it says now, which must
    be what it said."""
    name = challenger.version
    if not set(challenger.schema.names) <= held.columns.keys():
        raise IntegrityError(f"{name}: its held-out rows lack some of its features")
    if held.protocol == _CROSS_VALIDATION:
        return held.scores
    scores = _scores(challenger, {name: held.columns[name] for name in challenger.schema.names})
    if not np.allclose(scores, held.scores, rtol=0, atol=_TOLERANCE):
        raise IntegrityError(
            f"{name}: the scores of its held-out rows are not reproduced; were the libraries "
            "changed? (provenance.json names those it was trained with)"
        )
    return scores


def _columns_for(
    champion: LoadedVersion, held: HeldOut, notes: list[str]
) -> dict[str, NDArray[Any]]:
    """The champion's columns by name; an optional one that the rows lack is null, and noted."""
    columns: dict[str, NDArray[Any]] = {}
    for feature in champion.schema.features:
        numeric = feature.type != "category"
        values = held.columns.get(feature.name)
        if values is None and feature.optional:
            values = column([None] * len(held.target), numeric=numeric)
            notes.append(f"the rows lack the champion's {feature.name}: null for all of them")
        other = values is None or (values.dtype != object) != numeric
        if values is None or other or (not feature.optional and pd.isna(values).any()):
            raise GuardrailError(
                f"the champion {champion.version} cannot score the rows that evaluated the "
                f"challenger: {feature.name} must be {feature.expected} in all of them; {_WAY_OUT}"
            )
        columns[feature.name] = values
    return columns


def _scores(version: LoadedVersion, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    return version.scorer.score(list(zip(*columns.values(), strict=True)))


def _may_know(champion: LoadedVersion, challenger: LoadedVersion) -> bool:
    """Whether the champion was fitted on rows of the periods that evaluate the challenger, or on
    all of its rows where some are of the same file or no periods tell that they are others."""
    fitted, evaluated = _periods(champion, "fitted"), _periods(challenger, "evaluated")
    if fitted & evaluated:
        return True
    if champion.metrics.get("protocol") != _CROSS_VALIDATION:
        return False
    return not (fitted and evaluated) or bool(_sources(champion) & _sources(challenger))


def _periods(version: LoadedVersion, part: str) -> set[str]:
    return set(version.provenance.get(part, {}).get("periods") or ())


def _sources(version: LoadedVersion) -> set[str]:
    """The sha256 of what it was trained on, as a whole and of each part."""
    data = version.provenance.get("data", {})
    found = {part.get("sha256") for part in (data, *data.get("parts", ()))}
    return found - {None}
