"""Versions, pending reboots, and whether names resolve without a stall."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.condition import Condition, Disease, Finding, Part, State, nobody, split, told
from meshctl.roles.parsing import parser, understand

SCRIPT = Path(__file__).with_name("status.sh").read_bytes()
_ARGV = ("sh", "-s")

DNS_STALLS = Disease(
    "dns-stalls", "The name server doesn't answer: logins, sudo and daemons wait for seconds, again and again."
)
DISEASES = (DNS_STALLS,)

_TOO_LATE = "124"
_NAMES = {"frr": "FRR", "ovn-central": "OVN", "openvswitch-switch": "OVS", "ceph-mon": "Ceph", "incus": "Incus"}


@dataclass(frozen=True, slots=True)
class Look:
    """One host."""

    versions: Mapping[str, str]
    kernel: str
    kernels: frozenset[str]
    """Installed ones; none in a container."""
    up: float
    """Seconds since it booted."""
    required: tuple[str, ...] = ()
    """What a package's script asked a reboot for."""
    replaced: tuple[str, ...] = ()
    """Programs that run with libraries which were replaced since."""
    stalls: bool = False
    servers: tuple[str, ...] = field(default=())

    @property
    def pending(self) -> str:
        """Why a reboot is due; "" when it isn't."""
        newest = max(self.kernels, key=_order, default=self.kernel)
        if self.kernel in self.kernels and newest != self.kernel:
            return f"kernel {newest} is installed, {self.kernel} runs"
        if self.required:
            return f"asked for by {', '.join(self.required)}"
        if self.replaced:
            return f"{', '.join(self.replaced[:4])} run with replaced libraries"
        return ""


async def condition(cluster: Cluster) -> Condition:
    """One script per host."""
    looks, silent = split(await cluster.each(lambda _node, host: told(_look(host))))
    return judge(looks, silent) if looks else nobody(silent)


async def _look(host: Host) -> Look:
    return understand(host.name, ("sh", "status.sh"), answers, (await host.query(_ARGV, stdin=SCRIPT)).stdout)


@parser
def answers(text: str) -> Look:
    """The output of `status.sh`."""
    blocks = (block.partition("\n") for block in text.split("\n@@ ")[1:])
    told_ = {name: [line for line in lines.splitlines() if line.strip()] for name, _, lines in blocks}
    rows = [line.split() for line in told_["versions"]]
    return Look(
        {row[1]: row[2] for row in rows if len(row) == 3 and row[0] == "installed"},  # noqa: PLR2004  (the format)
        told_["kernel"][0],
        frozenset(told_["kernels"]),
        float(told_["uptime"][0].split()[0]),
        tuple(told_["required"][1:] or told_["required"]),
        tuple(told_["replaced"]),
        told_["dns"][0] == _TOO_LATE,
        tuple(line.split()[1] for line in told_["dns"][1:]),
    )


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def judge(looks: Mapping[str, Look], silent: Mapping[str, Part]) -> Condition:
    """What the answers mean. A pending reboot is work to do, not a fault."""
    findings = tuple(_stalls(looks))
    mixed = [name for name in _NAMES if len({look.versions.get(name) for look in looks.values()}) > 1]
    pending = [name for name, look in looks.items() if look.pending]
    detail = _versions(looks) + (f"; reboot due: {', '.join(pending)}" if pending else "")
    return Condition(
        State.DEGRADED if findings or mixed or silent else State.HEALTHY,
        detail + (f"; DNS stalls on {', '.join(finding.host for finding in findings)}" if findings else ""),
        nodes={**{name: _part(look, mixed) for name, look in looks.items()}, **silent},
        findings=findings,
    )


def _versions(looks: Mapping[str, Look]) -> str:
    """The versions, each once; several where hosts differ, the most frequent one first."""
    words = []
    for package, name in _NAMES.items():
        seen = Counter(_short(look.versions[package]) for look in looks.values() if package in look.versions)
        if seen:
            words.append(f"{name} {'/'.join(version for version, _ in seen.most_common())}")
    return ", ".join(words) or "nothing installed"


def _short(version: str) -> str:
    """The upstream version: without epoch, Debian revision, and what was repacked."""
    return re.split(r"[-+~]", version.rpartition(":")[2])[0]


def _part(look: Look, mixed: list[str]) -> Part:
    own = ", ".join(f"{_NAMES[name]} {_short(look.versions.get(name, 'none'))}" for name in mixed)
    said = [f"up {_age(look.up)}", *([own] if own else []), *([f"reboot due: {look.pending}"] if look.pending else [])]
    return Part(State.DEGRADED if look.stalls or mixed else State.HEALTHY, ", ".join(said))


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _stalls(looks: Mapping[str, Look]) -> Iterator[Finding]:
    for host, look in looks.items():
        if look.stalls:
            servers = ", ".join(look.servers) or "those of /etc/resolv.conf"
            yield Finding(
                DNS_STALLS.name,
                host,
                f"looking up a name that isn't there takes more than 1 s; name servers: {servers}",
                "Give it name servers that answer, or none; `options timeout:1 attempts:1` limits the harm.",
                "time getent ahosts meshctl.invalid; cat /etc/resolv.conf",
            )
