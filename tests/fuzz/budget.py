"""What every fuzz test shares: its number of examples, and a clock that no example may overrun."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from hypothesis import HealthCheck, settings

LEVELS = {"short": 1, "long": 40, "night": 400}
"""Times the examples. `long` (`make fuzz`) ends within half an hour on two idle cores, `night` within five hours."""

TIMES = LEVELS[os.environ.get("MESHCTL_FUZZ", "short")]
LONG = TIMES > 1
"""Other examples each time, and every injected value that is accepted is rendered."""

SECONDS = 20
"""Of the processor's time for one example, whatever else the machine does. The slowest one takes under two."""

_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)


def budget(examples: int) -> settings:
    """So many examples in the small profile, always the same ones, so that a red build is nobody's bad luck."""
    return settings(
        max_examples=examples * TIMES,
        deadline=None,
        derandomize=not LONG,
        database=None,
        suppress_health_check=_SLOW,
    )


@contextmanager
def no_hang(seconds: int = SECONDS) -> Iterator[None]:
    """Fail what runs longer; hypothesis' own deadline only looks after an example has ended."""

    def late(_signal: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"one example took more than {seconds} s of the processor's time")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
