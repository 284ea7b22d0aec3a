"""A Ceph cluster made of dictionaries, and hosts that are part of it: for tests of the Ceph roles."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meshctl.cluster import Cluster
from meshctl.host.base import File
from meshctl.host.fake import Answer, FakeHost
from meshctl.roles.ceph import ASK
from meshctl.state import StateFolder
from meshctl.topology import Topology

FSID = "25ba3556-bf5f-43b4-8b83-afb67ec1f63b"
UUID = "f4657645-ccbb-418d-84bf-c3b3c7a4{:04d}"


@dataclass
class World:
    """What the monitors know. `refused` makes a command (by its prefix) fail with that errno."""

    config: dict[tuple[str, str], str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    osds: dict[str, dict[str, Any]] = field(default_factory=dict)
    pools: dict[str, dict[str, Any]] = field(default_factory=dict)
    standbys: list[str] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, command: dict[str, Any]) -> tuple[int, str]:
        """Status and output of one command."""
        prefix = command["prefix"]
        if prefix in self.refused:
            return -self.refused[prefix], ""
        if "format" not in command:
            self.told.append(command)
        known = getattr(self, "on_" + prefix.replace(" ", "_").replace("-", "_"))
        result = known(command)
        return result if isinstance(result, tuple) else (0, result if isinstance(result, str) else json.dumps(result))

    def on_config_dump(self, _: dict[str, Any]) -> list[dict[str, str]]:
        split = [(*who.partition("/"), name, value) for (who, name), value in self.config.items()]
        return [{"section": s, "mask": mask, "name": name, "value": value} for s, _, mask, name, value in split]

    def on_config_set(self, command: dict[str, Any]) -> str:
        self.config[command["who"], command["name"]] = command["value"]
        return ""

    def on_config_rm(self, command: dict[str, Any]) -> str:
        del self.config[command["who"], command["name"]]
        return ""

    def on_config_key_set(self, command: dict[str, Any]) -> str:
        self.keys[command["key"]] = command["val"]
        return ""

    def on_config_key_get(self, command: dict[str, Any]) -> tuple[int, str]:
        return (0, self.keys[command["key"]]) if command["key"] in self.keys else (-2, "")

    def on_config_key_rm(self, command: dict[str, Any]) -> str:
        del self.keys[command["key"]]
        return ""

    def on_osd_dump(self, _: dict[str, Any]) -> dict[str, Any]:
        osds = [{"uuid": uuid, **osd} for uuid, osd in self.osds.items()]
        pools = [{"pool_name": name, **pool} for name, pool in self.pools.items()]
        return {"fsid": FSID, "osds": osds, "pools": pools}

    def on_osd_tree(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"nodes": [{"id": -1}, *({"id": osd["osd"], "device_class": "hdd"} for osd in self.osds.values())]}

    def on_osd_purge_new(self, command: dict[str, Any]) -> str:
        self.osds = {uuid: osd for uuid, osd in self.osds.items() if osd["osd"] != command["id"]}
        return ""

    def on_osd_pool_create(self, command: dict[str, Any]) -> str:
        size = command["size"]
        self.pools[command["pool"]] = {"size": size, "min_size": size - size // 2, "application_metadata": {}}
        return ""

    def on_osd_pool_set(self, command: dict[str, Any]) -> str:
        self.pools[command["pool"]][command["var"]] = int(command["val"])
        return ""

    def on_osd_pool_application_enable(self, command: dict[str, Any]) -> str:
        self.pools[command["pool"]]["application_metadata"][command["app"]] = {}
        return ""

    def on_mgr_stat(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"available": bool(self.standbys), "active_name": (self.standbys or [""])[0]}

    def on_mgr_dump(self, _: dict[str, Any]) -> dict[str, Any]:
        active, *others = self.standbys or [""]
        return {"active_name": active, "standbys": [{"name": name} for name in others]}

    def on_health(self, _: dict[str, Any]) -> dict[str, Any]:
        return dict(self.status.get("health") or {"status": "HEALTH_OK", "checks": {}})

    def on_status(self, _: dict[str, Any]) -> dict[str, Any]:
        return self.status

    def add_osd(self, osd: int, *, up: bool = True, new: bool = False) -> str:
        """Let the cluster know an OSD; its uuid."""
        uuid = UUID.format(osd)
        self.osds[uuid] = {"osd": osd, "up": int(up), "in": 1, "state": ["exists", *(["new"] if new else ["up"])]}
        return uuid


@dataclass
class CephHost(FakeHost):
    """A host with systemd units and monitors' sockets; every question about the cluster is answered by `world`."""

    world: World = field(default_factory=World)
    active: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    enabled: set[str] = field(default_factory=lambda: {"ceph.target", "ceph-mon.target", "ceph-mgr.target"})
    journal: str = ""
    mon: dict[str, Any] | None = None
    """What the monitor's admin socket says; None when it doesn't run."""

    def __post_init__(self) -> None:
        self.enabled.add("ceph-osd.target")

    def _lookup(self, argv: Sequence[str]) -> Answer:
        if argv[0] == ASK:
            return Answer(json.dumps(list(self._told(argv[2:]))))
        if "journalctl" in argv[min(2, len(argv) - 1)]:
            state = "failed" if argv[-1] in self.failed else "active" if argv[-1] in self.active else "inactive"
            return Answer(f"ActiveState={state}\nSubState=x\nResult=exit-code\n\n{self.journal}")
        if argv[0] == "systemctl" and "--" in argv:
            return self._systemctl(argv[1 : argv.index("--")], argv[argv.index("--") + 1 :])
        return super()._lookup(argv)

    def _told(self, rounds: Sequence[str]) -> Collection[dict[str, Any]]:
        answers = []
        for text in rounds:
            commands = json.loads(text)
            for command in commands if isinstance(commands, list) else [commands]:
                if command.get("to", "mon").startswith("/"):
                    status, output = (0, json.dumps(self.mon)) if self.mon else (-2, "")
                else:
                    status, output = self.world.answer(command)
                answers.append({"status": status, "output": output, "error": "no such thing" if status else ""})
        return answers

    def _systemctl(self, words: Sequence[str], units: Sequence[str]) -> Answer:
        if "show" in words:
            return Answer("\n\n".join(self._unit(unit) for unit in units) + "\n")
        if "enable" in words:
            self.enabled |= set(units)
        if "disable" in words:
            self.enabled -= set(units)
        if "start" in words or "--now" in words:
            self.active = (self.active - set(units)) | (set(units) if "disable" not in words else set())
            for unit in units:
                self.started(unit)
        if "reset-failed" in words:
            self.failed -= set(units)
        return Answer()

    def _unit(self, unit: str) -> str:
        state = "active" if unit in self.active else "failed" if unit in self.failed else "inactive"
        return f"Id={unit}\nActiveState={state}\nUnitFileState={'enabled' if unit in self.enabled else 'disabled'}"

    def started(self, unit: str) -> None:
        """A unit was started: the daemon does its work at once."""
        kind, _, name = unit.removesuffix(".service").partition("@")
        if kind == "ceph-mgr":
            self.world.standbys.append(name)
        if kind == "ceph-osd":
            for osd in self.world.osds.values():
                if osd["osd"] == int(name):
                    osd.update({"up": 1, "state": ["exists", "up"]})

    def forget(self) -> None:
        """Start counting changes anew."""
        self.ran.clear()
        self.written.clear()
        self.world.told.clear()


def cluster_of(topology: Topology, hosts: Collection[FakeHost], folder: Path) -> Cluster:
    """A cluster of fake hosts."""
    return Cluster(topology, {host.name: host for host in hosts}, StateFolder(folder))


def changes(hosts: Collection[FakeHost]) -> list[str]:
    """Everything that was run or written."""
    return [line for host in hosts for line in [*host.ran, *host.written]]


def plain(content: str) -> File:
    """A file as it may stand on a host before meshctl came."""
    return File(content.encode())
