"""What reading a window costs, as a table and as JSON: each way and its ratio to decode-only."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks.drift_measure import Usage
from benchmarks.ratios import Ratio

DECODE, OURS = "decode only", "datathon-api"
MOST_CPU, MOST_RSS_MB = 2.0, 300.0
AIMED_AT = 10_000_000  # rows; with fewer, what starting a process costs weighs more


@dataclass(frozen=True)
class Measurement:
    """One run of one way over a file of `rows` rows."""

    rows: int
    round: int
    way: str
    usage: Usage


def ratio(measured: Sequence[Measurement], way: str, to: str, *, rows: int) -> Ratio:
    """CPU seconds of `way` / those of `to` in each round of one file."""
    cpu = {(m.way, m.round): m.usage.cpu_seconds for m in measured if m.rows == rows}
    ratios = [cpu[way, number] / cpu[to, number] for name, number in cpu if name == way]
    return Ratio.of(ratios)


def _spread(cpu: Ratio) -> str:
    return f"{cpu.median:.2f} ({cpu.low:.2f}–{cpu.high:.2f})"


def table(measured: Sequence[Measurement], *, title: str, caption: str) -> Table:
    """Medians over the rounds; the ratios are medians (lowest–highest) of the rounds' own."""
    shown = Table(title=title, caption=caption, caption_justify="left")
    shown.add_column("rows × features", no_wrap=True)
    shown.add_column("", no_wrap=True)
    for column in ("CPU s", "seconds", "peak MB", "CPU / decode only", "CPU / ours"):
        shown.add_column(column, justify="right", no_wrap=True)
    for rows in _sizes(measured):
        of_size = [m for m in measured if m.rows == rows]
        ways = list(dict.fromkeys(m.way for m in of_size))
        for position, way in enumerate(ways):
            mine = [m.usage for m in of_size if m.way == way]
            shown.add_row(
                f"{rows:,} × 20" if position == 0 else "",
                way,
                f"{median(u.cpu_seconds for u in mine):,.2f}",
                f"{median(u.seconds for u in mine):,.2f}",
                f"{max(u.rss_mb for u in mine):,.0f}",
                *(_spread(ratio(of_size, way, to, rows=rows)) for to in (DECODE, OURS)),
                style="bold" if way == OURS else None,
                end_section=position == len(ways) - 1,
            )
    return shown


def verdict(measured: Sequence[Measurement]) -> list[str]:
    """What was aimed at and what was reached, a line each."""
    sizes = _sizes(measured)
    cpu = ratio(measured, OURS, DECODE, rows=max(sizes)).median
    peaks = [max(m.usage.rss_mb for m in measured if m.rows == n and m.way == OURS) for n in sizes]
    aim = f"at most {MOST_CPU:g} at {AIMED_AT:,}"
    judged = f": {_yes(cpu <= MOST_CPU)}" if max(sizes) >= AIMED_AT else ""
    return [
        f"CPU at {max(sizes):,} rows: {cpu:.2f} × decode only ({aim}{judged})",
        "peak memory: "
        + ", ".join(f"{peak:.0f} MB at {rows:,}" for rows, peak in zip(sizes, peaks, strict=True))
        + f" (at most {MOST_RSS_MB:g}: {_yes(max(peaks) <= MOST_RSS_MB)})",
    ]


def as_json(measured: Sequence[Measurement], facts: dict[str, Any]) -> dict[str, Any]:
    """Everything: `facts` about the run, each measurement, ratios of each size and way."""
    ratios = [
        {
            "rows": rows,
            "way": way,
            **{
                name: asdict(ratio(measured, way, to, rows=rows))
                for name, to in (("to_decode_only", DECODE), ("to_ours", OURS))
            },
        }
        for rows in _sizes(measured)
        for way in dict.fromkeys(m.way for m in measured if m.rows == rows)
    ]
    runs = [{"rows": m.rows, "round": m.round, "way": m.way, **m.usage._asdict()} for m in measured]
    return {**facts, "ratios": ratios, "measurements": runs}


def _sizes(measured: Sequence[Measurement]) -> list[int]:
    return sorted({m.rows for m in measured})


def _yes(reached: bool) -> str:
    return "reached" if reached else "NOT reached"
