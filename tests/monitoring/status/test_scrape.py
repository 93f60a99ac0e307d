"""Text in, rates and quantiles out; the expected figures are worked out by hand."""

from datetime import UTC, datetime

import pytest

from monitoring.status.facts import ErrorGroup, Gauges
from monitoring.status.scrape import NotMetricsError, parse, period, quantile, spread, traffic
from tests.monitoring.status.expositions import exposition

SEEN = datetime(2026, 11, 22, 2, 58, tzinfo=UTC)
INFINITY = float("inf")


@pytest.mark.parametrize(
    ("buckets", "share", "expected"),
    [
        # all in one bucket: half way through it
        ([(1.0, 0), (2.0, 10), (INFINITY, 10)], 0.5, 1.5),
        # 95 of 100 are reached half way between 2 and 4: 90 below 2, ten more in the bucket
        ([(1.0, 50), (2.0, 90), (4.0, 100), (INFINITY, 100)], 0.95, 3.0),
        # the first bucket begins at 0
        ([(1.0, 10), (INFINITY, 10)], 0.5, 0.5),
        # above the last bound nothing is known but that bound
        ([(1.0, 0), (30.0, 0), (INFINITY, 3)], 0.99, 30.0),
        # an empty bucket in between is passed over
        ([(1.0, 5), (2.0, 5), (3.0, 10), (INFINITY, 10)], 0.6, 2.2),
    ],
)
def test_a_quantile_is_prometheus_s(
    buckets: list[tuple[float, float]], share: float, expected: float
) -> None:
    assert quantile(buckets, share) == pytest.approx(expected)


def test_a_sample_is_what_came_in_between() -> None:
    before = exposition(
        requests={("/predict", "200"): 1000, ("/predict", "500"): 5, ("/health", "503"): 70},
        seconds={"0.005": 1000},
        batches=400,
    )
    after = exposition(
        requests={
            ("/predict", "200"): 1030,
            ("/predict", "500"): 7,
            ("/predict", "503"): 1,
            ("/predict", "400"): 4,
            ("other", "404"): 3,
            ("/health", "503"): 90,
            ("/metrics", "200"): 2,
        },
        seconds={"0.005": 1000, "0.4": 20},
        errors={"ValueError": (7, SEEN)},
        batches=410,
        log_failures=2,
    )
    found = traffic(parse(before), parse(after), 2.0)
    sample, total = found.sample, found.total
    assert sample is not None
    assert total is not None
    # 30 + 2 + 1 + 4 + 3, and no probe
    assert (sample.requests, sample.server_errors, sample.client_errors) == (40.0, 3.0, 7.0)
    assert (total.requests, total.server_errors, total.client_errors) == (1045.0, 8.0, 7.0)
    assert sample.log_failures == 2.0
    assert sample.error_share == pytest.approx(0.075)
    assert sample.predict is not None
    assert sample.predict.count == 20
    assert sample.predict.p50 == pytest.approx(0.35)  # the middle of 0.3 to 0.4
    assert total.predict is not None
    assert total.predict.p50 == pytest.approx(0.005 * 510 / 1000)
    assert sample.batches is not None
    assert (sample.batches.count, sample.batches.p50) == (10, 7.5)
    assert found.errors == (
        ErrorGroup("status", "500", 7.0, 2.0),
        ErrorGroup("status", "503", 1.0, 1.0),
        ErrorGroup("exception", "ValueError", 7.0, 7.0, SEEN),
    )


def test_without_a_request_there_is_no_sample() -> None:
    once = parse(exposition(requests={("/predict", "200"): 3, ("/health", "200"): 1}))
    again = parse(exposition(requests={("/predict", "200"): 3, ("/health", "200"): 5}))
    assert traffic(once, again, 1.0).sample is None


def test_counters_of_a_service_that_began_anew_count_from_nothing() -> None:
    before = parse(exposition(requests={("/predict", "200"): 1000}))
    after = parse(exposition(requests={("/predict", "200"): 6}))
    sample = traffic(before, after, 1.0).sample
    assert sample is not None
    assert sample.requests == 6


def test_a_release_that_counts_nothing_gives_nothing() -> None:
    found = traffic(parse("up 1\n"), parse("up 1\n"), 1.0)
    assert (found.sample, found.errors, found.workers) == (None, (), ())
    assert found.total is not None
    assert found.total.predict is None


def test_workers_come_in_the_order_of_their_numbers() -> None:
    text = "".join(
        f'datathon_worker_generation{{worker="{n}"}} 2.0\n'
        f'datathon_worker_serving{{worker="{n}"}} 1.0\n'
        f'datathon_worker_memory_bytes{{worker="{n}"}} {n}e+08\n'
        f'datathon_worker_beat_age_seconds{{worker="{n}"}} 0.5\n'
        for n in (10, 2)
    )
    found = traffic(parse(text), parse(text), 1.0).workers
    assert found == (Gauges("2", 2, True, None, 2e8, 0.5), Gauges("10", 2, True, None, 1e9, 0.5))


@pytest.mark.parametrize(
    "text", ["<html>no</html>", '{"status": "ok"}', 'a{b="c} 1', "a", "} {", 'a{b="c"} x']
)
def test_what_is_no_exposition_is_refused(text: str) -> None:
    with pytest.raises(NotMetricsError):
        parse(text)


def test_what_is_not_finite_is_left_out() -> None:
    text = 'datathon_worker_memory_bytes{worker="1"} NaN\ndatathon_log_failures_total +Inf\n'
    assert period(parse(text), None).log_failures == 0.0


@pytest.mark.parametrize("text", ["", 'x_bucket{le="1"} 4\n', 'x_bucket{le="+Inf"} 0\n'])
def test_a_histogram_without_its_end_or_without_counts_has_no_quantile(text: str) -> None:
    assert spread(parse(text), "x") is None
