"""Why nothing could be measured, in one line."""


class BenchmarkError(Exception):
    """A server did not start, the services disagree, or wrk failed."""
