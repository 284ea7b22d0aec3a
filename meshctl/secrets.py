"""Secrets at rest: encrypted to age recipients, opened by an identity file that only its owner may read.

Who can open something is public and stands in the topology; what opens it is a file, named by its path alone. Nothing
secret is ever an argument or in the environment.
"""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshctl.errors import SecretsError

OPTION, VARIABLE = "--age-identity", "MESHCTL_AGE_IDENTITY"
"""How an operator names the identity file."""

_NAME_IT = f"Name the identity file before the command (meshctl {OPTION} FILE …) or in {VARIABLE}."

BEGIN, END = "-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----"
"""Around what `encrypt` returns. `age -d` reads it as well."""


@dataclass(frozen=True)
class Seal:
    """The recipients of a cluster's secrets, and the identity of whoever runs meshctl."""

    recipients: tuple[str, ...] = ()
    """Public keys, `age1…` or `ssh-ed25519 …`. None: secrets lie plain, in files that only their owner may read."""
    identity: Path | None = None
    """A file as `age-keygen` writes it, or a private SSH key without passphrase."""

    def encrypt(self, secret: bytes) -> bytes:
        """The secret as armored text that any one of the recipients opens.

        Raises SecretsError when the identity can't open it: what nobody here can open may be lost.
        """
        import pyrage  # noqa: PLC0415  (only where something is encrypted)

        if self.identity is None:
            raise SecretsError(
                "the topology's secrets.age_recipients wants the CA's key encrypted, and no identity was given to see "
                "that it can be opened again",
                advice=_NAME_IT,
            )
        sealed: bytes = pyrage.encrypt(secret, [recipient(text) for text in self.recipients], armored=True)
        if self.decrypt(sealed, "what is encrypted to the topology's secrets.age_recipients") != secret:
            raise SecretsError("what was encrypted came back changed; nothing was replaced")
        return sealed

    def decrypt(self, sealed: bytes, what: str) -> bytes:
        """The secret. `what` names it in errors. Raises SecretsError without identity, or with one of somebody else."""
        import pyrage  # noqa: PLC0415

        identities = self.identities(what)
        try:
            return bytes(pyrage.decrypt(sealed, identities))
        except pyrage.DecryptError as error:
            raise SecretsError(
                f"the identity in {self.identity} does not open {what}: {_said(error)}",
                advice=f"Name the identity file of one of its recipients with {OPTION}. A file that was cut off or "
                "altered is opened by none: then restore it from a backup of the state folder.",
            ) from error

    def identities(self, what: str) -> list[Any]:
        """What opens. `what` names it in errors. Raises SecretsError without identity, or when its file is no good."""
        if self.identity is None:
            raise SecretsError(
                f"{what} is encrypted, and no identity to open it was given",
                advice=_NAME_IT,
            )
        return _keys(self.identity)


PLAIN = Seal()
"""Nothing is encrypted."""


def recipient(text: str) -> Any:
    """What age encrypts to. Raises ValueError when the text is neither an age nor an SSH public key."""
    import pyrage  # noqa: PLC0415

    kinds: tuple[Any, Any] = (pyrage.x25519.Recipient, pyrage.ssh.Recipient)
    kind = kinds[text.startswith("ssh-")]
    try:
        return kind.from_str(text)
    except pyrage.RecipientError as error:
        raise ValueError(f"{text} is no age recipient: {_said(error)}") from error


def _keys(file: Path) -> list[Any]:
    """The identities in a file. Errors say nothing of its content: it may be a key with a typing mistake."""
    import pyrage  # noqa: PLC0415

    content = private(file)
    lines = [line.strip() for line in content.decode("utf-8", "replace").splitlines()]
    native = [line for line in lines if line and not line.startswith("#")]
    try:
        if any(line.startswith("AGE-") for line in native):
            return [pyrage.x25519.Identity.from_str(line) for line in native]
        return [pyrage.ssh.Identity.from_buffer(content)]
    except pyrage.IdentityError as error:
        raise SecretsError(
            f"{file} holds no age identity that meshctl can use",
            advice="It should be what `age-keygen -o FILE` writes, or a private SSH key; neither with a passphrase.",
        ) from error


def private(file: Path, what: str = "age identity") -> bytes:
    """A file's content. Raises SecretsError, naming it as `what`, when it can't be read or others may read it."""
    try:
        mode, content = stat.S_IMODE(file.stat().st_mode), file.read_bytes()
    except OSError as error:
        raise SecretsError(
            f"the {what} {file} can't be read: {error.strerror}",
            advice=f"{OPTION}, {VARIABLE} and --passphrase-file take the path of a file, not the key itself.",
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SecretsError(
            f"the {what} {file} has mode {mode:04o}; only its owner may have access",
            advice=f"Find out who could have read it, then: chmod go= {file}",
        )
    return content


def _said(error: Exception) -> str:
    return " ".join(str(error).split())
