"""Preflight: every finding of every host at once, before anything changes."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from meshctl.cluster import Cluster
from meshctl.errors import ParseError
from meshctl.host.base import Host
from meshctl.roles.base import Problem, Role
from meshctl.roles.disks import LOOK
from meshctl.roles.fsid import common
from meshctl.topology import Node, Topology

from . import checks, clocks, disks, nics
from .parse import HostFacts, host_facts

SCRIPT = LOOK + Path(__file__).with_name("facts.sh").read_bytes()


class Preflight(Role):
    """Looks at hosts as they are; has nothing to apply."""

    name = "preflight"
    summary = "May these hosts become nodes? System, clocks, NICs, cables, disks; changes nothing."

    def __init__(self, topology: Topology, clock: Callable[[], float] = time.time) -> None:
        super().__init__(topology)
        self._clock = clock

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """All that is wrong with all hosts. Every problem is final: no waiting mends a host."""
        looked = await cluster.each(lambda node, host: self._look(node, host, cluster.wiped(node)))
        facts = {name: host for name, (host, _) in looked.items()}
        offsets = {name: offset for name, (_, offset) in looked.items()}
        for note in _joined(self._notes(facts, offsets)):
            cluster.note(note)
        return [*self._problems(facts, cluster), *checks.across(facts), *clocks.check(offsets)]

    async def _look(self, node: Node, host: Host, wiped: Sequence[str]) -> tuple[HostFacts, clocks.Offset]:
        argv = ["sh", "-s", "--", *(disk.path for disk in node.disks), *(("--", *wiped) if wiped else ())]
        sent = self._clock()
        result = await host.query(argv, stdin=SCRIPT)
        received = self._clock()
        try:
            facts = host_facts(result.stdout)
        except ValueError as error:
            raise ParseError(host.name, argv, str(error), result.stdout or result.stderr) from error
        return facts, clocks.offset(sent, facts.clock_start, facts.clock_end, received)

    def _problems(self, facts: dict[str, HostFacts], cluster: Cluster) -> Iterator[Problem]:
        fsid = common(host.fsid for host in facts.values())
        for node in self.topology.nodes:
            host = facts[node.name]
            yield from checks.system(self.topology, node, host)
            yield from nics.check(self.topology, node, host)
            yield from disks.check(node, host, fsid, cluster.wiped(node))

    def _notes(self, facts: dict[str, HostFacts], offsets: dict[str, clocks.Offset]) -> Iterator[tuple[str, str]]:
        for node in self.topology.nodes:
            host = facts[node.name]
            for said in (checks.system_notes(host), nics.notes(node, host)):
                yield from ((node.name, note) for note in said)
        yield from clocks.notes(offsets)


def _joined(notes: Iterable[tuple[str, str]]) -> list[str]:
    """One line for all hosts of which the same is to be said."""
    hosts: dict[str, list[str]] = {}
    for host, note in notes:
        hosts.setdefault(note, []).append(host)
    return [f"{', '.join(names)}: {note}" for note, names in hosts.items()]
