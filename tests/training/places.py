"""A home that retrainings work on, and files of rows for them."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from monitoring.log.writing import SECRET_VARIABLE
from registry import store
from registry.state import State
from tests.server import PROJECT, environment
from tests.training.logged import SECRET
from tests.training.tiny import table

MOST_SECONDS = 120


@dataclass(frozen=True)
class Place:
    """A home with its configuration and an empty folder for temporary files."""

    folder: Path

    @property
    def state(self) -> State:
        return State(self.folder / "home")

    @property
    def configuration(self) -> Path:
        return self.folder / "loans.yaml"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def variables(self) -> dict[str, str]:
        extra = {"TMPDIR": str(self.temporary), SECRET_VARIABLE: SECRET}
        return environment(self.state.home, DATATHON_CONFIGURATION=str(self.configuration), **extra)

    def start(self, *arguments: str | Path) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "training.retrain", *map(str, arguments)],
            cwd=PROJECT,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str | Path) -> tuple[int, str, str]:
        """Exit code, stdout and stderr."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=MOST_SECONDS)
        return process.returncode, out, err

    def versions(self) -> list[str]:
        return [str(stored.version) for stored in store.versions(self.state, "loans")]

    def files(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}

    def reports(self) -> list[Path]:
        return sorted(self.state.reports.glob("comparison-*"))


def rows(
    folder: Path,
    name: str,
    *,
    wrong: tuple[int, ...] = (),
    count: int = 1200,
    months: tuple[int, ...] = (9, 10, 11),
    seed: int = 2,
) -> Path:
    """A file of rows whose labels are turned around in the months `wrong`."""
    frame = table(count, months=months, seed=seed)
    turned = frame["month"].isin(wrong)
    frame["unpaid"] = frame["unpaid"].where(~turned, 1 - frame["unpaid"])
    path = folder / name
    frame.to_csv(path, index=False)
    return path
