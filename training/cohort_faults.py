"""What can go wrong with later rows: another population, a data bug, another relation to the label.

Population and concept are changes of the plan, so features and labels stay one consistent story;
a bug is done to finished rows. Every damaged value still passes the declared hard ranges: the
service accepts such rows, and only a drift report can tell.
"""

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import pandas as pd

from training.cohort_pupils import CohortPlan, Promotion

Drift = Literal["none", "population", "bug", "concept"]
DRIFTS: tuple[Drift, ...] = get_args(Drift)

STUCK_INDE = 7.312
LOST_IPV = 0.60
# A catch-up programme: pupils behind are moved up, whoever is on track waits, marks don't count.
CATCH_UP = Promotion(once=1.0, twice=2.0, merit=-0.4, catch_up=3.0)


def plan_under(drift: Drift, plan: CohortPlan) -> CohortPlan:
    """The plan as the drift changes it: many younger newcomers, or a new promotion rule."""
    if drift == "population":
        return replace(plan, kept=(plan.kept[0] * 5 // 12, plan.kept[1]), newcomer_age=9.6)
    if drift == "concept":
        return replace(plan, promotion=(plan.promotion[0], CATCH_UP))
    return plan


def damage(rng: np.random.Generator, rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows after a bad export.

    nota_mat is divided by 10, inde is stuck at one value, 60 % of ipv is null and instituicao is
    in capitals, which no earlier year used.
    """
    bad = rows.copy()
    bad["nota_mat"] = (rows["nota_mat"] / 10).round(2)
    bad["inde"] = rows["inde"].where(rows["inde"].isna(), STUCK_INDE)
    bad["ipv"] = rows["ipv"].where(rng.random(len(rows)) >= LOST_IPV)
    bad["instituicao"] = rows["instituicao"].str.upper()
    return bad
