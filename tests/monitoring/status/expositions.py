"""What /metrics says, written by hand from the list of names and not by the service."""

from datetime import datetime

_FINITE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 30.0)
_BOUNDS = (*map(str, _FINITE), "+Inf")


def exposition(
    *,
    requests: dict[tuple[str, str], int] | None = None,
    seconds: dict[str, int] | None = None,
    errors: dict[str, tuple[int, datetime]] | None = None,
    batches: int = 0,
    log_failures: int = 0,
    restarts: int = 0,
    more: str = "",
) -> str:
    """Counts by route and status, requests to /predict by the upper bound of their bucket, errors
    by type with when they were last seen, and batches of up to ten rows."""
    lines = ["# HELP datathon_requests_total Requests", "# TYPE datathon_requests_total counter"]
    for (route, status), count in (requests or {}).items():
        lines.append(f'datathon_requests_total{{route="{route}",status="{status}"}} {count}.0')
    lines.append("# TYPE datathon_request_seconds histogram")
    total = 0
    for bound in _BOUNDS:
        total += (seconds or {}).get(bound, 0)
        lines.append(f'datathon_request_seconds_bucket{{le="{bound}",route="/predict"}} {total}.0')
    lines.append("# TYPE datathon_errors_total counter")
    for kind, (count, seen) in (errors or {}).items():
        lines.append(f'datathon_errors_total{{type="{kind}"}} {count}.0')
        stamp = seen.timestamp()
        lines.append(f'datathon_error_timestamp_seconds{{type="{kind}"}} {stamp}')
    for bound, count in (("5.0", 0), ("10.0", batches), ("+Inf", batches)):
        lines.append(f'datathon_batch_rows_bucket{{le="{bound}"}} {count}.0')
    lines.append(f"datathon_log_failures_total {log_failures}.0")
    lines.append(f"datathon_worker_restarts_total {restarts}.0")
    return "\n".join(lines) + "\n" + more
