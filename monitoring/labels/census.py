"""How many labels there are, from when, and how many of them the log has no row for."""

from typing import Any

from monitoring.labels import matching as label_matching
from monitoring.labels.importing import Steps
from monitoring.labels.store import Key, LabelStore
from registry import configuration
from registry.state import State


def count(state: State, steps: Steps) -> dict[str, Any]:
    """Counts of keys with a label, as JSON; months are of the time of observation (UTC).

    Raises:
        IntegrityError: a file of the store cannot be read.
    """
    rule = configuration.load().performance.label_period
    steps("reading the labels", 0.0)
    store = LabelStore(state.labels)
    history, current = store.history(), store.current()
    labels = current[current["label"].notna()]
    about = labels[list(Key._fields)].astype(object)
    keys = [Key(*one) for one in about.where(about.notna(), None).itertuples(index=False)]
    matches = label_matching.match(
        state.inference_log, keys, rule, lambda share: steps("reading the log", 0.2 + 0.8 * share)
    )
    months = labels["observed_at"].dt.strftime("%Y-%m").value_counts().sort_index()
    last = history["imported_at"].max()
    return {
        "labels": len(labels),
        "positives": int(labels["label"].sum()),
        "by_month_observed": {str(month): int(rows) for month, rows in months.items()},
        "revised": int((labels["revisions"] > 0).sum()),
        "conflicts": int(current["conflict"].sum()),
        "orphans": len(keys) - len(matches.keys),
        "history_rows": len(history),
        "last_import": None if history.empty else last.isoformat(timespec="seconds"),
    }
