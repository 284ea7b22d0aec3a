"""Which cluster a host's ceph.conf names."""

from pathlib import Path

import pytest

from meshctl.host.fake import FakeHost
from meshctl.roles.fsid import common, fsid, stated

CONF = (Path(__file__).parent / "ceph_config" / "data" / "ceph.conf").read_text()
FSID = "25ba3556-bf5f-43b4-8b83-afb67ec1f63b"


def test_fsid_of_a_real_ceph_conf() -> None:
    assert fsid(CONF) == FSID


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ("[global]\n\tfsid=ABC # mine\n", "abc"),
        ("[global]\nfsid = abc ; mine\n", "abc"),
        ("fsid = abc\n", "abc"),
        ("# fsid = abc\n[global]\nfsid_of_another = x\n", None),
        ("", None),
    ],
)
def test_fsid_is_found_as_ceph_finds_it(conf: str, expected: str | None) -> None:
    assert fsid(conf) == expected


async def test_a_host_without_ceph_names_no_cluster() -> None:
    assert await stated(FakeHost().on("grep -E *fsid* /etc/ceph/ceph.conf", f"fsid = {FSID}\n")) == FSID
    assert await stated(FakeHost().on("grep -E *fsid* /etc/ceph/ceph.conf", status=2)) is None


def test_what_hosts_have_in_common() -> None:
    assert common([None, FSID, FSID]) == FSID
    assert common([None, FSID, "another"]) is None
    assert common([None]) is None
