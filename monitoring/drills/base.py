"""What all drills of one run start from, made once: a state with a champion, and rows to send."""

import json
import secrets
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from monitoring.drills import versions
from monitoring.drills.client import Row
from monitoring.drills.errors import DrillError
from monitoring.drills.running import environment, run_together
from monitoring.log.writing import SECRET_VARIABLE
from registry.configuration import DEFAULT_FILE

PERIOD = 2025
_ROWS = 6000
LIGHT = {
    "candidates": ["logistic_regression"],
    "folds": 3,
    "repeats": 1,
    "bootstrap_resamples": 200,
}
_SEEDS = {versions.FIRST: 20251, versions.SECOND: 7}

Document = dict[str, Any]


class Base:
    """A folder with `home/`, artefacts and rows; each drill works on a copy of the home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._secret = secrets.token_hex(16)

    def prepare(self, bad: Collection[str]) -> None:
        """Train, register and promote the first version; register the others.

        Raises:
            DrillError: one of the commands failed.
        """
        self.folder.mkdir()
        self._run(*map(self._training, _SEEDS))
        for version in bad:
            versions.BAD[version](self._artefacts(versions.FIRST), self._artefacts(version))
        self._run(*map(self._registering, [*_SEEDS, *bad]))
        self._run(["registry", "promote", "--version", versions.FIRST, "--reason", "first version"])

    def copy(self, folder: Path, changes: Mapping[str, Document]) -> dict[str, str]:
        """A state of a drill's own in `folder`, with other values in sections of its configuration;
        the environment of commands on it."""
        shutil.copytree(self.folder / "home", folder / "home")
        configuration = self._configuration(folder, changes)
        temporary = folder / "tmp"  # what a killed worker leaves there goes with the scratch
        temporary.mkdir()
        extra = {SECRET_VARIABLE: self._secret, "TMPDIR": str(temporary)}
        return environment(folder / "home", configuration, **extra)

    def rows(self, drift: str = "none", *, seed: int = 1) -> list[Row]:
        """Rows of the bundled cohort for POST /predict, many enough that none is sent twice."""
        return list(json.loads(self._cohort(drift, seed)[0].read_bytes())["instances"])

    def labels(self, drift: str = "none", *, seed: int = 1) -> Path:
        """Their labels, as CSV for `monitoring.labels import`."""
        return self._cohort(drift, seed)[1]

    def _cohort(self, drift: str, seed: int) -> tuple[Path, Path]:
        rows = self.folder / f"rows-{drift}-{seed}.json"
        labels = rows.with_suffix(".csv")
        if not rows.exists():
            words = ["--rows", str(_ROWS), "--period", str(PERIOD), "--drift", drift]
            words += ["--seed", str(seed), "--output", str(rows), "--labels", str(labels)]
            self._run(["training.cohort", *words])
        return rows, labels

    def _training(self, version: str) -> list[str]:
        folder = self.folder / version
        folder.mkdir()
        file = self._configuration(folder, {"training": LIGHT | {"seed": _SEEDS[version]}})
        output = str(self._artefacts(version))
        return ["training.train", "--output", output, "--configuration", str(file)]

    def _registering(self, version: str) -> list[str]:
        artefacts = str(self._artefacts(version))
        return ["registry", "register", "--version", version, "--artifacts", artefacts]

    def _artefacts(self, version: str) -> Path:
        return self.folder / version / "artefacts"

    def _configuration(self, folder: Path, changes: Mapping[str, Document]) -> Path:
        content: Document = yaml.safe_load(DEFAULT_FILE.read_text(encoding="utf-8"))
        for section, values in changes.items():
            content[section] = (content.get(section) or {}) | values
        path = folder / "configuration.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return path

    def _run(self, *modules: Sequence[str]) -> None:
        """`python -m` of each, all at once."""
        around = environment(self.folder / "home", DEFAULT_FILE, **{SECRET_VARIABLE: self._secret})
        for done in run_together([["python", "-m", *words] for words in modules], around):
            if done.exit_code != 0:
                raise DrillError(f"{done.text}: exit {done.exit_code}: {done.last_line}")
