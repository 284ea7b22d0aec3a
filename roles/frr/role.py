"""A routing protocol over every cable, BFD beside it, and the loopback as the address that survives a cut cable."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from meshctl.cluster import Cluster
from meshctl.host.base import File, Files, Host, text
from meshctl.roles.base import Problem, Role
from meshctl.roles.removal import erase, stop
from meshctl.roles.templates import environment
from meshctl.topology import Node, Topology

from . import key, parse, static, vty
from .igp import Igp
from .igps import ALL, speaking
from .judge import Look, judge, loopbacks, other_key, routes_asked, unreachable
from .openfabric import system_id
from .vty import CONF, DAEMONS, OURS, UNIT, VTYSH, Seen

T = TypeVar("T")


PEERS = "show bfd peers json"
_END = "end\n"

# All at once: the whole look costs no more than the slowest answer, 1 s when somebody is silent.
_PING = 'from=$1; shift; for to; do ping -n -q -c 1 -W 1 -I "$from" "$to" >/dev/null 2>&1 || echo "$to" & done; wait'


class Frr(Role):
    """FRR with OSPF or OpenFabric, and BFD; or static routes without FRR."""

    name: ClassVar[str] = "frr"
    summary: ClassVar[str] = "OSPF and BFD over every cable; every loopback reaches every other"
    needs: ClassVar[frozenset[str]] = frozenset({"system", "links"})
    poll: ClassVar[float] = 0.1
    patience: ClassVar[float] = static.OTHERS
    """Seconds until the other hosts must have come as far as this one."""

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        self._igps = speaking(topology)
        self._needed = frozenset({"zebra", "bfdd", *(igp.daemon for igp in self._igps)})
        self._key = ""

    def render(self, node: Node) -> Files:
        """frr.conf and the list of daemons; before `prepare`, with a placeholder for the routing key."""
        return self._render(node, self._igps) if self._igps else static.render(self.topology, node)

    def _render(self, node: Node, igps: Sequence[Igp]) -> Files:
        env, topology = environment(__package__), self.topology
        facts = {"ospf": topology.ospf, "bfd": topology.bfd, "key_chain": self._key_chain(), "system_id": system_id}
        addressed = any(not igp.link_local for igp in igps)
        conf = env.get_template("frr.conf.j2").render(node=node, igps=igps, addressed=addressed, **facts)
        loader = text(env.get_template("vtysh.sh").render(), mode=0o755)
        return {CONF: _file(conf, secret=topology.ospf.signed), DAEMONS: _file(_daemons(igps)), VTYSH: loader}

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
        """Write the files; start FRR if its daemons don't run, reload it if it runs something else.

        Another protocol takes over before the former one ends. Raises RefusedError when FRR carries a configuration
        that meshctl didn't make, CommandError when this FRR doesn't understand the new one (which then is not
        installed), WaitError when the other hosts don't follow to another protocol.
        """
        if self.topology.ospf.signed and not self._key:
            raise RuntimeError("prepare comes before apply")
        if not self._igps:
            await static.apply(self.topology, node, host)
            await self._without(node, host, cluster)
            return
        seen = await vty.observe(host, routes_asked(self.topology))
        vty.refuse_foreign(host, seen)
        files = self.render(node)
        if seen.active and (former := self._replaced(seen)):
            await self._beside(node, cluster, seen, (files, former))
            seen = await vty.observe(host, routes_asked(self.topology))
        await self._converge(host, seen, files)
        if seen.static:
            await self._find_all(node, cluster)
            await static.leave(host, list(seen.static))

    async def _without(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Routes are static on this host; end FRR once they are on all."""
        if (await host.query(OURS, ok=None)).ok:
            await static.wait_for_others(node, cluster, host, self.patience)
            await stop(host, UNIT, reason="routes are static")
            await erase(host, CONF, DAEMONS, VTYSH, reason="routes are static")

    def _replaced(self, seen: Seen) -> list[Igp]:
        """The protocols that run and whose routes another one is to bring."""
        families = frozenset(family for igp in self._igps for family in igp.families)
        extra = seen.daemons - self._needed
        return [igp for igp in ALL if igp.daemon in extra and igp.families & families]

    async def _beside(self, node: Node, cluster: Cluster, seen: Seen, succession: tuple[Files, list[Igp]]) -> None:
        """Let the new protocol find every host on all hosts while the former one still brings the routes."""
        files, former = succession
        if self._lacking(seen):
            both = {
                CONF: _file(_joined(files[CONF], seen.saved or ""), secret=self.topology.ospf.signed),
                DAEMONS: _file(_daemons([*self._igps, *former])),
            }
            await self._converge(cluster.host(node), seen, both)

        await self._find_all(node, cluster)

    async def _find_all(self, node: Node, cluster: Cluster) -> None:
        """Wait until the protocols have found every loopback on every host, whoever's routes are in use so far."""

        async def probe() -> str:
            lacking = await cluster.each(self._unfound)
            names = [f"{name} ({', '.join(targets)})" for name, targets in lacking.items() if targets]
            return f"not found by {'; '.join(names)} (run bootstrap on all hosts)" if names else ""

        what = f"routes of {self._igps[0].label} on all hosts, as seen by {node.name},"
        await cluster.host(node).until(what, probe, timeout=self.patience, every=0.3)

    async def _unfound(self, node: Node, host: Host) -> tuple[str, ...]:
        """The loopbacks to which the protocols have found no way yet, whether it is in use or not."""
        argv = vty.asking(*(show for igp in self._igps for show in igp.found))
        tables = parse.answers((await host.query(argv, ok=None)).stdout)
        known = {str(prefix).split("/")[0] for table in tables if isinstance(table, dict) for prefix in table}
        families = {family for igp in self._igps for family in igp.families}
        others = [other for other in self.topology.nodes if other.name != node.name]
        return tuple(to for other in others for to, _ in loopbacks(other, node, families) if to not in known)

    def _lacking(self, seen: Seen) -> frozenset[str]:
        return self._needed - seen.daemons

    async def _converge(self, host: Host, seen: Seen, files: Files) -> None:
        wanted = files[CONF].content.decode()
        if seen.saved != wanted:
            await vty.check_syntax(host, wanted)
        written = await host.put(files)
        if not seen.enabled:
            await host.run(["systemctl", "enable", UNIT], reason="FRR would not start at boot")
        if reason := self._no_reload(seen):
            await vty.restart(host, reason)
        elif difference := parse.differences(wanted, seen.running):
            await self._adapt(host, wanted, seen)
            await host.run(["systemctl", "reload", UNIT], reason=f"the running configuration {difference}")
        elif DAEMONS in written:
            await host.run(["systemctl", "reload", UNIT], reason="the list of daemons differs")
        else:
            return
        await host.until("FRR's configuration", lambda: vty.difference(host, wanted), timeout=20, every=0.1)

    def _no_reload(self, seen: Seen) -> str:
        """Why FRR must be started, again if it runs; "" where a reload does all."""
        lacking = self._lacking(seen)
        # A daemon that should run already has died; one that is new is started by a reload, if any other routes.
        if not seen.active or lacking & seen.switched_on or not seen.daemons & _speakers():
            return f"not running: {', '.join(sorted(lacking))}" if lacking else "FRR's unit is not active"
        if seen.unsourced & {protocol for igp in self._igps for protocol in igp.kernel}:
            return "routes lack their source, which zebra gives to new ones only"
        return ""

    async def _adapt(self, host: Host, wanted: str, seen: Seen) -> None:
        """What has to be done before frr-reload: what it can't do, would do too late, or for everybody to see."""
        await vty.clear_strangers(host, parse.strangers(wanted, seen.running))
        if self._lacking(seen):  # a new daemon has routes before frr-reload gets to zebra, which then leaves them alone
            await vty.load(host, parse.sources(wanted), reason="routes of a new daemon need their source at once")
        if self._key and parse.routing_key(seen.running) != self._key:
            reason = "the running configuration has another routing key, or none"
            await vty.load(host, self._key_chain(), reason=reason)

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """Every adjacency Full on both ends and no other, BFD up, kernel routes, and pings between all loopbacks."""
        problems = await self._problems(cluster)
        if problems:
            return [*problems, *await self._other_keys(cluster)]
        silent = await cluster.each(self._silent)
        return [
            unreachable(self.topology, node, address) for node in self.topology.nodes for address in silent[node.name]
        ]

    async def _problems(self, cluster: Cluster) -> list[Problem]:
        if not self._igps:
            found = await cluster.each(lambda node, host: static.problems(self.topology, node, host))
            return [problem for problems in found.values() for problem in problems]
        looks = await cluster.each(self._look)
        return [p for node in self.topology.nodes for p in judge(self.topology, node, looks[node.name])]

    async def _other_keys(self, cluster: Cluster) -> list[Problem]:
        strangers = await key.strangers(cluster.hosts) if self.topology.ospf.signed else {}
        return [other_key(name, same) for name, same in strangers.items()]

    async def _look(self, _node: Node, host: Host) -> Look:
        argv = self.sessions()
        asking = [host.query(one, ok=None) for one in (argv, *routes_asked(self.topology))]
        sessions, *routes = await asyncio.gather(*asking)
        answers = parse.answers(sessions.stdout)
        speakers = {igp.label: igp.speaker(answers) for igp in self._igps}
        return Look(
            {igp.label: igp.adjacencies(answers) for igp in self._igps},
            peers(answers),
            _routes([route.stdout for route in routes]),
            {label: speaker.interfaces for label, speaker in speakers.items() if speaker},
        )

    def sessions(self) -> Sequence[str]:
        """What the gate asks vtysh."""
        shows = [igp.neighbours for igp in self._igps] + [PEERS]
        shows += [igp.interfaces for igp in self._igps if self.topology.ospf.signed]
        return vty.asking(*shows)

    async def _silent(self, node: Node, host: Host) -> tuple[str, ...]:
        """The loopbacks that don't answer."""
        others = [other for other in self.topology.nodes if other.name != node.name]
        ways = [way for other in others for way in loopbacks(other, node, {4, 6})]
        asking = []
        for source in sorted({source for _, source in ways}):
            targets = [target for target, own in ways if own == source]
            asking.append(host.query(["sh", "-c", _PING, "sh", source, *targets]))
        return tuple(word for told in await asyncio.gather(*asking) for word in told.stdout.split())


def _speakers() -> frozenset[str]:
    return frozenset(igp.daemon for igp in ALL)


def _daemons(igps: Sequence[Igp]) -> str:
    return environment(__package__).get_template("daemons.j2").render(needed={igp.daemon for igp in igps}, vtysh=VTYSH)


def _file(content: str, *, secret: bool = False) -> File:
    return text(content, mode=0o640, owner="frr", group="frr", secret=secret)


def _joined(new: File, former: str) -> str:
    """Both configurations in one: what has the same name in both is the new one's, because it comes last."""
    return f"{former.removesuffix(_END)}{new.content.decode()}"


def peers(answers: Sequence[Any]) -> tuple[parse.BfdPeer, ...] | None:
    """BFD's sessions among what vtysh printed; None when bfdd gave no answer."""
    lists = [answer for answer in answers if isinstance(answer, list)]
    return _parsed(parse.bfd_peers, lists[0]) if lists else None


def _routes(texts: Sequence[str]) -> tuple[parse.Route, ...] | None:
    found = [_parsed(parse.routes, text) for text in texts]
    return tuple(route for routes in found for route in routes or ()) if None not in found else None


def _parsed(parser: Callable[[Any], T], output: Any) -> T | None:
    try:
        return parser(output)
    except ValueError:
        return None  # the judge tells that nobody answered
