from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509

from meshctl import certs
from meshctl.certs import Authority
from meshctl.errors import SecretsError
from meshctl.state import StateFolder

ADDRESS = IPv4Address("10.50.1.1")


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


def test_a_fresh_folder_has_no_ca(state: StateFolder) -> None:
    assert Authority.load(state) is None


def test_ca_is_kept_where_only_its_owner_can_read_it(state: StateFolder) -> None:
    made = Authority.create(state, "triangle")
    file = state.path / certs.CA_FILE
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
    state.write_secret(certs.CA_FILE, b"rubbish")
    with pytest.raises(SecretsError, match="can't be read or don't match"):
        Authority.load(state)


def test_key_of_another_ca_is_an_error(state: StateFolder, tmp_path: Path) -> None:
    other = StateFolder(tmp_path / "other")
    Authority.create(state, "triangle")
    Authority.create(other, "triangle")
    [key, certificate] = [
        (folder.read_secret(certs.CA_FILE) or b"").split(b"-----BEGIN CERTIFICATE-----") for folder in (state, other)
    ]
    state.write_secret(certs.CA_FILE, key[0] + b"-----BEGIN CERTIFICATE-----" + certificate[1])
    with pytest.raises(SecretsError, match="don't match"):
        Authority.load(state)
