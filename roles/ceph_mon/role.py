"""Monitors on all hosts, in quorum, with the settings that everything after them starts with."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, ParseError, WaitError
from meshctl.host.base import Host
from meshctl.roles.base import Problem, Role
from meshctl.roles.ceph import (
    CONFIG_DUMP,
    FOUNDING_KEY,
    OSD_DUMP,
    Command,
    ask,
    mon_socket,
    start,
    survey,
    tell,
)
from meshctl.roles.daemons import LastWords, last_words
from meshctl.roles.units import Unit, units
from meshctl.topology import Node

from . import parse
from .settings import FOUNDING, lasting

_RACER = "ceph-mon.service"


class CephMonRole(Role):
    """One monitor per host."""

    name: ClassVar[str] = "ceph_mon"
    summary: ClassVar[str] = "a Ceph monitor on every host, all in quorum"
    needs: ClassVar[frozenset[str]] = frozenset({"ceph_config", "frr"})
    poll: ClassVar[float] = 0.1
    patience: ClassVar[float] = 10
    """Seconds that the first monitor waits for the others to listen."""
    quorum_timeout: ClassVar[float] = 60
    """Seconds until there must be a quorum."""

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Start the monitor; the first host does so last, waits for the quorum, and then completes the settings.

        The first host's monitor has rank 0 and wins the election. If it proposes itself while another one is not yet
        listening, that proposal may get lost, and the election ends only with its deadline (5 s).
        """
        first, service = node == self.topology.nodes[0], f"ceph-mon@{node.name}.service"
        seen = await units(host, _RACER, service, "ceph-mon.target", "ceph.target")
        await _stop_racer(host, seen.pop(_RACER))
        if first and not seen[service].runs:
            await self._others(cluster)
        await start(host, seen, service)
        if first:
            await self._quorum(node, host, cluster)
            await self._settings(host)

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """Every monitor says that all of them, and no other, are in quorum, each at its v2 address."""
        looks = await cluster.each(_look_or_reason)
        return [problem for node in self.topology.nodes for problem in self._judge(node, looks[node.name])]

    def _judge(self, node: Node, look: parse.MonStatus | LastWords) -> list[Problem]:
        command = f"ceph daemon mon.{node.name} mon_status"
        if isinstance(look, LastWords):
            what, advice = "the monitor does not answer", f"journalctl -u ceph-mon@{node.name}"
            return [Problem(node.name, what, "an answer", str(look), command, advice, final=look.failed)]
        problems = []
        everybody = {n.name for n in self.topology.nodes}
        if missing := everybody - look.quorum:
            what = f"not in quorum: {', '.join(sorted(missing))}"
            seen = f"{look.state}, quorum {', '.join(sorted(look.quorum)) or 'none'}"
            advice = "Look at the monitors that are missing: journalctl -u ceph-mon@NODE there; clocks, and frr's gate"
            problems.append(Problem(node.name, what, "all monitors in quorum", seen, command, advice))
        wanted = {n.name: (f"v2:{n.loopback}:3300",) for n in self.topology.nodes}
        for name in sorted(look.monmap.keys() | wanted.keys()):
            expected, seen = (", ".join(addresses.get(name, ())) or "none" for addresses in (wanted, look.monmap))
            if expected != seen and not (missing and name in missing and seen == "none"):
                what = f"the address of monitor {name} differs"
                advice = f"ceph mon set-addrs {name} '[{expected}]'" if name in wanted else f"ceph mon remove {name}"
                problems.append(Problem(node.name, what, expected, seen, "ceph mon dump", advice))
        return problems

    async def _quorum(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Wait for it. Raises WaitError with what each monitor says, or why it says nothing."""
        what = "a quorum of monitors"
        try:
            await host.until(what, lambda: _no_quorum(node, host), timeout=self.quorum_timeout, every=0.1)
        except WaitError as error:
            looks = await cluster.each(_look_or_reason)
            seen = "\n".join(
                f"{name}: {look if isinstance(look, LastWords) else look.state}" for name, look in looks.items()
            )
            advice = "More than half of them must run and reach each other: `journalctl -u ceph-mon@HOST` on each."
            raised = WaitError(what, error.seconds, advice=advice)
            raised.seen = seen  # one line for each monitor is too much for the message
            raise raised from None

    async def _others(self, cluster: Cluster) -> None:
        """Wait until the other monitors listen, but not for ever: one may be broken."""

        async def silent() -> str:
            looks = await asyncio.gather(*(_look(node, cluster.host(node)) for node in self.topology.nodes[1:]))
            return "; ".join(look for look in looks if isinstance(look, str))

        with suppress(WaitError):
            await cluster.leader.until("the other monitors", silent, timeout=self.patience, every=0.05)

    async def _settings(self, host: Host) -> None:
        dump, osds = await survey(host, CONFIG_DUMP, OSD_DUMP)
        present = dump.read(parse.settings)
        first: list[Command] = []
        changes = [s.set for s in lasting(self.topology) if (s.who, s.name) not in present]
        if self.topology.osd_count and not osds.read(parse.osd_count):
            wanted = [s.set for s in FOUNDING if (s.who, s.name) not in present]
            names = json.dumps([[s.who, s.name] for s in FOUNDING])
            first = [{"prefix": "config-key set", "key": FOUNDING_KEY, "val": names}] if wanted else []
            changes += wanted
        if changes:
            await tell(host, first, changes, reason="the configuration database lacks them")


async def _stop_racer(host: Host, racer: Unit) -> None:
    # Debian enables a second unit for the same monitor (`--id %H`); both want the same store and address.
    if racer.enabled or racer.runs:
        await host.run(["systemctl", "disable", "--now", "--", _RACER], reason="it races with ceph-mon@ for the store")


async def _look(node: Node, host: Host) -> parse.MonStatus | str:
    try:
        (answer,) = await ask(host, {"prefix": "mon_status", "to": mon_socket(node.name)})
        return answer.read(parse.mon_status)
    except CommandError as error:
        return error.stderr.strip() or error.message
    except ParseError:
        return "something that is no status"


async def _look_or_reason(node: Node, host: Host) -> parse.MonStatus | LastWords:
    look = await _look(node, host)
    if not isinstance(look, str):
        return look
    words = await last_words(host, f"ceph-mon@{node.name}.service")
    return replace(words, state=f"{look}; ceph-mon@{node.name} is {words.state}")


async def _no_quorum(node: Node, host: Host) -> str:
    look = await _look(node, host)
    if isinstance(look, str):
        return look
    return "" if look.quorum else f"the monitor is {look.state}"
