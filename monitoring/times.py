"""Times as whole microseconds since 1970 UTC, which is how the log and the labels hold them."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Of an aware time, exactly: a float of seconds would round."""
    return (moment - EPOCH) // _MICROSECOND
