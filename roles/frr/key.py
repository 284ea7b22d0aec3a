"""The key that OSPF's packets are signed with: one per cluster, in the operator's state folder and on every host.

Whoever has lost the state folder finds it again on the hosts. It is never an argument, and never in what frr-reload
logs: see vty.load and the README.
"""

import asyncio
import re
import secrets as chance
from collections import Counter
from collections.abc import Mapping

from meshctl.cluster import Cluster
from meshctl.errors import SecretsError
from meshctl.host.base import Host

from . import parse

FILE = "routing.key"
"""In the state folder."""

ALGORITHM = "hmac-sha-256"
"""The strongest that Debian's FRR takes: it is built without OpenSSL, and rejects hmac-sha-384 and -512."""

PLACEHOLDER = "kept-in-the-operators-state-folder"
"""What a rendered file has in its place: rendering knows the topology only."""

_FIT = re.compile(r"[A-Za-z0-9._~+/=-]{16,128}")

# Nothing while FRR starts: see `vty.asking`.
DIGEST = (
    "sh",
    "-c",
    (
        "systemctl is-active --quiet frr.service || exit 0; "
        "vtysh -c 'show running-config' | sed -n 's/^ *key-string //p' | sha256sum"
    ),
)


async def find(cluster: Cluster, conf: str) -> str:
    """The cluster's key: the state folder's, else the one that most hosts have in `conf`, else a new one.

    Keeps it in the state folder. Raises SecretsError when what is there is no key.
    """
    kept = cluster.state.read_secret(FILE)
    if kept is not None:
        return _checked(cluster, kept)
    found = await cluster.each(lambda _, host: _on(host, conf))
    carried = Counter(key for key in found.values() if _FIT.fullmatch(key))
    if carried:
        key = carried.most_common(1)[0][0]
        names = ", ".join(name for name, own in found.items() if own == key)
        cluster.note(f"the routing key was not in {cluster.state.path}; {names} had it")
    else:
        key = chance.token_hex(32)
    cluster.state.write_secret(FILE, f"{key}\n".encode())
    return key


async def strangers(hosts: Mapping[str, Host]) -> dict[str, tuple[str, ...]]:
    """The hosts that run with another key than most, and those that these are. Compares digests only."""
    names = list(hosts)
    told = await asyncio.gather(*(hosts[name].query(DIGEST, ok=None) for name in names))
    digests = dict(zip(names, (result.stdout.split()[:1] for result in told), strict=True))
    common = Counter(tuple(digest) for digest in digests.values() if digest).most_common(1)
    most = list(common[0][0]) if common else []
    same = tuple(name for name, digest in digests.items() if digest == most)
    return {name: same for name, digest in digests.items() if digest and digest != most}


async def _on(host: Host, conf: str) -> str:
    return parse.routing_key(await host.read(conf) or "")


def _checked(cluster: Cluster, content: bytes) -> str:
    text = content.decode("utf-8", "replace").strip()
    if not _FIT.fullmatch(text):
        raise SecretsError(
            f"{cluster.state.path / FILE} holds no routing key: 16 to 128 letters, digits or ._~+/=-, on one line",
            advice="Restore it from a backup of the state folder. Or remove it: then the hosts' own key is taken over.",
        )
    return text
