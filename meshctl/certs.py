"""The cluster's own certificate authority, and what can be read from certificates.

OVN's daemons check no names, only the CA, so that a CA per cluster is the whole protection. Its key stays in the
operator's state folder and never travels. Times are UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshctl.errors import SecretsError
from meshctl.state import StateFolder

CA_FILE = "ca.pem"
"""Key and certificate of the CA in the state folder: one file, so that a kill can't separate them."""

KEY_FILE = "ca.key"
"""The key alone, where an owner brought a CA of his own as two files; the certificate is then in `ca.pem`."""

CA_LIFE = timedelta(days=3652)
LEAF_LIFE = timedelta(days=730)

RENEW_BEFORE = timedelta(days=60)
"""A certificate that ends sooner than this is replaced by the next run."""

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_BACKDATED = timedelta(days=1)  # a host whose clock is behind must not think its certificate lies in the future


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA whose key is at hand."""

    certificate: str
    _key: SigningKey = field(repr=False)

    @classmethod
    def load(cls, state: StateFolder) -> "Authority | None":
        """The cluster's CA, made here or brought by its owner; None when this state folder has none.

        Raises SecretsError when it can't be read, key and certificate don't match, it is no CA, or its time is over.
        """
        content, apart = state.read_secret(CA_FILE), state.read_secret(KEY_FILE)
        if content is None and apart is None:
            return None
        try:
            key = serialization.load_pem_private_key(apart or content or b"", password=None)
            certificate = x509.load_pem_x509_certificate(content or b"")
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it wants a passphrase
            raise _damaged(state) from error
        if not isinstance(key, SigningKey) or key.public_key() != certificate.public_key():
            raise _damaged(state)
        _check_ca(state, certificate)
        return cls(_pem(certificate), key)

    @classmethod
    def create(cls, state: StateFolder, cluster: str, *, life: timedelta = CA_LIFE) -> "Authority":
        """A new CA, kept in the state folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _ca_certificate(key, cluster, life)
        pem = _pem(certificate)
        state.write_secret(CA_FILE, _key_pem(key).encode() + pem.encode())
        return cls(pem, key)

    def issue(self, name: str, addresses: Sequence[IPv4Address]) -> Leaf:
        """A certificate for servers and clients with these names; it never outlives the CA."""
        ca = x509.load_pem_x509_certificate(self.certificate.encode())
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        names = [x509.DNSName(name), *(x509.IPAddress(address) for address in addresses)]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            _builder(name, ca.subject, key.public_key(), now, min(now + LEAF_LIFE, ca.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(_authority(ca), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Leaf(_pem(certificate), _key_pem(key))


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


def _ca_certificate(key: ec.EllipticCurvePrivateKey, cluster: str, life: timedelta) -> x509.Certificate:
    now = datetime.now(UTC)
    subject = _name(f"meshctl CA of {cluster}")
    return (
        _builder(subject, subject, key.public_key(), now, now + life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
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
    subject: str | x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject) if isinstance(subject, str) else subject)
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


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _check_ca(state: StateFolder, certificate: x509.Certificate) -> None:
    """Refuse what OVN's daemons would refuse later, on hosts that have it already."""
    faults = []
    try:
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            faults.append("says that it is no CA (CA:FALSE)")
    except x509.ExtensionNotFound:
        faults.append("does not say that it is a CA (basicConstraints)")
    try:
        if not certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign:
            faults.append("may not sign certificates (keyUsage)")
    except x509.ExtensionNotFound:
        pass  # without it everything is allowed (RFC 5280, 4.2.1.3)
    if certificate.issuer != certificate.subject:
        faults.append("was issued by another CA (OVN's daemons trust roots only)")
    now = datetime.now(UTC)
    if certificate.not_valid_after_utc <= now:
        faults.append(f"ended on {certificate.not_valid_after_utc:%Y-%m-%d}")
    if certificate.not_valid_before_utc > now:
        faults.append(f"begins on {certificate.not_valid_before_utc:%Y-%m-%d}")
    if faults:
        raise SecretsError(
            f"the certificate in {state.path / CA_FILE} can't be the cluster's CA: it {' and '.join(faults)}",
            advice="Put a CA's certificate and key there, or remove the file so that meshctl makes a CA of its own.",
        )


def _damaged(state: StateFolder) -> SecretsError:
    return SecretsError(
        f"{state.path / CA_FILE} should hold the CA's key and certificate (or {KEY_FILE} beside it the key), EC or RSA "
        "and without passphrase, but they can't be read or don't match",
        advice="Restore the file from a backup of the state folder; every host trusts exactly this CA.",
    )
