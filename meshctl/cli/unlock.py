# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`unlock`: show who holds the cluster's lock, ask, and break it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshctl.cli import naming
from meshctl.cli.options import Options, topology_argument
from meshctl.cli.output import columns, emit_json

if TYPE_CHECKING:
    from meshctl.errors import HostError
    from meshctl.host.base import Host
    from meshctl.host.lock import Shown
    from meshctl.topology import Topology


@dataclass(frozen=True)
class Outcome:
    """What was found on the hosts, and what became of it."""

    cluster: str
    locks: "Mapping[str, Shown]"
    """By host."""
    unreachable: "tuple[HostError, ...]"
    """Also those that were lost meanwhile, or whose lock could not be broken."""
    broken: frozenset[str] = frozenset()
    """Hosts."""
    refusal: str = ""
    """Why nothing was broken, if there was something to break."""

    @property
    def exit_code(self) -> int:
        """1 when something is or may be locked still."""
        return int(bool(self.refusal or self.unreachable))


@click.command(short_help="Show who holds the cluster's lock, ask, and break it.")
@topology_argument
@click.option("--yes", metavar="CLUSTER", help="Don't ask: break the lock of the cluster with this name.")
@click.pass_obj
def unlock(options: Options, topology: Path, *, yes: str | None) -> int:
    """Show who holds the lock on the cluster's hosts, and, once the cluster's name was typed, break it.

    Only a living run holds a lock; it stops before its next change. There is no need to unlock after a crash.
    """
    import asyncio

    from meshctl.topology import load

    loaded = load(topology)
    outcome = asyncio.run(_unlock(options, loaded, yes))
    if options.json:
        emit_json("unlock", as_json(outcome))
    for line in _afterwards(outcome):
        click.echo(line, err=True)
    return outcome.exit_code


async def _unlock(options: Options, topology: "Topology", yes: str | None) -> Outcome:
    import asyncio

    from meshctl.cli.reach import reachable
    from meshctl.host.lock import Shown, look
    from meshctl.roles.condition import told

    async with reachable(topology, options, options.state(topology)) as (hosts, errors):
        seen = dict(zip(hosts, await asyncio.gather(*(told(look(host)) for host in hosts.values())), strict=True))
        locks = {name: shown for name, shown in seen.items() if isinstance(shown, Shown)}
        if not options.json:
            click.echo("\n".join(show(topology.cluster, locks)))
        refusal = await naming.refusal(topology.cluster, yes, "break the lock") if locks else ""
        found = Outcome(topology.cluster, locks, (*errors, *_errors(seen.values())), refusal=refusal)
        return found if refusal else await broken(hosts, found)


async def broken(hosts: "Mapping[str, Host]", found: Outcome) -> Outcome:
    """What becomes of the locks that were found; a host that fails keeps none of the others."""
    import asyncio

    from meshctl.host.lock import break_lock
    from meshctl.roles.condition import told

    done = await asyncio.gather(*(told(break_lock(hosts[name], shown)) for name, shown in found.locks.items()))
    freed = frozenset(name for name, outcome in zip(found.locks, done, strict=True) if outcome is True)
    return replace(found, broken=freed, unreachable=(*found.unreachable, *_errors(done)))


def _errors(outcomes: "Iterable[object]") -> "list[HostError]":
    from meshctl.errors import HostError

    return [outcome for outcome in outcomes if isinstance(outcome, HostError)]


def show(cluster: str, locks: "Mapping[str, Shown]") -> Iterator[str]:
    """Who holds what, for people."""
    if not locks:
        yield f"Nobody holds the lock of {cluster}."
    for holder in dict.fromkeys(shown.holder for shown in locks.values()):
        yield f"{cluster} is locked by a run that is alive:"
        hosts = ", ".join(name for name, shown in locks.items() if shown.holder == holder)
        yield columns([*asdict(holder).items(), ("hosts", hosts)])


def _afterwards(outcome: Outcome) -> Iterator[str]:
    for error in outcome.unreachable:
        yield f"not unlocked: {error}"
    if outcome.refusal:
        yield f"error: {outcome.refusal}"
        return
    failed = {error.host for error in outcome.unreachable}
    gone = [name for name in outcome.locks if name not in outcome.broken | failed]
    if outcome.broken:
        yield f"broken on {', '.join(sorted(outcome.broken))}; that run stops before its next change"
    if gone:
        yield f"that run has ended meanwhile on {', '.join(gone)}; whoever may have the lock there now keeps it"


def as_json(outcome: Outcome) -> dict[str, Any]:
    """All keys but `schema`."""
    return {
        "cluster": outcome.cluster,
        "locks": [
            {"host": name, **asdict(shown.holder), "broken": name in outcome.broken}
            for name, shown in outcome.locks.items()
        ],
        "unreachable": [{"host": error.host, "what": error.message} for error in outcome.unreachable],
    }
