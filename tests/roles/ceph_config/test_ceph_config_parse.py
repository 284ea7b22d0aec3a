"""Parsers of the ceph_config role on captured output."""

from pathlib import Path

import pytest

from meshctl.roles.ceph_config import parse

DATA = Path(__file__).parent / "data"


def test_fsid_of_a_real_ceph_conf() -> None:
    assert parse.fsid((DATA / "ceph.conf").read_text()) == "25ba3556-bf5f-43b4-8b83-afb67ec1f63b"


@pytest.mark.parametrize(
    ("conf", "fsid"),
    [
        ("[global]\n\tfsid=ABC # mine\n", "abc"),
        ("[global]\nfsid = abc ; mine\n", "abc"),
        ("# fsid = abc\n[global]\nfsid_of_another = x\n", None),
        ("", None),
    ],
)
def test_fsid_is_found_as_ceph_finds_it(conf: str, fsid: str | None) -> None:
    assert parse.fsid(conf) == fsid


def test_keyring_with_two_entities() -> None:
    keys = parse.keyring((DATA / "keyring").read_text())
    assert list(keys) == ["mon.", "client.incus"]
    assert set(keys.values()) == {"AQBgJABrA56JMBAA9bxB3Ufba/pb+X4AfDwkdQ=="}


def test_what_is_rendered_is_read_back() -> None:
    text = parse.render_keyring({"mon.": "AQ==", "client.x": "Ag=="}, {"mon.": {"mon": "allow *"}})
    assert text == '[mon.]\n\tkey = AQ==\n\tcaps mon = "allow *"\n[client.x]\n\tkey = Ag==\n'
    assert parse.keyring(text) == {"mon.": "AQ==", "client.x": "Ag=="}


def test_no_keyring_is_an_error_that_tells_no_key() -> None:
    with pytest.raises(ValueError, match="not a keyring") as caught:
        parse.keyring("secret AQ==")
    assert "AQ==" not in str(caught.value)


def test_release_of_the_packages() -> None:
    assert parse.release((DATA / "version.txt").read_text()) == "reef"
    with pytest.raises(ValueError, match="release"):
        parse.release("command not found")
