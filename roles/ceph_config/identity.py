"""Who a cluster is: its fsid, its keys and its first monmap. Found on the hosts if any has it, else made up once."""

import base64
import os
import struct
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from meshctl.errors import RefusedError
from meshctl.topology import Topology

Caps = Mapping[str, str]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """What one host knows. `live` is in use by daemons and clients; `founding` is what its monitor was made from."""

    fsid: str | None = None
    live: Mapping[str, str] = field(default_factory=dict, repr=False)
    founding: Mapping[str, str] = field(default_factory=dict, repr=False)
    monmap: bytes = b""


@dataclass(frozen=True, slots=True)
class Identity:
    """A cluster. `monmap` is empty until the first monmap was made."""

    fsid: str
    keys: Mapping[str, str] = field(repr=False)
    monmap: bytes = b""

    def with_monmap(self, monmap: bytes) -> "Identity":
        """The same cluster with its first monmap."""
        return replace(self, monmap=monmap)


def entities(topology: Topology) -> dict[str, Caps]:
    """Everybody who gets a key at the founding, with capabilities; this spares `auth get-or-create` later."""
    pool = topology.ceph.pool
    caps: dict[str, Caps] = {
        "mon.": {"mon": "allow *"},
        "client.admin": {"mds": "allow *", "mgr": "allow *", "mon": "allow *", "osd": "allow *"},
        "client.bootstrap-osd": {"mgr": "allow r", "mon": "profile bootstrap-osd"},
        "client.incus": {"mgr": f"profile rbd pool={pool}", "mon": "profile rbd", "osd": f"profile rbd pool={pool}"},
    }
    for node in topology.nodes:
        caps[f"mgr.{node.name}"] = {"mds": "allow *", "mon": "allow profile mgr", "osd": "allow *"}
    return caps


def new_key() -> str:
    """A cephx key: type 1 (AES), creation time, length, 16 random bytes; little-endian, base64 (CryptoKey::encode)."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return base64.b64encode(struct.pack("<HIIH", 1, seconds, nanoseconds, 16) + os.urandom(16)).decode()


def identify(topology: Topology, found: Mapping[str, Found]) -> Identity:
    """The cluster that the hosts know, completed with what none of them has yet.

    Raises RefusedError when hosts disagree, or when there is a cluster that meshctl did not found.
    """
    fsid = _agreed("the fsid", {host: f.fsid for host, f in found.items() if f.fsid}, show=True)
    if fsid and not any(f.founding for f in found.values()):
        host = next(host for host, f in found.items() if f.fsid)
        raise RefusedError(
            host,
            f"/etc/ceph/ceph.conf names the Ceph cluster {fsid}, which meshctl did not found",
            advice="If nobody needs that cluster: remove ceph.conf and /var/lib/ceph/mon, then try again.",
        )
    keys = {entity: _key(entity, found) for entity in entities(topology)}
    monmap = _agreed("the first monmap", {host: f.monmap for host, f in found.items() if f.monmap})
    return Identity(fsid or str(uuid.uuid4()), keys, monmap or b"")


def _key(entity: str, found: Mapping[str, Found]) -> str:
    """A key in use wins over the one the monitors were made from: keys can be changed later."""
    what = f"the key of {entity}"
    live = _agreed(what, {host: f.live[entity] for host, f in found.items() if entity in f.live})
    founding = _agreed(what, {host: f.founding[entity] for host, f in found.items() if entity in f.founding})
    return live or founding or new_key()


def _agreed(what: str, values: Mapping[str, T], *, show: bool = False) -> T | None:
    """The one value that all hosts have. `show` tells the values in the error, which keys must not be."""
    if not values:
        return None
    first, value = next(iter(values.items()))
    for host, other in values.items():
        if other != value:
            seen = f": {value} and {other}" if show else ""
            raise RefusedError(
                host,
                f"{first} and {host} disagree about {what} of the Ceph cluster{seen}",
                advice="They belong to different clusters. Find out which one is needed; reset the other host.",
            )
    return value
