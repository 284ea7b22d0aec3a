"""`put`: what is there already stays, what differs is replaced at once, and secrets are never open to others."""

import asyncio
import getpass
import grp
import os
import stat
from pathlib import Path

import pytest

from meshctl.errors import CommandError, ConnectionLost
from meshctl.host.base import File
from meshctl.host.filing import STAGE
from meshctl.host.ssh import SshHost
from meshctl.host.wait import until
from tests.ssh.sshd import Server

ME = getpass.getuser()
MINE = grp.getgrgid(os.getgid()).gr_name


def mine(content: bytes, mode: int = 0o644, *, secret: bool = False) -> File:
    return File(content, mode, ME, MINE, secret)


def mode(path: Path | str) -> int:
    return stat.S_IMODE(Path(path).lstat().st_mode)


def content(path: str) -> bytes:
    return Path(path).read_bytes()


def inode(path: str) -> int:
    return Path(path).stat().st_ino


def owner(path: str) -> tuple[int, int]:
    return Path(path).stat().st_uid, Path(path).stat().st_gid


async def test_files_and_their_folders_are_made(host: SshHost, tmp_path: Path) -> None:
    a, b = tmp_path / "one/two/a", tmp_path / "b"
    written = await host.put({str(a): mine(b"A\0\xff"), str(b): mine(b"", 0o600)})
    assert written == {str(a), str(b)}
    assert (a.read_bytes(), mode(a), b.read_bytes(), mode(b)) == (b"A\0\xff", 0o644, b"", 0o600)
    assert mode(tmp_path / "one") == mode(tmp_path / "one/two") == 0o755
    assert host.round_trips == 2


async def test_what_is_there_already_is_left_alone(host: SshHost, tmp_path: Path) -> None:
    files = {str(tmp_path / f"d{n % 3}/f{n}"): mine(b"x" * n, 0o640) for n in range(20)}
    assert await host.put(files) == set(files)
    before = {path: inode(path) for path in files}
    trips = host.round_trips
    assert await host.put(files) == frozenset()
    assert host.round_trips == trips + 1
    assert {path: os.stat(path).st_ino for path in files} == before  # noqa: PTH116


async def test_only_what_differs_is_written(host: SshHost, tmp_path: Path) -> None:
    same, changed, loose = (str(tmp_path / name) for name in ("same", "content", "mode"))
    await host.put({same: mine(b"1"), changed: mine(b"2"), loose: mine(b"3")})
    files = {same: mine(b"1"), changed: mine(b"two"), loose: mine(b"3", 0o600)}
    assert await host.differing(files) == {changed, loose}
    assert await host.put(files) == {changed, loose}
    assert (content(changed), mode(loose)) == (b"two", 0o600)


async def test_nothing_to_put(host: SshHost) -> None:
    assert await host.put({}) == frozenset()
    assert host.round_trips == 0


@pytest.mark.parametrize(
    "name",
    ["a b", "it's", '"', "$(id)", "`id`", "-rf", "--", "\\", "a\nb", "é日本🙂", "*", "~", "!x", "x" * 200, " ", "\\n"],
)
async def test_nasty_names(host: SshHost, tmp_path: Path, name: str) -> None:
    path = tmp_path / "dir" / name / name
    assert await host.put({str(path): mine(b"content")}) == {str(path)}
    assert path.read_bytes() == b"content"
    assert await host.put({str(path): mine(b"content")}) == frozenset()
    assert [child.name for child in path.parent.iterdir()] == [name]


@pytest.mark.parametrize("path", ["relative", "/", "/a/../b", "/a//b", "/a/", "/a\0b", ""])
async def test_paths_must_be_plain(host: SshHost, path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        await host.put({path: mine(b"")})


async def test_a_symbolic_link_is_replaced_itself(host: SshHost, tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_bytes(b"content")
    link.symlink_to(victim)
    assert await host.put({str(link): mine(b"content")}) == {str(link)}
    assert not link.is_symlink()
    link.unlink()
    link.symlink_to(tmp_path)  # to a folder: moving into it would be wrong
    assert await host.put({str(link): mine(b"new")}) == {str(link)}
    assert (link.is_symlink(), link.read_bytes(), victim.read_bytes()) == (False, b"new", b"content")


def left_in(folder: Path) -> list[Path]:
    return list(folder.glob(f"{STAGE}*"))


async def test_a_folder_in_the_place_of_a_file_is_refused(host: SshHost, tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/precious").touch()
    with pytest.raises(CommandError) as caught:
        await host.put({str(tmp_path / "conf"): mine(b"x")})
    assert "A folder stands" in caught.value.advice
    assert (tmp_path / "conf/precious").exists()
    assert not left_in(tmp_path)


async def test_an_owner_that_does_not_exist_yet(host: SshHost, tmp_path: Path) -> None:
    target = tmp_path / "ceph.conf"
    target.write_bytes(b"old")
    with pytest.raises(CommandError, match="invalid user") as caught:
        await host.put({str(target): File(b"new s3cret", 0o600, "no-such-user", MINE, secret=True)})
    assert "s3cret" not in str(caught.value)
    assert "package or role" in caught.value.advice
    assert target.read_bytes() == b"old"
    assert not left_in(tmp_path)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")
async def test_owners_by_name_and_by_number(host: SshHost, tmp_path: Path) -> None:
    files = {
        str(tmp_path / "name"): File(b"1", 0o640, "daemon", "mail"),
        str(tmp_path / "id"): File(b"2", 0o4755, "1", "8"),
    }
    assert await host.put(files) == set(files)
    assert [(*owner(path), mode(path)) for path in files] == [(1, 8, 0o640), (1, 8, 0o4755)]
    assert await host.put(files) == frozenset()


async def test_half_way_a_secret_is_closed_and_the_old_file_is_whole(
    host: SshHost, server: Server, tmp_path: Path
) -> None:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o755)
    target = folder / "key"
    target.write_bytes(b"old")
    server.hold_after = 40_000
    put = asyncio.create_task(host.put({str(target): mine(b"s3cret" * 50_000, 0o640, secret=True)}))

    async def started() -> str:
        return "" if any(half.stat().st_size for half in folder.glob(f"{STAGE}.*/key")) else "nothing yet"

    await until("half a file", started, timeout=5, every=0.01)
    [staged] = folder.glob(f"{STAGE}.*/key")
    assert (mode(staged.parent), mode(staged)) == (0o700, 0o600)
    assert target.read_bytes() == b"old"
    server.release.set()
    assert await put == {str(target)}
    assert (target.read_bytes(), mode(target)) == (b"s3cret" * 50_000, 0o640)
    assert not staged.parent.exists()


async def test_a_connection_lost_half_way_leaves_the_old_file(host: SshHost, server: Server, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    server.hold_after = 40_000
    put = asyncio.create_task(host.put({str(target): mine(b"new" * 100_000)}))
    await server.held.wait()
    server.drop()
    with pytest.raises(ConnectionLost):
        await put
    assert target.read_bytes() == b"old"
    server.hold_after = None
    server.release.set()
    await host.reconnect()
    assert await host.put({str(target): mine(b"new")}) == {str(target)}


async def test_what_a_killed_run_left_is_removed(host: SshHost, tmp_path: Path) -> None:
    left_over = tmp_path / f"{STAGE}.0123"
    left_over.mkdir()
    (left_over / "file").write_bytes(b"half")
    (left_over / "other").write_bytes(b"half")
    await host.put({str(tmp_path / "file"): mine(b"whole")})
    assert (tmp_path / "file").read_bytes() == b"whole"
    assert not left_in(tmp_path)


async def test_puts_at_the_same_time_into_the_same_folder(host: SshHost, tmp_path: Path) -> None:
    paths = [str(tmp_path / f"f{n}") for n in range(10)]
    results = await asyncio.gather(*(host.put({path: mine(path.encode())}) for path in paths))
    assert results == [frozenset([path]) for path in paths]
    assert all(content(path) == path.encode() for path in paths)


async def test_many_and_large_files(host: SshHost, tmp_path: Path) -> None:
    files = {str(tmp_path / f"f{n}"): mine(os.urandom(20_000)) for n in range(100)}
    async with asyncio.timeout(20):
        assert await host.put(files) == set(files)
        assert await host.put(files) == frozenset()


async def test_a_read_only_place_is_an_error_that_names_it(host: SshHost) -> None:
    with pytest.raises(CommandError, match="/proc"):
        await host.put({"/proc/meshctl/file": mine(b"x")})
