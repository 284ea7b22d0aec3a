"""Measure every link: MTU, counters, latency, then throughput, one direction of one cable at a time."""

import asyncio
import time
from collections.abc import Callable, Mapping

from meshctl.cluster import Cluster
from meshctl.errors import CommandTimeout, WaitError
from meshctl.host.base import Host, Result
from meshctl.host.wait import until
from meshctl.roles.parsing import understand
from meshctl.topology import End, Port

from . import parse
from .facts import Clock, LinkFacts, Nic, Plugged, Throughput, Way
from .probes import ping_replies

HEADERS = 28
"""Bytes of an IPv4 and an ICMP header (RFC 791, RFC 792): what `ping -s` does not count."""

PINGS = 300
"""Packets per direction that latency and losses come from, 10 ms apart."""

IPERF_PORT = 5209
"""iperf3's own is 5201, where an operator may have one running."""

LISTEN, CONNECT = 15, 10
"""Seconds until iperf3 listens, and until it is connected: beside a full machine."""

CLOCK_SAMPLES = 12
NO_SUCH_COMMAND = 127

_NIC = (
    'ip -s -j link show dev "$1" && cd "/sys/class/net/$1" && for f in speed duplex; do echo "$(cat $f 2>/dev/null)"; '
    'done && printf %s "$(cat carrier_changes)"'
)
_LISTENS = 'ss -Hltn "sport = :$1" | grep -q .'

Say = Callable[[str], None]


class Links:
    """Measures the links of one cluster; `say` tells what is being done."""

    def __init__(self, cluster: Cluster, say: Say) -> None:
        self._cluster = cluster
        self._wishes = cluster.topology.certify
        self._say = say

    async def measure(self) -> tuple[LinkFacts, ...]:
        """All links. Raises what `query` raises where a host lacks a tool that every host has (ip, ping)."""
        cables = self._cluster.topology.cables
        before = await self._nics()
        self._say(f"pinging over {len(cables)} links, both ways")
        pinged = await asyncio.gather(*(self._ping(end, far) for c in cables for end, far in ((c.a, c.b), (c.b, c.a))))
        middle = await self._nics()
        ways = [(pinged[2 * i], pinged[2 * i + 1]) for i in range(len(cables))]
        loaded = [(await self._load(one), await self._load(two)) for one, two in ways]
        after = await self._nics()
        return tuple(
            LinkFacts(
                i,
                (_plugged(cable.a, before, middle, after), _plugged(cable.b, before, middle, after)),
                loaded[i],
            )
            for i, cable in enumerate(cables)
        )

    async def _nics(self) -> dict[End, Nic]:
        ends = [end for cable in self._cluster.topology.cables for end in (cable.a, cable.b)]
        return dict(zip(ends, await asyncio.gather(*map(self._nic, ends)), strict=True))

    async def _nic(self, end: End) -> Nic:
        host = self._cluster.hosts[end.node]
        result = await host.query(["sh", "-c", _NIC, "sh", end.nic])
        return understand(host.name, result.argv, parse.nic, result.stdout)

    async def _ping(self, end: End, far: End) -> Way:
        host, port = self._cluster.hosts[end.node], self._port(end, far)
        to = ["-I", end.nic, str(port.peer_address.ip)]
        # No -w: with it, -c counts answers instead of questions, and a lossy link seems to lose nothing.
        few = ["ping", "-n", "-q", "-M", "do", "-c", "5", "-i", "0.2", "-W", "1"]
        full, small, many = await asyncio.gather(
            host.query([*few, "-s", str(port.mtu - HEADERS), *to], ok=None),
            host.query([*few, *to], ok=None),
            host.query(["ping", "-n", "-D", "-i", "0.01", "-c", str(PINGS), "-W", "1", *to], ok=None),
        )
        rtts = tuple(reply.rtt for reply in ping_replies(many.stdout))
        return Way(end, far, full.ok, small.ok, PINGS, rtts, Throughput(None, missing="nothing answers"))

    async def _load(self, way: Way) -> Way:
        if not (way.small or way.rtts):
            return way
        self._say(f"{way.source} → {way.target}: at most {self._wishes.rate} Mbit/s for {self._wishes.seconds} s")
        found = await iperf(
            self._cluster.hosts[way.source.node],
            self._cluster.hosts[way.target.node],
            self._port(way.source, way.target),
            rate=self._wishes.rate,
            seconds=self._wishes.seconds,
        )
        return Way(way.source, way.target, way.full, way.small, way.asked, way.rtts, found)

    def _port(self, end: End, far: End) -> Port:
        ports = self._cluster.topology.node(end.node).ports
        return next(port for port in ports if port.nic == end.nic and port.peer == far.node)


def _plugged(end: End, before: Mapping[End, Nic], pinged: Mapping[End, Nic], after: Mapping[End, Nic]) -> Plugged:
    return Plugged(end, before[end], pinged[end], after[end])


async def iperf(sender: Host, receiver: Host, port: Port, *, rate: int, seconds: int) -> Throughput:
    """What TCP carries from the sender's port to its peer, within the limits; through these two NICs only.

    A server that doesn't start, or a test that doesn't end, is no figure, with the reason.
    """
    missing = await _without_iperf(sender, receiver)
    if missing:
        return Throughput(None, missing=f"iperf3 is not installed on {' and '.join(missing)}")
    number, limit = str(IPERF_PORT), seconds + CONNECT + 15
    served = LISTEN + limit
    listen = ["iperf3", "-s", "-1", "-B", f"{port.peer_address.ip}%{port.peer_nic}", "-p", number]
    send = ["iperf3", "-c", str(port.peer_address.ip), "-B", f"{port.address.ip}%{port.nic}", "-p", number]
    send += ["-t", str(seconds), "-b", f"{rate}M", "-J", "--connect-timeout", f"{1000 * CONNECT}"]
    server = asyncio.create_task(receiver.query(["timeout", str(served), *listen], timeout=served + 5, ok=None))
    found = Throughput(None)
    try:
        await until(f"iperf3 on {receiver.name}", lambda: _listening(receiver, server), timeout=LISTEN, every=0.1)
        result = await sender.query(send, timeout=limit, ok=None)
        found = understand(sender.name, result.argv, parse.throughput, result.stdout)
    except (CommandTimeout, WaitError) as error:
        found = Throughput(None, missing=error.message)
    finally:
        if found.mbit is None and not server.done():  # nobody came: the server would wait for its deadline
            await receiver.query(["pkill", "-x", "-f", " ".join(listen)], ok=None)
        await server
    return found


async def _without_iperf(*hosts: Host) -> list[str]:
    found = await asyncio.gather(*(host.query(["sh", "-c", "command -v iperf3"], ok=None) for host in hosts))
    return [host.name for host, result in zip(hosts, found, strict=True) if not result.ok]


async def _listening(host: Host, server: "asyncio.Task[Result]") -> str:
    if server.done():
        ended = server.result()
        raise WaitError(
            f"iperf3 on {host.name}", 0, f"it ended with {ended.status}: {ended.stderr or ended.stdout}".strip()
        )
    listens = await host.query(["sh", "-c", _LISTENS, "sh", str(IPERF_PORT)], ok=None)
    return "" if listens.ok else "it does not listen yet"


async def clocks(cluster: Cluster) -> tuple[Clock, ...]:
    """Every host's clock against this machine's: of a dozen questions the one that was answered soonest."""
    return tuple((await cluster.each(lambda _node, host: _clock(host))).values())


async def _clock(host: Host) -> Clock:
    samples = [await _sample(host) for _ in range(CLOCK_SAMPLES)]
    return min(samples, key=lambda clock: clock.error)


async def _sample(host: Host) -> Clock:
    """Half the way there and half the way back, as in NTP (RFC 5905, section 8); wrong by half the round trip."""
    began, first = time.time(), time.monotonic()
    theirs = float((await host.query(["date", "+%s.%N"])).stdout)
    half = (time.monotonic() - first) / 2
    return Clock(host.name, 1000 * (theirs - began - half), 1000 * half)
