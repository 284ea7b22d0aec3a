import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from meshctl import certs
from meshctl.ca import CA_FILE, KEY_FILE, Authority
from meshctl.errors import SecretsError
from meshctl.state import StateFolder
from tests.unit.owners import owners

ADDRESS = IPv4Address("10.50.1.1")


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


def test_a_fresh_folder_has_no_ca(state: StateFolder) -> None:
    assert Authority.load(state) is None


def test_ca_is_kept_where_only_its_owner_can_read_it(state: StateFolder) -> None:
    made = Authority.create(state, "triangle")
    file = state.path / CA_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    loaded = Authority.load(state)
    assert loaded
    assert loaded.certificate == made.certificate


def test_ca_lives_ten_years_and_names_its_cluster(state: StateFolder) -> None:
    parsed = x509.load_pem_x509_certificate(Authority.create(state, "triangle").certificate.encode())
    assert "triangle" in parsed.subject.rfc4514_string()
    assert timedelta(days=3640) < parsed.not_valid_after_utc - datetime.now(UTC) < timedelta(days=3660)


def test_leaf_serves_and_calls_under_its_names(state: StateFolder) -> None:
    leaf = Authority.create(state, "triangle").issue("node1", [ADDRESS])
    facts = certs.inspect(leaf.certificate)
    assert facts
    assert facts.names == {"node1", "10.50.1.1"}
    assert facts.usages == {"server", "client"}
    assert timedelta(days=720) < facts.not_after - datetime.now(UTC) <= timedelta(days=730)
    assert facts.not_before < datetime.now(UTC) - timedelta(hours=1)


def test_leaf_never_outlives_its_ca(state: StateFolder) -> None:
    authority = Authority.create(state, "triangle", life=timedelta(days=30))
    facts, ca = certs.inspect(authority.issue("node1", [ADDRESS]).certificate), certs.inspect(authority.certificate)
    assert facts
    assert ca
    assert facts.not_after == ca.not_after


def test_who_issued_what(state: StateFolder, tmp_path: Path) -> None:
    ours = Authority.create(state, "triangle")
    theirs = Authority.create(StateFolder(tmp_path / "other"), "triangle")
    leaf = ours.issue("node1", [ADDRESS]).certificate
    assert certs.issued_by(leaf, ours.certificate)
    assert not certs.issued_by(leaf, theirs.certificate)
    assert not certs.issued_by("", ours.certificate)
    assert not certs.issued_by(leaf, "rubbish")


def test_same_certificate_in_other_words(state: StateFolder, tmp_path: Path) -> None:
    one = Authority.create(state, "triangle").certificate
    other = Authority.create(StateFolder(tmp_path / "other"), "triangle").certificate
    assert certs.same(one, f"\n{one}\n")
    assert not certs.same(one, other)
    assert not certs.same(one, "")


def test_what_is_no_certificate() -> None:
    assert certs.inspect("") is None
    assert certs.inspect("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n") is None


def test_keys_are_not_shown(state: StateFolder) -> None:
    authority = Authority.create(state, "triangle")
    assert "PRIVATE" not in repr(authority.issue("node1", [ADDRESS]))
    assert "EllipticCurve" not in repr(authority)


def test_damaged_file_is_an_error_not_a_new_ca(state: StateFolder) -> None:
    state.write_secret(CA_FILE, b"rubbish")
    with pytest.raises(SecretsError, match="can't be read or don't match"):
        Authority.load(state)


def test_key_of_another_ca_is_an_error(state: StateFolder, tmp_path: Path) -> None:
    other = StateFolder(tmp_path / "other")
    Authority.create(state, "triangle")
    Authority.create(other, "triangle")
    [key, certificate] = [
        (folder.read_secret(CA_FILE) or b"").split(b"-----BEGIN CERTIFICATE-----") for folder in (state, other)
    ]
    state.write_secret(CA_FILE, key[0] + b"-----BEGIN CERTIFICATE-----" + certificate[1])
    with pytest.raises(SecretsError, match="don't match"):
        Authority.load(state)


def test_an_owners_ca_is_used(state: StateFolder, tmp_path: Path) -> None:
    owners(state)
    authority = Authority.load(state)
    assert authority
    leaf = authority.issue("node1", [ADDRESS]).certificate
    assert certs.issued_by(leaf, authority.certificate)
    facts = certs.inspect(leaf)
    assert facts
    assert facts.issuer == "CN=Example Root"
    for file, content in (("ca.pem", authority.certificate), ("leaf.pem", leaf)):
        (tmp_path / file).write_text(content)
    argv = ["openssl", "verify", "-CAfile", str(tmp_path / "ca.pem"), str(tmp_path / "leaf.pem")]
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"ca": False}, "no CA"),
        ({"ca": None}, "does not say that it is a CA"),
        ({"days": 0}, "ended on"),
        ({"start": 2}, "begins on"),
        ({"issuer": "Example Grandparent"}, "issued by another CA"),
    ],
)
def test_what_can_not_be_the_clusters_ca(state: StateFolder, wrong: dict[str, Any], said: str) -> None:
    owners(state, **wrong)
    with pytest.raises(SecretsError, match=said):
        Authority.load(state)


def test_an_owners_key_of_another_certificate(state: StateFolder, tmp_path: Path) -> None:
    owners(state)
    other = StateFolder(tmp_path / "other")
    owners(other)
    state.write_secret(KEY_FILE, other.read_secret(KEY_FILE) or b"")
    with pytest.raises(SecretsError, match="don't match"):
        Authority.load(state)


def test_a_key_without_a_certificate(state: StateFolder) -> None:
    owners(state)
    (state.path / CA_FILE).unlink()
    with pytest.raises(SecretsError, match="can't be read"):
        Authority.load(state)


@pytest.mark.parametrize("name", [CA_FILE, KEY_FILE])
def test_a_key_that_others_may_read_is_refused(state: StateFolder, name: str) -> None:
    owners(state)
    (state.path / name).chmod(0o640)
    with pytest.raises(SecretsError, match=r"has mode 0640; only its owner may have access"):
        Authority.load(state)


def test_a_folder_that_others_may_enter_is_refused(state: StateFolder) -> None:
    owners(state)
    state.path.chmod(0o750)
    with pytest.raises(SecretsError, match=r"has mode 0750"):
        Authority.load(state)
    with pytest.raises(SecretsError, match=r"has mode 0750"):
        state.write_secret("x", b"y")
    with pytest.raises(SecretsError, match=r"has mode 0750"):
        Authority.create(state, "triangle")


def test_serial_is_as_openssl_prints_it(state: StateFolder, tmp_path: Path) -> None:
    pem = Authority.create(state, "triangle").certificate
    (tmp_path / "c.pem").write_text(pem)
    argv = ["openssl", "x509", "-noout", "-serial", "-in", str(tmp_path / "c.pem")]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert said.strip() == f"serial={certs.serial(pem)}"
