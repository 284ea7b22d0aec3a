"""The cluster's identity on every host, and each monitor's first store: all that Ceph needs before its network."""

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.errors import ParseError, RefusedError
from meshctl.host.base import File, Files, Host, text
from meshctl.roles.base import Problem, Role
from meshctl.roles.ceph import ASK, CONF
from meshctl.roles.distributions import os_release
from meshctl.roles.fsid import fsid
from meshctl.roles.templates import environment
from meshctl.roles.units import units
from meshctl.topology import Node, Topology

from . import parse
from .identity import Found, Identity, entities, identify

ADMIN = "/etc/ceph/ceph.client.admin.keyring"
INCUS = "/etc/ceph/ceph.client.incus.keyring"
BOOTSTRAP_OSD = "/var/lib/ceph/bootstrap-osd/ceph.keyring"
FOUNDING = "/var/lib/ceph/meshctl"
FOUNDING_KEYRING = f"{FOUNDING}/founding.keyring"
FOUNDING_MONMAP = f"{FOUNDING}/founding.monmap"
SHIMS = "/usr/local/lib/meshctl/ceph-mgr"
MODULES = "/usr/share/ceph/mgr"
MGR_DROPIN = "/etc/systemd/system/ceph-mgr@.service.d/50-meshctl.conf"

MENDED = frozenset({("debian", "13")})
"""Distributions whose mgr needs the stand-ins in `templates/bcrypt.py.j2` and `sitecustomize.py.j2`."""

_UNKNOWN_FSID = "<made up by the first bootstrap>"

_STORE = """
[ -e "$1" ] || { echo absent; exit; }
[ -n "$(ls -A "$1")" ] || { echo empty; exit; }
[ -s "$1/store.db/CURRENT" ] && [ -s "$1/keyring" ] && echo complete || echo partial
"""

# mkfs calls every first monmap epoch 0, whatever it says. The monitors then commit epoch 1 in their first quorum and
# elect anew, and one that missed the commit is waited for: 5 s, sometimes 10. With epoch 1 injected they agree from the
# start, in 0.2 s. The bytes must be the same on all hosts. Built aside and renamed, so that a store is never half made;
# locked, because the command of a meshctl that was killed goes on.
_MKFS = """
set -eu
id=$1 data=$2 keyring=$3 monmap=$4 draft=/var/lib/ceph/mon/.$1.new
exec 9>/run/lock/meshctl-ceph-mon
flock -w 30 9
[ ! -s "$data/store.db/CURRENT" ] || exit 0
rm -rf -- "$draft"
install -d -o ceph -g ceph -m 0755 -- "$draft"
ceph-mon --mkfs -i "$id" --mon-data "$draft" --monmap "$monmap" --keyring "$keyring" --setuser ceph --setgroup ceph
ceph-mon -i "$id" --mon-data "$draft" --inject-monmap "$monmap" --setuser ceph --setgroup ceph
mv -T -- "$draft" "$data"
"""

_MONMAP = """
set -eu
map=$(mktemp)
trap 'rm -f "$map"' EXIT
monmaptool --clobber "$@" "$map" >&2
base64 -w0 "$map"
"""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What `apply` found on a host."""

    store: str
    stale_units: bool
    folders: frozenset[str]
    mended: bool
    compiled: bool


class CephConfigRole(Role):
    """ceph.conf, keyrings, the mgr's environment, and the monitor's store."""

    name: ClassVar[str] = "ceph_config"
    summary: ClassVar[str] = "Ceph's fsid, keys and ceph.conf on every host; each monitor's first store"
    needs: ClassVar[frozenset[str]] = frozenset({"system"})

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        self._identity: Identity | None = None
        self._first_monmap = asyncio.Lock()

    def render(self, node: Node) -> Files:
        """All files without a secret in them, as Debian 13 gets them."""
        known = self._identity.fsid if self._identity else _UNKNOWN_FSID
        return {**_programs(mended=True), CONF: text(self._conf(node, known))}

    async def prepare(self, cluster: Cluster) -> None:
        """Find the cluster on any of the hosts, or make up a new one.

        Raises RefusedError when hosts belong to different clusters, or to one that meshctl didn't found.
        """
        found = await cluster.each(_find)
        self._identity = identify(self.topology, found)

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Write the files, then make the monitor's store if it is missing.

        Raises RefusedError when there is something in the store's place that is no whole store.
        """
        identity = self._known()
        seen = await _observe(node, host)
        if seen.store == "partial":
            raise RefusedError(
                host.name,
                f"{_store(node)} has something in it but is no monitor's store",
                advice=f"Look at it; if nobody needs it: rm -r {_store(node)}",
            )
        await self._folders(node, host, seen)
        founding = {FOUNDING_KEYRING: _secret(self._keyring(identity, *identity.keys))}
        if seen.store != "complete":
            await host.put(founding)  # before ceph.conf, which without it would be somebody else's cluster
        written = await host.put({**founding, **self._files(node, identity, mended=seen.mended)})
        if not seen.compiled:
            # The package leaves it out, and for the daemon /usr is read-only: 0.6 s of CPU at every start of a mgr.
            argv = ["python3", "-W", "ignore", "-m", "compileall", "-q", MODULES]
            await host.run(argv, reason="the mgr's modules are not compiled", ok=None)
        if (MGR_DROPIN in written or seen.stale_units) and await _stale_units(node, host):
            await host.run(["systemctl", "daemon-reload"], reason="the mgr's unit file differs")
        if seen.store != "complete":
            await self._make_store(node, host)

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """Every host has a whole store and belongs to the same cluster."""
        looks = await cluster.each(_look)
        fsids = {conf for _, conf in looks.values()}
        problems = []
        for name, (store, conf) in looks.items():
            if store != "complete":
                what = "the monitor has no store"
                advice = "Run bootstrap again: it makes the store, and the monitor fetches the map from the others."
                problems.append(Problem(name, what, "a complete store", store, "ls /var/lib/ceph/mon", advice))
            if conf is None or len(fsids) > 1:
                seen = conf or "no fsid"
                advice = (
                    f"Find out whose {CONF} is the right one (ceph fsid); move the other away and run bootstrap again."
                )
                problems.append(Problem(name, "the hosts' fsids differ", "one fsid", seen, f"grep fsid {CONF}", advice))
        return problems

    def _known(self) -> Identity:
        if self._identity is None:
            raise RuntimeError("prepare comes before apply")
        return self._identity

    async def _folders(self, node: Node, host: Host, seen: _Seen) -> None:
        missing = [path for path in _owned(node) if path not in seen.folders]
        if missing:
            argv = ["install", "-d", "-o", "ceph", "-g", "ceph", "-m", "0750", "--", *missing]
            await host.run(argv, reason="folders of Ceph's daemons are missing")

    def _files(self, node: Node, identity: Identity, *, mended: bool) -> Files:
        mgr = f"mgr.{node.name}"
        return {
            **_programs(mended=mended),
            CONF: text(self._conf(node, identity.fsid)),
            ADMIN: _secret(self._keyring(identity, "client.admin")),
            INCUS: _secret(self._keyring(identity, "client.incus")),
            BOOTSTRAP_OSD: _secret(self._keyring(identity, "client.bootstrap-osd")),
            f"/var/lib/ceph/mgr/ceph-{node.name}/keyring": _secret(self._keyring(identity, mgr)),
        }

    def _conf(self, node: Node, fsid: str) -> str:
        template = environment(__package__).get_template("ceph.conf.j2")
        return template.render(node=node, nodes=self.topology.nodes, fsid=fsid)

    def _keyring(self, identity: Identity, *wanted: str) -> str:
        return parse.render_keyring({entity: identity.keys[entity] for entity in wanted}, entities(self.topology))

    async def _make_store(self, node: Node, host: Host) -> None:
        monmap = await self._monmap(host)
        await host.put({FOUNDING_MONMAP: File(monmap, 0o600, "ceph", "ceph")})
        argv = ["sh", "-c", _MKFS, "sh", node.name, _store(node), FOUNDING_KEYRING, FOUNDING_MONMAP]
        await host.run(argv, reason="the monitor has no store")

    async def _monmap(self, host: Host) -> bytes:
        """The first monmap, made on the host that asks first: its time stamps are part of it."""
        async with self._first_monmap:
            identity = self._known()
            if not identity.monmap:
                version = ["ceph-mon", "--version"]
                said = (await host.query(version)).stdout
                try:
                    release = parse.release(said)
                except ValueError:
                    raise ParseError(host.name, version, "a release's name", said) from None
                argv = ["sh", "-c", _MONMAP, "sh", *self._monmap_options(identity.fsid, release)]
                made = await host.run(argv, reason="the cluster has no first monmap")
                self._identity = identity.with_monmap(base64.b64decode(made.stdout))
            return self._known().monmap

    def _monmap_options(self, fsid: str, release: str) -> list[str]:
        options = ["--create", "--fsid", fsid, "--enable-all-features", "--set-min-mon-release", release]
        for node in self.topology.nodes:
            options += ["--addv", node.name, f"[v2:{node.loopback}:3300]"]
        return options


def _store(node: Node) -> str:
    return f"/var/lib/ceph/mon/ceph-{node.name}"


def _owned(node: Node) -> tuple[str, ...]:
    return (FOUNDING, f"/var/lib/ceph/mgr/ceph-{node.name}")


def _secret(content: str) -> File:
    return text(content, mode=0o600, owner="ceph", group="ceph", secret=True)


def _programs(*, mended: bool) -> dict[str, File]:
    env = environment(__package__)
    files = {ASK: text(env.get_template("ceph-ask.j2").render(conf=CONF), mode=0o755)}
    if mended:
        files[MGR_DROPIN] = text(env.get_template("mgr.conf.j2").render(shims=SHIMS))
        for name in ("bcrypt.py", "sitecustomize.py"):
            files[f"{SHIMS}/{name}"] = text(env.get_template(f"{name}.j2").render())
    return files


async def _find(node: Node, host: Host) -> Found:
    live = [ADMIN, INCUS, BOOTSTRAP_OSD, f"/var/lib/ceph/mgr/ceph-{node.name}/keyring", f"{_store(node)}/keyring"]
    monmap = host.query(["base64", "-w0", "--", FOUNDING_MONMAP], ok=(0, 1))
    files = asyncio.gather(*(host.read(path) for path in (CONF, FOUNDING_KEYRING, *live)))
    (conf, founding, *others), encoded = await asyncio.gather(files, monmap)
    keys: dict[str, str] = {}
    for path, content in zip(live, others, strict=True):
        keys |= _keys(host, path, content)
    return Found(
        fsid=fsid(conf or ""),
        live=keys,
        founding=_keys(host, FOUNDING_KEYRING, founding),
        monmap=base64.b64decode(encoded.stdout),
    )


def _keys(host: Host, path: str, content: str | None) -> Mapping[str, str]:
    try:
        return parse.keyring(content or "")
    except ValueError:
        raise ParseError(
            host.name, ["cat", path], "a keyring", "something else (not shown: it may hold a key)"
        ) from None


async def _observe(node: Node, host: Host) -> _Seen:
    store, stale_units, folders, release, compiled = await asyncio.gather(
        host.query(["sh", "-c", _STORE, "sh", _store(node)]),
        _stale_units(node, host),
        host.query(["stat", "-c", "%U:%G %a %n", "--", *_owned(node)], ok=(0, 1)),
        host.read("/etc/os-release"),
        host.query(["test", "-d", f"{MODULES}/__pycache__"], ok=(0, 1)),
    )
    names = os_release(release or "")
    return _Seen(
        store=store.stdout.strip(),
        stale_units=stale_units,
        folders=frozenset(line.removeprefix("ceph:ceph 750 ") for line in folders.stdout.splitlines()),
        mended=(names.get("ID", ""), names.get("VERSION_ID", "")) in MENDED,
        compiled=compiled.ok,
    )


async def _stale_units(node: Node, host: Host) -> bool:
    """Whether systemd runs the mgr by an older unit file. One that doesn't run is read when it starts."""
    service = f"ceph-mgr@{node.name}.service"
    unit = (await units(host, service))[service]
    return unit.stale and unit.active


async def _look(node: Node, host: Host) -> tuple[str, str | None]:
    store, conf = await asyncio.gather(host.query(["sh", "-c", _STORE, "sh", _store(node)]), host.read(CONF))
    return store.stdout.strip(), fsid(conf or "")
