"""What three hosts are in the end: files, units, networks, databases, memberships. Comparable between two runs.

What differs between any two runs is taken out by name below, each with its reason; everything else counts.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from meshctl.lab.login import ssh_argv
from meshctl.lab.names import paths
from meshctl.lab.running import existing

EndState = dict[str, list[str]]
"""Section (with the host's name) -> sorted lines."""

_LOOK = Path(__file__).with_name("look.sh").read_bytes()
_LOOK_SECONDS = 180
_ASKED_OF_CEPH = (
    *("mon dump", "osd tree", "osd crush rule dump", "auth ls", "config dump", "config-key ls", "mgr dump"),
    *("health", "osd pool ls", "crash ls"),
)
"""In the order in which look.sh asks."""

RANDOM = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),  # identities of clusters, members, rows
    (r"\b[A-Za-z0-9+/]{38}==(?![A-Za-z0-9])", "KEY"),  # cephx keys
    (r"\bssh-ed25519 [A-Za-z0-9+/]{68}", "SSHKEY"),  # the lab's own: another lab may have made the undisturbed run
    (r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", "PEM"),  # certificates and keys
    (r"\b[0-9a-f]{64}\b", "HASH"),  # fingerprints of certificates and images
    (r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b", "MAC"),  # bridges' own; those of NICs are in the lab's plan
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*(?:Z|[+-][\d:]{4,5})?( [+-]\d{4} UTC)?", "TIME"),
    (r"\bloop\d+", "loopN"),  # the machine's next free one, at every boot
    (r"incus-net\d+", "incus-netN"),  # a row's number in Incus' database: attempts count, too
    (r"incus_net\d+", "incus_netN"),
    (r"\bincusovn\d+", "incusovnN"),
    (r"(systemd-private-)[0-9a-f]{32}-(\S+)-\w{6}(?=\s|$)", r"\1\2"),  # a boot's and a start's
    (r"\b(ov[\w-]+)\.\d+\.ctl", r"\1.PID.ctl"),
]

# Paths below which hosts keep what no two runs have alike, or what programs remember of their own work.
_UNCOMPARED = re.compile(
    r"/__pycache__|^root/\.history_frr|^var/lib/frr/commit-|^var/(log|cache)/.|^var/lib/(systemd|dpkg|apt|private)/.|^var/lib/ceph/mon/[^/]*/store\.db/."
    r"|^var/lib/incus/(database|backups|security|guestapi|devices|seccomp)/.|^var/lib/incus/unix.socket"
    r"|^etc/(machine-id|ld\.so\.cache|\.updated|ssh/ssh_host.*)$|^var/\.updated$"
    r"|^var/lib/chrony(/|$)|^var/lib/ovn/\..*\.draft\.~lock~$"  # when chronyd stops; beside a draft
    # The package's empty databases, set aside by the role, by ovn-ctl on a host that lost power before, or by both.
    r"|^var/lib/ovn/ovn[ns]b_db\.db\.(standalone|backup)"
    r"|^run/.|^tmp/.|^var/tmp/."  # asked from inside
)
_SHOWN = re.compile(r"^(etc|usr/local|root|home)/")
_LARGEST = 200_000

_PASSING = {"ps", "sh", "timeout", "sshd-session", "sshd-auth", "sshd", "(sd-pam)", "systemctl", "sleep", "bash"}
_PASSING |= {"systemd-userwor", "systemd-hostnam", "systemd-timedat", "agetty", "sftp-server", "cat", "tail"}


def collect(lab: str) -> EndState:
    """Look at all hosts of a lab, from inside and at what they have on their disks."""
    names = [host.name for host in existing(lab).hosts]
    with ThreadPoolExecutor(len(names)) as pool:
        looks = dict(zip(names, pool.map(lambda name: _look(lab, name, leader=name == names[0]), names), strict=True))
    osds = {number: name for name, look in looks.items() for number in re.findall(r"ceph-osd@(\d+)\.service", look)}
    state: EndState = {}
    for name, look in looks.items():
        own = {number: "OWN" for number, host in osds.items() if host == name}
        for section, text in _sections(look):
            state[f"{name} {section}"] = _lines(section, _without_numbers(text, own), osds)
        state[f"{name} files"] = sorted(_without_numbers(line, own) for line in _files(paths(lab).host(name).upper))
    return state


def difference(wanted: EndState, seen: EndState) -> list[str]:
    """One line for each that is only there, with its section: `- ` missing now, `+ ` not there in the other."""
    found = []
    for section in sorted({*wanted, *seen}):
        before, after = wanted.get(section, []), seen.get(section, [])
        found += [f"- {section}: {line}" for line in _minus(before, after)]
        found += [f"+ {section}: {line}" for line in _minus(after, before)]
    return found


def _minus(lines: Sequence[str], others: Sequence[str]) -> list[str]:
    left = list(others)
    return [line for line in lines if line not in left or left.remove(line)]  # type: ignore[func-returns-value]


def _look(lab: str, name: str, *, leader: bool) -> str:
    argv = ssh_argv(lab, name, ["sh", "-s", "leader" if leader else "-"])
    done = subprocess.run(argv, input=_LOOK, capture_output=True, timeout=_LOOK_SECONDS, check=False)
    return done.stdout.decode(errors="replace")


def _sections(look: str) -> Iterator[tuple[str, str]]:
    for part in look.split("\n### ")[1:]:
        title, _, text = part.partition("\n")
        if title == "ceph" and text.startswith("["):
            for what, answer in zip(_ASKED_OF_CEPH, json.loads(text), strict=True):
                yield f"ceph {what}", answer["output"] if answer["status"] == 0 else answer["error"]
        else:
            yield title, text.strip()


def _without_numbers(text: str, own: Mapping[str, str]) -> str:
    """OSDs are numbered in the order in which hosts come: their host tells them apart."""
    for number, name in own.items():
        text = re.sub(
            rf"((?:ceph-osd|meshctl-osd)[@./]|\bosd\.|/ceph-|\bceph(?:-|\\x2d)){number}\b", rf"\g<1>{name}", text
        )
    return text


def _lines(section: str, text: str, osds: Mapping[str, str]) -> list[str]:
    if section.startswith("ceph "):
        text = re.sub(r"\bosd\.(\d+)\b", lambda match: f"osd.{osds.get(match[1], match[1])}", text)
    told = _TOLD.get(section) or (_incus if section.startswith("incus-") else str.splitlines)
    try:
        lines = told(_without_chance(text))
    except (ValueError, KeyError, TypeError) as error:
        lines = [f"unreadable ({error}): {text[:300]}"]
    return sorted(line.strip() for line in lines if line.strip())


def _without_chance(text: str) -> str:
    for pattern, name in RANDOM:
        text = re.sub(pattern, name, text, flags=re.DOTALL)
    return text


# Each section, as lines of what counts


def _units(text: str) -> list[str]:
    """Load, active and sub state; without those that come and go with logins, and names that nothing is behind."""
    rows = [line.split()[:4] for line in text.splitlines() if "not-found" not in line]
    passing = re.compile(r"^(user|run-user|session|systemd-(tmpfiles-clean|hostnamed|timedated)|dev-loop)")
    return [" ".join(row) for row in rows if row and not passing.match(row[0])]


def _processes(text: str) -> list[str]:
    return sorted({line.strip() for line in text.splitlines()} - _PASSING)


def _links(text: str) -> list[str]:
    """Name, flags and MTU."""
    return [" ".join([*line.split()[1:5]]) for line in text.splitlines()]


def _addresses(text: str) -> list[str]:
    return [" ".join(line.split()[1:4]) for line in text.splitlines()]


_LEFT = {
    "/run/meshctl: holder",
    "/run/meshctl: changes",
    "/run/lock: meshctl-ceph-mon",
    "/run/lock: meshctl-osd-dev-sdb",
}
"""Of locks that count only while their holder lives (docs/operations/locking.md); gone after a reboot."""


def _run(text: str) -> list[str]:
    """Names below /run; sessions are logins, this look's among them."""
    folder, found = "", []
    for line in text.splitlines():
        folder = line if line.endswith(":") else folder
        passing = line.startswith("session-") or f"{folder} {line}" in _LEFT or line.endswith(":")
        found += [f"{folder} {line}"] if line and not passing else []
    return found


def _members(text: str) -> list[str]:
    """Who is a member, and what this member says of itself; not who leads."""
    kept = [line for line in text.splitlines() if line.startswith(("Name:", "Address:", "Status:", "Election timer:"))]
    return kept + re.findall(r"\bat ((?:ssl|tcp|unix):\S+)\)", text)


def _rows(text: str) -> list[str]:
    """Rows of a database; what daemons count and negotiate by themselves is left out."""
    rows = [line for line in text.splitlines() if not re.search(r"nb_cfg|northd_probe|mac_prefix", line)]
    rows = [re.sub(r"(ct-zone|ovn-chassis-idx)-[^,}]*,? ?", "", row) for row in rows]
    # ovn-controller numbers a tunnel whose name was still taken when it made it again (ovn0-node3-0).
    return [re.sub(r"^ovn\d+-(?=.*,geneve,)", "ovn-", row) for row in rows]


_OF_INCUS = {
    "created_at",
    "last_used_at",
    "uploaded_at",
    "used_by",
    "certificate",
    "fingerprint",
    "volatile.last_state.created",
}


def _incus(text: str) -> list[str]:
    """One line for each value, with its way there; lists have no order. The database's leader changes by itself."""
    return list(_values("", json.loads(text))) if text.startswith(("{", "[")) else text.splitlines()


def _operations(text: str) -> list[str]:
    """What still goes on, or failed; what ended well stays in the list for five seconds."""
    found = json.loads(text or "{}")
    found.pop("success", None)
    return list(_values("", found))


def _values(way: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key in value.keys() - _OF_INCUS:
            yield from _values(f"{way}.{key}", value[key])
    elif isinstance(value, list):
        for item in value:
            if item != "database-leader":
                yield from _values(f"{way}[{_name(item)}]", item)
    else:
        yield f"{way} = {value}"


def _name(item: Any) -> str:
    return str(item.get("name") or item.get("server_name") or item.get("key") or "") if isinstance(item, dict) else ""


def _json(*keys: str, inside: str = "") -> Callable[[str], list[str]]:
    """These keys of every element of a JSON list."""

    def told(text: str) -> list[str]:
        found = json.loads(text or "{}")
        return [
            json.dumps({key: row.get(key) for key in keys}, sort_keys=True)
            for row in (found[inside] if inside else found)
        ]

    return told


def _managers(text: str) -> list[str]:
    found = json.loads(text or "{}")
    return [found["active_name"], *(standby["name"] for standby in found["standbys"])]


def _tree(text: str) -> list[str]:
    nodes = {node["id"]: node for node in json.loads(text)["nodes"]}
    parents = {child: node["name"] for node in nodes.values() for child in node.get("children", [])}
    keys = ("type", "status", "device_class", "reweight", "crush_weight")
    return [f"{parents.get(i, '')}: {node['name']} {[node.get(key) for key in keys]}" for i, node in nodes.items()]


def _keys(text: str) -> list[str]:
    """A run that was killed at its very end leaves nothing for the next one to do, nor for the history of runs."""
    return [key for key in json.loads(text) if not key.startswith(("config-history/", "meshctl/runs"))]


_TOLD: dict[str, Callable[[str], list[str]]] = {
    "run": _run,
    "temporary": _run,
    "units": _units,
    "processes": _processes,
    "links": _links,
    "addresses": _addresses,
    "northbound-cluster": _members,
    "southbound-cluster": _members,
    "incus-operations": _operations,
    "interfaces": _rows,
    "northbound": _rows,
    "switch": _rows,
    "ceph mon dump": _json("name", "public_addrs", inside="mons"),
    "ceph osd tree": _tree,
    "ceph osd crush rule dump": _json("rule_name", "steps"),
    "ceph auth ls": _json("entity", "caps", inside="auth_dump"),
    "ceph config dump": _json("section", "name", "mask", "value"),
    "ceph health": lambda text: [json.dumps({k: json.loads(text)[k] for k in ("status", "checks")})],
    "ceph osd pool ls": _json(
        *("pool_name", "size", "min_size", "pg_num", "crush_rule", "flags_names", "pg_autoscale_mode"),
        *("application_metadata", "options"),
    ),
    "ceph config-key ls": _keys,
    "ceph crash ls": _json("entity_name"),
    "ceph mgr dump": _managers,
}


def _files(upper: Path) -> Iterator[str]:
    """Everything that a host has written on its root file system: kind, mode, owner; and text, where people look."""
    for path in upper.rglob("*"):
        name = str(path.relative_to(upper))
        if _UNCOMPARED.search(name):
            continue
        try:
            told = path.lstat()
            yield _without_chance(f"{name} {told.st_mode:o} {told.st_uid}:{told.st_gid}")
            if path.is_file() and not path.is_symlink() and _SHOWN.match(name) and told.st_size < _LARGEST:
                text = _without_chance(path.read_text(errors="replace"))
                yield from (f"{name}| {line}" for line in text.splitlines())
        except FileNotFoundError:  # it went while we looked
            continue
