"""feature-engine's verdict on windows against references; runs in an environment of its own.

Run by `python with_feature_engine.py TASKS.json ANSWERS.json` (see benchmarks/others/__init__.py).
"""

from typing import Any

import pandas as pd
from feature_engine.selection import DropHighPSIFeatures  # type: ignore[import-not-found]

SIDE = "is_window"


def compare(task: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Of each column: its PSI, and whether it is above feature-engine's threshold (0.25).

    Its defaults, but for nulls, which it refuses unless it is told to ignore them.
    """
    columns = task["numeric"] + task["categorical"]
    both = pd.concat(
        [
            pd.read_parquet(task[side], columns=columns).assign(**{SIDE: float(number)})
            for number, side in enumerate(("reference", "window"))
        ],
        ignore_index=True,
    )
    tool = DropHighPSIFeatures(
        split_col=SIDE, cut_off=0.5, variables=columns, missing_values="ignore"
    )
    tool.fit(both)
    return {
        column: {
            "value": float(tool.psi_values_[column]),
            "alarm": column in tool.features_to_drop_,
            "by": "PSI",
        }
        for column in columns
    }
