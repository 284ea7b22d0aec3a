"""How an archive is encrypted: to age recipients, as a stream, or with a passphrase. `age -d` opens either."""

from dataclasses import dataclass, field, replace
from typing import IO, ClassVar

from meshctl.errors import MeshctlError, SecretsError
from meshctl.secrets import Seal, recipient


class DamagedError(MeshctlError):
    """An archive is not what was written."""

    exit_code: ClassVar[int] = 4


@dataclass(frozen=True)
class Envelope:
    """Who can open it: whoever has one of the recipients' identities, or who knows the passphrase."""

    seal: Seal
    passphrase: str | None = field(default=None, repr=False)

    @property
    def closes(self) -> bool:
        """Whether there is anybody to encrypt to."""
        return bool(self.seal.recipients) or self.passphrase is not None

    @property
    def opens(self) -> bool:
        """Whether we could open it again."""
        return self.passphrase is not None or self.seal.identity is not None

    def to(self, recipients: tuple[str, ...]) -> "Envelope":
        """The same with more recipients. Raises ValueError when one is none."""
        for text in recipients:
            recipient(text)
        return replace(self, seal=Seal((*self.seal.recipients, *recipients), self.seal.identity))

    def encrypt(self, plain: IO[bytes], sealed: IO[bytes]) -> None:
        """All of `plain`. With a passphrase, which age can't do as a stream, it is kept in memory meanwhile.

        Raises MeshctlError when `sealed` can't be written.
        """
        import pyrage  # noqa: PLC0415  (only where something is encrypted)

        try:
            if self.passphrase is not None:
                sealed.write(pyrage.passphrase.encrypt(plain.read(), self.passphrase))
            else:
                pyrage.encrypt_io(plain, sealed, [recipient(text) for text in self.seal.recipients])
        except (OSError, pyrage.EncryptError) as error:
            raise MeshctlError(f"the archive can't be written: {error}", advice="Is its disk full?") from error

    def decrypt(self, sealed: IO[bytes], plain: IO[bytes], what: str) -> None:
        """All of `sealed`. Raises SecretsError when it isn't ours to open, DamagedError when it is damaged."""
        import pyrage  # noqa: PLC0415

        try:
            if self.passphrase is not None:
                plain.write(pyrage.passphrase.decrypt(sealed.read(), self.passphrase))
            else:
                pyrage.decrypt_io(sealed, plain, self.seal.identities(what))
        except pyrage.DecryptError as error:
            raise SecretsError(
                f"{what} is not opened by {'this passphrase' if self.passphrase is not None else self.seal.identity}: "
                f"{error}",
                advice="Its first lines name the kinds of recipients (`head -c 300`). Altered ones are opened by none.",
            ) from error
        except BrokenPipeError:  # who reads has seen enough, and says why
            return
        except OSError as error:
            raise DamagedError(f"{what} is damaged or cut off: {error}", advice="Take another one.") from error
