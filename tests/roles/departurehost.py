"""Hosts for tests of departures: those who stay, and what answers in the place of the one that is gone."""

from collections.abc import Awaitable, Callable, Collection, Sequence

from meshctl.errors import ConnectError
from meshctl.host.base import QUERY_TIMEOUT, Result
from meshctl.host.fake import FakeHost
from tests.roles.absencehost import AbsenceHost


class Nobody(FakeHost):
    """No machine at all."""

    async def query(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = QUERY_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        """Nobody answers."""
        del argv, stdin, timeout, ok
        raise ConnectError(self.name, "port 22 does not answer")


class QuickHost(AbsenceHost):
    """Every deadline is a twentieth of a second."""

    async def until(
        self,
        what: str,
        probe: Callable[[], Awaitable[str]],
        *,
        timeout: float,  # noqa: ASYNC109  (contract of Host)
        every: float = 0.2,
    ) -> None:
        """See Host."""
        await super().until(what, probe, timeout=min(timeout, 0.05), every=min(every, 0.001))
