"""Waiting: probes of any callable kind, and the error at the deadline."""

import pytest

from meshctl.errors import WaitError
from meshctl.host.wait import until


async def _look(answers: list[str]) -> str:
    return answers.pop(0)


async def test_a_lambda_that_returns_a_coroutine_is_awaited() -> None:
    answers = ["not yet", ""]
    await until("the answer", lambda: _look(answers), timeout=5, every=0.01)
    assert answers == []


async def test_the_error_repeats_what_was_last_seen() -> None:
    with pytest.raises(WaitError, match=r"waited 0\.05 s for the answer; last seen: no"):
        await until("the answer", lambda: _look(["no"] * 1), timeout=0.05, every=0.1)
