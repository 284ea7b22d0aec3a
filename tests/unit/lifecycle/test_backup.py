"""Backups: nothing plain on the disk, damage is noticed, and what can't be had is said."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pyrage
import pytest

from meshctl.cli.backup import VERDICTS, as_json, chosen, envelope_of, lines, passphrase_in
from meshctl.cli.options import Options
from meshctl.cli.report import as_json as report_json
from meshctl.cluster import Cluster
from meshctl.errors import HostError, MeshctlError, SecretsError, UsageError
from meshctl.events import Event
from meshctl.host.fake import FakeHost
from meshctl.lifecycle.archive import LIST, Archive, Contents, inspect
from meshctl.lifecycle.backing import Backup
from meshctl.lifecycle.envelope import DamagedError, Envelope
from meshctl.lifecycle.layers import part
from meshctl.roles.backup import CHUNK, Piece, files, large, output, piece
from meshctl.roles.base import Role
from meshctl.roles.discovery import discover
from meshctl.secrets import PLAIN, Seal
from meshctl.state import StateFolder
from tests.roles import golden
from tests.unit.cli.schemas import check

TRIANGLE = golden.topology("triangle")
NEEDLE = b"a needle that nobody may find on the disk"
CONTENTS = Contents("triangle", "today", "anna on laptop7", ())


@pytest.fixture
def envelope(tmp_path: Path) -> Envelope:
    identity = pyrage.x25519.Identity.generate()
    file = tmp_path / "identity"
    file.touch(mode=0o600)
    file.write_text(str(identity))
    return Envelope(Seal((str(identity.to_public()),), file))


def drafts(folder: Path) -> list[Path]:
    return list(folder.glob(".*"))


async def written(path: Path, envelope: Envelope, *pieces: Piece) -> Contents:
    async with Archive(path, envelope) as archive:
        for one in pieces:
            await archive.add(one)
        contents = Contents("triangle", "today", "anna on laptop7", tuple(archive.members))
        assert await archive.finish(contents) > sum(one.size for one in contents.members)
    return contents


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
async def test_what_was_put_in_is_read_back(tmp_path: Path, envelope: Envelope, passphrase: str | None) -> None:
    envelope = Envelope(PLAIN, passphrase) if passphrase else envelope
    path = tmp_path / "b.tar.age"
    big = os.urandom(3_000_000)
    contents = await written(path, envelope, piece("a", NEEDLE), piece("d/big", big), piece("empty", b""))
    assert inspect(path, envelope) == contents
    assert [(one.name, one.size) for one in contents.members] == [
        ("a", len(NEEDLE)),
        ("d/big", 3_000_000),
        ("empty", 0),
    ]
    assert path.stat().st_mode & 0o777 == 0o600
    assert NEEDLE not in path.read_bytes()
    assert path.read_bytes().startswith(b"age-encryption.org/v1")
    assert drafts(tmp_path) == []


async def test_the_draft_on_the_disk_is_never_plain(tmp_path: Path, envelope: Envelope) -> None:
    async with Archive(tmp_path / "b", envelope) as archive:
        await archive.add(piece("a", NEEDLE * 50_000))
        (draft,) = drafts(tmp_path)
        assert draft.stat().st_mode & 0o777 == 0o600
        assert NEEDLE not in draft.read_bytes()
    assert drafts(tmp_path) == []  # not finished, so nothing is left
    assert not (tmp_path / "b").exists()


async def test_damage_is_noticed(tmp_path: Path, envelope: Envelope) -> None:
    path = tmp_path / "b"
    await written(path, envelope, piece("a", os.urandom(300_000)))
    whole = path.read_bytes()
    for damaged in (whole[:-100_000], whole[:150_000] + b"X" + whole[150_001:], whole[:-1]):
        path.write_bytes(damaged)
        with pytest.raises(DamagedError, match="damaged or cut off"):
            inspect(path, envelope)
    path.write_bytes(b"something else")
    with pytest.raises(SecretsError, match="not opened"):
        inspect(path, envelope)


async def test_a_list_that_lies_is_noticed(tmp_path: Path, envelope: Envelope) -> None:
    path = tmp_path / "b"
    async with Archive(path, envelope) as archive:
        await archive.add(piece("a", b"x"))
        await archive.finish(CONTENTS)
    with pytest.raises(DamagedError, match="does not hold what it lists: a"):
        inspect(path, envelope)
    with path.open("wb") as stream:
        stream.write(pyrage.encrypt(bytes(10240), [pyrage.x25519.Recipient.from_str(envelope.seal.recipients[0])]))
    with pytest.raises(DamagedError, match=LIST):
        inspect(path, envelope)


async def test_a_strangers_identity_opens_nothing(tmp_path: Path, envelope: Envelope) -> None:
    path = tmp_path / "b"
    await written(path, envelope)
    for other in (Envelope(PLAIN, "guess"), Envelope(Seal(identity=None))):
        with pytest.raises(SecretsError):
            inspect(path, other)


async def test_a_full_disk_is_an_error_and_no_hang(envelope: Envelope) -> None:
    with pytest.raises(MeshctlError, match="can't be written"):
        await fill(_full(envelope))


async def fill(archive: Archive) -> None:
    async with asyncio.timeout(60), archive:
        for number in range(64):
            await archive.add(piece(str(number), os.urandom(1 << 20)))


def _full(envelope: Envelope) -> Archive:
    class Full(Archive):
        def _seal(self, reading: int, descriptor: int) -> None:
            os.close(descriptor)
            super()._seal(reading, os.open("/dev/full", os.O_WRONLY))

    return Full(Path("/tmp") / f"never-{os.getpid()}", envelope)


async def test_a_piece_that_breaks_off_leaves_no_archive(tmp_path: Path, envelope: Envelope) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"12"
        raise HostError("node1", "gone")

    async with Archive(tmp_path / "b", envelope) as archive:
        with pytest.raises(HostError, match="gone"):
            await archive.add(Piece("a", 4, parts()))
        with pytest.raises(MeshctlError, match="a should have 4 bytes; 2 came"):
            await archive.finish(CONTENTS)
    assert not (tmp_path / "b").exists()


async def test_bytes_of_commands_and_files_come_as_they_are() -> None:
    raw = bytes(range(256))
    host = FakeHost().on("bash * some command", base64.b64encode(raw).decode())
    one = await output(host, "x", ["some", "command"])
    assert [chunk async for chunk in one.chunks] == [raw]
    host.on("sh *", f"/etc/a\n{base64.b64encode(raw).decode()}\n/etc/b\n\n")
    assert [(one.name, one.size) async for one in files(host, "/etc/*")] == [
        ("hosts/node1/etc/a", 256), ("hosts/node1/etc/b", 0)]  # fmt: skip
    host.on("bash * other", "tHe SeCrEt!")
    with pytest.raises(HostError, match="no base64") as caught:
        await output(host, "x", ["other"])
    assert "SeCrEt" not in str(caught.value)
    host.on("sh *", f"Welcome!\n/etc/abc\n{base64.b64encode(raw).decode()}\n")
    with pytest.raises(HostError, match="no base64"):
        assert [one async for one in files(host, "/etc/*")] == []


async def test_large_files_come_in_parts() -> None:
    host = FakeHost().on("stat *", f"{CHUNK + 3}\n")
    host.on("bash * /f * 0", base64.b64encode(bytes(CHUNK)).decode()).on("bash * /f * 1", "YWJj")
    one = await large(host, "f", "/f")
    assert [len(chunk) async for chunk in one.chunks] == [CHUNK, 3]
    assert len(host.queried) == 3


@pytest.fixture
def roles() -> list[Role]:
    return [role(TRIANGLE) for role in discover().values()]


def answering(name: str) -> FakeHost:
    host = FakeHost(name=name).on("bash *", "eA==").on("sh *", "")
    return host.on("sh * /etc/ceph/ceph.conf *", "/etc/ceph/ceph.conf\neA==\n")


async def run(backup: Backup, tmp_path: Path, *hosts: FakeHost) -> list[Event]:
    events: list[Event] = []
    by_name = {host.name: host for host in hosts}
    report = await backup.run(Cluster(TRIANGLE, by_name, StateFolder(tmp_path / "state")), by_name, None, events.append)
    told = {"schema": "meshctl/backup/1", **report_json(report), **backup.as_json()}
    check(json.dumps(told), "meshctl/backup/1")
    return events


async def test_every_layers_pieces_are_in_it_and_nothing_is_changed(
    tmp_path: Path, envelope: Envelope, roles: list[Role]
) -> None:
    hosts = [answering(node.name) for node in TRIANGLE.nodes]
    backup = Backup(tmp_path / "b", envelope, roles)
    await run(backup, tmp_path, *hosts)
    assert [line for host in hosts for line in (*host.ran, *host.written)] == []
    contents = inspect(tmp_path / "b", envelope)
    assert contents.missing == ()
    names = {one.name for one in contents.members}
    assert names >= {
        "topology/triangle.yaml", "ceph/auth.keyring", "ceph/monmap", "ceph/osdmap", "ceph/config-key.json",
        "ovn/OVN_Northbound.db", "ovn/OVN_Southbound.db", "incus/global.sql",
        *(f"hosts/{node.name}/{what}" for node in TRIANGLE.nodes for what in ("incus/local.sql", "etc/ceph/ceph.conf")),
    }  # fmt: skip
    told = check(
        json.dumps({"schema": "meshctl/backup-verify/1", **as_json(backup.path, contents)}), "meshctl/backup-verify/1"
    )
    assert told["complete"]
    assert "is whole: triangle" in next(lines(backup.path, contents))


async def test_what_a_half_dead_cluster_cannot_give_is_listed(
    tmp_path: Path, envelope: Envelope, roles: list[Role]
) -> None:
    host = answering("node1").on("bash * incus admin sql global .dump", status=1, stderr="no available cowsql leader")
    backup = Backup(tmp_path / "b", envelope, roles)
    await run(backup, tmp_path, host)
    missing = inspect(tmp_path / "b", envelope).missing
    assert missing[:2] == ("node2 was not reached", "node3 was not reached")
    assert "incus.shared@node1" in missing[2]
    assert "`incus admin sql global .dump` exited with 1: no available cowsql leader" in missing[2]
    assert not backup.as_json()["complete"]


async def test_secrets_are_in_no_event(tmp_path: Path, envelope: Envelope, roles: list[Role]) -> None:
    secret = base64.b64encode(NEEDLE).decode()
    hosts = [answering(node.name).on("bash *", secret) for node in TRIANGLE.nodes]
    events = await run(Backup(tmp_path / "b", envelope, roles), tmp_path, *hosts)
    assert secret not in repr(events)
    assert NEEDLE.decode() not in repr(events)


def test_every_role_with_secrets_or_databases_takes_part(roles: list[Role]) -> None:
    taking_part = {role.name for role in roles if part(role, "backup")}
    assert taking_part >= {"ceph_mon", "ovn", "incus", "pki"}


def test_somebody_must_be_able_to_open_it(tmp_path: Path, envelope: Envelope) -> None:
    with pytest.raises(UsageError, match="nobody is named who could open"):
        envelope_of(Options(), TRIANGLE, (), None, again=True)
    with pytest.raises(UsageError, match="no age recipient"):
        envelope_of(Options(), TRIANGLE, ("age1nonsense",), None, again=True)
    assert envelope_of(Options(), TRIANGLE, envelope.seal.recipients, None, again=True).closes
    with pytest.raises(UsageError, match="nothing is named that opens"):
        envelope_of(Options(), TRIANGLE, (), None, again=False)
    file = tmp_path / "p"
    file.touch(mode=0o600)
    file.write_text("correct horse\nanother line\n")
    assert envelope_of(Options(), TRIANGLE, (), file, again=True) == Envelope(PLAIN, "correct horse")
    assert "correct" not in repr(envelope_of(Options(), TRIANGLE, (), file, again=True))
    file.chmod(0o644)
    with pytest.raises(SecretsError, match=r"passphrase file .* has mode 0644"):
        passphrase_in(file)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    assert chosen(tmp_path, "triangle").parent == tmp_path
    (tmp_path / "there").touch()
    with pytest.raises(UsageError, match="not overwritten"):
        chosen(tmp_path / "there", "triangle")
    assert VERDICTS
