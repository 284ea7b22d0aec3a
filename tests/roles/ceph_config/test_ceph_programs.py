"""The programs that ceph_config puts on hosts, run here."""

import ctypes.util
import json
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshctl.roles.ceph import ASK
from meshctl.roles.ceph_config.role import SHIMS, CephConfigRole
from tests.roles import golden


def program(path: str, folder: Path) -> Path:
    files = CephConfigRole(golden.topology("triangle")).render(golden.topology("triangle").nodes[0])
    target = folder / Path(path).name
    target.write_bytes(files[path].content)
    return target


def run(*argv: object) -> Any:
    done = subprocess.run([sys.executable, *map(str, argv)], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Path]:
    """A daemon with an admin socket that says what it was asked; asked for nothing, it ends."""
    path = tmp_path / "daemon.asok"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=echo, args=(server,))
        thread.start()
        yield path
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(path))
        thread.join()


def echo(server: socket.socket) -> None:
    asked = b"x"
    while asked:
        link, _ = server.accept()
        with link:
            asked = link.recv(4096)
            if asked:
                link.sendall(struct.pack(">I", len(asked) - 1) + asked[:-1])


def test_a_daemon_is_asked_through_its_socket(tmp_path: Path, daemon: Path) -> None:
    ask = {"prefix": "mon_status", "to": str(daemon)}
    answers = run(program(ASK, tmp_path), 5, json.dumps(ask), json.dumps([ask, ask]))
    assert [answer["status"] for answer in answers] == [0, 0, 0]
    assert json.loads(answers[0]["output"]) == {"prefix": "mon_status"}


def test_a_missing_daemon_is_an_answer(tmp_path: Path) -> None:
    (answer,) = run(program(ASK, tmp_path), 5, json.dumps({"prefix": "x", "to": "/nowhere"}))
    assert answer["status"] == -2
    assert "FileNotFoundError" in answer["error"]


def test_nothing_follows_a_change_that_failed(tmp_path: Path, daemon: Path) -> None:
    fails, works = {"prefix": "change", "to": "/nowhere"}, {"prefix": "x", "to": str(daemon)}
    assert len(run(program(ASK, tmp_path), 5, json.dumps(fails), json.dumps(works))) == 1
    question = json.dumps({**fails, "format": "json"})
    assert len(run(program(ASK, tmp_path), 5, question, json.dumps(works))) == 2


@pytest.mark.skipif(not ctypes.util.find_library("crypt"), reason="no libcrypt on this machine")
def test_bcrypt_stand_in_hashes_as_bcrypt_does(tmp_path: Path) -> None:
    program(f"{SHIMS}/bcrypt.py", tmp_path)
    script = (
        "import sys, json; sys.path.insert(0, sys.argv[1]); import bcrypt;"
        "salt = b'$2b$04$abcdefghijklmnopqrstuu'; h = bcrypt.hashpw(b'x' * 100, salt);"
        "own = bcrypt.hashpw(b'pw', bcrypt.gensalt(4));"
        "print(json.dumps([h == bcrypt.hashpw(b'x' * 72, salt), bcrypt.checkpw(b'pw', own),"
        " bcrypt.checkpw(b'no', own), own[:7].decode(), len(own)]))"
    )
    assert run("-c", script, tmp_path) == [True, True, False, "$2b$04$", 60]


def test_mgr_module_gets_the_attribute_that_ceph_mgr_reads(tmp_path: Path) -> None:
    program(f"{SHIMS}/sitecustomize.py", tmp_path)
    (tmp_path / "mgr_module.py").write_text("class MgrModule:\n    pass\n")
    script = (
        "import sys, json; sys.path.insert(0, sys.argv[1]); import sitecustomize, importlib;"
        "s = importlib.reload(sitecustomize) if 'Mender' not in vars(sitecustomize) else sitecustomize;"
        "import mgr_module; print(json.dumps(mgr_module.MgrModule.NOTIFY_TYPES))"
    )
    assert run("-S", "-c", script, tmp_path) == []
