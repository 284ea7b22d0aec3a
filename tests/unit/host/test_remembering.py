import asyncio
from collections.abc import Collection, Sequence

import pytest

from meshctl.errors import CommandError
from meshctl.host.base import QUERY_TIMEOUT, Files, Result, text
from meshctl.host.fake import FakeHost
from meshctl.host.remembering import RememberingHost, remembering


class SlowHost(FakeHost):
    """Answers when told to."""

    def hold(self) -> asyncio.Event:
        self.go = asyncio.Event()
        return self.go

    async def query(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = QUERY_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        ok: Collection[int] | None = (0,),
    ) -> Result:
        await self.go.wait()
        return await super().query(argv, stdin=stdin, timeout=timeout, ok=ok)


async def test_a_question_is_asked_once() -> None:
    host = FakeHost().on("date", "now")
    remembering = RememberingHost(host)
    answers = await asyncio.gather(*(remembering.query(["date"]) for _ in range(3)))
    assert [answer.stdout for answer in answers] == ["now"] * 3
    assert host.queried == ["date"]


async def test_stdin_makes_another_question() -> None:
    host = FakeHost().on("cat", "x")
    remembering = RememberingHost(host)
    await remembering.query(["cat"], stdin=b"1")
    await remembering.query(["cat"], stdin=b"2")
    assert host.queried == ["cat", "cat"]


async def test_each_asker_judges_the_status_for_itself() -> None:
    remembering = RememberingHost(FakeHost().on("false", status=1))
    assert (await remembering.query(["false"], ok=None)).status == 1
    with pytest.raises(CommandError):
        await remembering.query(["false"])


async def test_a_cancelled_asker_takes_no_answer_from_others() -> None:
    host = SlowHost()
    host.on("date", "now")
    go = host.hold()
    remembering = RememberingHost(host)
    first, second = (asyncio.ensure_future(remembering.query(["date"])) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    go.set()
    async with asyncio.timeout(5):
        assert (await second).stdout == "now"


async def test_closing_gives_up_what_is_under_way() -> None:
    host = SlowHost()
    host.on("date", "now")
    host.hold()
    remembering = RememberingHost(host)
    asked = asyncio.ensure_future(remembering.query(["date"]))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await remembering.close()
        with pytest.raises(asyncio.CancelledError):
            await asked
    assert host.queried == []


async def test_files_are_compared_once() -> None:
    looks: list[str] = []

    class Comparing(FakeHost):
        async def differing(self, files: Files) -> frozenset[str]:
            looks.append(" ".join(files))
            return await super().differing(files)

    async with remembering({"node1": Comparing()}) as hosts:
        wanted = {"/etc/a": text("a")}
        assert await hosts["node1"].differing(wanted) == {"/etc/a"}
        assert await hosts["node1"].differing({"/etc/a": text("a")}) == {"/etc/a"}
        await hosts["node1"].differing({"/etc/a": text("b")})
    assert looks == ["/etc/a", "/etc/a"]
