"""Finding out who is at the other end of each NIC, on layer 2 and before any address is there (`probe.pl`)."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from meshctl.errors import CommandError
from meshctl.host.base import Host
from meshctl.roles.parsing import parser, understand
from meshctl.topology import End

SCRIPT = Path(__file__).with_name("probe.pl").read_bytes()

WINDOW = 3.0
"""Seconds to listen after the last carrier came, where somebody isn't heard: what beginning later may cost a host."""

PATIENCE = 6.0
"""Seconds that a NIC may take from being brought up to its carrier: 10GBASE-T negotiates for up to four."""

DEADLINE = 45.0
_NO_SUCH_COMMAND = 127

Expected = Mapping[str, End | None]
"""A host's NICs, each with the end that should be heard there, if any."""


@dataclass(frozen=True, slots=True)
class Ear:
    """One NIC: whether it was up before; whether it had carrier in the end, and its speed (Mbit/s); whom it heard.

    `direct` heard frames that no bridge passes on, so there is nothing but a cable; `bridged` only others.
    """

    mac: str
    was_up: bool
    carrier: bool
    speed: int | None = None
    direct: frozenset[End] = frozenset()
    bridged: frozenset[End] = frozenset()

    @property
    def heard(self) -> frozenset[End]:
        """All, whichever way."""
        return self.direct | self.bridged


async def probe(hosts: Mapping[str, Host], expected: Mapping[str, Expected], *, others: bool) -> dict[End, Ear] | None:
    """Let all NICs of all hosts send and listen at the same time; whom each heard. None in a dry run.

    Hosts leave it as soon as everybody hears whom it expects. `others`: all further physical NICs take part, too.
    Afterwards a NIC is as it was before; see `probe.pl` for the one exception. Raises CommandError and its kin.
    """
    token = uuid.uuid4().hex
    names = ",".join(expected)
    heard = await asyncio.gather(
        *(_listen(hosts[node], [token, node, names], nics, others=others) for node, nics in expected.items())
    )
    ears: dict[End, Ear] = {}
    for node, nics in zip(expected, heard, strict=True):
        if nics is None:
            return None
        ears |= {End(node, nic): ear for nic, ear in nics.items()}
    return ears


async def _listen(host: Host, who: list[str], nics: Expected, *, others: bool) -> dict[str, Ear] | None:
    wanted = [f"{nic}={peer or ''}" for nic, peer in nics.items()]
    argv = ["perl", "-", *who, f"{WINDOW:g}", f"{PATIENCE:g}", f"{others:d}", *wanted]
    try:
        result = await host.safeguard(argv, stdin=SCRIPT, timeout=DEADLINE)
    except CommandError as error:
        if error.status != _NO_SUCH_COMMAND:
            raise
        advice = "It is an essential package on Debian and Ubuntu: apt-get install perl-base"
        raise CommandError(host.name, ["perl"], error.status, error.stderr, advice=advice) from error
    return understand(host.name, argv[:2], ears, result.stdout) if result else None


@parser
def ears(text: str) -> dict[str, Ear]:
    """What `probe.pl` prints, by NIC. A NIC that isn't there is left out."""
    found: dict[str, Ear] = {}
    heard: dict[str, dict[str, set[End]]] = {}
    for kind, nic, *rest in (line.split() for line in text.splitlines()):
        if kind == "nic":
            mac, state, carrier, speed = rest
            found[nic] = Ear(mac, state == "up", carrier == "1", int(speed) or None)
        elif kind == "heard":
            sender, how = rest
            heard.setdefault(nic, {"direct": set(), "bridged": set()})[how].add(end(sender))
    for nic, whom in heard.items():
        found[nic] = replace(found[nic], direct=frozenset(whom["direct"]), bridged=frozenset(whom["bridged"]))
    return found


def end(text: str) -> End:
    """`node1:eth1`. Raises ValueError when it is something else."""
    node, colon, nic = text.partition(":")
    if not (node and colon and nic):
        raise ValueError(f"{text!r} is not HOST:NIC")
    return End(node, nic)
