"""Certificates as the cluster's CA makes them: EC P-256, for servers and clients, dated back by a day; times in UTC."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshctl.errors import SecretsError

CA_LIFE = timedelta(days=3652)
LEAF_LIFE = timedelta(days=730)

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_BACKDATED = timedelta(days=1)  # a host whose clock is behind must not think its certificate lies in the future


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str = field(repr=False)


def leaf(ca: x509.Certificate, signer: SigningKey, name: str, addresses: Sequence[IPv4Address]) -> Leaf:
    """A certificate for servers and clients with these names; it never outlives the CA."""
    key = new_key()
    now = datetime.now(UTC)
    names = [x509.DNSName(name), *(x509.IPAddress(address) for address in addresses)]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        _builder(_name(name), ca.subject, key.public_key(), now, min(now + LEAF_LIFE, ca.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(_authority(ca), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return Leaf(pem(certificate), key_pem(key).decode())


def root(key: ec.EllipticCurvePrivateKey, name: str, life: timedelta) -> x509.Certificate:
    """The certificate of a new CA."""
    now = datetime.now(UTC)
    subject = _name(name)
    return (
        _builder(subject, subject, key.public_key(), now, now + life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def new_key() -> ec.EllipticCurvePrivateKey:
    """A private key for a CA or a host."""
    return ec.generate_private_key(ec.SECP256R1())


def pem(certificate: x509.Certificate) -> str:
    """The certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: SigningKey) -> bytes:
    """The private key as text, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _authority(ca: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """The issuer's key as its own certificate names it: another CA's software may compute that name otherwise."""
    try:
        own = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(_signing(ca.public_key()))
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _signing(key: object) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    if isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        return key
    raise SecretsError("the CA's key is neither EC nor RSA")


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(end)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
