"""Hosts whose OVN is a few dictionaries: enough of ovsdb-tool, systemd and the cluster to bootstrap against."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from meshctl.errors import ConnectionLost
from meshctl.host.base import Files, Result
from meshctl.host.fake import FakeHost
from meshctl.roles.ovn.databases import NORTHD, databases
from meshctl.roles.tls import CA, CERTIFICATE, KEY
from meshctl.topology import Topology

CENTRAL = "/etc/default/ovn-central"
DROP_IN = "/etc/systemd/system/ovn-northd.service.d/meshctl.conf"


@dataclass
class World:
    """What the hosts share: members and listeners of both clusters."""

    mesh: Topology
    members: dict[str, list[str]] = field(default_factory=lambda: {"nb": [], "sb": []})
    targets: dict[str, set[str]] = field(default_factory=lambda: {"nb": set(), "sb": set()})
    changes_left: int = 10**6

    def spend(self, host: str) -> None:
        """Every change counts; the controller dies when none is left."""
        if self.changes_left <= 0:
            raise ConnectionLost(host, "the test has pulled the plug")
        self.changes_left -= 1


class OvnHost(FakeHost):
    """A freshly installed host: standalone databases, running without TLS."""

    def __init__(self, name: str, world: World) -> None:
        super().__init__(name=name)
        self.world = world
        self.stores = {"nb": "standalone", "sb": "standalone"}
        self.drafts: dict[str, str] = {}
        self.rows: list[str] = []
        self.active = {"nb", "sb", "northd", "controller", "openvswitch-switch"}
        self.tls = {"nb": False, "sb": False, "northd": False}
        self.stale = False
        self.ids: dict[str, str] = {"system-id": "0d62d5a6", "hostname": "localhost"}
        self.ssl: list[str] = []
        self.by_file = {db.file: db for db in databases(world.mesh)}
        self.on("cksum *", "4711 42 x\n").on("cp *")

    async def run(self, argv: Sequence[str], **options: object) -> Result:
        self.world.spend(self.name)
        return await super().run(argv, **options)  # type: ignore[arg-type]

    async def put(self, files: Files) -> frozenset[str]:
        changed = frozenset(path for path, file in files.items() if self.files.get(path) != file)
        for path in sorted(changed):
            self.world.spend(self.name)
            await super().put({path: files[path]})
            self.stale = self.stale or path == DROP_IN
        return changed

    def _answer(self, argv: Sequence[str], ok: Collection[int] | None) -> Result:
        answer = self._simulate(list(argv))
        if answer is None:
            return super()._answer(argv, ok)
        if answer == "no answer":
            return Result(tuple(argv), 1, "", f"{argv[0]}: database connection failed (No such file or directory)\n")
        return Result(tuple(argv), 0, answer, "")

    def _simulate(self, argv: list[str]) -> str | None:
        tables: dict[str, Callable[[list[str]], str | None]] = {
            "systemctl": self._systemctl,
            "sh": self._shell,
            "ps": self._ps,
            "mv": self._move,
            "ovs-appctl": self._status,
            "ovsdb-client": self._query,
            "ovs-vsctl": self._switch,
            "ovn-nbctl": self._listen,
            "ovn-sbctl": self._listen,
        }
        return tables[argv[0]](argv[1:]) if argv[0] in tables else None

    def _systemctl(self, argv: list[str]) -> str:
        verb, units = argv[0], [unit for unit in argv[1:] if unit.endswith(".service")]
        if verb == "show":
            return "\n\n".join(self._unit(unit) for unit in units)
        if verb == "daemon-reload":
            self.stale = False
        for name in map(_short, units):
            if verb in {"stop", "restart"}:
                self.active.discard(name)
                if name == "northd" and (self.stale or DROP_IN not in self.files):
                    self.active -= {"nb", "sb"}  # the package's trap
            if verb in {"start", "restart"} and name not in self.active:
                self._start(name)
        return ""

    def _unit(self, unit: str) -> str:
        active = "active" if _short(unit) in self.active or unit in {"ovn-central.service", "ovn-host.service"} else "x"
        stale = "yes" if self.stale and unit == NORTHD else "no"
        return f"Id={unit}\nActiveState={active}\nUnitFileState=enabled\nNeedDaemonReload={stale}\n"

    def _start(self, name: str) -> None:
        self.active.add(name)
        self.tls[name] = CENTRAL in self.files
        members = self.world.members.get(name, [])
        if self.stores.get(name) == "joining" and members:
            self.stores[name] = "clustered"
        if self.stores.get(name) == "clustered" and self.name not in members:
            members.append(self.name)

    def _shell(self, argv: list[str]) -> str | None:
        script, args = argv[1], argv[3:]
        if "head -c 13" in script:
            return self._store(args[0])
        if "ovsdb-tool" in script:
            kind, draft, *rest = args
            self.drafts[draft] = kind
            if kind == "join-cluster":
                assert self.world.members[self._letter(draft)], "there is nothing to join yet"
                assert rest[1] != rest[2], "it would join itself"
            return ""
        return None

    def _letter(self, path: str) -> str:
        return self.by_file[path.removesuffix(".draft")].letter

    def _store(self, path: str) -> str:
        database = self.by_file[path]
        kind = self.stores[database.letter]
        if kind in {"clustered", "joining"}:
            address = database.raft(self.world.mesh.node(self.name))
            return f"clustered\n{address}\n" + (f"cid-{database.letter}\n" if kind == "clustered" else "")
        if kind == "standalone":
            rows = [{"rows": [{"name": row} for row in self.rows]}] if database.letter == "nb" else []
            return f"standalone\n{json.dumps(rows)}\n"
        return "absent\n"

    def _move(self, argv: list[str]) -> str:
        letter = self._letter(argv[-1])
        assert letter not in self.active, "a running server's file was replaced"
        del self.drafts[argv[-2]]
        self.stores[letter] = "clustered"
        return ""

    def _ps(self, argv: list[str]) -> str:
        certificates = f"--private-key={KEY} --certificate={CERTIFICATE} --ca-cert={CA}"
        running = [db for db in self.by_file.values() if db.letter in self.active]
        lines = [f"ovsdb-server {certificates if self.tls[db.letter] else ''} {db.file}" for db in running]
        lists = " ".join(f"--ovn{db.letter}-db={db.clients(self.world.mesh)}" for db in self.by_file.values())
        northd = f"ovn-northd {certificates} {lists}" if self.tls["northd"] else "ovn-northd unix:x"
        return "\n".join(lines + [northd] * ("northd" in self.active))

    def _status(self, argv: list[str]) -> str:
        letter = "nb" if "nb" in argv[1] else "sb"
        members = self.world.members[letter]
        if letter not in self.active or self.name not in members:
            return "no answer"
        leader = members[0] == self.name
        return f"Status: cluster member\nRole: {'leader' if leader else 'follower'}\nLeader: {members[0]}\nServers:\n"

    def _query(self, argv: list[str]) -> str:
        letter = "nb" if "nb_db" in argv[-2] else "sb"
        if letter not in self.active or (self.stores[letter] != "standalone" and not self.world.members[letter]):
            return "no answer"
        return json.dumps([{"rows": [{"target": target} for target in sorted(self.world.targets[letter])]}])

    def _listen(self, argv: list[str]) -> str:
        letter = "nb" if "nb_db" in argv[0] else "sb"
        assert self.world.members[letter][0] == self.name, "only the leader's socket takes changes"
        self.world.targets[letter] = {argv[-1]}
        return ""

    def _switch(self, argv: list[str]) -> str:
        if "openvswitch-switch" not in self.active:
            return "no answer"
        if "set-ssl" in argv:
            at = argv.index("set-ssl")
            self.ssl = argv[at + 1 : at + 4]
            pairs = [arg.removeprefix("external_ids:").split("=", 1) for arg in argv if arg.startswith("external_ids:")]
            self.ids |= {key: value.strip('"') for key, value in pairs}
            return ""
        ids = {"data": [[["map", [list(pair) for pair in self.ids.items()]]]]}
        return f"{json.dumps(ids)}\n{json.dumps({'data': [self.ssl] if self.ssl else []})}\n"


def _short(unit: str) -> str:
    return unit.removesuffix(".service").removeprefix("ovn-").removeprefix("ovsdb-server-")
