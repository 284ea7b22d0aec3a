"""Instances on every host, in a project of their own: made, asked to ping each other, removed."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, HostError, ParseError, RefusedError, WaitError
from meshctl.host.base import Host
from meshctl.roles import incusapi
from meshctl.roles.overlay import mtu
from meshctl.topology import Node, Topology

from . import parse
from .plan import ALIAS, FEATURES, HEADERS, MARK, PROJECT, image, instance

_HERE = Path(__file__).parent
_IMAGE = (_HERE / "image.sh").read_text()
_PINGS = (_HERE / "pings.sh").read_text()

LAUNCH = 120.0
"""Seconds for an instance to start; a named image may have to be downloaded."""

BOOT = 60.0
"""Seconds until all have an address; busybox has one after a second, a whole distribution takes longer."""

TRIES = 8
"""Pings, one second each, until a pair counts as unreachable."""

_TRANSIENT = "Insufficient dynamic addresses allocated"
"""Incus, while northd reconnects and hence gives the new port no address in time: the next start succeeds."""

# No module where instances could map RBD means that they run on the local pool.
_CAN_MAP = "test -d /sys/module/rbd || modprobe -n -q rbd"


class Instances:
    """The test of one run."""

    def __init__(self, topology: Topology, cluster: Cluster) -> None:
        self._topology = topology
        self._cluster = cluster
        self._lead = cluster.leader

    async def remove_leftovers(self) -> None:
        """Remove what a killed run left. Raises RefusedError when the project is a user's."""
        config = (await incusapi.read(self._lead, "/1.0/projects?recursion=1", parse.projects)).get(PROJECT)
        if config is None:
            return
        if config.get(MARK) != FEATURES[MARK]:
            raise RefusedError(
                self._lead.name,
                f"Incus has a project {PROJECT} that meshctl did not make (it lacks {MARK}={FEATURES[MARK]})",
                advice="Rename or remove that project.",
            )
        await self.remove("left behind by an interrupted test")

    async def remove(self, reason: str = "the smoke test is over") -> None:
        """Delete the instances, all at once because each takes its time to stop, then the project with all the rest."""
        await self._cluster.each(lambda node, host: self._discard(node, host, reason))
        # It asks, and has no flag that answers.
        argv = ["incus", "project", "delete", "--force", PROJECT]
        await self._lead.run(argv, stdin=b"yes\n", reason=reason, timeout=LAUNCH)

    async def _discard(self, node: Node, host: Host, reason: str) -> None:
        argv = ["incus", "delete", "-q", "--force", "--project", PROJECT, instance(node.name)]
        await host.run(argv, reason=reason, timeout=LAUNCH, ok=None)

    async def run(self) -> None:
        """Make the instances, wait for their addresses, and let each ping all others and the uplink's gateway."""
        pool, _ = await asyncio.gather(self._pool(), self._prepare())
        await self._cluster.each(lambda node, host: self._launch(node, host, pool))
        addresses = await self._addresses()
        targets = list(addresses.values())
        if self._topology.uplink:
            targets.append(str(self._topology.uplink.gateway.ip))
        found = await self._cluster.each(lambda node, host: self._ping(node, host, targets))
        self._judge(found, addresses)

    async def _pool(self) -> str:
        able = await self._cluster.each(lambda _node, host: host.query(["sh", "-c", _CAN_MAP], ok=None))
        unable = [name for name, result in able.items() if not result.ok]
        if not unable:
            return self._topology.incus.remote_pool
        self._cluster.note(
            f"{', '.join(unable)} can't map RBD images (no kernel module rbd): the smoke test's instances run on the "
            f"pool {self._topology.incus.local_pool}, and Ceph's pool is tested through librbd"
        )
        return self._topology.incus.local_pool

    async def _prepare(self) -> None:
        options = [word for key, value in FEATURES.items() for word in ("-c", f"{key}={value}")]
        await self._lead.run(["incus", "project", "create", "-q", PROJECT, *options], reason="the smoke test's own")
        if self._topology.smoke.image is None:
            argv = ["sh", "-c", _IMAGE, "sh", PROJECT, ALIAS, PROJECT]
            await self._lead.run(argv, reason="the smoke test's image")

    async def _launch(self, node: Node, host: Host, pool: str) -> None:
        name, network = instance(node.name), self._topology.incus.network
        where = ["--project", PROJECT, "--target", node.name, "-s", pool, "-n", network]
        argv = ["incus", "launch", "-q", image(self._topology), name, *where]
        for _attempt in range(4):
            try:
                await host.run(argv, reason="the smoke test's instance", timeout=LAUNCH)
            except CommandError as error:
                if _TRANSIENT not in error.stderr:
                    raise await self._refused(host, name, error) from error
                await self._discard(node, host, f"not started: {_TRANSIENT}")
            else:
                return
        raise HostError(
            host.name,
            f"{name} did not start in four attempts: {_TRANSIENT}",
            advice="Look into journalctl -u incus and /var/log/incus there, then run bootstrap again.",
        )

    async def _refused(self, host: Host, name: str, error: CommandError) -> HostError:
        """Why an instance does not start: Incus says only that LXC failed, the reason is in the instance's own log."""
        show = ["incus", "info", "--project", PROJECT, name, "--show-log"]
        log = await host.query(show, ok=None)
        reasons = parse.log_errors(log.stdout) or error.stderr.strip().splitlines()[-3:]
        return HostError(
            host.name,
            f"`{' '.join(error.argv)}` failed: {' / '.join(reasons)}",
            advice=f"On that host: {' '.join(show)}. What did start stays until the next run.",
        )

    async def _addresses(self) -> dict[str, str]:
        found: dict[str, str] = {}
        path = f"/1.0/instances?recursion=2&project={PROJECT}"

        async def missing() -> str:
            found.update(await incusapi.read(self._lead, path, parse.addresses))
            return ", ".join(
                f"{name} has none" for node in self._topology.nodes if (name := instance(node.name)) not in found
            )

        await self._lead.until("the instances' addresses by DHCP", missing, timeout=BOOT, every=0.1)
        return found

    def _exec(self, node: Node, *command: str) -> list[str]:
        return ["incus", "exec", "-T", "--project", PROJECT, instance(node.name), "--", *command]

    async def _ping(self, node: Node, host: Host, targets: list[str]) -> parse.Pings:
        size = mtu(self._topology) - HEADERS
        argv = self._exec(node, "sh", "-c", _PINGS, "sh", str(size), str(TRIES), *targets)
        output = (await host.query(argv, timeout=TRIES + 15.0)).stdout
        try:
            return parse.pings(output)
        except ValueError as error:
            raise ParseError(host.name, self._exec(node, "sh"), "the MTU and the pings' results", output) from error

    def _judge(self, found: Mapping[str, parse.Pings], addresses: Mapping[str, str]) -> None:
        """Raise unless everybody answered everybody at the full MTU.

        That the instances' MTU is the one expected makes it a proof: the pings fill it to the byte, so the instance
        sends each in one piece, and OVN forbids to fragment the tunnel's packets (df_default of OVS' tunnels).
        """
        wanted = mtu(self._topology)
        for name, pings in found.items():
            if pings.mtu != wanted:
                raise HostError(
                    name,
                    f"its instance has MTU {pings.mtu}, not {wanted}",
                    advice=f"incus network get {self._topology.incus.network} bridge.mtu",
                )
        names = {address: name for name, address in addresses.items()}
        silent = [(name, target) for name, pings in found.items() for target in pings.silent]
        if silent:
            seen = ", ".join(
                f"{instance(name)} gets no reply from {names.get(to, 'the gateway')} ({to})" for name, to in silent
            )
            node, target = silent[0]
            command = f"incus exec --project {PROJECT} {instance(node)} -- ping -c 1 -s {wanted - HEADERS} {target}"
            raise WaitError(
                f"pings of {wanted} bytes between the instances",
                TRIES,
                seen,
                advice=f"On any host: {command}. The instances stay until the next run.",
            )
