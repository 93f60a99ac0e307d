import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitoring.rendering.exposition import PushError, push, textfile
from monitoring.watching.ports import free_port
from tests.monitoring.rendering.documents import drift, estimate, number, performance

Series = dict[tuple[str, str | None, str | None], float]

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed"
)
needs_pushgateway = pytest.mark.skipif(
    shutil.which("prometheus-pushgateway") is None,
    reason="prometheus-pushgateway is not installed",
)


def series(text: str) -> Series:
    """Values by name, kind of report and feature."""
    return {
        (sample.name, sample.labels.get("kind"), sample.labels.get("feature")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def written(document: dict[str, Any], folder: Path) -> str:
    path = folder / f"{document['kind']}.prom"
    textfile(document, path)
    return path.read_text()


def test_a_drift_report_becomes_series_by_feature(tmp_path: Path) -> None:
    found = series(written(drift(), tmp_path))
    assert found["datathon_drift_psi", "drift", "ieg"] == 6.4
    assert found["datathon_drift_psi", "drift", "score"] == 0.31
    statuses = [found["datathon_drift_status", "drift", n] for n in ("ida", "ips", "ieg")]
    assert statuses == [0, 1, 2]
    assert found["datathon_report_status", "drift", None] == 2
    assert found["datathon_drift_rows", "drift", None] == 500
    assert found["datathon_recall_floor", "drift", None] == 0.6
    assert found["datathon_estimated_recall_low", "drift", None] == 0.64
    # 2026-11-22T10:00:01Z, by `date -u -d ... +%s`
    assert found["datathon_report_timestamp_seconds", "drift", None] == 1795341601


def test_a_performance_report_becomes_series(tmp_path: Path) -> None:
    found = series(written(performance(), tmp_path))
    assert found["datathon_recall", "performance", None] == 0.66
    assert found["datathon_recall_high", "performance", None] == pytest.approx(0.714)
    assert found["datathon_recall_floor", "performance", None] == 0.7
    assert found["datathon_label_coverage", "performance", None] == pytest.approx(850 / 900)
    assert found["datathon_label_overdue_seconds", "performance", None] == 10_368_000
    assert found["datathon_report_status", "performance", None] == 1


def test_what_is_undefined_has_no_series(tmp_path: Path) -> None:
    labels = performance()["labels"] | {"coverage": None}
    document = performance(
        status="inconclusive", metrics={"recall": estimate(None)}, labels=labels, estimate=None
    )
    found = series(written(document, tmp_path))
    assert found["datathon_report_status", "performance", None] == 3
    names = {name for name, _, _ in found}
    assert not {"datathon_recall", "datathon_recall_low", "datathon_label_coverage"} & names
    assert "datathon_estimated_recall" not in names


def test_names_with_quotes_and_line_ends_survive(tmp_path: Path) -> None:
    name = 'a "quoted\\ name\nof two lines'
    document = drift(features=[number(name, 0.5, "red")])
    assert series(written(document, tmp_path))["datathon_drift_psi", "drift", name] == 0.5


def test_every_series_says_which_model_and_version(tmp_path: Path) -> None:
    text = written(drift(), tmp_path) + written(performance(), tmp_path)
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(samples) > 30
    for sample in samples:
        assert 'model="defasagem-risk",model_version="v1.0.0"' in sample


def test_both_reports_may_lie_in_one_folder(tmp_path: Path) -> None:
    """node_exporter refuses all files where two have the same series, or another help text."""
    texts = [written(document, tmp_path) for document in (drift(), performance())]
    lines = [text.splitlines() for text in texts]
    samples = [{s.rpartition(" ")[0] for s in part if s[0] != "#"} for part in lines]
    assert not samples[0] & samples[1]
    helps = [{s.split()[2]: s for s in part if s.startswith("# HELP")} for part in lines]
    for name in helps[0].keys() & helps[1].keys():
        assert helps[0][name] == helps[1][name]


def test_a_password_in_the_address_is_not_repeated() -> None:
    with pytest.raises(PushError) as refused:
        push(drift(), "http://maria:secret@127.0.0.1:9")
    assert "secret" not in str(refused.value)
    assert "http://127.0.0.1:9" in str(refused.value)


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "drift.prom"
    textfile(drift(), path)
    textfile(drift(rows=7), path)
    assert series(path.read_text())["datathon_drift_rows", "drift", None] == 7
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o444 == 0o444


@needs_promtool
@pytest.mark.parametrize("document", [drift(), performance()], ids=["drift", "performance"])
def test_promtool_has_no_complaint(document: dict[str, Any], tmp_path: Path) -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=written(document, tmp_path), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def pushgateway() -> Iterator[str]:
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        ["prometheus-pushgateway", f"--web.listen-address={address}"], stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                fetched(f"http://{address}/-/ready")
                break
            except urllib.error.URLError:
                assert time.monotonic() < deadline, "the Pushgateway did not start"
                time.sleep(0.05)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(10)


def fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return str(answer.read().decode())


@needs_pushgateway
def test_both_reports_stand_in_a_pushgateway_until_the_next_of_their_kind(
    pushgateway: str,
) -> None:
    push(drift(), pushgateway)
    push(performance(), pushgateway)
    push(drift(model_version="v1.1.0", features=[number("ida", 0.5, "red")]), pushgateway)
    found = fetched(f"{pushgateway}/metrics")
    values = series(found)
    assert values["datathon_drift_psi", "drift", "ida"] == 0.5
    assert ("datathon_drift_psi", "drift", "ieg") not in values
    assert values["datathon_recall", "performance", None] == 0.66
    assert 'job="datathon_reports"' in found
    assert 'model_version="v1.1.0"' in found
    assert values["push_time_seconds", "performance", None] > 0


@needs_pushgateway
def test_a_pushgateway_that_refuses_is_quoted(pushgateway: str) -> None:
    with pytest.raises(PushError, match=r"refused the metrics: 404") as told:
        push(drift(), f"{pushgateway}/nothing/here")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "127.0.0.1:{port}", "http://["])
def test_a_pushgateway_that_is_not_there_is_one_line(url: str) -> None:
    with pytest.raises(PushError, match="cannot be reached") as told:
        push(drift(), url.format(port=free_port()))
    assert "\n" not in str(told.value)
    assert told.value.exit_code == 1
