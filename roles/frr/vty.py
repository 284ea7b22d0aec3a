"""FRR on one host: what runs, with what, and how it is changed."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from meshctl.errors import CommandError, RefusedError
from meshctl.host.base import Host
from meshctl.roles.parsing import understand
from meshctl.roles.units import units

from . import parse, static

CONF = "/etc/frr/frr.conf"
DAEMONS = "/etc/frr/daemons"
VTYSH = "/usr/local/lib/meshctl/frr-vtysh"
"""What FRR's own scripts call to load frr.conf at a start."""
UNIT = "frr.service"
OURS = ("grep", "-qs", "meshctl", CONF)

_ASK = f'systemctl is-active --quiet {UNIT} && exec vtysh "$@"'


def asking(*shows: str) -> tuple[str, ...]:
    """The command that asks FRR all of this at once, because starting vtysh costs more than all its answers.

    It asks nothing while FRR starts: mgmtd (seen with 10.3) drops lines of the frr.conf that it is reading when anybody
    asks it anything meanwhile, and zebra then leaves routes without their source for good.
    """
    return ("sh", "-c", _ASK, "vtysh", *(word for show in shows for word in ("-c", show)))


RUNNING = asking("show daemons", "show running-config")

# A file, because vtysh forks one reader per daemon: from a pipe each gets a part only. Its exit code says nothing.
_LOAD = 'umask 077 && f=$(mktemp) && trap \'rm -f "$f"\' EXIT && cat >"$f" && vtysh -f "$f" >/dev/null 2>&1'

# Through a pipe, because sshd may give a command a socket as stdin, and a socket can't be opened as /dev/stdin.
_CHECK = "cat | vtysh -C -f /dev/stdin"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found on a host."""

    active: bool
    enabled: bool
    daemons: frozenset[str]
    running: str
    saved: str | None
    switched_on: frozenset[str]
    """The daemons that its list has, whether they run or not."""
    static: tuple[str, ...]
    """Files of static routes that another run has left."""
    unsourced: frozenset[str]
    """The protocols, by the kernel's names, of routes that leave the choice of their packets' source to the kernel."""


async def observe(host: Host, routes: Iterable[Sequence[str]]) -> Seen:
    """Look at all of it at once; `routes` are the commands that list the kernel's routes."""
    found, running, saved, daemons_file, left, tables = await asyncio.gather(
        units(host, UNIT),
        host.query(RUNNING, ok=None),
        host.read(CONF),
        host.read(DAEMONS),
        static.leftovers(host),
        asyncio.gather(*(host.query(argv, ok=None) for argv in routes)),
    )
    daemons, configuration = parse.running(running.stdout if running.ok else "")
    return Seen(
        active=found[UNIT].active,
        enabled=found[UNIT].enabled,
        daemons=daemons,
        running=configuration,
        saved=saved,
        switched_on=parse.enabled(daemons_file or ""),
        static=tuple(left),
        unsourced=frozenset().union(
            *(understand(host.name, table.argv, parse.unsourced, table.stdout) for table in tables if table.ok)
        ),
    )


def refuse_foreign(host: Host, seen: Seen) -> None:
    """Raise RefusedError when somebody else has configured this FRR."""
    for where, content in ((CONF, seen.saved or ""), ("the running FRR", seen.running)):
        if line := parse.foreign(content):
            raise RefusedError(
                host.name,
                f"{where} has a configuration that meshctl did not make: `{line}`",
                advice=f"Move {CONF} away and run `systemctl restart frr`, then try again.",
            )


async def check_syntax(host: Host, conf: str) -> None:
    """Let FRR read the configuration without using it. Raises CommandError when it doesn't understand it."""
    argv = ["sh", "-c", _CHECK]
    result = await host.query(argv, stdin=conf.encode(), ok=None)
    if not result.ok:
        advice = "Nothing was changed. Compare FRR's version with the versions that meshctl supports."
        raise CommandError(
            host.name, argv, result.status, parse.redacted(result.stderr or result.stdout), advice=advice
        )


async def clear_strangers(host: Host, lines: list[tuple[str, str]]) -> None:
    """Take back what was configured by hand on other interfaces; a reload can't (see parse.strangers)."""
    for interface, line in lines:
        argv = ["vtysh", "-c", "configure terminal", "-c", interface, "-c", parse.undone(line)]
        await host.run(argv, reason=f"the running configuration has `{interface} / {parse.redacted(line)}`")


async def load(host: Host, lines: str, *, reason: str) -> None:
    """Add lines to what a FRR runs that is about to be reloaded: what has to be there earlier, or unseen by frr-reload.

    Whether it took them shows later, when the running configuration is compared.
    """
    await host.run(["sh", "-c", _LOAD], reason=reason, stdin=lines.encode())


async def restart(host: Host, reason: str) -> None:
    """Start FRR, again if it runs."""
    # The unit allows three starts in three minutes (StartLimitBurst=3); the fourth fails until the count is reset.
    await host.run(["systemctl", "reset-failed", UNIT], reason=reason)
    await host.run(["systemctl", "restart", UNIT], reason=reason)


async def difference(host: Host, wanted: str) -> str:
    """How the running configuration differs from the wanted one; "" when it doesn't."""
    answer = await host.query(RUNNING, ok=None)
    daemons, configuration = parse.running(answer.stdout if answer.ok else "")
    return parse.differences(wanted, configuration) if daemons else "FRR does not answer"
