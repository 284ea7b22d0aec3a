"""Parsers of the ceph_config role on captured output."""

from pathlib import Path

import pytest

from meshctl.roles.ceph_config import parse

DATA = Path(__file__).parent / "data"


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
