"""Incus for tests of roles: a cluster made of dictionaries that obeys the client's commands as Incus 6.0.4 does.

Only what the roles use; anything else raises UnknownCommandError, as with every FakeHost.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, CommandTimeout
from meshctl.host.base import QUERY_TIMEOUT, RUN_TIMEOUT, Result
from meshctl.host.fake import Answer, FakeHost
from meshctl.state import StateFolder
from meshctl.topology import Topology

Json = Any
FINGERPRINT = "5f29"
UNITS = "\n".join(
    f"Id={unit}\nActiveState=active\nUnitFileState=enabled\n" for unit in ("incus.socket", "incus-startup.service")
)


class Refused(Exception):  # noqa: N818
    """The daemon says no; becomes exit status 1."""


@dataclass
class Daemon:
    """One host's Incus."""

    clustered: str = ""
    """Name of the cluster it is in."""
    answers: bool = True
    config: dict[str, str] = field(default_factory=dict)
    owned: dict[str, list[Json]] = field(default_factory=dict)
    """Standalone only: `/1.0/instances` and so on."""


@dataclass
class World:
    """All daemons, and the one cluster they form."""

    daemons: dict[str, Daemon]
    members: dict[str, str] = field(default_factory=dict)
    """URL by name, in the order of joining."""
    raft: list[str] = field(default_factory=list)
    status: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    pools: dict[str, Json] = field(default_factory=dict)
    networks: dict[str, Json] = field(default_factory=dict)
    config: dict[str, str] = field(default_factory=dict)
    devices: dict[str, dict[str, str]] = field(default_factory=dict)
    instances: list[Json] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    """Instances that don't start."""
    projects: dict[str, dict[str, str]] = field(default_factory=lambda: {"default": {}})
    failing: dict[str, str] = field(default_factory=dict)
    """Pools and networks that come out Errored once, and what the daemon says."""
    half_made_on: set[str] = field(default_factory=set)
    """Members that lost power while they made the pools that the cluster calls Created."""
    sources: dict[str, str] = field(default_factory=dict)
    killed_before: str = ""
    """A command that starts like this is never run: the controller is killed."""

    def command(self, host: str, argv: Sequence[str], stdin: bytes) -> str | None:  # noqa: PLR0911  (one per command)
        """What a command prints; None when it is not Incus'. Raises Refused or TimeoutError."""
        match list(argv):
            case ["incus", "query", *rest]:
                return self._query(host, rest)
            case ["incus", "cluster", *words]:
                return self._membership(words)
            case ["incus", "admin", "init", "--preseed"]:
                return self._preseed(host, json.loads(stdin))
            case ["incus", "admin", "sql", "global", "--format", "json", _]:
                return json.dumps({"rows": [_row(one) for one in self.instances]})
            case ["incus", "admin", "sql", "local", _]:
                rows = "".join(f"| {address} |\n+---+\n" for address in self.raft)
                return f"+---+\n| ADDRESS |\n+---+\n{rows}"
            case ["incus", "admin", "cluster", "remove-raft-node", "-q", address]:
                assert stdin == b"yes\n", "it asks"
                self.raft.remove(address)
                return ""
            case ["incus", "config", "unset", key]:
                del self.daemons[host].config[key]
                return ""
            case ["incus", "profile", "device", "add", "default", name, kind, *options]:
                if name in self.devices:
                    raise Refused("The device already exists")
                self.devices[name] = {"type": kind, **dict(option.split("=", 1) for option in options)}
                return ""
        return None

    def _membership(self, words: Sequence[str]) -> str:
        match words:
            case ["add", "-q", name]:
                self.tokens[name] = f"token-{name}-{len(self.tokens)}"
                return self.tokens[name] + "\n"
            case ["remove", name, "--force", "--yes"]:
                del self.members[name]  # the database's own list is another one, and may keep it
                self.instances = [one for one in self.instances if one["location"] != name]
            case ["remove", "-q", name]:
                if any(one["location"] == name for one in self.instances):
                    raise Refused("Node still has instances")
                del self.members[name]
            case ["evacuate", "-q", "--force", name]:
                self.status[name] = "Evacuated"
                for one in self.instances:
                    one["location"] = next(iter(self.members)) if one["location"] == name else one["location"]
            case _:
                raise Refused(f"not in this world: {words}")
        return ""

    def found(self, *names: str) -> "World":
        """Make these hosts a cluster at once."""
        for name in names:
            number = [*self.daemons].index(name) + 1
            self._join(name, f"10.50.1.{number}:8443")
        return self

    def _query(self, host: str, words: list[str]) -> str:
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        body = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
        url = urlsplit(words[-1])
        if not self.daemons[host].answers:
            raise TimeoutError
        data = self._get(host, url.path) if method == "GET" else self._change(method, url.path, url.query, body)
        return json.dumps(data) if data else ""  # the client prints nothing for nothing

    def _get(self, host: str, path: str) -> Json:  # noqa: C901, PLR0911  (one per path)
        daemon = self.daemons[host]
        match path:
            case "/1.0":
                return self._server(host, daemon)
            case "/1.0/cluster/members":
                if not daemon.clustered:
                    raise Refused("This server is not clustered")
                return [self._member(name) for name in self.members]
            case "/1.0/cluster":
                return {"member_config": self._member_config()}
            case "/1.0/storage-pools" if daemon.clustered:
                return list(self.pools.values())
            case "/1.0/storage-pools/local" if "local" in self.pools:
                return {**self.pools["local"], **({"status": "Pending"} if host in self.half_made_on else {})}
            case "/1.0/networks" if daemon.clustered:
                return [*self.networks.values(), {"name": "eth3", "managed": False}]
            case "/1.0/instances" if daemon.clustered:
                return [self._shown(one) for one in self.instances]
            case "/1.0/profiles/default":
                return {"devices": self.devices}
            case "/1.0/projects" if daemon.clustered:
                return [{"name": name, "config": config} for name, config in self.projects.items()]
        return daemon.owned.get(path.removeprefix("/1.0/"), [])

    def _server(self, host: str, daemon: Daemon) -> Json:
        environment = {
            "server_name": host if daemon.clustered else "localhost",
            "server_clustered": bool(daemon.clustered),
            "certificate_fingerprint": FINGERPRINT if daemon.clustered == "ours" else f"other-{host}",
        }
        return {"config": {**daemon.config, **self.config}, "environment": environment}

    def _member(self, name: str) -> Json:
        place = list(self.members).index(name)
        roles = ["database"] if place == 0 or (len(self.members) > 2 and place < 3) else []
        status = self.status.get(name, "Online")
        return {"server_name": name, "status": status, "roles": roles, "url": f"https://{self.members[name]}"}

    def _member_config(self) -> Json:
        pools = [("storage-pool", name, "source") for name in self.pools]
        uplinks = [("network", name, "parent") for name, net in self.networks.items() if net["type"] == "physical"]
        return [{"entity": entity, "name": name, "key": key} for entity, name, key in (*pools, *uplinks)]

    def _change(self, method: str, path: str, query: str, body: Json) -> Json:
        match method, path.split("/")[2:]:
            case "POST", ["storage-pools" | "networks" as kind]:
                store = self.pools if kind == "storage-pools" else self.networks
                self._make(store, body, parse_qs(query).get("target", [""])[0])
            case "DELETE", ["storage-pools", name]:
                del self.pools[name]
                self.half_made_on.clear()
            case "DELETE", ["networks", name]:
                del self.networks[name]
            case "PATCH", ["networks", name]:
                self.networks[name]["config"].update(body["config"])
            case "POST", ["instances", name]:
                assert body == {"migration": True, "live": False}
                self._instance(name).update(location=parse_qs(query)["target"][0], status="Stopped")
            case "PUT", ["instances", name, "state"]:
                if name in self.broken:
                    raise Refused("Failed to start")
                self._instance(name).update(status={"start": "Running"}[body["action"]])
            case "PATCH", []:
                self.config.update(body["config"])
            case _:
                raise Refused(f"not in this world: {method} {path}")

    def _shown(self, one: Json) -> Json:
        """Of one on a member that is offline nothing is known but its name."""
        away = self.status.get(one.get("location", "")) == "Offline"
        return one | {"config": None, "expanded_devices": None, "status": "Error"} if away else one

    def _instance(self, name: str) -> Json:
        return next(one for one in self.instances if one["name"] == name)

    def _make(self, store: dict[str, Json], body: Json, target: str) -> None:
        name = body["name"]
        thing = store.setdefault(
            name, {**body, "status": "Pending", "locations": [], "managed": True, "used_by": [], "config": {}}
        )
        if target:
            if target in thing["locations"]:
                raise Refused(f'already defined on member "{target}"')
            thing["locations"].append(target)
            self.sources[name] = body["config"].get("source", "")
            return
        if thing["status"] == "Errored" and body["config"]:
            raise Refused("Already partially created. Please do not specify any global config")
        if body.get("type") != "ovn" and len(self.members) > 1 and set(thing["locations"]) < set(self.members):
            raise Refused("not defined on all members")
        thing["config"].update(body["config"])
        if name in self.failing:
            thing["status"] = "Errored"
            raise Refused(self.failing.pop(name))
        if body.get("driver") == "ceph":  # the source is a member's own; Incus shows it under this name
            thing["config"]["ceph.osd.pool_name"] = self.sources.get(name) or "incus"
        thing.update(status="Created", locations=list(self.members))

    def _preseed(self, host: str, preseed: Json) -> str:
        daemon = self.daemons[host]
        if "cluster.offline_threshold" in daemon.config and not daemon.clustered:
            raise Refused("EOF")
        cluster = preseed.get("cluster")
        if cluster is None:
            self.config.update(preseed["config"])
            return ""
        if daemon.clustered:
            raise Refused("This server is already clustered")
        address = cluster.get("server_address") or preseed["config"]["core.https_address"]
        if "cluster_token" in cluster:
            self._check_join(host, cluster, address)
        self._join(cluster["server_name"], address)
        return ""

    def _check_join(self, host: str, cluster: Json, address: str) -> None:
        if cluster["cluster_token"] != self.tokens.pop(host, ""):
            raise Refused("token is not valid")
        if address in self.raft:
            raise Refused("server address already in use (1)")
        stated = {(key["entity"], key["name"], key["key"]) for key in cluster["member_config"]}
        assert stated == {(k["entity"], k["name"], k["key"]) for k in self._member_config()}

    def _join(self, name: str, address: str) -> None:
        self.daemons[name].clustered = "ours"
        self.daemons[name].config |= {"core.https_address": address, "cluster.https_address": address}
        self.members[name] = address
        self.raft.append(address)
        for pool in self.pools.values():
            pool["locations"] = list(self.members)


def _row(one: Json) -> list[str]:
    """As `roles/incus/instances.sql` has it."""
    pools = sorted({device["pool"] for device in one["expanded_devices"].values() if "pool" in device})
    power = one["config"]["volatile.last_state.power"]
    return [one["name"], one["project"], one["location"], power, ",".join(pools)]


class KilledError(Exception):
    """The controller is no more."""


@dataclass
class IncusHost(FakeHost):
    """A FakeHost with an Incus."""

    world: World = field(default_factory=lambda: World({}))

    async def query(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = QUERY_TIMEOUT,  # noqa: ASYNC109
        ok: Collection[int] | None = (0,),
    ) -> Result:
        done = self._incus(argv, stdin or b"", timeout, ok)
        if done is None:
            return await super().query(argv, stdin=stdin, timeout=timeout, ok=ok)
        self.queried.append(" ".join(argv))
        return done

    async def run(
        self,
        argv: Sequence[str],
        *,
        reason: str,
        stdin: bytes | None = None,
        timeout: float = RUN_TIMEOUT,  # noqa: ASYNC109
        ok: Collection[int] | None = (0,),
    ) -> Result:
        if self.world.killed_before and " ".join(argv).startswith(self.world.killed_before):
            raise KilledError
        done = self._incus(argv, stdin or b"", timeout, ok)
        if done is None:
            return await super().run(argv, reason=reason, stdin=stdin, timeout=timeout, ok=ok)
        assert reason
        self.ran.append(" ".join(argv))
        self.stdins.append(stdin or b"")
        return done

    def _incus(self, argv: Sequence[str], stdin: bytes, seconds: float, ok: Collection[int] | None) -> Result | None:
        try:
            output = self.world.command(self.name, argv, stdin)
        except TimeoutError:
            raise CommandTimeout(self.name, argv, seconds) from None
        except Refused as no:
            if ok is not None and 1 not in ok:
                raise CommandError(self.name, argv, 1, f"Error: {no}") from None
            return Result(tuple(argv), 1, "", f"Error: {no}")
        return None if output is None else Result(tuple(argv), 0, output, "")


def world(topology: Topology) -> World:
    """Standalone daemons that nobody used."""
    return World({node.name: Daemon() for node in topology.nodes})


def hosts(topology: Topology, incus: World) -> dict[str, IncusHost]:
    """A host for every node; its units run, and there are no leftovers of any kind on its disk."""
    answers = {"test *": Answer(status=1), "systemctl show *": Answer(UNITS)}
    return {node.name: IncusHost(node.name, answers=dict(answers), world=incus) for node in topology.nodes}


def cluster(
    topology: Topology, hosts: dict[str, IncusHost], notes: list[str], changed: Callable[[], frozenset[str]] = frozenset
) -> Cluster:
    """What a role sees."""
    return Cluster(topology, hosts, StateFolder(Path("/nonexistent")), note=notes.append, changed=changed)


def changes(hosts: dict[str, IncusHost]) -> list[str]:
    """All commands that changed something, by host."""
    return [f"{name}: {line}" for name, host in hosts.items() for line in host.ran]
