"""The way to a cluster's hosts: on the machine's networks, or inside a lab."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from meshctl.cli.options import Options
from meshctl.errors import ConnectError, HostError
from meshctl.host.connect import HostsUnreachableError, connect, connect_all
from meshctl.host.dial import OpenSocket, open_socket
from meshctl.host.known_hosts import Confirm, KnownHosts
from meshctl.host.ssh import SshHost
from meshctl.host.sshconfig import Login, logins
from meshctl.state import StateFolder
from meshctl.topology import Node, Topology
from meshctl.topology.document import Ssh


@asynccontextmanager
async def connected(
    topology: Topology,
    options: Options,
    state: StateFolder,
    *,
    accept_new: bool,
    renewed: frozenset[str] = frozenset(),
    confirm: Confirm | None = None,
) -> AsyncIterator[dict[str, SshHost]]:
    """All hosts, connected; closed again at the end. Raises what `connect_all` raises.

    `renewed`: nodes that may show another key than the one on record, if `confirm` (or the terminal) says so.
    """
    way = _way(topology, options, state)
    known = KnownHosts(state, accept_new=accept_new, confirm=confirm or _confirm_here(), renewed=renewed)
    hosts = await connect_all(way.topology, known, open_socket=way.open_socket, logins=way.logins)
    try:
        yield hosts
    finally:
        await asyncio.gather(*(host.close() for host in hosts.values()))


@asynccontextmanager
async def reachable(
    topology: Topology, options: Options, state: StateFolder
) -> AsyncIterator[tuple[dict[str, SshHost], tuple[HostError, ...]]]:
    """Those hosts that can be reached, and why the others can't. Raises HostsUnreachableError when none can."""
    way = _way(topology, options, state)
    known = KnownHosts(state, accept_new=False, confirm=_confirm_here())
    tasks = [way.to(node, known) for node in way.topology.nodes]
    async with _those_that_answer(tasks) as (hosts, errors):
        if not hosts:
            raise HostsUnreachableError(list(errors), len(tasks))
        yield hosts, errors


@asynccontextmanager
async def answering(
    topology: Topology, options: Options, state: StateFolder, *, knock: float, login: float
) -> AsyncIterator[tuple[dict[str, SshHost], tuple[HostError, ...]]]:
    """Those hosts that answer at once, and why the others don't; also when none does.

    A host must take the TCP connection within `knock` seconds, asked once, and let us in within `login`.
    """
    way = _way(topology, options, state)
    known = KnownHosts(state, accept_new=False, confirm=None)
    limit = {"connect_timeout": login}
    once = [replace(way, open_socket=_once(node, way.open_socket, knock)) for node in way.topology.nodes]
    tasks = [one.to(node, known, limit) for one, node in zip(once, way.topology.nodes, strict=True)]
    async with _those_that_answer(tasks) as found:
        yield found


def _once(node: Node, open_one: OpenSocket, seconds: float) -> OpenSocket:
    """The socket, or at once a ConnectError, which unlike others isn't tried again."""

    async def knock(address: str, port: int, _seconds: float) -> socket.socket:
        try:
            async with asyncio.timeout(seconds):
                return await open_one(address, port, seconds + 1)
        except OSError as error:  # TimeoutError is one, too
            # asyncio's own words for it hold a Python tuple
            why = os.strerror(error.errno) if error.errno else error
            said = "does not answer" if isinstance(error, TimeoutError) else f"can't be reached: {why}"
            raise ConnectError(node.name, f"port {port} of {address} {said}") from error

    return knock


@asynccontextmanager
async def _those_that_answer(
    tasks: Iterable[Coroutine[Any, Any, SshHost]],
) -> AsyncIterator[tuple[dict[str, SshHost], tuple[HostError, ...]]]:
    results = await asyncio.gather(*tasks, return_exceptions=True)
    hosts = {result.name: result for result in results if isinstance(result, SshHost)}
    try:
        errors = [result for result in results if isinstance(result, BaseException)]
        expected = [error for error in errors if isinstance(error, HostError)]
        for error in errors:
            if error not in expected:
                raise error
        yield hosts, tuple(expected)
    finally:
        await asyncio.gather(*(host.close() for host in hosts.values()))


@dataclass(frozen=True)
class _Way:
    """The topology with the addresses where its hosts answer, how sockets are made, and logins of their own."""

    topology: Topology
    open_socket: OpenSocket = open_socket
    logins: Mapping[str, Login] = field(default_factory=dict)

    def to(
        self, node: Node, known: KnownHosts, limit: Mapping[str, float] | None = None
    ) -> Coroutine[Any, Any, SshHost]:
        """One host; `limit` changes seconds of its login."""
        login = self.logins.get(node.name)
        ssh: Ssh = (login.ssh if login else self.topology.ssh).model_copy(update=limit)
        reach = partial(connect, node, ssh, open_socket=self.open_socket, usual=self.topology.timeouts.command)
        if login is None:
            return reach(known)
        return reach(login.trusting(known), stated=login.stated, keepalive=login.keepalive)


def _way(topology: Topology, options: Options, state: StateFolder) -> _Way:
    if options.ssh_config:
        return _as_configured(topology, options.ssh_config)
    if options.lab is None:
        return _Way(topology)
    return _into_lab(topology, options.lab_name(topology), state)


def _as_configured(topology: Topology, path: Path) -> _Way:
    """The topology with the addresses and logins of an SSH configuration."""
    found = logins(path, topology.nodes, topology.ssh)
    nodes = tuple(replace(node, management=found[node.name].address) for node in topology.nodes)
    return _Way(replace(topology, nodes=nodes), logins=found)


def _into_lab(topology: Topology, name: str, state: StateFolder) -> _Way:
    """The topology with the lab's login instead of its own, and sockets made inside the lab.

    A lab's hosts have keys of their own: they come from the lab, and pins of the real hosts don't apply. They
    come only once where the folder is the lab's: a machine that was renewed since then shows a key that nobody knows.
    """
    from meshctl.lab import running, sockets  # noqa: PLC0415  (only where there is a lab)
    from meshctl.lab.names import paths  # noqa: PLC0415

    running.existing(name)
    at = paths(name)
    known, recorded = at.known_hosts.read_bytes(), state.read_secret(state.known_hosts.name)
    if recorded is None or (state.path != at.state and recorded != known):
        state.write_secret(state.known_hosts.name, known)
    rehearsed = replace(
        topology,
        ssh=topology.ssh.model_copy(update={"identity": str(at.ssh_key)}),
        nodes=tuple(replace(node, host_key=None) for node in topology.nodes),
    )
    return _Way(rehearsed, partial(sockets.connect, name))


def _confirm_here() -> Confirm | None:
    """A question on the terminal; None where nobody could answer it."""
    return _confirm if sys.stdin.isatty() and sys.stderr.isatty() else None


async def _confirm(node: Node, fingerprint: str) -> bool:
    click.echo(f"The host key of {node.name} ({node.management}) is unknown: {fingerprint}", err=True)
    click.echo("Is it the one that the host's console shows? [y/N] ", err=True, nl=False)
    return (await typed_line()).strip().lower() in {"y", "yes"}


async def typed_line() -> str:
    """A line that the operator types, while the connections to other hosts go on and Ctrl-C works."""
    loop = asyncio.get_running_loop()
    typed = asyncio.Event()
    loop.add_reader(sys.stdin, typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline()
