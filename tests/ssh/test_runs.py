"""`run`: a channel of its own, fed and always closed, ended at its deadline."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.errors import CommandError, CommandTimeout
from meshctl.host.connect import connect_all
from meshctl.host.known_hosts import KnownHosts
from meshctl.host.ssh import SshHost
from meshctl.host.wait import until
from meshctl.topology import Node
from meshctl.topology.document import Ssh
from meshctl.topology.settings import Timeouts
from tests.roles import golden
from tests.ssh import fifo as fifos
from tests.ssh.sshd import Server


async def test_stdin_arrives_byte_for_byte_and_ends(host: SshHost, tmp_path: Path) -> None:
    content = bytes(range(256)) * 8192 + b"\n\nlast"
    target = tmp_path / "target"
    await host.run(["sh", "-c", 'cat >"$1"', "sh", str(target)], reason="test", stdin=content)
    assert target.read_bytes() == content


async def test_stdin_is_at_its_end_when_there_is_none(host: SshHost) -> None:
    result = await host.run(["cat"], reason="test", timeout=5)  # incus reads YAML from stdin
    assert (result.status, result.stdout) == (0, "")


async def test_a_command_need_not_read_its_stdin(host: SshHost) -> None:
    assert (await host.run(["true"], reason="test", stdin=b"x" * 1_000_000)).ok


async def test_a_secret_on_stdin_is_in_no_command_line(host: SshHost, server: Server) -> None:
    result = await host.run(["sh", "-c", "cat >/dev/null; cat /proc/$$/cmdline"], reason="test", stdin=b"s3cret")
    assert "s3cret" not in result.stdout + "".join(server.commands)


async def test_a_failure_carries_command_status_and_stderr(host: SshHost) -> None:
    with pytest.raises(CommandError) as caught:
        await host.run(["sh", "-c", "echo out; echo why >&2; exit 7"], reason="test")
    assert (caught.value.status, caught.value.stderr, caught.value.stdout) == (7, "why\n", "out\n")


async def test_a_signal_counts_as_128_and_its_number(host: SshHost) -> None:
    assert (await host.run(["sh", "-c", "kill -KILL $$"], reason="test", ok=None)).status == 137


async def test_it_ends_at_its_deadline_on_the_host_too(host: SshHost, tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    script = 'echo $$ >"$1"; exec sleep 30'
    with pytest.raises(CommandTimeout, match=r"did not finish within 0.3 s"):
        await host.run(["sh", "-c", script, "sh", str(pidfile)], reason="test", timeout=0.3)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pidfile.read_text()), 0)


async def test_the_topology_says_how_long_a_command_may_take_that_says_nothing(
    node: Node, ssh: Ssh, known_hosts: KnownHosts, server: Server
) -> None:
    timeouts = Timeouts(command=0.3)
    topology = replace(golden.topology("triangle"), ssh=ssh, nodes=(node,), timeouts=timeouts)
    async with (await connect_all(topology, known_hosts))["node1"] as host:
        with pytest.raises(CommandTimeout, match=r"`sleep 30` did not finish within 0\.3 s"):
            await host.run(["sleep", "30"], reason="test")
        with pytest.raises(CommandTimeout, match=r"within 0\.3 s"):
            await host.safeguard(["sleep", "30"], fresh=5)
        assert (await host.run(["sleep", "0.5"], reason="test", timeout=5)).ok


@pytest.mark.parametrize("others", [0, 1])
async def test_a_host_that_never_ends_a_command_is_not_believed_forever(
    server: Server, host: SshHost, others: int
) -> None:
    host._commands.grace = 0.2
    server.login_shell = ("/bin/sh", "-c", "exec sleep 20")
    async with asyncio.timeout(5):
        results = await asyncio.gather(
            host.run(["true"], reason="test", timeout=0.1),
            host.query(["true"], timeout=0.1),
            *(host.query(["true"], timeout=0.2) for _ in range(others)),
            return_exceptions=True,
        )
    assert [type(result) for result in results] == [CommandTimeout] * (2 + others)


async def test_a_channel_that_is_refused_is_asked_for_again(host: SshHost, server: Server) -> None:
    server.refusals = 3
    assert (await host.run(["echo", "x"], reason="test")).stdout == "x\n"
    assert (server.refused, host.round_trips) == (3, 1)


async def test_two_hundred_commands_with_a_small_maxsessions(host: SshHost, server: Server) -> None:
    server.max_sessions = 2
    async with asyncio.timeout(60):
        results = await asyncio.gather(*(host.run(["echo", str(n)], reason="test") for n in range(200)))
    assert [result.stdout for result in results] == [f"{n}\n" for n in range(200)]
    assert server.most == 2


async def test_never_more_than_four_channels_at_once(host: SshHost, server: Server) -> None:
    await asyncio.gather(*(host.query(["cat"], stdin=b"") for _ in range(50)))
    assert server.most <= 4
    assert server.refused == 0


async def test_long_runs_leave_a_channel_for_queries(host: SshHost, tmp_path: Path) -> None:
    waiting_on = [fifos.make(tmp_path / f"fifo{number}") for number in range(4)]
    long = [asyncio.create_task(host.run(["cat", str(fifo)], reason="test", timeout=20)) for fifo in waiting_on]

    async def all_open() -> str:
        return "" if host.round_trips == 3 else f"{host.round_trips} channels"

    await until("busy channels", all_open, timeout=5, every=0.01)
    async with asyncio.timeout(5):
        assert (await host.query(["echo", "still here"])).stdout == "still here\n"
    for fifo in waiting_on:
        await fifos.say(fifo, "x")
    assert all(result.stdout == "x" for result in await asyncio.gather(*long))


LOGIN_SHELL = r'''#!/usr/bin/env python3
"""A login shell with rules of its own: no history, no backslash, no line break, words in single quotes."""
import os, re, sys
command = sys.argv[2]
if re.search(r"[\\\n!]", command):
    sys.exit(f"unmatched, or event not found: {command!r}")
words = re.findall(r"'([^']*)'|([^\s']+)", command)
os.execvp((words[0][0] or words[0][1]), [quoted or plain for quoted, plain in words])
'''


async def test_the_login_shell_may_be_anything(host: SshHost, server: Server, tmp_path: Path) -> None:
    shell = tmp_path / "strange-shell"
    shell.write_text(LOGIN_SHELL)
    shell.chmod(0o755)
    server.login_shell = (str(shell), "-c")
    argument = "a'b\\c\nd!e $x"
    ran = await host.run(["printf", "%s", argument], reason="test")
    both = await asyncio.gather(*(host.query(["printf", "%s", argument]) for _ in range(2)))
    assert [ran.stdout, both[0].stdout, both[1].stdout] == [argument] * 3
