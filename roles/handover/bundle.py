"""What is handed over: one JSON object under one key of Ceph's config-key store, so that it is replaced in one go.

A CA's key enters it only encrypted; `encrypted` is the one place where that is decided.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from meshctl.ca import CA_FILE, KEY_FILE, NEXT_FILE, Authority
from meshctl.certs import bundle as certificates
from meshctl.certs import same
from meshctl.errors import SecretsError
from meshctl.host.holder import Holder
from meshctl.roles.parsing import parser
from meshctl.state import StateFolder
from meshctl.topology import Topology

LARGEST = 65_536
"""Bytes that Ceph's monitors take for one key (`mon_config_key_max_entry_size`); EFBIG above it."""

_HOST_KEY = re.compile(r"(?:[0-9.]+|\[[0-9.]+\]:[0-9]+) [a-z0-9@.-]+ [A-Za-z0-9+/=]+(?: [ -~]*)?")

_PRIVATE = "PRIVATE KEY-----"


@dataclass(frozen=True, slots=True)
class Bundle:
    """The topology as it is written, the hosts' SSH keys, and the encrypted CA."""

    topology: str = ""
    known_hosts: str = ""
    authorities: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Name in the state folder → content: certificate and encrypted key."""
    by: str = ""
    at: str = ""

    @property
    def content(self) -> "Bundle":
        """Without who kept it, and when."""
        return replace(self, by="", at="")

    def encode(self) -> bytes:
        """As it is stored; readable, because some day somebody will read it without meshctl.

        Raises SecretsError when it is too large, or when a key in it isn't encrypted, which nothing should have let in.
        """
        text = json.dumps({"schema": "meshctl/handover/1", **asdict(self)}, ensure_ascii=False, indent=1)
        if _PRIVATE in text:
            raise SecretsError("a private key was about to be kept in the cluster's store without encryption")
        if len(encoded := text.encode()) > LARGEST:
            raise SecretsError(
                f"topology, SSH host keys and CA are {len(encoded)} bytes, and Ceph's config-key store takes {LARGEST}",
                advice="Shorten the topology's comments; what was kept before stays as it is.",
            )
        return encoded


@parser
def bundle(text: str) -> Bundle:
    """What `encode` made, and nothing that it never makes: this ends up in an operator's folder.

    Another name could be the path of another file, and a key for `*` would vouch for everybody.
    """
    told: dict[str, Any] = json.loads(text)
    authorities = {str(name): str(content) for name, content in told["authorities"].items()}
    if strange := sorted(authorities.keys() - {CA_FILE, NEXT_FILE}):
        raise ValueError(f"no files of a CA: {strange}")
    if strange := [line for line in told["known_hosts"].splitlines() if not _HOST_KEY.fullmatch(line)]:
        raise ValueError(f"no host keys of single hosts: {strange[:3]}")
    return Bundle(told["topology"], told["known_hosts"], authorities, told["by"], told["at"])


def own(topology: Topology, state: StateFolder) -> Bundle:
    """What this operator has to hand over."""
    return Bundle(topology.source.read_text(), "".join(host_keys(topology, state)), encrypted(state))


def encrypted(state: StateFolder) -> dict[str, str]:
    """The files of the CA, if its key is encrypted; nothing else ever."""
    if state.read_secret(KEY_FILE) is not None:  # an owner's plain key as a file of its own
        return {}
    files = {}
    for name in (CA_FILE, NEXT_FILE):
        authority = Authority.load(state, name)
        content = (state.read_secret(name) or b"").decode(errors="replace")
        if authority and authority.sealed and _PRIVATE not in content:
            files[name] = content
    return files


def host_keys(topology: Topology, state: StateFolder) -> Iterator[str]:
    """The lines about this cluster's hosts, in a fixed order."""
    port = topology.ssh.port
    wanted = {node.management for node in topology.nodes} | {f"[{node.management}]:{port}" for node in topology.nodes}
    lines = (state.read_secret(state.known_hosts.name) or b"").decode(errors="replace").splitlines()
    yield from sorted({f"{line}\n" for line in lines if line.split(" ")[0] in wanted})


def merged(kept: Bundle | None, mine: Bundle, trusted: str) -> Bundle:
    """What shall be kept. A CA that the hosts don't trust (any more) never replaces the one that is kept.

    `trusted`: the certificates that the hosts have as their CAs.
    """
    if kept is None:
        return mine
    counts = {name: text for name, text in mine.authorities.items() if _holds(certificates(trusted), text)}
    stays = dict(kept.authorities)
    if _holds([one for text in counts.values() for one in certificates(text)], stays.get(NEXT_FILE, "")):
        del stays[NEXT_FILE]  # it has become the CA
    return replace(mine, known_hosts=mine.known_hosts or kept.known_hosts, authorities={**stays, **counts})


def signed(wanted: Bundle) -> Bundle:
    """With who keeps it, and when."""
    here = Holder.here("")
    return replace(wanted, by=f"{here.who} on {here.where}", at=here.since)


def _holds(cas: Sequence[str], file: str) -> bool:
    return any(same(one, ca) for one in certificates(file) for ca in cas)
