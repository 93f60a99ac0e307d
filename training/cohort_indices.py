"""One year's indices of simulated pupils, drawn from what a pupil is like.

Ability and engagement are hidden; each index is one noisy look at them, mapped to a beta
distribution on 0-10, so that no index can leave its hard range whatever the plan. The means and
standard deviations are the published aggregates of a real programme; no row comes from it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betaincinv, ndtr

Floats = npt.NDArray[np.float64]

MISSING_BLOCK = (
    *("inde", "ieg", "ips", "ipp", "ida", "ipv"),
    *("nota_mat", "nota_por", "nota_ing", "n_avaliacoes"),
)


@dataclass(frozen=True)
class Look:
    """How an index sees a pupil: weights on standardised traits; the rest of its variance is noise.

    `means` and `sds` have one entry per simulated year, on the scale 0-10.
    """

    means: tuple[float, float, float]
    sds: tuple[float, float, float]
    ability: float
    engagement: float
    age: float
    decimals: int


LOOKS = {
    "iaa": Look((8.3, 8.6, 8.5), (1.8, 1.4, 1.8), 0.05, 0.35, -0.05, 1),
    "ieg": Look((7.9, 8.6, 7.4), (1.4, 1.4, 1.4), 0.25, 0.52, -0.25, 1),
    "ips": Look((6.9, 5.1, 6.8), (1.1, 2.1, 1.1), 0.05, 0.16, 0.00, 1),
    "ipp": Look((7.5, 7.6, 7.6), (1.0, 1.0, 1.0), 0.25, 0.30, -0.10, 3),
    "ipv": Look((7.3, 8.0, 7.4), (1.0, 1.0, 1.0), 0.50, 0.40, -0.10, 3),
    "nota_mat": Look((5.8, 6.4, 6.2), (2.3, 2.3, 2.3), 0.62, 0.10, -0.25, 1),
    "nota_por": Look((6.2, 6.8, 6.5), (1.9, 1.9, 1.9), 0.60, 0.10, -0.22, 1),
    "nota_ing": Look((6.2, 6.4, 6.2), (2.7, 2.7, 2.7), 0.66, 0.15, -0.10, 1),
}
TRAITS_TOGETHER = 0.5  # correlation of ability and engagement
# Weights of the overall index; where an index is missing for a whole year the others share them.
INDE_WEIGHTS = {"ian": 1, "ida": 2, "ieg": 2, "iaa": 1, "ips": 1, "ipp": 1, "ipv": 2}
UNANSWERED = (0.0, 0.20, 0.0)  # self-assessments handed in empty count as 0
LOST = (0.0, 0.075, 0.075)  # rows that lose most indicators at once
ENGLISH_FROM_FASE = 3
NO_ENGLISH = 0.03  # of those older pupils
FIRST_YEAR_OF_IPP = 1


def on_beta_scale(z: Floats, mean: float, sd: float) -> Floats:
    """Standard normal values -> 0-10 with that mean and sd (a beta by the method of moments)."""
    m, s = mean / 10, sd / 10
    nu = m * (1 - m) / s**2 - 1
    return np.asarray(10 * betaincinv(m * nu, (1 - m) * nu, ndtr(z)), dtype=np.float64)


def level_adequacy(gap: npt.NDArray[np.int64]) -> Floats:
    """The index of level adequacy: 10 on track, 5 up to two phases behind, 2.5 further behind."""
    return np.where(gap >= 0, 10.0, np.where(gap >= -2, 5.0, 2.5))


def draw_indices(rng: np.random.Generator, *, year: int, pupils: pd.DataFrame) -> pd.DataFrame:
    """All indices of the pupils present in simulated year 0, 1 or 2, before anything gets lost.

    `pupils` needs ability, engagement (standard normal), age (years) and the integers fase and
    fase_ideal. The answer has its index; only ipp and nota_ing are missing where nobody takes them.
    """
    n = len(pupils)
    ability, engagement = pupils["ability"].to_numpy(), pupils["engagement"].to_numpy()
    age = (pupils["age"].to_numpy() - 13.0) / 3.2
    drawn: dict[str, Floats] = {}
    for name, look in LOOKS.items():
        seen = look.ability * ability + look.engagement * engagement + look.age * age
        explained = look.ability**2 + look.engagement**2 + look.age**2
        explained += 2 * TRAITS_TOGETHER * look.ability * look.engagement
        z = seen + np.sqrt(1 - explained) * rng.standard_normal(n)
        drawn[name] = on_beta_scale(z, look.means[year], look.sds[year]).round(look.decimals)
    drawn["iaa"][rng.random(n) < UNANSWERED[year]] = 0.0
    fase = pupils["fase"].to_numpy()
    drawn["nota_ing"][(fase < ENGLISH_FROM_FASE) | (rng.random(n) < NO_ENGLISH)] = np.nan
    if year < FIRST_YEAR_OF_IPP:
        drawn["ipp"][:] = np.nan
    drawn["ian"] = level_adequacy(fase - pupils["fase_ideal"].to_numpy())
    marks = np.stack([drawn["nota_mat"], drawn["nota_por"], drawn["nota_ing"]])
    drawn["ida"] = np.nanmean(marks, axis=0).round(1)
    drawn["inde"] = overall_index(rng, drawn)
    third, fourth = rng.random(n) < 0.7 * (fase >= 2), rng.random(n) < 0.5 * (fase >= 4)
    drawn["n_avaliacoes"] = 2.0 + third.astype(np.float64) + fourth
    return pd.DataFrame(drawn, index=pupils.index)


def overall_index(rng: np.random.Generator, drawn: dict[str, Floats]) -> Floats:
    """Weighted mean of the indices that the year has, plus a small noise, kept within 0-10."""
    parts = [name for name in INDE_WEIGHTS if not np.isnan(drawn[name]).all()]
    weights = [INDE_WEIGHTS[name] for name in parts]
    mean = np.average(np.stack([drawn[name] for name in parts]), axis=0, weights=weights)
    return np.asarray((mean + 0.05 * rng.standard_normal(len(mean))).clip(0, 10).round(3))


def lose_indicators(rng: np.random.Generator, *, year: int, indices: pd.DataFrame) -> pd.DataFrame:
    """The same indices, most of them null together in the share of rows that the year loses."""
    lost = rng.permutation(len(indices)) < round(LOST[year] * len(indices))
    kept = indices.copy()
    kept.loc[lost, list(MISSING_BLOCK)] = np.nan
    return kept
