"""Queries: together in one channel, apart in every other respect."""

import asyncio
from pathlib import Path

import pytest

from meshctl.errors import CommandError, CommandTimeout
from meshctl.host.ssh import SshHost
from meshctl.host.wait import until
from tests.ssh import fifo as fifos

NASTY = [
    "",
    " ",
    "a b",
    "it's",
    '"',
    "$(echo injected)",
    "`id`",
    "$HOME",
    "\\",
    "\\n",
    "a\nb",
    "\n",
    "trailing\n",
    "*",
    "~",
    "!x",
    "#",
    ";",
    "&",
    "|",
    "--",
    "-n",
    "-rf",
    "é ü 日本 🙂",
    "\x81\x88",
    "\t\r\x01\x7f",
]


def printed(argument: str) -> list[str]:
    return ["printf", "[%s]", argument]


async def test_queries_awaited_together_take_one_round_trip(host: SshHost) -> None:
    results = await asyncio.gather(*(host.query(["echo", str(number)]) for number in range(30)))
    assert [result.stdout for result in results] == [f"{number}\n" for number in range(30)]
    assert host.round_trips == 1


async def test_queries_from_nested_coroutines_travel_together_too(host: SshHost) -> None:
    async def layer(depth: int) -> None:
        if depth:
            await asyncio.gather(layer(depth - 1), host.query(["true"]))

    await layer(5)
    assert host.round_trips == 1


async def test_more_than_a_batch_holds(host: SshHost) -> None:
    results = await asyncio.gather(*(host.query(["echo", str(number)]) for number in range(300)))
    assert [result.stdout for result in results] == [f"{number}\n" for number in range(300)]
    assert host.round_trips == 3


async def test_commands_of_a_batch_run_at_the_same_time(host: SshHost, tmp_path: Path) -> None:
    fifo = fifos.make(tmp_path / "fifo")
    read, written = await asyncio.gather(
        host.query(["cat", str(fifo)], timeout=5), host.query(["sh", "-c", 'echo through >"$1"', "sh", str(fifo)])
    )
    assert (read.stdout, written.ok, host.round_trips) == ("through\n", True, 1)


async def test_a_slow_query_holds_back_no_other(host: SshHost, tmp_path: Path) -> None:
    fifo = fifos.make(tmp_path / "fifo")
    slow = asyncio.create_task(host.query(["cat", str(fifo)], timeout=10))
    fast = await asyncio.gather(*(host.query(["echo", "fast"]) for _ in range(5)))
    assert [result.stdout for result in fast] == ["fast\n"] * 5
    assert not slow.done()
    assert host.round_trips == 1
    await fifos.say(fifo, "slow\n")
    assert (await slow).stdout == "slow\n"


async def test_streams_and_statuses_stay_apart(host: SshHost) -> None:
    script = 'echo "out $1"; echo "err $1" >&2; exit "$1"'
    results = await asyncio.gather(*(host.query(["sh", "-c", script, "sh", str(n)], ok=None) for n in range(10)))
    assert [(r.status, r.stdout, r.stderr) for r in results] == [(n, f"out {n}\n", f"err {n}\n") for n in range(10)]


@pytest.mark.parametrize("count", [1, 2])
async def test_binary_and_large_output(host: SshHost, tmp_path: Path, count: int) -> None:
    content = bytes(range(256)) * 4096 + b"\0" * 513 + b"ends without newline"
    (tmp_path / "blob").write_bytes(content)
    command = ["sh", "-c", 'cat "$1"; cat "$1" >&2', "sh", str(tmp_path / "blob")]
    results = await asyncio.gather(*(host._queries.ask(command, 20) for _ in range(count)))
    assert all((answer.stdout, answer.stderr) == (content, content) for answer in results)


async def test_undecodable_output_is_replaced(host: SshHost) -> None:
    assert (await host.query(["printf", "a\\377b"])).stdout == "a\ufffdb"


@pytest.mark.parametrize("argument", NASTY)
async def test_arguments_arrive_as_they_are(host: SshHost, argument: str) -> None:
    alone = await host.query(printed(argument))
    together = await asyncio.gather(host.query(printed(argument)), host.query(printed(argument)))
    ran = await host.run(printed(argument), reason="test")
    fed = await host.query(["sh", "-c", 'printf "[%s]" "$1"; cat', "sh", argument], stdin=b"<in>")
    seen = [result.stdout for result in (alone, *together, ran, fed)]
    assert seen == [f"[{argument}]"] * 4 + [f"[{argument}]<in>"]


async def test_every_character_below_256_as_an_argument(host: SshHost) -> None:
    everything = "".join(map(chr, range(1, 256)))
    alone = await host._queries.ask(printed(everything), 20)
    together = await asyncio.gather(host._queries.ask(printed(everything), 20), host._queries.ask(["true"], 20))
    assert alone.stdout == together[0].stdout == f"[{everything}]".encode()


async def test_a_long_argument(host: SshHost) -> None:
    long = "x" * 120_000
    both = await asyncio.gather(host.query(["echo", long]), host.query(["true"]))
    assert both[0].stdout == long + "\n"
    assert (await host.query(["echo", long])).stdout == long + "\n"


@pytest.mark.parametrize("bad", [["echo", "a\0b"], []])
async def test_impossible_commands_fail_alone(host: SshHost, bad: list[str]) -> None:
    good, refused = await asyncio.gather(host.query(["echo", "fine"]), host.query(bad), return_exceptions=True)
    assert isinstance(refused, ValueError)
    assert not isinstance(good, BaseException)
    assert good.stdout == "fine\n"


async def test_an_unexpected_status_is_an_error(host: SshHost) -> None:
    results = await asyncio.gather(
        host.query(["sh", "-c", "echo no luck >&2; exit 3"]), host.query(["true"]), return_exceptions=True
    )
    error = results[0]
    assert isinstance(error, CommandError)
    assert (error.host, error.status, error.stderr) == ("node1", 3, "no luck\n")
    assert "no luck" in str(error)


@pytest.mark.parametrize("others", [0, 2])
async def test_a_missing_command_is_127(host: SshHost, others: int) -> None:
    missing, *_ = await asyncio.gather(
        host.query(["meshctl-no-such-command"], ok=(127,)), *(host.query(["true"]) for _ in range(others))
    )
    assert missing.status == 127
    assert "No such file" in missing.stderr


async def test_an_expected_status_is_none(host: SshHost) -> None:
    assert (await host.query(["false"], ok=(0, 1))).status == 1


@pytest.mark.parametrize("others", [0, 2])
async def test_a_query_ends_at_its_deadline(host: SshHost, others: int) -> None:
    slow = asyncio.create_task(host.query(["sleep", "30"], timeout=0.2))
    fast = await asyncio.gather(*(host.query(["echo", "x"]) for _ in range(others)))
    with pytest.raises(CommandTimeout, match=r"`sleep 30` did not finish within 0.2 s"):
        await slow
    assert [result.stdout for result in fast] == ["x\n"] * others


async def test_a_query_that_ignores_term_is_killed(host: SshHost) -> None:
    stubborn = ["sh", "-c", 'trap "" TERM; while :; do sleep 1; done']
    slow = asyncio.create_task(host.query(stubborn, timeout=0.2))
    assert (await host.query(["true"])).ok
    async with asyncio.timeout(8):
        with pytest.raises(CommandTimeout):
            await slow


async def test_statuses_124_and_137_before_the_deadline_are_the_commands_own(host: SshHost) -> None:
    for status in (124, 137):
        script = ["sh", "-c", f"exit {status}"]
        pair = await asyncio.gather(host.query(script, ok=None), host.query(script, ok=None))
        assert [result.status for result in pair] == [status] * 2
        assert (await host.query(script, ok=None)).status == status


async def test_a_child_that_goes_on_writing_does_not_break_the_frames(host: SshHost) -> None:
    chatter = "echo first; (i=0; while [ $i -lt 20000 ]; do echo more; i=$((i+1)); done) & exit 0"
    first, *others = await asyncio.gather(
        host.query(["sh", "-c", chatter]), *(host.query(["echo", str(n)]) for n in range(10))
    )
    assert first.stdout.startswith("first\n")
    assert [result.stdout for result in others] == [f"{n}\n" for n in range(10)]


async def test_nothing_is_left_on_the_host(host: SshHost, tmp_path: Path) -> None:
    output, _ = await asyncio.gather(host.query(["readlink", "/proc/self/fd/1"]), host.query(["true"]))
    folder = Path(output.stdout.strip()).parent
    assert folder.name.startswith(("meshctl.", "tmp."))

    async def left() -> str:
        return str(folder) if folder.exists() else ""

    await until("its removal", left, timeout=5, every=0.01)


async def test_a_cancelled_query_leaves_the_others_alone(host: SshHost, tmp_path: Path) -> None:
    waiting_on = [fifos.make(tmp_path / name) for name in ("one", "two")]
    one, two = (asyncio.create_task(host.query(["cat", str(fifo)], timeout=10)) for fifo in waiting_on)
    assert (await host.query(["true"])).ok
    one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one
    for fifo in waiting_on:
        await fifos.say(fifo, "x")
    assert (await two).stdout == "x"


async def test_queries_have_a_clean_environment(host: SshHost) -> None:
    both = await asyncio.gather(host.query(["env"]), host.query(["pwd"]))
    assert "LC_ALL=C\n" in both[0].stdout
    assert "/usr/sbin:" in both[0].stdout
    assert both[1].stdout == "/\n"
    assert (await host.query(["pwd"])).stdout == "/\n"


async def test_two_hundred_commands_at_once(host: SshHost) -> None:
    async def one(number: int) -> str:
        if number % 3 == 0:
            return (await host.run(["echo", str(number)], reason="test")).stdout
        if number % 3 == 1:
            return (await host.query(["cat"], stdin=f"{number}\n".encode())).stdout
        return (await host.query(["echo", str(number)])).stdout

    async with asyncio.timeout(30):
        assert await asyncio.gather(*map(one, range(200))) == [f"{number}\n" for number in range(200)]


async def test_queries_asked_while_all_channels_are_busy_share_the_next_one(host: SshHost, tmp_path: Path) -> None:
    waiting_on = [fifos.make(tmp_path / f"fifo{number}") for number in range(4)]
    busy = [asyncio.create_task(host.query(["cat", str(fifo)], stdin=b"\0", timeout=10)) for fifo in waiting_on]

    async def all_open() -> str:
        return "" if host.round_trips == 4 else f"{host.round_trips} channels"

    await until("busy channels", all_open, timeout=5, every=0.01)
    waiting = [asyncio.create_task(host.query(["echo", str(number)])) for number in range(5)]
    for fifo in waiting_on:
        await fifos.say(fifo, "x")
    await asyncio.gather(*busy, *waiting)
    assert host.round_trips == 5


async def test_queries_with_input_travel_with_the_others(host: SshHost) -> None:
    asked = (host.query(["cat"], stdin=b"one"), host.query(["echo", "two"]), host.query(["cat"], stdin=b"three\n"))
    assert [answer.stdout for answer in await asyncio.gather(*asked)] == ["one", "two\n", "three\n"]
    assert host.round_trips == 1
    assert (await host.query(["od", "-c"], stdin=b"\0")).stdout.startswith("0000000  \\0")
