"""Makes flights_extract.parquet from the full file of flights; see README.md beside it.

Whole aircraft are drawn, so that entities repeat as they do in the full file. How much one flies in
which month has no part in the draw, so each month keeps about its share of the rows.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

SEED = 2013
ROWS = 9_900


def extract(flights: pd.DataFrame) -> pd.DataFrame:
    """All flights of the aircraft drawn, and the same share of those of no known aircraft."""
    rng = np.random.default_rng(SEED)
    share = ROWS / len(flights)
    flown = flights["entity_id"].value_counts().sort_index()
    total = flown.iloc[rng.permutation(len(flown))].cumsum()
    chosen = flights["entity_id"].isin(total.index[total <= share * total.iloc[-1]])
    unknown = flights["entity_id"].isna() & (rng.random(len(flights)) < share)
    return flights[chosen | unknown].sort_values(
        ["period", "departs_at", "entity_id", "dest"], kind="stable", ignore_index=True
    )


if __name__ == "__main__":
    rows = extract(pd.read_parquet(sys.argv[1]))
    target = Path(__file__).parent / "flights_extract.parquet"
    rows.to_parquet(target, index=False, compression="zstd")
    print(f"{target.name}: {len(rows)} rows, {rows['entity_id'].nunique()} aircraft")
