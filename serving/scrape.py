"""What /metrics answers: the workers' counters, summed; what the state on disk says at the moment;
and what the newest background reports say, as they wrote it."""

import os
import struct
from collections import Counter as Tally
from collections.abc import Iterator, Mapping
from contextlib import suppress

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from registry import pointer
from registry.errors import RegistryError
from registry.heartbeat import Beat, Workers
from registry.pointer import Champion
from registry.state import State
from serving import beats


class Scrape:
    """Makes the answer; any worker of a server gives the same one."""

    def __init__(self, state: State, *, reports: bool) -> None:
        self._state = state
        self._reports = reports
        self._moment = _Moment(state)

    def text(self) -> bytes:
        """All series in Prometheus' text format; what cannot be read at the moment has none."""
        try:
            counted = _counted()
        except struct.error:  # a worker is just beginning: its file is there and empty
            counted = _counted()
        return counted + self.beside()

    def beside(self) -> bytes:
        """The series that are no worker's."""
        registry = CollectorRegistry()
        registry.register(self._moment)
        reports = b""
        if self._reports:  # else they are of whenever somebody asked for them
            with suppress(OSError):
                reports = self._state.report_metrics.read_bytes()
        return generate_latest(registry) + reports


def _counted() -> bytes:
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


class _Moment(Collector):
    """What stands on disk now. Labels are the versions in somebody's memory, a handful."""

    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            champion = pointer.read(self._state)
        except (RegistryError, OSError):
            champion = None
        if champion is not None:
            yield from _said(champion)
        yield from self._alive(champion)
        yield _ages()
        yield from self._disk()

    def _alive(self, champion: Champion | None) -> Iterator[GaugeMetricFamily]:
        beats = Workers(self._state).alive()
        yield GaugeMetricFamily(
            "datathon_workers_alive", "Workers with a heartbeat, of every service on this state",
            len(beats),
        )  # fmt: skip
        held = GaugeMetricFamily(
            "datathon_version_workers",
            "Workers on this state that serve, hold, have prepared or shadow a version",
            labels=["version", "role"],
        )
        asked = None if champion is None else champion.prepare
        roles = Tally(role for beat in beats for role in _roles(beat, asked))
        for role, count in sorted(roles.items()):
            held.add_metric(role, count)
        yield held

    def _disk(self) -> Iterator[GaugeMetricFamily]:
        log = self._state.inference_log
        try:
            disk = os.statvfs(log if log.is_dir() else self._state.home)
        except OSError:
            return
        # As df counts: what is kept back for root is no part of the size either.
        used = disk.f_blocks - disk.f_bfree
        for name, meaning, blocks in (
            ("free", "Bytes that the inference log may still take", disk.f_bavail),
            ("size", "Bytes of the disk that holds the inference log", used + disk.f_bavail),
        ):
            yield GaugeMetricFamily(
                f"datathon_log_disk_{name}_bytes", meaning, blocks * disk.f_frsize
            )


def _ages() -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "datathon_worker_beat_age_seconds",
        "Seconds since a worker's last sign of life, of which it gives one a second",
        labels=["worker"],
    )
    for worker, age in beats.ages().items():
        family.add_metric([worker], age)
    return family


def _said(champion: Champion) -> Iterator[GaugeMetricFamily]:
    yield GaugeMetricFamily(
        "datathon_champion_generation", "What champion.json says", champion.generation
    )
    info = GaugeMetricFamily(
        "datathon_champion_info", "The champion, always 1", labels=["model", "version"]
    )
    info.add_metric([champion.model, champion.version], 1)
    yield info


def _roles(beat: Beat, asked: Mapping[str, str] | None) -> Iterator[tuple[str, str]]:
    """Version and role; `asked` is what a promote waits for."""
    prepared = beat.prepared
    if asked and prepared and (prepared.id, prepared.problem) == (asked["id"], None):
        yield asked["version"], "prepared"
    if beat.version is not None:
        yield beat.version, "serving"
    if beat.challenger is not None:
        yield beat.challenger, "challenger"
    for version in beat.resident:
        yield version, "resident"
