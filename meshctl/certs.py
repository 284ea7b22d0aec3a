"""What can be read from certificates. Times are UTC."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

RENEW_BEFORE = timedelta(days=60)
"""A certificate that ends sooner than this is replaced by the next run."""

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a certificate says. `public_key` is PEM, as `openssl pkey -pubout` prints it."""

    names: frozenset[str]
    not_before: datetime
    not_after: datetime
    public_key: str
    usages: frozenset[str]
    subject: str = ""
    issuer: str = ""


def inspect(certificate: str) -> Facts | None:
    """What a PEM certificate says; None when the text is no certificate."""
    try:
        parsed = x509.load_pem_x509_certificate(certificate.encode())
        public_key = parsed.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return Facts(
            _names(parsed),
            parsed.not_valid_before_utc,
            parsed.not_valid_after_utc,
            public_key.decode(),
            _usages(parsed),
            parsed.subject.rfc4514_string(),
            parsed.issuer.rfc4514_string(),
        )
    except ValueError:
        return None


def issued_by(certificate: str, ca: str) -> bool:
    """Whether the CA signed the certificate; False also when either text is no certificate."""
    try:
        parsed, issuer = (x509.load_pem_x509_certificate(text.encode()) for text in (certificate, ca))
        parsed.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def bundle(text: str) -> tuple[str, ...]:
    """The certificates in a text, each as PEM of its own; what is none is left out."""
    return tuple(pem for pem in _CERTIFICATE.findall(text) if inspect(pem))


def common_name(certificate: str) -> str:
    """The name of a PEM certificate's subject as it stands in lists; "" when it has none."""
    subject = x509.load_pem_x509_certificate(certificate.encode()).subject
    return next((str(name.value) for name in subject.get_attributes_for_oid(NameOID.COMMON_NAME)), "")


def serial(certificate: str) -> str:
    """A PEM certificate's serial number as openssl prints it."""
    number = f"{x509.load_pem_x509_certificate(certificate.encode()).serial_number:X}"
    return number.zfill(len(number) + len(number) % 2)


def same(one: str, other: str) -> bool:
    """Whether two PEM texts hold the same certificate, whatever white space and comments are around it."""
    try:
        first, second = (x509.load_pem_x509_certificate(text.encode()) for text in (one, other))
    except ValueError:
        return False
    return first == second


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = names.get_values_for_type(x509.IPAddress)
    return frozenset([*names.get_values_for_type(x509.DNSName), *(str(address) for address in addresses)])


def _usages(certificate: x509.Certificate) -> frozenset[str]:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return frozenset()
    known = {ExtendedKeyUsageOID.SERVER_AUTH: "server", ExtendedKeyUsageOID.CLIENT_AUTH: "client"}
    return frozenset(known[usage] for usage in usages if usage in known)
