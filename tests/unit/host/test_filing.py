import hashlib
import io
import stat
import tarfile

import pytest

from meshctl.host.base import File
from meshctl.host.filing import Seen, advice, archive, check_path, differing, parse_look, staged, still_different, store

CONTENT = b"content\n"
SHA = hashlib.sha256(CONTENT).hexdigest()
LOOKED = (
    b"81a4 0 64045 root ceph /etc/a b\0a1ff 0 0 root root /etc/link\n2\x0041ed 0 0 root root /etc/dir\0\0"
    + f"{SHA}  /etc/a b\0".encode()
)


def test_what_look_prints() -> None:
    assert parse_look(LOOKED) == {
        "/etc/a b": Seen(0o100644, "0", "64045", "root", "ceph", SHA),
        "/etc/link\n2": Seen(0o120777, "0", "0", "root", "root"),
        "/etc/dir": Seen(0o040755, "0", "0", "root", "root"),
    }


def test_what_look_prints_when_nothing_is_there() -> None:
    assert parse_look(b"\0") == {}


@pytest.mark.parametrize(
    ("file", "same"),
    [
        (File(CONTENT, 0o644, "root", "ceph"), True),
        (File(CONTENT, 0o644, "0", "64045"), True),
        (File(CONTENT + b"x", 0o644, "root", "ceph"), False),
        (File(CONTENT, 0o640, "root", "ceph"), False),
        (File(CONTENT, 0o644, "ceph", "ceph"), False),
        (File(CONTENT, 0o644, "root", "root"), False),
    ],
)
def test_what_differs(file: File, *, same: bool) -> None:
    assert differing({"/etc/a b": file}, parse_look(LOOKED)) == ([] if same else ["/etc/a b"])


@pytest.mark.parametrize("path", ["/etc/dir", "/etc/link\n2", "/etc/missing"])
def test_what_is_no_file_differs(path: str) -> None:
    seen = parse_look(LOOKED)
    assert differing({path: File(b"", stat.S_IMODE(0o777))}, seen) == [path]


def test_the_stream_is_closed_to_others_and_beside_the_targets() -> None:
    with tarfile.open(fileobj=io.BytesIO(archive({"/etc/frr/frr.conf": File(b"x", 0o4755)}, "ab12"))) as tar:
        member = tar.getmembers()[0]
    assert (member.name, member.mode, member.size) == ("etc/frr/.meshctl-new.ab12/frr.conf", 0o600, 1)
    assert staged("/file", "ab12") == "/.meshctl-new.ab12/file"


def test_the_script_has_no_content() -> None:
    files = {"/etc/key": File(b"s3cret", 0o600, secret=True)}
    assert "s3cret" not in " ".join(store(files, "ab12"))
    assert "s3cret" not in still_different(files, {}, ["/etc/key"])
    assert "should be root:root 0600" in still_different(files, {}, ["/etc/key"])
    assert "is missing" in still_different(files, {}, ["/etc/key"])


def test_owner_and_mode_are_set_before_the_move() -> None:
    steps = store({"/etc/a": File(b"", 0o640, "root", "frr")}, "ab12")[2].splitlines()
    order = [
        next(n for n, step in enumerate(steps) if step.startswith(word)) for word in ("tar", "chown", "chmod", "mv")
    ]
    assert order == sorted(order)


@pytest.mark.parametrize("path", ["", "x", "/", "/a/", "/a/../b", "/a//b", "/a\0"])
def test_paths_that_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        check_path(path)


@pytest.mark.parametrize(
    "said", ["chown: invalid group: 'x'", "mv: cannot overwrite directory", "No space left on device"]
)
def test_common_refusals_have_advice(said: str) -> None:
    assert advice(said)
    assert not advice("something else")
