"""From a plot to its timeline: what a drill needs is started, the plot is played, and everything is
ended again, whatever happened."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from monitoring.drills.base import LIGHT, Base, Document
from monitoring.drills.client import Client, Traffic
from monitoring.drills.errors import DrillError, ImpossibleError
from monitoring.drills.plot import Plot
from monitoring.drills.reports import Reports
from monitoring.drills.scene import Say, Scene
from monitoring.drills.service import Service
from monitoring.drills.timeline import StageName, Timeline
from monitoring.watching.binaries import WatchError
from monitoring.watching.stack import Stack

_WORKERS = 2


@contextmanager
def scratch(*, keep: bool, say: Say) -> Iterator[Path]:
    """A folder for one run, removed at its end unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="datathon-drill-"))
    try:
        yield folder
    finally:
        if keep:
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def play(plot: Plot, base: Base, folder: Path, say: Say) -> Timeline:
    """Play one drill in `folder`; one that does not recover says so in its timeline."""
    story = Story(plot)
    try:
        with ExitStack() as closing:
            scene = _stage(plot, base, folder, say, closing)
            story.scene = scene
            try:
                plot.play(scene)
            finally:
                story.fired, story.told_of = scene.fired(), scene.told()
    except ImpossibleError as error:
        return story.told(str(error), impossible=True)
    except (DrillError, WatchError) as error:
        return story.told(str(error))
    unexpected = story.told(None).unexpected
    return story.told(f"unexpected alerts: {', '.join(unexpected)}" if unexpected else None)


class Story:
    """What is known of a drill at any moment."""

    def __init__(self, plot: Plot) -> None:
        self.plot = plot
        self.scene: Scene | None = None
        self.fired: tuple[str, ...] = ()
        self.told_of: tuple[str, ...] = ()

    def told(self, problem: str | None, *, impossible: bool = False) -> Timeline:
        """The timeline so far."""
        scene, plot = self.scene, self.plot
        stage: StageName = "start" if scene is None else scene.stage
        return Timeline(
            drill=plot.name,
            fault=plot.fault,
            alert=plot.alert,
            companions=plot.companions,
            stages=tuple(scene.stages) if scene else (),
            commands=tuple(scene.commands) if scene else (),
            notes=tuple(scene.notes) if scene else (),
            fired=self.fired,
            told=self.told_of,
            failed_stage=None if problem is None else stage,
            problem=problem,
            impossible=impossible,
        )


def _stage(plot: Plot, base: Base, folder: Path, say: Say, closing: ExitStack) -> Scene:
    folder.mkdir()
    changes: dict[str, Document] = {"bentoml": {"workers": _WORKERS}, "training": LIGHT}
    changes |= {section: dict(values) for section, values in plot.configuration.items()}
    environment = base.copy(folder, changes)
    closing.enter_context(plot.around(folder / "home"))
    began = time.monotonic()
    service = closing.enter_context(Service(environment, folder / "service.log"))
    say(f"service on {service.url} after {time.monotonic() - began:.1f} s")
    client = closing.enter_context(Client(service.port, Traffic.of(base.rows())))
    stack = closing.enter_context(Stack(service.address, folder / "watching", pace=plot.pace))
    if plot.reports:
        closing.enter_context(Reports(environment))
    return Scene(
        alert=plot.alert,
        folder=folder,
        base=base,
        service=service,
        client=client,
        stack=stack,
        environment=environment,
        say=say,
    )
