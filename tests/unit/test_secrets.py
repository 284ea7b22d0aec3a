"""The CA's key, encrypted to age recipients."""

import subprocess
from pathlib import Path

import pyrage
import pytest

from meshctl.ca import CA_FILE, KEY_FILE, NEXT_FILE, Authority, protect
from meshctl.errors import SecretsError
from meshctl.secrets import BEGIN, Seal
from meshctl.state import StateFolder
from tests.unit.owners import owners


def identity(folder: Path, name: str = "identity") -> tuple[str, Path]:
    """A new age identity as `age-keygen` writes it, and its public key."""
    key, file = pyrage.x25519.Identity.generate(), folder / name
    file.write_text(f"# created: 2026-01-01T00:00:00Z\n# public key: {key.to_public()}\n{key}\n")
    file.chmod(0o600)
    return str(key.to_public()), file


def test_an_encrypted_ca_issues_with_its_identity_only(tmp_path: Path) -> None:
    public, file = identity(tmp_path)
    made = Authority.create(StateFolder(tmp_path / "state", Seal((public,), file)), "triangle")
    content = (tmp_path / "state" / CA_FILE).read_text()
    assert "PRIVATE KEY" not in content
    assert BEGIN in content
    blind = Authority.load(StateFolder(tmp_path / "state"))
    assert blind
    assert blind.certificate == made.certificate
    with pytest.raises(SecretsError, match=r"ca\.pem is encrypted, and no identity to open it was given") as caught:
        blind.issue("node1", [])
    assert "--age-identity FILE" in caught.value.advice
    seeing = Authority.load(StateFolder(tmp_path / "state", Seal((), file)))
    assert seeing
    assert "CERTIFICATE" in seeing.issue("node1", []).certificate


def test_any_recipient_opens_it_and_nobody_else(tmp_path: Path) -> None:
    (one, file), (two, other), (_, stranger) = (identity(tmp_path, name) for name in ("a", "b", "c"))
    sealed = Seal((one, two), file).encrypt(b"x")
    assert Seal(identity=other).decrypt(sealed, "it") == b"x"
    with pytest.raises(SecretsError, match="does not open it: No matching keys found"):
        Seal(identity=stranger).decrypt(sealed, "it")
    with pytest.raises(SecretsError, match="does not open it"):
        Seal(identity=other).decrypt(sealed[:150], "it")


def test_an_ssh_key_is_an_identity(tmp_path: Path) -> None:
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(tmp_path / "key")]
    subprocess.run(argv, check=True)
    seal = Seal(((tmp_path / "key.pub").read_text().strip(),), tmp_path / "key")
    assert seal.decrypt(seal.encrypt(b"x"), "it") == b"x"


def test_what_nobody_here_can_open_is_not_encrypted(tmp_path: Path) -> None:
    (public, _), (_, stranger) = identity(tmp_path, "a"), identity(tmp_path, "b")
    for seal in (Seal((public,), stranger), Seal((public,))):
        state = StateFolder(tmp_path / "state", seal)
        with pytest.raises(SecretsError):
            Authority.create(state, "triangle")
        assert Authority.load(state) is None


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        ("rubbish", 0o600, "holds no age identity"),
        ("AGE-SECRET-KEY-1TYPINGMISTAKE", 0o600, "holds no age identity"),
        ("AGE-SECRET-KEY-1TYPINGMISTAKE", 0o640, "has mode 0640; only its owner may have access"),
    ],
)
def test_identity_files_that_will_not_do(tmp_path: Path, content: str, mode: int, said: str) -> None:
    sealed, file = Seal((identity(tmp_path)[0],), tmp_path / "identity").encrypt(b"x"), tmp_path / "wrong"
    file.write_text(content)
    file.chmod(mode)
    with pytest.raises(SecretsError, match=said) as caught:
        Seal(identity=file).decrypt(sealed, "it")
    assert "MISTAKE" not in f"{caught.value} {caught.value.advice}"


def test_an_identity_that_is_not_there(tmp_path: Path) -> None:
    sealed = Seal((identity(tmp_path)[0],), tmp_path / "identity").encrypt(b"x")
    with pytest.raises(SecretsError, match="can't be read: No such file") as caught:
        Seal(identity=tmp_path / "nowhere").decrypt(sealed, "it")
    assert "not the key itself" in caught.value.advice


@pytest.mark.parametrize("owned", [False, True])
def test_a_plain_key_is_encrypted_in_place(tmp_path: Path, *, owned: bool) -> None:
    state = StateFolder(tmp_path / "state")
    if owned:
        owners(state)
    else:
        Authority.create(state, "triangle")
    before = Authority.load(state)
    public, file = identity(tmp_path)
    with pytest.raises(SecretsError, match="no identity"):
        protect(StateFolder(state.path, Seal((public,))))
    assert b"PRIVATE KEY" in (state.read_secret(KEY_FILE) or state.read_secret(CA_FILE) or b"")
    wanted = StateFolder(state.path, Seal((public,), file))
    [said] = protect(wanted)
    assert "may still hold it plain" in said
    assert sorted(path.name for path in state.path.iterdir()) == [CA_FILE]
    assert "PRIVATE KEY" not in (state.path / CA_FILE).read_text()
    after = Authority.load(wanted)
    assert before
    assert after
    assert (after.certificate, after.unlock().public_key()) == (before.certificate, before.unlock().public_key())
    assert protect(StateFolder(state.path, Seal((public,)))) == []


def test_a_kill_between_the_two_files_of_an_owner(tmp_path: Path) -> None:
    state, (public, file) = StateFolder(tmp_path / "state"), identity(tmp_path)
    owners(state)
    key = state.read_secret(KEY_FILE) or b""
    wanted = StateFolder(state.path, Seal((public,), file))
    protect(wanted)
    state.write_secret(KEY_FILE, key)  # as it was before the last step
    assert Authority.load(wanted)
    protect(wanted)
    assert not (state.path / KEY_FILE).exists()


def test_other_recipients_take_over_when_it_can_be_opened(tmp_path: Path) -> None:
    (one, mine), (two, theirs) = identity(tmp_path, "a"), identity(tmp_path, "b")
    Authority.create(StateFolder(tmp_path / "state", Seal((one,), mine)), "triangle")
    [said] = protect(StateFolder(tmp_path / "state", Seal((one, two))))
    assert "still encrypted to others" in said
    protect(StateFolder(tmp_path / "state", Seal((one, two), mine)))
    opened = Authority.load(StateFolder(tmp_path / "state", Seal((one, two), theirs)))
    assert opened
    opened.unlock()


def test_the_ca_that_takes_over_is_encrypted_as_well(tmp_path: Path) -> None:
    public, file = identity(tmp_path)
    plain = StateFolder(tmp_path / "state")
    Authority.create(plain, "triangle")
    Authority.create(plain, "triangle", file=NEXT_FILE)
    assert len(protect(StateFolder(plain.path, Seal((public,), file)))) == 2
    assert not [path.name for path in plain.path.iterdir() if "PRIVATE KEY" in path.read_text()]


def test_the_secret_is_shown_nowhere(tmp_path: Path) -> None:
    public, file = identity(tmp_path)
    authority = Authority.create(StateFolder(tmp_path / "state", Seal((public,), file)), "triangle")
    assert BEGIN not in repr(authority)
    assert file.read_text().splitlines()[-1] not in repr(authority)
