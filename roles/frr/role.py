"""OSPF over every cable, BFD beside it, and the loopback as the address that survives a cut cable."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, RefusedError
from meshctl.host.base import Files, Host, text
from meshctl.roles.base import Problem, Role
from meshctl.roles.templates import environment
from meshctl.topology import Node, Topology

from . import key, parse
from .igps import speaking
from .judge import ROUTES, Look, judge, other_key, unreachable

T = TypeVar("T")

CONF = "/etc/frr/frr.conf"
UNIT = "frr.service"

# Starting vtysh costs more than all its answers: ask everything at once.
RUNNING = ("vtysh", "-c", "show daemons", "-c", "show running-config")
PEERS = "show bfd peers json"

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

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        self._igps = speaking(topology)
        self._needed = frozenset({"zebra", "bfdd", *(igp.daemon for igp in self._igps)})
        self._key = ""

    def render(self, node: Node) -> Files:
        """frr.conf and the list of daemons; before `prepare`, with a placeholder for the routing key."""
        env = environment(__package__)
        topology = self.topology
        conf = env.get_template("frr.conf.j2").render(
            node=node, igps=self._igps, ospf=topology.ospf, bfd=topology.bfd, key_chain=self._key_chain()
        )
        daemons = env.get_template("daemons.j2").render(needed=self._needed)
        return {
            CONF: text(conf, mode=0o640, owner="frr", group="frr", secret=topology.ospf.signed),
            "/etc/frr/daemons": text(daemons, mode=0o640, owner="frr", group="frr"),
        }

    def _key_chain(self) -> str:
        if not self.topology.ospf.signed:
            return ""
        template = environment(__package__).get_template("key.j2")
        return template.render(chain=parse.CHAIN, key=self._key or key.PLACEHOLDER, algorithm=key.ALGORITHM)

    async def prepare(self, cluster: Cluster) -> None:
        """Find the routing key, or make one, if packets are to be signed. Raises SecretsError when it is damaged."""
        if self.topology.ospf.signed:
            self._key = await key.find(cluster, CONF)

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Write the files; start FRR if OSPF isn't running, reload it if it runs something else.

        Raises RefusedError when FRR carries a configuration that meshctl didn't make, CommandError when this FRR
        doesn't understand the new one (which then is not installed).
        """
        if self.topology.ospf.signed and not self._key:
            raise RuntimeError("prepare comes before apply")
        files = self.render(node)
        wanted = files[CONF].content.decode()
        seen = await _observe(host)
        _refuse_foreign(host, seen)
        if seen.saved != wanted:
            await _check_syntax(host, wanted)
        written = await host.put(files)
        if not seen.enabled:
            await host.run(["systemctl", "enable", UNIT], reason="FRR would not start at boot")
        if not (seen.active and seen.daemons >= self._needed):
            await _restart(host, self._needed - seen.daemons)
        elif difference := parse.differences(wanted, seen.running):
            await self._adapt(host, wanted, seen.running)
            await host.run(["systemctl", "reload", UNIT], reason=f"the running configuration {difference}")
        elif "/etc/frr/daemons" in written:
            await host.run(["systemctl", "reload", UNIT], reason="the list of daemons differs")
        else:
            return
        await host.until("FRR's configuration", lambda: _difference(host, wanted), timeout=20, every=0.1)

    async def _adapt(self, host: Host, wanted: str, running: str) -> None:
        """What has to be done before frr-reload: what it can't do, and what it would do for everybody to see."""
        await _clear_strangers(host, parse.strangers(wanted, running))
        if self._key and parse.routing_key(running) != self._key:
            reason = "the running configuration has another routing key, or none"
            await key.install(host, self._key_chain(), reason=reason)

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """Every adjacency Full on both ends and no other, BFD up, kernel routes, and pings between all loopbacks."""
        looks = await cluster.each(self._look)
        problems = [p for node in self.topology.nodes for p in judge(self.topology, node, looks[node.name])]
        if problems:
            return [*problems, *await self._other_keys(cluster)]
        silent = await cluster.each(self._silent)
        return [
            unreachable(self.topology, node, address) for node in self.topology.nodes for address in silent[node.name]
        ]

    async def _other_keys(self, cluster: Cluster) -> list[Problem]:
        strangers = await key.strangers(cluster.hosts) if self.topology.ospf.signed else {}
        return [other_key(name, same) for name, same in strangers.items()]

    async def _look(self, _node: Node, host: Host) -> Look:
        argv = self.sessions()
        sessions, routes = await asyncio.gather(host.query(argv, ok=None), host.query(ROUTES, ok=None))
        answers = parse.answers(sessions.stdout)
        speakers = {igp.label: igp.speaker(answers) for igp in self._igps}
        return Look(
            {igp.label: igp.adjacencies(answers) for igp in self._igps},
            peers(answers),
            _parsed(parse.routes, routes.stdout),
            {label: speaker.interfaces for label, speaker in speakers.items() if speaker},
        )

    def sessions(self) -> Sequence[str]:
        """What the gate asks vtysh."""
        shows = [igp.neighbours for igp in self._igps] + [PEERS]
        shows += [igp.interfaces for igp in self._igps if self.topology.ospf.signed]
        return ["vtysh", *(word for show in shows for word in ("-c", show))]

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
            host.name, argv, result.status, parse.redacted(result.stderr or result.stdout), advice=advice
        )


async def _clear_strangers(host: Host, lines: list[tuple[str, str]]) -> None:
    """Take back what was configured by hand on other interfaces; a reload can't (see parse.strangers)."""
    for interface, line in lines:
        argv = ["vtysh", "-c", "configure terminal", "-c", interface, "-c", parse.undone(line)]
        await host.run(argv, reason=f"the running configuration has `{interface} / {parse.redacted(line)}`")


async def _restart(host: Host, lacking: frozenset[str]) -> None:
    # The unit allows three starts in three minutes (StartLimitBurst=3); the fourth fails until the count is reset.
    missing = ", ".join(sorted(lacking))
    reason = f"not running: {missing}" if missing else "FRR's unit is not active"
    await host.run(["systemctl", "reset-failed", UNIT], reason=reason)
    await host.run(["systemctl", "restart", UNIT], reason=reason)


async def _difference(host: Host, wanted: str) -> str:
    answer = await host.query(RUNNING, ok=None)
    daemons, configuration = parse.running(answer.stdout if answer.ok else "")
    return parse.differences(wanted, configuration) if daemons else "FRR does not answer"


def peers(answers: Sequence[Any]) -> tuple[parse.BfdPeer, ...] | None:
    """BFD's sessions among what vtysh printed; None when bfdd gave no answer."""
    lists = [answer for answer in answers if isinstance(answer, list)]
    return _parsed(parse.bfd_peers, lists[0]) if lists else None


def _parsed(parser: Callable[[Any], T], output: Any) -> T | None:
    try:
        return parser(output)
    except (ValueError, LookupError):
        return None  # whatever else is no JSON
