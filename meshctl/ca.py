"""The cluster's own certificate authority, in the operator's state folder. Its key never travels.

OVN's daemons check no names, only the CA, so that a CA per cluster is the whole protection. The key is opened only
where something is issued: a cluster that is in order needs no identity to be looked at.
"""

import re
import secrets as chance
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from meshctl import issuing
from meshctl.certs import same
from meshctl.errors import SecretsError
from meshctl.issuing import CA_LIFE, Leaf, SigningKey
from meshctl.secrets import BEGIN, END, Seal
from meshctl.state import StateFolder

CA_FILE = "ca.pem"
"""Key and certificate of the CA in the state folder: one file, so that a kill can't separate them."""

KEY_FILE = "ca.key"
"""The key alone, where an owner brought a CA of his own as two files; the certificate is then in `ca.pem`."""

NEXT_FILE = "ca.new.pem"
"""Key and certificate of the CA that takes over, while `certs renew --ca` has not ended."""

_MADE_HERE = "meshctl CA of "
_RECIPIENTS = "Recipients: "
_ARMOR = re.compile(re.escape(BEGIN.encode()) + b".*?" + re.escape(END.encode()) + rb"\s", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA that this state folder has."""

    certificate: str
    where: Path
    _key: bytes = field(repr=False)
    """PEM, or encrypted; what stands around it doesn't matter."""
    _seal: Seal = field(repr=False)

    @classmethod
    def load(cls, state: StateFolder, file: str = CA_FILE) -> "Authority | None":
        """The cluster's CA, made here or brought by its owner; None when this state folder has none.

        Raises SecretsError when it can't be read, is no CA, its time is over, or a plain key doesn't match it.
        """
        content = state.read_secret(file)
        apart = state.read_secret(KEY_FILE) if file == CA_FILE else None
        if content is None and apart is None:
            return None
        try:
            certificate = x509.load_pem_x509_certificate(content or b"")
        except ValueError as error:
            raise _damaged(state.path / file) from error
        _check_ca(state.path / file, certificate)
        authority = cls(issuing.pem(certificate), state.path / file, apart or content or b"", state.seal)
        if not authority.sealed:
            authority.unlock()
        return authority

    @classmethod
    def create(cls, state: StateFolder, cluster: str, *, life: timedelta = CA_LIFE, file: str = CA_FILE) -> "Authority":
        """A new CA, kept in the state folder. Raises SecretsError when it can't be encrypted as the topology wants."""
        key = issuing.new_key()
        # During a takeover both are trusted: told apart by name, they can be told apart in what a server asks for.
        name = f"{_MADE_HERE}{cluster}" + (f" {chance.token_hex(4)}" if file != CA_FILE else "")
        pem = issuing.pem(issuing.root(key, name, life))
        content = _content(pem, issuing.key_pem(key), state.seal)
        state.write_secret(file, content)
        return cls(pem, state.path / file, content, state.seal)

    @property
    def sealed(self) -> bool:
        """Whether the key is encrypted."""
        return _ARMOR.search(self._key) is not None

    @property
    def recipients(self) -> tuple[str, ...]:
        """To whom the key is encrypted, as the file itself says; nobody where it is plain."""
        named = re.search(rf"^{_RECIPIENTS}(.+)$", self._key.decode(errors="replace"), re.MULTILINE)
        return tuple(named[1].split(", ")) if named and self.sealed else ()

    @property
    def made_here(self) -> bool:
        """Whether meshctl made it; its owner did otherwise."""
        return f"CN={_MADE_HERE}" in self._certificate().subject.rfc4514_string()

    @property
    def ends(self) -> datetime:
        """When it, and with it everything that it issued, is over."""
        return self._certificate().not_valid_after_utc

    def unlock(self) -> SigningKey:
        """The key. Raises SecretsError when it can't be opened, or is not this certificate's."""
        try:
            key = serialization.load_pem_private_key(self._plain(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it wants a passphrase
            raise _damaged(self.where) from error
        if not isinstance(key, SigningKey) or key.public_key() != self._certificate().public_key():
            raise _damaged(self.where)
        return key

    def issue(self, name: str, addresses: Sequence[IPv4Address]) -> Leaf:
        """A certificate for servers and clients with these names; it never outlives the CA. Raises as `unlock` does."""
        return issuing.leaf(self._certificate(), self.unlock(), name, addresses)

    def _plain(self) -> bytes:
        armor = _ARMOR.search(self._key)
        return self._seal.decrypt(armor[0], f"the key of the CA in {self.where}") if armor else self._key

    def _certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate.encode())


def authorities(state: StateFolder) -> tuple[Authority, ...]:
    """The CA and, during its renewal, the one that takes over; nothing before the first bootstrap."""
    first, second = Authority.load(state), Authority.load(state, NEXT_FILE)
    if first and second and same(first.certificate, second.certificate):
        return (first,)
    return tuple(one for one in (first, second) if one)


def succeed(state: StateFolder) -> None:
    """The next CA becomes the CA; its predecessor's key is gone. A kill leaves the one or the other."""
    apart = state.read_secret(KEY_FILE)
    if apart is not None:  # an owner's two files become one first, else the new certificate would stand by the old key
        state.write_secret(CA_FILE, apart + (state.read_secret(CA_FILE) or b""))
        state.remove_secret(KEY_FILE)
    state.promote_secret(CA_FILE, NEXT_FILE)


def protect(state: StateFolder) -> list[str]:
    """Encrypt every key of a CA to the recipients that the topology states; what the operator should know.

    The plain file is replaced, atomically, once the encrypted one has been opened with the operator's identity. Raises
    SecretsError when that can't be done. A key that is encrypted to others only waits for an identity.
    """
    told = []
    for file in (CA_FILE, NEXT_FILE) if state.seal.recipients else ():
        authority = Authority.load(state, file)
        if authority is None or authority.recipients == state.seal.recipients:
            continue
        if authority.sealed and state.seal.identity is None:
            told.append(f"{authority.where}: still encrypted to others than the topology states; a run with an age "
                        "identity that opens it changes that")  # fmt: skip
            continue
        state.write_secret(file, _content(authority.certificate, issuing.key_pem(authority.unlock()), state.seal))
        if file == CA_FILE:
            state.remove_secret(KEY_FILE)
        told.append(_encrypted(authority))
    return told


def _encrypted(before: Authority) -> str:
    rest = "" if before.sealed else "; backups of this folder, and free blocks of its disk, may still hold it plain"
    return f"{before.where}: the CA's key is now encrypted to the topology's secrets.age_recipients{rest}"


def _content(certificate: str, key: bytes, seal: Seal) -> bytes:
    if not seal.recipients:
        return key + certificate.encode()
    head = f"{_RECIPIENTS}{', '.join(seal.recipients)}\n"
    return head.encode() + seal.encrypt(key) + certificate.encode()


def _check_ca(file: Path, certificate: x509.Certificate) -> None:
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
            f"the certificate in {file} can't be the cluster's CA: it {' and '.join(faults)}",
            advice="Put a CA's certificate and key there, or remove the file so that meshctl makes a CA of its own.",
        )


def _damaged(file: Path) -> SecretsError:
    beside = f" (or {KEY_FILE} beside it the key)" if file.name == CA_FILE else ""
    return SecretsError(
        f"{file} should hold the CA's key and certificate{beside}, EC or RSA "
        "and without passphrase, but they can't be read or don't match",
        advice="Restore the file from a backup of the state folder; every host trusts exactly this CA.",
    )
