"""A certificate for every host, from a CA that belongs to this cluster alone."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar

from meshctl.certs import CA_FILE, Authority, inspect, same
from meshctl.cluster import Cluster
from meshctl.errors import SecretsError
from meshctl.host.base import Host, text
from meshctl.roles.base import Problem, Role
from meshctl.topology import Node, Topology

from .parse import Carried, fault

FOLDER = "/etc/ovn/pki"
CA = f"{FOLDER}/ca.pem"
CERTIFICATE = f"{FOLDER}/cert.pem"
KEY = f"{FOLDER}/key.pem"


class Pki(Role):
    """The certificates in /etc/ovn/pki that OVN, OVS and Incus use."""

    name: ClassVar[str] = "pki"
    summary: ClassVar[str] = "An own CA, and a certificate on every host"
    needs: ClassVar[frozenset[str]] = frozenset({"system"})

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        self._adopted = False
        self._carried: Mapping[str, Carried] = {}

    async def prepare(self, cluster: Cluster) -> None:
        """Find out whose certificates the hosts carry.

        Certificates of a CA whose key isn't here are left alone while all are in order. Raises SecretsError when one
        of them would have to be replaced.
        """
        own = Authority.load(cluster.state)
        carried = self._carried = await cluster.each(_carried)
        strangers = {name: found.ca for name, found in carried.items() if _is_foreign(found, own)}
        if not strangers:
            return
        foreign_ca = next(iter(strangers.values()))
        if faults := self._faults(carried, foreign_ca):
            raise _no_key(cluster, strangers, faults)
        self._adopted = True
        cluster.note(
            f"the hosts' certificates are in order, but the key of their CA is not in {cluster.state.path / CA_FILE}: "
            "this controller can't renew them or add hosts"
        )

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Give the host the CA's certificate, and a certificate and key where it has none that will do."""
        if self._adopted:
            return
        carried = self._carried.get(node.name) or await _carried(node, host)
        # No await between looking for the CA and making it: hosts are served at the same time.
        authority = Authority.load(cluster.state) or Authority.create(cluster.state, self.topology.cluster)
        files = {CA: text(authority.certificate)}
        if reason := fault(carried, node, authority.certificate, datetime.now(UTC)):
            leaf = authority.issue(node.name, [node.loopback])
            files |= {KEY: text(leaf.key, mode=0o600, secret=True), CERTIFICATE: text(leaf.certificate)}
            if carried.certificate:
                cluster.note(f"{node.name} gets a new certificate: {reason}")
        await host.put(files)

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """One CA on all hosts, and on each a certificate of it that fits its key, its names and today's date."""
        carried = await cluster.each(_carried)
        ca = carried[self.topology.nodes[0].name].ca
        problems = [_problem(name, reason) for name, reason in self._faults(carried, ca).items()]
        return problems + [
            _problem(name, "its own openssl does not accept its certificate")
            for name, found in carried.items()
            if not found.trusted and name not in {problem.host for problem in problems}
        ]

    def _faults(self, carried: Mapping[str, Carried], ca: str) -> dict[str, str]:
        faults = {}
        for node in self.topology.nodes:
            found = carried[node.name]
            if not same(found.ca, ca):
                faults[node.name] = "it trusts another CA than the other hosts" if found.ca else "it has no CA to trust"
            elif reason := fault(found, node, ca, datetime.now(UTC)):
                faults[node.name] = reason
        return faults


async def _carried(_node: Node, host: Host) -> Carried:
    # An encrypted key would ask for its passphrase and hang; an empty one is an answer.
    public_half = ["openssl", "pkey", "-in", KEY, "-pubout", "-passin", "pass:"]
    ca, certificate, public_key, mode, trusted = await asyncio.gather(
        host.read(CA),
        host.read(CERTIFICATE),
        host.query(public_half, ok=(0, 1)),
        host.query(["stat", "-c", "%a %U:%G", KEY], ok=(0, 1)),
        host.query(["openssl", "verify", "-CAfile", CA, CERTIFICATE], ok=None),
    )
    return Carried(ca or "", certificate or "", public_key.stdout, mode.stdout.strip(), trusted.ok)


def _is_foreign(carried: Carried, own: Authority | None) -> bool:
    """Whether the host belongs to a CA whose key isn't here."""
    if inspect(carried.ca):
        return own is None or not same(carried.ca, own.certificate)
    return own is None and inspect(carried.certificate) is not None


def _no_key(cluster: Cluster, strangers: Mapping[str, str], faults: Mapping[str, str]) -> SecretsError:
    needs = "; ".join(f"{name}: {reason}" for name, reason in faults.items())
    return SecretsError(
        f"{', '.join(strangers)} carry certificates of a CA whose key is not here, and not all can stay ({needs})",
        advice=f"The CA is in the state folder of the operator who bootstrapped this cluster: copy its {CA_FILE} to "
        f"{cluster.state.path / CA_FILE} (mode 0600). Where hosts come from another cluster, remove {FOLDER} on them.",
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
