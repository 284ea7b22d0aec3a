"""When a host may be started."""

from datetime import UTC, datetime

import pytest

from meshctl.errors import UsageError
from meshctl.lifecycle.window import Window


def at(window: str, now: str) -> bool:
    hour, minute = map(int, now.split(":"))
    return Window.parse(window, lambda: datetime(2026, 11, 20, hour, minute, tzinfo=UTC)).open


@pytest.mark.parametrize(
    ("window", "now", "is_open"),
    [
        ("01:00-05:00", "01:00", True),
        ("01:00-05:00", "04:59", True),
        ("01:00-05:00", "05:00", False),
        ("01:00-05:00", "00:59", False),
        ("22:00-2:30", "23:15", True),
        ("22:00-2:30", "02:29", True),
        ("22:00-2:30", "02:30", False),
        ("22:00-2:30", "12:00", False),
    ],
)
def test_a_window(window: str, now: str, is_open: bool) -> None:  # noqa: FBT001
    assert at(window, now) is is_open


@pytest.mark.parametrize("text", ["", "1-5", "01:00", "24:00-01:00", "01:60-02:00", "01:00-05:00:00", "03:00-03:00"])
def test_what_is_no_window(text: str) -> None:
    with pytest.raises(UsageError):
        Window.parse(text)
