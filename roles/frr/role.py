"""OSPF over every cable, BFD beside it, and the loopback as the address that survives a cut cable."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, RefusedError
from meshctl.host.base import Files, Host, text
from meshctl.roles.base import Problem, Role
from meshctl.roles.templates import environment
from meshctl.topology import Node

from . import parse
from .judge import ROUTES, Look, judge, unreachable

T = TypeVar("T")

CONF = "/etc/frr/frr.conf"
UNIT = "frr.service"
_NEEDED = frozenset({"zebra", "ospfd", "bfdd"})

# Starting vtysh costs more than all its answers: ask everything at once.
RUNNING = ("vtysh", "-c", "show daemons", "-c", "show running-config")
SESSIONS = ("vtysh", "-c", "show ip ospf neighbor json", "-c", "show bfd peers json")

# Through a pipe, because sshd may give a command a socket as stdin, and a socket can't be opened as /dev/stdin.
_CHECK = "cat | vtysh -C -f /dev/stdin"

# All at once: the whole look costs no more than the slowest answer, 1 s when somebody is silent.
_PING = 'from=$1; shift; for to; do ping -n -q -c 1 -W 1 -I "$from" "$to" >/dev/null 2>&1 || echo "$to" & done; wait'


@dataclass(frozen=True, slots=True)
class _Seen:
    """What `apply` found on a host."""

    active: bool
    enabled: bool
    daemons: frozenset[str]
    running: str
    saved: str | None


class Frr(Role):
    """FRR with OSPF and BFD."""

    name: ClassVar[str] = "frr"
    summary: ClassVar[str] = "OSPF and BFD over every cable; every loopback reaches every other"
    needs: ClassVar[frozenset[str]] = frozenset({"system", "links"})
    poll: ClassVar[float] = 0.1

    def render(self, node: Node) -> Files:
        """frr.conf and the list of daemons."""
        env = environment(__package__)
        conf = env.get_template("frr.conf.j2").render(node=node, ospf=self.topology.ospf, bfd=self.topology.bfd)
        return {
            CONF: text(conf, mode=0o640, owner="frr", group="frr"),
            "/etc/frr/daemons": text(env.get_template("daemons.j2").render(), mode=0o640, owner="frr", group="frr"),
        }

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Write the files; start FRR if OSPF isn't running, reload it if it runs something else.

        Raises RefusedError when FRR carries a configuration that meshctl didn't make, CommandError when this FRR
        doesn't understand the new one (which then is not installed).
        """
        files = self.render(node)
        wanted = files[CONF].content.decode()
        seen = await _observe(host)
        _refuse_foreign(host, seen)
        if seen.saved != wanted:
            await _check_syntax(host, wanted)
        written = await host.put(files)
        if not seen.enabled:
            await host.run(["systemctl", "enable", UNIT], reason="FRR would not start at boot")
        if not (seen.active and seen.daemons >= _NEEDED):
            await _restart(host, seen)
        elif difference := parse.differences(wanted, seen.running):
            await _clear_strangers(host, parse.strangers(wanted, seen.running))
            await host.run(["systemctl", "reload", UNIT], reason=f"the running configuration {difference}")
        elif "/etc/frr/daemons" in written:
            await host.run(["systemctl", "reload", UNIT], reason="the list of daemons differs")
        else:
            return
        await host.until("FRR's configuration", lambda: _difference(host, wanted), timeout=20, every=0.1)

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """Every adjacency Full on both ends and no other, BFD up, kernel routes, and pings between all loopbacks."""
        looks = await cluster.each(_look)
        problems = [p for node in self.topology.nodes for p in judge(self.topology, node, looks[node.name])]
        if problems:
            return problems
        silent = await cluster.each(self._silent)
        return [
            unreachable(self.topology, node, address) for node in self.topology.nodes for address in silent[node.name]
        ]

    async def _silent(self, node: Node, host: Host) -> tuple[str, ...]:
        others = [str(other.loopback) for other in self.topology.nodes if other.name != node.name]
        return tuple((await host.query(["sh", "-c", _PING, "sh", str(node.loopback), *others])).stdout.split())


async def _observe(host: Host) -> _Seen:
    unit, running, saved = await asyncio.gather(
        host.query(["systemctl", "show", UNIT, "-p", "ActiveState,UnitFileState"]),
        host.query(RUNNING, ok=None),
        host.read(CONF),
    )
    daemons, configuration = parse.running(running.stdout if running.ok else "")
    return _Seen(
        active="ActiveState=active" in unit.stdout,
        enabled="UnitFileState=enabled" in unit.stdout,
        daemons=daemons,
        running=configuration,
        saved=saved,
    )


def _refuse_foreign(host: Host, seen: _Seen) -> None:
    for where, content in ((CONF, seen.saved or ""), ("the running FRR", seen.running)):
        if line := parse.foreign(content):
            raise RefusedError(
                host.name,
                f"{where} has a configuration that meshctl did not make: `{line}`",
                advice=f"Move {CONF} away and run `systemctl restart frr`, then try again.",
            )


async def _check_syntax(host: Host, conf: str) -> None:
    """Let FRR read the configuration without using it."""
    argv = ["sh", "-c", _CHECK]
    result = await host.query(argv, stdin=conf.encode(), ok=None)
    if not result.ok:
        advice = "Nothing was changed. Compare FRR's version with the versions that meshctl supports."
        raise CommandError(
            host.name, argv, result.status, result.stderr or result.stdout, stdout=result.stdout, advice=advice
        )


async def _clear_strangers(host: Host, lines: list[tuple[str, str]]) -> None:
    """Take back what was configured by hand on other interfaces; a reload can't (see parse.strangers)."""
    for interface, line in lines:
        undo = line.removeprefix("no ") if line.startswith("no ") else f"no {line}"
        argv = ["vtysh", "-c", "configure terminal", "-c", interface, "-c", undo]
        await host.run(argv, reason=f"the running configuration has `{interface} / {line}`")


async def _restart(host: Host, seen: _Seen) -> None:
    # The unit allows three starts in three minutes (StartLimitBurst=3); the fourth fails until the count is reset.
    missing = ", ".join(sorted(_NEEDED - seen.daemons))
    reason = f"not running: {missing}" if missing else "FRR's unit is not active"
    await host.run(["systemctl", "reset-failed", UNIT], reason=reason)
    await host.run(["systemctl", "restart", UNIT], reason=reason)


async def _difference(host: Host, wanted: str) -> str:
    answer = await host.query(RUNNING, ok=None)
    daemons, configuration = parse.running(answer.stdout if answer.ok else "")
    return parse.differences(wanted, configuration) if daemons else "FRR does not answer"


async def _look(_node: Node, host: Host) -> Look:
    sessions, routes = await asyncio.gather(host.query(SESSIONS, ok=None), host.query(ROUTES, ok=None))
    neighbours, bfd = parse.documents(sessions.stdout)
    return Look(
        _parsed(parse.adjacencies, neighbours), _parsed(parse.bfd_peers, bfd), _parsed(parse.routes, routes.stdout)
    )


def _parsed(parser: Callable[[str], T], output: str) -> T | None:
    try:
        return parser(output)
    except (ValueError, LookupError):
        return None  # "ospfd is not running", and whatever else is no JSON
