"""Which streams are made, and what each tool said of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import alarms_model, alarms_others, alarms_outcomes
from benchmarks.alarms_others import SCORE, WAYS, Pair, Way
from benchmarks.alarms_ours import Watch
from benchmarks.alarms_outcomes import Ours, Theirs
from benchmarks.alarms_streams import BUGS, Kind, Stream, calm, changed

WINDOWS = (50, 100, 200, 500, 1000)
REFERENCES = (500, 10_000)
LATE_DAY = 3

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Cell:
    """Streams that differ in their seed only."""

    name: str
    kind: Kind
    reference: int
    window: int
    shift_sd: float = 0.0
    onset: int = 0

    def stream(self, seed: int) -> Stream:
        if self.kind == "none":
            return calm(seed, reference=self.reference, window=self.window)
        return changed(
            self.kind,
            seed,
            reference=self.reference,
            window=self.window,
            shift_sd=self.shift_sd,
            onset=self.onset,
        )


@dataclass(frozen=True)
class Results:
    """What was said of a cell's streams; the other tools see the first few of them, and one that
    could not answer is left out."""

    cell: Cell
    ours: Sequence[Ours]
    theirs: Mapping[str, Sequence[Theirs]] = field(default_factory=dict)


CALM = tuple(
    Cell("no drift", "none", reference, window) for reference in REFERENCES for window in WINDOWS
)
CHANGED = (
    Cell("+0.5 sd", "population", 10_000, 200, shift_sd=0.5),
    Cell(
        f"+1 sd from day {LATE_DAY + 1}", "population", 10_000, 1000, shift_sd=1.0, onset=LATE_DAY
    ),
    *(Cell(kind, kind, 10_000, 200) for kind in BUGS),
)


def run(
    cells: Sequence[Cell], folder: Path, *, trials: int, other_trials: int, tell: Tell
) -> list[Results]:
    """Every stream through every tool. `folder` holds the version (`alarms_model.make`) and takes
    the files."""
    version = folder / "version"
    ours: dict[Cell, list[Ours]] = {}
    with ProcessPoolExecutor(initializer=_start, initargs=(version,)) as pool:
        for cell in cells:
            tell(f"datathon-api: {cell.name}, {cell.reference:,} and {cell.window:,} rows")
            ours[cell] = list(pool.map(_watch, [cell] * trials, range(trials), chunksize=4))
    theirs = _ask(cells, folder, min(other_trials, trials), tell) if other_trials else {}
    return [Results(cell, ours[cell], theirs.get(cell, {})) for cell in cells]


def _ask(
    cells: Sequence[Cell], folder: Path, trials: int, tell: Tell
) -> dict[Cell, dict[str, list[Theirs]]]:
    tell(f"write {len(cells) * trials} streams for the other tools")
    asked = list(_written(cells, folder, trials))
    pairs = [pair for _, _, pair in asked]
    found: dict[Cell, dict[str, list[Theirs]]] = {cell: {} for cell in cells}

    def ask(way: Way) -> None:
        tell(f"{way.name}: {len(pairs)} streams")
        said = alarms_others.answers(folder, way, pairs)
        for (cell, stream, _), answer in zip(asked, said, strict=True):
            outcome = alarms_outcomes.theirs(answer, stream.truth)
            if outcome is not None:
                found[cell].setdefault(way.name, []).append(outcome)

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(ask, WAYS))
    return found


def _written(
    cells: Sequence[Cell], folder: Path, trials: int
) -> Iterator[tuple[Cell, Stream, Pair]]:
    version = alarms_model.load(folder / "version")
    for number, cell in enumerate(cells):
        for seed in range(trials):
            stream = cell.stream(seed)
            before, now = (
                {**rows, SCORE: alarms_model.scores(version, rows)}
                for rows in (stream.reference, stream.window)
            )
            name = f"stream-{number}-{seed}"
            yield cell, stream, alarms_others.write(folder, name, reference=before, window=now)


_watching: list[Watch] = []


def _start(version: Path) -> None:
    """In each process of the pool: load the version once."""
    _watching.append(Watch.of(version))


def _watch(cell: Cell, seed: int) -> Ours:
    stream = cell.stream(seed)
    return alarms_outcomes.ours(_watching[0].document(stream), stream.truth)
