"""From the output of facts.sh to typed facts."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshctl.roles.disks import DiskFacts, Sections, of_sections, sections
from meshctl.roles.distributions import os_release
from meshctl.roles.fsid import fsid
from meshctl.roles.parsing import parser


class FactsError(ValueError):
    """The output lacks a section or has one that can't be read; the message says which."""


@dataclass(frozen=True, slots=True)
class Nic:
    """A network interface. `max_mtu` is 0 when the driver states none."""

    name: str
    mac: str
    max_mtu: int
    addresses: tuple[str, ...]
    permanent: str = ""
    """The MAC address it was made with, where another one is set: in a bond."""


@dataclass(frozen=True, slots=True)
class Space:
    """A file system: bytes in all, and free for root's daemons."""

    mount: str
    size: int
    free: int


@dataclass(frozen=True, slots=True)
class HostFacts:
    """One host. Clocks are Unix seconds, memory is bytes."""

    clock_start: float
    clock_end: float
    uid: int
    os_id: str
    os_version: str
    os_title: str
    architecture: str
    machine_id: str
    boot_id: str
    hostname: str
    memory: int
    spaces: tuple[Space, ...]
    systemd: bool
    ssh_enabled: bool
    fsid: str | None
    nics: Mapping[str, Nic] | None
    """None when the host has no `ip` command."""
    ours: frozenset[str]
    """Addresses that meshctl's own files give this host, those of former runs included."""
    disks: Mapping[str, DiskFacts]


@parser
def host_facts(output: str) -> HostFacts:
    """Read all sections. Raises FactsError."""
    found = sections(output)
    try:
        return _host_facts(found)
    except KeyError as error:
        (key,) = error.args
        raise FactsError(f"the section {' '.join(key).strip() if isinstance(key, tuple) else key}") from error
    except (ValueError, IndexError, TypeError) as error:
        raise FactsError(f"readable sections ({error})") from error


def _host_facts(found: Sections) -> HostFacts:
    release = os_release(found["os", ""])
    return HostFacts(
        clock_start=float(found["clock.start", ""]),
        clock_end=float(found["clock.end", ""]),
        uid=int(found["uid", ""]),
        os_id=release.get("ID", ""),
        os_version=release.get("VERSION_ID", ""),
        os_title=release.get("PRETTY_NAME", "an unknown system"),
        architecture=found["architecture", ""],
        machine_id=found["machine", ""],
        boot_id=found["boot", ""],
        hostname=found["hostname", ""],
        memory=int(found["memory", ""].split()[1]) * 1024,
        spaces=spaces(found["space", ""]),
        systemd="/run/systemd/system" in found["init", ""],
        ssh_enabled="enabled" in found["ssh", ""].split(),
        fsid=fsid(found["fsid", ""]),
        nics=nics(found["nics", ""]),
        ours=frozenset(re.findall(r"([0-9.]+)/[0-9]+$", found["ours", ""].replace(" ", "\n"), re.MULTILINE)),
        disks=of_sections(found),
    )


@parser
def spaces(text: str) -> tuple[Space, ...]:
    """`df -Pk`: each file system once."""
    rows = [line.split(None, 5) for line in text.splitlines()[1:]]
    found = {row[5]: Space(row[5], int(row[1]) * 1024, int(row[3]) * 1024) for row in rows}
    return tuple(found.values())


@parser
def nics(text: str) -> dict[str, Nic] | None:
    """`ip -j -d addr show`."""
    if not text:
        return None
    return {link["ifname"]: _nic(link) for link in json.loads(text) if "ifname" in link}


def _nic(link: dict[str, Any]) -> Nic:
    return Nic(
        name=link["ifname"],
        mac=link.get("address", ""),
        max_mtu=int(link.get("max_mtu", 0)),
        addresses=tuple(entry["local"] for entry in link.get("addr_info", ()) if "local" in entry),
    )
