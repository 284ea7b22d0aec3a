"""The hours in which a host may be started to reboot. Pure, but for the clock it is given."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time
from typing import Self

from meshctl.errors import UsageError

_FORM = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)-([01]?\d|2[0-3]):([0-5]\d)")


def _here() -> datetime:
    return datetime.now().astimezone()


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` to `end` of each day, by the clock of the machine that meshctl runs on; may pass midnight."""

    start: time
    end: time
    clock: Callable[[], datetime] = _here

    @classmethod
    def parse(cls, text: str, clock: Callable[[], datetime] = _here) -> Self:
        """`01:00-05:00`. Raises UsageError when it is something else, or of no length."""
        found = _FORM.fullmatch(text.strip())
        if not found:
            raise UsageError(f"{text!r} is no window", advice="It is written like 01:00-05:00.")
        start, end = time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
        if start == end:
            raise UsageError(f"the window {text} is empty", advice="Leave --window out to reboot at any time.")
        return cls(start, end, clock)

    @property
    def open(self) -> bool:
        """Whether a host may be started now."""
        now = self.clock().time()
        if self.start < self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"
