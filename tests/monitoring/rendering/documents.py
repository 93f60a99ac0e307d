"""Hand-made report documents: what the analysis hands to whatever renders a report."""

import math
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

Document = dict[str, Any]
FIRST_REQUEST = "4f3c2a90b7d14e0c"
_NUMBERS = ("ieg", "ips", "ipv", "ida", "iaa", "ipp", "inde", "idade")
_LEVELS = ("PUBLICA", "PRIVADA", "RARE", "UNSEEN", "NULL")


def estimate(value: float | None, half_width: float = 0.05) -> Document:
    """A metric with its interval; undefined where `value` is None."""
    if value is None:
        return {"value": None, "low": None, "high": None}
    low, high = max(value - half_width, 0.0), min(value + half_width, 1.0)
    return {"value": value, "low": round(low, 4), "high": round(high, 4)}


def number(name: str, psi: float, status: str, *, shift: float = 0.0) -> Document:
    """A numeric feature of ten bins; `shift` moves the window's rows to the right."""
    edges = [f"{step / 2 + 5:g}" for step in range(9)]
    pairs = pairwise(edges)
    labels = [f"< {edges[0]}", *(f"[{a}, {b})" for a, b in pairs), f">= {edges[-1]}", "NULL"]
    weights = [math.exp(shift * step / 9) for step in range(10)]
    now = [round(500 * weight / sum(weights)) for weight in weights]
    return {
        "name": name,
        "psi": psi,
        "noise": 0.021,
        "p": 0.5 if status == "green" else 1e-7,
        "q": 0.8 if status == "green" else 4e-7,
        "n_effective": 480,
        "null_before": 0.01,
        "null_now": 0.012,
        "unseen_now": None,
        "status": status,
        "bins": [
            {"label": label, "before": 100, "now": count}
            for label, count in zip(labels, [*now, 5], strict=True)
        ],
    }


def category(name: str, status: str = "green", levels: tuple[str, ...] = _LEVELS) -> Document:
    """A categorical feature; the last two of its bins are UNSEEN and NULL."""
    return {
        **number(name, 0.03, status),
        "unseen_now": 0.02,
        "bins": [
            {"label": f"level {level}" if index < len(levels) - 3 else level, **counts}
            for index, (level, counts) in enumerate(
                zip(levels, [{"before": 200, "now": 100}] * len(levels), strict=True)
            )
        ],
    }


def cause(feature: str = "ieg", kind: str = "factor", **changes: Any) -> Document:
    details: dict[str, Document] = {
        "unseen": {"levels": ["Pública", "PUBLICA "]},
        "stuck": {"value": 7.312},
        "factor": {"factor": 10},
        "range": {"low": 0, "high": 10},
        "swapped": {"with": "ida"},
    }
    return {
        "feature": feature,
        "kind": kind,
        "is_bug": kind != "population",
        "share": None if kind == "population" else 0.97,
        "share_before": 0.0,
        "detail": details.get(kind, {}),
        "since": "2026-11-20T14:00:00+00:00",
        "since_is": "hour",
        "first_request": FIRST_REQUEST,
        "first_at": "2026-11-20T14:03:12.000345+00:00",
        "trend": "rising",
        "score_shift": 0.031,
        "score_moved": 0.052,
        **changes,
    }


def _day(index: int, features: list[Document]) -> Document:
    broken = index >= 5
    keys = ("score", *(feature["name"] for feature in features))
    drifted = {"ieg": 6.4, "score": 0.31, "ips": 0.19} if broken else {}
    psi = {key: drifted.get(key, 0.02 + 0.01 * ((index + at) % 3)) for at, key in enumerate(keys)}
    colours = [(0.25, "red"), (0.1, "yellow"), (0.0, "green")]
    statuses = {key: next(c for least, c in colours if value > least) for key, value in psi.items()}
    return {
        "day": str(date(2026, 11, 15) + timedelta(days=index)),
        "rows": 70,
        "entities": 68,
        "status": "red" if broken else "green",
        "psi": psi,
        "noise": dict.fromkeys(keys, 0.06),
        "statuses": statuses,
    }


def drift(**changes: Any) -> Document:
    """Red: `ieg` ten times too large since day six, `ips` another population."""
    features = [number(name, 0.02 + index / 500, "green") for index, name in enumerate(_NUMBERS)]
    features[0] = number("ieg", 6.4, "red", shift=6)
    features[1] = number("ips", 0.19, "yellow", shift=1.5)
    features += [category("genero"), category("instituicao")]
    population = cause(
        "ips", "population", since="2026-11-19T00:00:00+00:00", since_is="day", first_request=None,
        first_at=None, trend="steady", score_shift=-0.004, score_moved=0.006,
    )  # fmt: skip
    return {
        "kind": "drift",
        "schema": 1,
        "model": "defasagem-risk",
        "model_version": "v1.0.0",
        "start": "2026-11-15T10:00:00+00:00",
        "end": "2026-11-22T10:00:00+00:00",
        "made_at": "2026-11-22T10:00:01+00:00",
        "rows": 500,
        "entities": 480,
        "rows_without_entity": 0,
        "status": "red",
        "log": {"torn_lines": 1, "invalid_lines": 0, "rows_of_other_versions": 20},
        "limits": {"yellow": 0.1, "red": 0.25, "max_q": 0.05, "min_rows": 20},
        "score": number("score", 0.31, "red", shift=2),
        "features": features,
        "days": [_day(index, features) for index in range(8)],
        "multivariate": {
            "status": "yellow",
            "auc": {"value": 0.81, "low": 0.78, "high": 0.84},
            "reference_rows": 1000,
            "window_rows": 500,
            "leading": ["ieg", "ips"],
        },
        "causes": [cause(), population],
        "score_shift": {
            "mean_before": 0.41,
            "mean_now": 0.52,
            "flagged_before": 0.40,
            "flagged_now": 0.55,
        },
        "estimate": _estimate(),
        "recall_floor": 0.6,
        "estimate_below_floor": False,
        "rollback_to": "v0.9.0",
        "next_version": "v1.3.0",
        "next_step": "fix_data",
        **changes,
    }


def long_drift(days: int, **changes: Any) -> Document:
    """As `drift`, of a window that many days long; `ieg` is broken since the sixth."""
    return drift(days=[_day(index, drift()["features"]) for index in range(days)], **changes)


def quiet_drift(**changes: Any) -> Document:
    """Green: nothing differs."""
    features = [number(name, 0.02, "green") for name in _NUMBERS]
    quiet = {
        "status": "green",
        "score": number("score", 0.02, "green"),
        "features": features,
        "days": [],
        "multivariate": None,
        "causes": [],
        "estimate": None,
        "next_step": "nothing",
    }
    return drift(**(quiet | changes))


def _estimate() -> Document:
    return {
        "metrics": {
            "recall": estimate(0.68, 0.04),
            "precision": estimate(0.71, 0.05),
            "f1": estimate(0.69, 0.04),
            "roc_auc": estimate(0.85, 0.02),
            "base_rate": estimate(0.37, 0.03),
        },
        "training": {
            "recall": estimate(0.76, 0.03),
            "precision": estimate(0.74, 0.04),
            "roc_auc": estimate(0.88, 0.02),
        },
        "calibrator": "isotonic",
        "rows": 500,
    }


def check(name: str, status: str = "ok", **detail: Any) -> Document:
    return {"name": name, "status": status, "detail": detail}


def performance(**changes: Any) -> Document:
    """Yellow: recall is below its floor, and its interval is not."""
    metrics = {
        "recall": estimate(0.66, 0.054),
        "precision": estimate(0.70, 0.05),
        "f1": estimate(0.68, 0.05),
        "f2": estimate(0.67, 0.05),
        "pr_auc": estimate(0.79, 0.05),
        "roc_auc": estimate(0.86, 0.03),
        "brier": estimate(0.15, 0.01),
        "ece": estimate(0.03, 0.02),
    }
    training = {
        name: estimate(value, 0.03)
        for name, value in {
            "recall": 0.76, "precision": 0.74, "pr_auc": 0.83,
            "roc_auc": 0.88, "brier": 0.14, "ece": 0.02,
        }.items()
    }  # fmt: skip
    levels = [("genero", "F", 0.60), ("genero", "M", 0.72), ("instituicao", "PUBLICA", 0.66)]
    return {
        "kind": "performance",
        "schema": 1,
        "model": "defasagem-risk",
        "model_version": "v1.0.0",
        "start": "2026-06-01T00:00:00+00:00",
        "end": "2026-07-30T00:00:00+00:00",
        "made_at": "2026-11-22T10:00:01+00:00",
        "status": "yellow",
        "reason": "breach",
        "recall_floor": 0.7,
        "rollback_to": "v0.9.0",
        "next_version": "v1.3.0",
        "log": {"torn_lines": 0, "invalid_lines": 2, "rows_of_other_versions": 0},
        "labels": {
            "predictions": 1000,
            "due": 900,
            "labelled": 850,
            "coverage": 850 / 900,
            "delay_days": {"median": 90.0, "p95": 120.5},
            "overdue_days": 120,
            "revised": 3,
            "conflicts": 0,
            "orphans": 12,
            "positives": 300,
            "base_rate": 300 / 850,
            "base_rate_training": 0.40,
            "checks": [
                check("coverage", due=900, labelled=850, coverage=0.944),
                check("delay"),
                check("duplicates"),
                check("conflicts"),
                check("orphans", "warn", orphans=12),
                check("base_rate"),
                check("one_class"),
                check("selective", "warn", score_labelled=0.46, score_unlabelled=0.31),
            ],
        },
        "metrics": metrics,
        "training": training,
        "weeks": [
            {
                "start": str(date(2026, 6, 1) + timedelta(weeks=week)),
                "rows": 125,
                "labelled": 106,
                "positives": 0 if week == 3 else 38,
                "recall": estimate(None if week == 3 else 0.78 - 0.03 * week, 0.14),
                "precision": estimate(0.7, 0.1),
            }
            for week in range(8)
        ],
        "segments": [
            {
                "feature": feature,
                "level": level,
                "rows": 400,
                "positives": 120,
                "recall": estimate(recall, 0.08),
                "rest_recall": 0.72,
                "p": 0.004 if recall < 0.65 else 0.6,
                "q": 0.012 if recall < 0.65 else 0.7,
                "worse": recall < 0.65,
            }
            for feature, level, recall in levels
        ],
        "reliability": [
            {
                "score": score / 10 + 0.05,
                "observed": max(0.0, score / 10 + 0.01),
                "low": max(0.0, score / 10 - 0.06),
                "high": min(1.0, score / 10 + 0.1),
                "rows": 85,
            }
            for score in range(10)
        ],
        "estimate": _estimate(),
        "estimate_error": {"recall": 0.02, "precision": 0.01, "roc_auc": -0.01},
        "next_step": "watch",
        **changes,
    }
