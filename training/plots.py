"""The two pictures of a model card, as PNG bytes that depend on the numbers only."""

import io

import matplotlib
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from monitoring.performance.evaluation import calibration_curve
from training.fit import Trained

matplotlib.use("Agg")
from matplotlib.figure import Figure


def calibration(trained: Trained) -> bytes:
    """Mean score against the share of positives in ten bins of equal mass."""
    means, shares = calibration_curve(trained.evaluated.target, trained.scores)
    figure, axes = _square("mean score", "share of positives")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="perfectly calibrated")
    axes.plot(means, shares, marker="o", label=trained.chosen)
    axes.set_title("Calibration on the rows that evaluate")
    axes.legend(loc="upper left")
    return _png(figure)


def precision_recall(trained: Trained) -> bytes:
    """Precision against recall, with the threshold, flag everyone and the single-feature rule."""
    precision, recall, _ = precision_recall_curve(trained.evaluated.target, trained.scores)
    figure, axes = _square("recall", "precision")
    axes.plot(recall, precision, label=trained.chosen)
    marks = (
        (f"threshold {trained.threshold:.3f}", "o", trained.evaluation),
        ("flag everyone", "s", trained.flag_everyone),
        (str(trained.rule), "^", trained.rule_evaluation),
    )
    for label, marker, evaluation in marks:
        point = [evaluation.metrics[name].value for name in ("recall", "precision")]
        if None not in point:
            axes.plot(*(_one(value) for value in point), marker, label=label)
    axes.set_title("Precision and recall on the rows that evaluate")
    axes.legend(loc="lower left")
    return _png(figure)


def _one(value: float | None) -> NDArray[np.float64]:
    return np.array([value], dtype=np.float64)


def _square(x_label: str, y_label: str):  # type: ignore[no-untyped-def]
    figure = Figure(figsize=(5, 5), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x_label, ylabel=y_label, xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(color="0.9")
    return figure, axes


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
