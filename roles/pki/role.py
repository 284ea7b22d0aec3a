"""A certificate for every host, from a CA that belongs to this cluster alone."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from meshctl.ca import CA_FILE, NEXT_FILE, Authority, authorities
from meshctl.certs import inspect
from meshctl.cluster import Cluster
from meshctl.errors import SecretsError
from meshctl.host.base import Host, text
from meshctl.roles.base import Problem, Role
from meshctl.roles.tls import CA, CERTIFICATE, FOLDER, KEY
from meshctl.topology import Node, Topology

from .parse import Carried, fault, holds, in_common, issuer_of

TAKE_OVER_BEFORE = timedelta(days=730)
"""When the CA has less left, certificates get shorter than they should be: time for `certs renew --ca`."""


class Pki(Role):
    """The certificates in /etc/ovn/pki that OVN, OVS and Incus use."""

    name: ClassVar[str] = "pki"
    summary: ClassVar[str] = "An own CA, and a certificate on every host"
    needs: ClassVar[frozenset[str]] = frozenset({"system"})

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        self._adopted = False
        self._carried: Mapping[str, Carried] = {}

    async def foresee(self, cluster: Cluster) -> None:
        """Raise SecretsError when certificates have to be issued and the CA's key can't be opened."""
        await self.prepare(cluster)

    async def prepare(self, cluster: Cluster) -> None:
        """Find out whose certificates the hosts carry.

        Certificates of a CA whose key isn't here are left alone while all are in order. Raises SecretsError when one
        of them would have to be replaced, or when one has to be issued and the CA's key can't be opened.
        """
        own = authorities(cluster.state)
        carried = self._carried = await cluster.each(look)
        strangers = {name: found for name, found in carried.items() if _is_foreign(found, _pems(own))}
        if strangers:
            self._adopt(cluster, strangers)
            return
        if self._unfit(carried, _pems(own)):
            _open(cluster, own)
        for note in _notes(own):
            cluster.note(note)

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Give the host the CA's certificate, and a certificate and key where it has none that will do."""
        if self._adopted:
            return
        carried = self._carried.get(node.name) or await look(node, host)
        # No await between looking for the CA and making it: hosts are served at the same time.
        own = authorities(cluster.state) or (Authority.create(cluster.state, self.topology.cluster),)
        certificate, files = carried.certificate, {}
        if reason := fault(carried, node, _pems(own), datetime.now(UTC)):
            # During a takeover all hosts still trust the first; the second only once each has heard of it.
            leaf = own[0].issue(node.name, [node.loopback])
            certificate = leaf.certificate
            files = {KEY: text(leaf.key, mode=0o600, secret=True), CERTIFICATE: text(certificate)}
            if carried.certificate:
                cluster.note(f"{node.name} gets a new certificate: {reason}")
        await host.put({CA: text(trust(certificate, _pems(own))), **files})

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """On each host a certificate that all hosts trust and that fits its key, its names and today's date."""
        carried = await cluster.each(look)
        faults = self._faults(carried)
        problems = [_problem(name, reason) for name, reason in faults.items()]
        return problems + [
            _problem(name, "its own openssl does not accept its certificate")
            for name, found in carried.items()
            if not found.trusted and name not in faults
        ]

    def _adopt(self, cluster: Cluster, strangers: Mapping[str, Carried]) -> None:
        if faults := self._faults(self._carried):
            raise _no_key(cluster, strangers, faults)
        self._adopted = True
        cluster.note(
            f"the hosts' certificates are in order, but the key of their CA is not in {cluster.state.path / CA_FILE}: "
            "this controller can't renew them or add hosts"
        )

    def _faults(self, carried: Mapping[str, Carried]) -> dict[str, str]:
        cas = in_common(list(carried.values())) or carried[self.topology.nodes[0].name].trusts
        faults = {}
        for name, found in carried.items():
            if not any(holds(cas, ca) for ca in found.trusts):
                faults[name] = "it trusts another CA than the other hosts" if found.ca else "it has no CA to trust"
        return faults | {name: why for name, why in self._unfit(carried, cas).items() if name not in faults}

    def _unfit(self, carried: Mapping[str, Carried], cas: Sequence[str]) -> dict[str, str]:
        """The hosts that need another certificate, and why."""
        now = datetime.now(UTC)
        reasons = {node.name: fault(carried[node.name], node, cas, now) for node in self.topology.nodes}
        return {name: reason for name, reason in reasons.items() if reason}


async def look(_node: Node, host: Host) -> Carried:
    """What lies on a host. The private key itself is not read."""
    # An encrypted key would ask for its passphrase and hang; an empty one is an answer. A bare host has no openssl yet.
    public_half = ["openssl", "pkey", "-in", KEY, "-pubout", "-passin", "pass:"]
    ca, certificate, public_key, mode, trusted = await asyncio.gather(
        host.read(CA),
        host.read(CERTIFICATE),
        host.query(public_half, ok=None),
        host.query(["stat", "-c", "%a %U:%G", KEY], ok=(0, 1)),
        host.query(["openssl", "verify", "-CAfile", CA, CERTIFICATE], ok=None),
    )
    return Carried(ca or "", certificate or "", public_key.stdout, mode.stdout.strip(), trusted.ok)


def trust(certificate: str, cas: Sequence[str]) -> str:
    """The CAs as a host's file has them: that of its own certificate first, because Incus reads no further."""
    return "".join(sorted(cas, key=lambda ca: ca != issuer_of(certificate, cas)))


def _pems(own: Sequence[Authority]) -> list[str]:
    return [one.certificate for one in own]


def _open(cluster: Cluster, own: Sequence[Authority]) -> None:
    """Open the key that is about to be needed, or see that a new one could be opened."""
    if own:
        own[0].unlock()
    elif cluster.state.seal.recipients:
        cluster.state.seal.encrypt(b"")


def _notes(own: Sequence[Authority]) -> list[str]:
    if len(own) > 1:
        return ["a renewal of the CA has not ended; `meshctl certs renew --ca` goes on with it"]
    if own and own[0].ends - datetime.now(UTC) < TAKE_OVER_BEFORE:
        return [f"the cluster's CA ends on {own[0].ends:%Y-%m-%d}; `meshctl certs renew --ca` makes another one"]
    return []


def _is_foreign(carried: Carried, own: Sequence[str]) -> bool:
    """Whether the host belongs to a CA whose key isn't here."""
    trusts = carried.trusts
    if not trusts:
        return not own and inspect(carried.certificate) is not None
    if not any(holds(own, ca) for ca in trusts):
        return True
    # Another controller is, or was, renewing the CA: the certificate is from one that this controller doesn't know.
    issuer = issuer_of(carried.certificate, trusts)
    return issuer is not None and not holds(own, issuer)


def _no_key(cluster: Cluster, strangers: Mapping[str, Carried], faults: Mapping[str, str]) -> SecretsError:
    needs = "; ".join(f"{name}: {reason}" for name, reason in faults.items())
    return SecretsError(
        f"{', '.join(strangers)} carry certificates of a CA whose key is not here, and not all can stay ({needs})",
        advice=f"The CA is in the state folder of the operator who bootstrapped this cluster, or renewed its CA: copy "
        f"its {CA_FILE} to {cluster.state.path / CA_FILE} (mode 0600; {NEXT_FILE} too, if there is one). Where hosts "
        f"come from another cluster, remove {FOLDER} on them.",
    )


def _problem(host: str, reason: str) -> Problem:
    return Problem(
        host,
        "TLS certificate",
        expected=f"a certificate and key in {FOLDER} that the cluster's CA vouches for",
        seen=reason,
        command=f"openssl verify -CAfile {CA} {CERTIFICATE}; openssl x509 -noout -text -in {CERTIFICATE}",
        advice="Run `meshctl bootstrap` again: it replaces what does not fit.",
        final=True,
    )
