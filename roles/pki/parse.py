"""What a host carries of its certificates, and what is wrong with it. Pure functions."""

from dataclasses import dataclass
from datetime import datetime

from meshctl.certs import RENEW_BEFORE, Facts, inspect, issued_by
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


def fault(carried: Carried, node: Node, ca: str, now: datetime) -> str:
    """Why the host needs another certificate; "" if it doesn't."""
    facts = inspect(carried.certificate)
    if facts is None:
        return "its certificate can't be read" if carried.certificate.strip() else "it has no certificate"
    if not issued_by(carried.certificate, ca):
        return "its certificate is not from this cluster's CA"
    return _certificate_fault(facts, node, now) or _key_fault(carried, facts)


def _certificate_fault(facts: Facts, node: Node, now: datetime) -> str:
    if missing := {node.name, str(node.loopback)} - facts.names:
        return f"its certificate does not name {', '.join(sorted(missing))}"
    if facts.usages != {"server", "client"}:
        return "its certificate is not for servers and clients"
    if facts.not_after - now < RENEW_BEFORE:
        return f"its certificate ends on {facts.not_after:%Y-%m-%d}"
    return ""


def _key_fault(carried: Carried, facts: Facts) -> str:
    if carried.public_key.strip() != facts.public_key.strip():
        return "its private key is missing or belongs to another certificate"
    if carried.key_mode != "600 root:root":
        return f"its private key has mode {carried.key_mode}, so that others may have read it"
    return ""
