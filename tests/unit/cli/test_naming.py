"""What can't be undone is only done when the operator names it."""

import pytest

from meshctl.cli.naming import insist, refusal
from meshctl.errors import UsageError


@pytest.mark.parametrize(
    ("yes", "says"), [("triangle", ""), ("square", "is called triangle"), (None, "--yes triangle")]
)
async def test_only_the_right_name_agrees(yes: str | None, says: str) -> None:
    why_not = await refusal("triangle", yes, "break the lock")  # without a terminal, as under pytest
    assert says in why_not
    assert bool(why_not) is bool(says)


async def test_whoever_insists_gets_the_name_or_an_error() -> None:
    await insist("node3", "node3", "go on", "host")
    with pytest.raises(UsageError, match="nothing was changed: the host is called node3, not 'node2'"):
        await insist("node3", "node2", "go on", "host")
