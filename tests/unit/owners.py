"""A CA that no meshctl made."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from meshctl.ca import CA_FILE, KEY_FILE
from meshctl.state import StateFolder


def owners(state: StateFolder, *, days: int = 3000, start: int = -1, ca: bool | None = True, issuer: str = "") -> None:
    """A CA of the owner's own, RSA, as two files."""
    key, now = rsa.generate_private_key(65537, 2048), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example Root")])
    other = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer or "Example Root")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(other).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(now + timedelta(days=start))
    builder = builder.not_valid_after(now + timedelta(days=days))
    builder = builder.add_extension(x509.SubjectKeyIdentifier(b"other software"), critical=False)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    state.write_secret(CA_FILE, pem)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    state.write_secret(KEY_FILE, key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
