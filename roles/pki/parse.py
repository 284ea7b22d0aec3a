"""What a host carries of its certificates, and what is wrong with it. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from meshctl.certs import RENEW_BEFORE, Facts, bundle, inspect, issued_by, same
from meshctl.topology import Node


@dataclass(frozen=True, slots=True)
class Carried:
    """What lies in a host's folder; "" for a file that isn't there."""

    ca: str
    certificate: str
    public_key: str
    """The public half of the private key, which itself is never read."""
    key_mode: str
    """`600 root:root`"""
    trusted: bool
    """Whether the host's own openssl, with the host's own clock, accepts the certificate."""

    @property
    def trusts(self) -> tuple[str, ...]:
        """The CAs in its file: one, or two while one takes over from the other."""
        return bundle(self.ca)


def fault(carried: Carried, node: Node, cas: Sequence[str], now: datetime) -> str:
    """Why the host needs another certificate; "" if it doesn't."""
    facts = inspect(carried.certificate)
    if facts is None:
        return "its certificate can't be read" if carried.certificate.strip() else "it has no certificate"
    issuer = issuer_of(carried.certificate, cas)
    if issuer is None:
        return "its certificate is not from this cluster's CA"
    return _certificate_fault(facts, node, issuer, now) or _key_fault(carried, facts)


def issuer_of(certificate: str, cas: Sequence[str]) -> str | None:
    """The one of these CAs that signed a certificate."""
    return next((ca for ca in cas if issued_by(certificate, ca)), None)


def holds(cas: Sequence[str], ca: str) -> bool:
    """Whether a CA is one of these."""
    return any(same(ca, one) for one in cas)


def in_common(hosts: Sequence[Carried]) -> tuple[str, ...]:
    """The CAs that all hosts trust: what a certificate has to be from for every host to accept it."""
    first, *others = hosts
    return tuple(ca for ca in first.trusts if all(holds(other.trusts, ca) for other in others))


def _certificate_fault(facts: Facts, node: Node, issuer: str, now: datetime) -> str:
    if missing := {node.name, str(node.loopback)} - facts.names:
        return f"its certificate does not name {', '.join(sorted(missing))}"
    if facts.usages != {"server", "client"}:
        return "its certificate is not for servers and clients"
    ca = inspect(issuer)
    # Where the CA itself ends, another certificate would end on the same day.
    if facts.not_after - now < RENEW_BEFORE and not (ca and facts.not_after >= ca.not_after > now):
        return f"its certificate ends on {facts.not_after:%Y-%m-%d}"
    return ""


def _key_fault(carried: Carried, facts: Facts) -> str:
    if carried.public_key.strip() != facts.public_key.strip():
        return "its private key is missing or belongs to another certificate"
    if carried.key_mode != "600 root:root":
        return f"its private key has mode {carried.key_mode}, so that others may have read it"
    return ""
