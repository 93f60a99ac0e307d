"""Who is in the simulated programme, year by year, and how pupils move up through its phases.

The label is never drawn: a pupil is behind next year because the simulated pupil was promoted too
little for the age reached by then. So labels always agree with next year's rows.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.cohort_indices import LOOKS, TRAITS_TOGETHER, draw_indices, lose_indicators

Ints = npt.NDArray[np.int64]

FIRST_YEAR = 2022
LAST_FASE = 8
GAPS = (-4, 2)  # nobody is let further behind or ahead than this
# Exact age at which each phase from 1 to 8 becomes the one that fits.
IDEAL_FROM_AGE = np.array([8.5, 10.5, 12.5, 14.5, 15.5, 16.5, 17.5, 18.5])
# Shares of 0 to 7 years in the programme, in the first year.
ANOS_PM_SHARES = (0.24, 0.37, 0.18, 0.09, 0.06, 0.03, 0.02, 0.01)
# Shape of the gamma of ages above 7: in the first year, and of newcomers.
AGE_SHAPE = (3.2, 1.9)
# Mean phases ahead (+) or behind (-) on entry, by year.
ENTRY_GAP = (-1.05, -0.70, -0.85)
# Kind of school: upper end of each share, by year. Later years write the same kinds in finer ways.
SCHOOLS: tuple[dict[str, float], ...] = (
    {"Publica": 0.84, "Privada": 1.0},
    {"Publica": 0.80, "Escola Publica": 0.84, "Privada": 0.88, "Privada com bolsa": 1.0},
    {"Publica": 0.78, "Escola Publica": 0.84, "Privada com bolsa": 0.96, "Apadrinhada": 1.0},
)


@dataclass(frozen=True)
class Promotion:
    """How many phases a pupil goes up: an ordered logit over merit and years behind.

    0, 1 or 2 steps: merit * score + catch_up * (phases behind) + logistic noise is compared with
    `once` and `twice`; the score has mean 0 and standard deviation of about 1.
    """

    once: float
    twice: float
    merit: float
    catch_up: float


@dataclass(frozen=True)
class CohortPlan:
    """A cohort of three years: 2022, 2023 and 2024.

    `pupils` are there in each year and `kept` of them in the next one too; `newcomer_age` is the
    mean age (years) on entry after the first year. ValueError where the numbers contradict.
    """

    seed: int = 2005
    pupils: tuple[int, int, int] = (860, 1010, 1160)
    kept: tuple[int, int] = (600, 765)
    newcomer_age: float = 11.3
    promotion: tuple[Promotion, Promotion] = (
        Promotion(once=0.2, twice=2.6, merit=1.35, catch_up=0.8),
        Promotion(once=-0.9, twice=1.8, merit=1.35, catch_up=0.8),
    )

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, got {self.seed}")
        for now, stay, then in zip(self.pupils, self.kept, self.pupils[1:], strict=False):
            if not 0 < stay <= min(now, then):
                raise ValueError(f"{stay} pupils cannot stay from {now} to {then}")


def ideal_phase(age: npt.NDArray[np.float64]) -> Ints:
    """Exact ages in years -> the phase (0-8) that fits."""
    return np.searchsorted(IDEAL_FROM_AGE, age, side="right").astype(np.int64)


def enter(rng: np.random.Generator, *, n: int, year: int, first: int, age: float) -> pd.DataFrame:
    """n pupils on entry, numbered from `first`, with hidden traits and a first phase."""
    ability, other, luck = rng.standard_normal((3, n))
    engagement = TRAITS_TOGETHER * ability + np.sqrt(1 - TRAITS_TOGETHER**2) * other
    spread = AGE_SHAPE[min(year, 1)]
    ages = 7 + rng.gamma(spread, (age - 7) / spread, n)
    ages = np.where(ages < 23, ages, rng.uniform(8, 16, n))
    ideal = ideal_phase(ages)
    gap = ENTRY_GAP[year] + 0.10 * ability - 0.08 * (ages - 12.5) + 0.85 * luck
    veterans = rng.choice(len(ANOS_PM_SHARES), size=n, p=ANOS_PM_SHARES)
    years_in = np.minimum(veterans, ages - 6) if year == 0 else np.zeros(n)
    return pd.DataFrame(
        {
            "pupil": np.arange(first, first + n),
            "ability": ability,
            "engagement": engagement,
            "age": ages,
            "anos_pm": years_in.astype(np.int64),
            "fase": np.clip(ideal + np.clip(np.rint(gap), *GAPS), 0, LAST_FASE).astype(np.int64),
            "fase_ideal": ideal,
            "genero": np.where(rng.random(n) < 0.53, "F", "M"),
            "school": rng.random(n),
        }
    )


def merit_score(year: int, indices: pd.DataFrame) -> npt.NDArray[np.float64]:
    """What a promotion looks at: ida, ieg, ipv and inde against their usual values."""
    ieg, ipv = LOOKS["ieg"], LOOKS["ipv"]
    total = (
        (indices["ida"] - 6.4) / 1.9
        + (indices["ieg"] - ieg.means[year]) / ieg.sds[year]
        + (indices["ipv"] - ipv.means[year]) / ipv.sds[year]
        + (indices["inde"] - 7.2) / 0.9
    )
    return np.asarray(total / 3.4, dtype=np.float64)


def grow(
    rng: np.random.Generator,
    pupils: pd.DataFrame,
    *,
    score: npt.NDArray[np.float64],
    rule: Promotion,
) -> pd.DataFrame:
    """The same pupils one year later: older, and promoted by the rule. A phase is never lost."""
    behind = (pupils["fase_ideal"] - pupils["fase"]).to_numpy()
    pull = rule.merit * score + rule.catch_up * behind + rng.logistic(size=len(pupils))
    steps = (pull > rule.once).astype(np.int64) + (pull > rule.twice)
    later = pupils.copy()
    later["age"] += 1
    later["anos_pm"] += 1
    ideal = ideal_phase(later["age"].to_numpy())
    allowed = (pupils["fase"] + steps).clip(ideal + GAPS[0], np.minimum(ideal + GAPS[1], LAST_FASE))
    later["fase"] = np.maximum(pupils["fase"], allowed)
    later["fase_ideal"] = ideal
    return later


def stay(rng: np.random.Generator, pupils: pd.DataFrame, *, kept: int) -> Ints:
    """Positions of the `kept` pupils who come back next year; adults leave first."""
    leaving = rng.random(len(pupils)) + 0.4 * (pupils["age"].to_numpy() > 18.5)
    return np.sort(np.argsort(leaving, kind="stable")[:kept])


def simulate(plan: CohortPlan) -> pd.DataFrame:
    """Every pupil's row in each year, hidden traits too, and em_risco where next year is known."""
    rng = np.random.default_rng(plan.seed)
    there = enter(rng, n=plan.pupils[0], year=0, first=1, age=13.2)
    total, rows = plan.pupils[0], []
    for year in range(3):
        full = draw_indices(rng, year=year, pupils=there)
        school = kinds_of_school(year, there["school"].to_numpy())
        seen = lose_indicators(rng, year=year, indices=full)
        row = there.assign(ano=FIRST_YEAR + year, instituicao=school, em_risco=np.nan).join(seen)
        rows.append(row)
        if year == 2:
            break
        later = grow(rng, there, score=merit_score(year, full), rule=plan.promotion[year])
        back = stay(rng, there, kept=plan.kept[year])
        behind = (later["fase"] < later["fase_ideal"]).to_numpy()
        row.loc[back, "em_risco"] = behind[back].astype(np.float64)
        new = plan.pupils[year + 1] - len(back)
        came = enter(rng, n=new, year=year + 1, first=total + 1, age=plan.newcomer_age)
        there = pd.concat([later.iloc[back], came], ignore_index=True)
        total += new
    return pd.concat(rows, ignore_index=True)


def kinds_of_school(year: int, school: npt.NDArray[np.float64]) -> npt.NDArray[np.str_]:
    """How the year writes each pupil's kind of school, from the pupil's place in [0, 1)."""
    kinds = SCHOOLS[year]
    return np.array(list(kinds))[np.searchsorted(list(kinds.values()), school, side="right")]
