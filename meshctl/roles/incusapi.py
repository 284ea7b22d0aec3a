"""Incus through its own client: reads as typed facts, and the changes that more than one role makes.

`incus query` is used because a host has nothing else that can speak to Incus' socket. One client costs some 30 ms of
CPU, so reads ask for whole collections (`recursion=1`). Without quorum reads block, hence the deadlines.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from meshctl.errors import HostError, ParseError, RefusedError
from meshctl.host.base import Host
from meshctl.roles.parsing import parser
from meshctl.roles.together import together

T = TypeVar("T")

READ = 15.0
"""Seconds for a read. A daemon that was not running yet starts in under 5 s, also on a busy host."""

CHANGE = 60.0
"""Seconds for making or removing a pool or network."""

MEMBERS = "/1.0/cluster/members?recursion=1"
POOLS = "/1.0/storage-pools?recursion=1"
NETWORKS = "/1.0/networks?recursion=1"
DEFAULT_PROFILE = "/1.0/profiles/default"

Kind = Literal["storage-pools", "networks"]


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the cluster as one of them sees it; `roles` has `database` for voters."""

    name: str
    status: str
    roles: frozenset[str]
    url: str


@dataclass(frozen=True, slots=True)
class Thing:
    """A storage pool or a network. `kind` is the pool's driver or the network's type."""

    name: str
    kind: str
    status: str
    locations: frozenset[str]
    config: Mapping[str, str] = field(repr=False)
    used_by: tuple[str, ...] = ()

    def created_on(self, members: Iterable[str]) -> bool:
        """Whether it is there, on all these members.

        An OVN network is in OVN's database, once for all: Incus writes down those who were members when it was made,
        and never adds who joins later, although it starts the network there (clusterInitMember in api_cluster.go).
        """
        return self.status == "Created" and (self.kind == "ovn" or self.locations >= frozenset(members))


def query(path: str) -> list[str]:
    """The command that reads a path of Incus' API."""
    return ["incus", "query", path]


async def read(host: Host, path: str, parse: Callable[[Any], T], *, timeout: float = READ) -> T:  # noqa: ASYNC109
    """What the API says at `path`, parsed. Raises CommandError, CommandTimeout, ParseError."""
    argv = query(path)
    output = (await host.query(argv, timeout=timeout)).stdout
    try:
        return parse(json.loads(output) if output.strip() else [])  # it prints nothing for an empty collection
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ParseError(host.name, argv, f"Incus' JSON for {path} ({error!r})", output) from error


async def change(host: Host, method: str, path: str, body: object, *, reason: str) -> None:
    """Send a request that changes something and wait for its end. No secrets: the body is part of the command."""
    argv = ["incus", "query", "--wait", "-X", method]
    data = ["-d", json.dumps(body)] if body is not None else []
    await host.run([*argv, *data, path], reason=reason, timeout=CHANGE)


async def pool_here(host: Host, pool: str) -> str:
    """A pool's status on this member alone; `Thing.status` is the whole cluster's."""
    return await read(host, f"/1.0/storage-pools/{quote(pool)}?target={quote(host.name)}", _status)


@parser
def _status(data: Any) -> str:
    return str(data["status"])


@parser
def members(data: Any) -> dict[str, Member]:
    """`MEMBERS` by name."""
    return {
        entry["server_name"]: Member(entry["server_name"], entry["status"], frozenset(entry["roles"]), entry["url"])
        for entry in data
    }


@parser
def pools(data: Any) -> dict[str, Thing]:
    """`POOLS` by name."""
    return {entry["name"]: _thing(entry, entry["driver"]) for entry in data}


@parser
def networks(data: Any) -> dict[str, Thing]:
    """`NETWORKS` by name, those that Incus manages (it lists every NIC of the host as well)."""
    return {entry["name"]: _thing(entry, entry["type"]) for entry in data if entry["managed"]}


@parser
def devices(data: Any) -> dict[str, dict[str, str]]:
    """`DEFAULT_PROFILE`'s devices by name."""
    return {name: dict(device) for name, device in data["devices"].items()}


def _thing(entry: Any, kind: str) -> Thing:
    return Thing(
        name=entry["name"],
        kind=kind,
        status=entry["status"],
        locations=frozenset(entry["locations"] or ()),
        config=dict(entry["config"]),
        used_by=tuple(entry["used_by"] or ()),
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """A pool or network to be made: what is the same everywhere, and what differs between members."""

    collection: Kind
    name: str
    kind: str
    config: Mapping[str, str]
    per_member: Mapping[str, Mapping[str, str]]

    @property
    def word(self) -> str:
        """What an operator calls it."""
        return "storage pool" if self.collection == "storage-pools" else "network"

    def body(self, config: Mapping[str, str]) -> dict[str, object]:
        """A request to make it."""
        key = "driver" if self.collection == "storage-pools" else "type"
        return {"name": self.name, key: self.kind, "config": dict(config)}


async def look(host: Host, wanted: Wanted) -> Thing | None:
    """The pool or network as it is now."""
    if wanted.collection == "storage-pools":
        return (await read(host, POOLS, pools)).get(wanted.name)
    return (await read(host, NETWORKS, networks)).get(wanted.name)


async def make(host: Host, wanted: Wanted, seen: Thing | None) -> None:
    """Make a pool or network that is missing or half made: pending on each member, then for all; looks again.

    With a single member it is made at once. Raises RefusedError when the name is taken by something else.
    """
    refuse_other(host, wanted, seen)
    names = list(wanted.per_member)
    if len(names) == 1:
        whole = {**wanted.config, **wanted.per_member[names[0]]}
        await change(host, "POST", f"/1.0/{wanted.collection}", wanted.body(whole), reason=f"no {wanted.word}")
    else:
        await _make_pending(host, wanted, seen)
        # "Already partially created. Please do not specify any global config when re-running create"
        config = {} if seen and wanted.config.keys() & seen.config.keys() else wanted.config
        reason = f"the {wanted.word} {wanted.name} is not made yet, only announced"
        await change(host, "POST", f"/1.0/{wanted.collection}", wanted.body(config), reason=reason)
    await host.until(f"{wanted.word} {wanted.name}", lambda: _missing(host, wanted), timeout=20)


async def clear_folder(host: Host, pool: str) -> None:
    """Remove the empty folders that an interrupted attempt left ("Storage pool directory already exists").

    Only for pools that aren't Created. What is not empty stays, and Incus then names it.
    """
    folder = f"/var/lib/incus/storage-pools/{pool}"
    if (await host.query(["test", "-d", folder], ok=(0, 1))).ok:
        argv = ["find", folder, "-depth", "-type", "d", "-empty", "-delete"]
        await host.run(argv, reason=f"left by an interrupted attempt to make the storage pool {pool}")


async def _make_pending(host: Host, wanted: Wanted, seen: Thing | None) -> None:
    """On the first member alone, because that makes the entry in the database, then on all others at once.

    OVN networks have nothing that differs between members, and are made without.
    """
    if wanted.kind == "ovn":
        return
    defined = seen.locations if seen else frozenset()
    targets = [name for name in wanted.per_member if name not in defined]
    first, rest = (targets[:1], targets[1:]) if seen is None else ([], targets)
    for batch in (first, rest):
        await together(*(_make_on(host, wanted, name) for name in batch))


async def _make_on(host: Host, wanted: Wanted, name: str) -> None:
    path, body = f"/1.0/{wanted.collection}?target={quote(name)}", wanted.body(wanted.per_member[name])
    await change(host, "POST", path, body, reason=f"the {wanted.word} {wanted.name} is not defined on {name}")


async def _missing(host: Host, wanted: Wanted) -> str:
    thing = await look(host, wanted)
    if thing is None:
        return "not there"
    return "" if thing.created_on(wanted.per_member) else f"{thing.status} on {', '.join(sorted(thing.locations))}"


def refuse_other(host: Host, wanted: Wanted, seen: Thing | None) -> None:
    """Raise RefusedError when something of another kind has the name."""
    if seen and seen.kind != wanted.kind:
        raise RefusedError(
            host.name,
            f"Incus has a {wanted.word} {wanted.name} of type {seen.kind}, which meshctl did not make",
            advice=f"Choose another name in the topology's incus section, or remove that {wanted.word}.",
        )


async def ensure_device(host: Host, name: str, wanted: Mapping[str, str]) -> str:
    """Give the default profile a device; returns what differs when it has another one of that name, which is kept.

    `incus profile device add` sends the profile's ETag, so that two roles that add their devices at the same moment
    don't undo each other; the loser is told so and tries again.
    """
    for _attempt in range(4):
        present = (await read(host, DEFAULT_PROFILE, devices)).get(name)
        if present is not None:
            differing = {key: present.get(key, "") for key, value in wanted.items() if present.get(key) != value}
            return ", ".join(f"{key}={value}" for key, value in differing.items())
        await host.run(add_device(name, wanted), reason=f"the default profile has no device {name}", ok=None)
    raise HostError(
        host.name,
        f"the default profile of Incus took no device {name}, although it was added four times",
        advice="Something else changes the profile all the time: `incus monitor --type=lifecycle` shows what.",
    )


def add_device(name: str, wanted: Mapping[str, str]) -> list[str]:
    """The command that adds a device to the default profile."""
    options = [f"{key}={value}" for key, value in wanted.items() if key != "type"]
    return ["incus", "profile", "device", "add", "default", name, wanted["type"], *options]
