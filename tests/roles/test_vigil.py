"""The vigil's scripts really run; systemd is played by two small programs."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path

import pytest

from meshctl.host import lockscripts
from meshctl.host.base import RUN_TIMEOUT, Result
from meshctl.host.fake import FakeHost
from meshctl.host.wait import until
from meshctl.roles import vigil

# As systemd does: in the arguments of a unit `$$` is a dollar.
_SYSTEMD_RUN = """#!{python}
import subprocess, sys
words = sys.argv[sys.argv.index("--") + 1:]
quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
subprocess.Popen([word.replace("$$", "$") for word in words], start_new_session=True, **quiet)
"""


@pytest.fixture
async def run() -> AsyncIterator[asyncio.subprocess.Process]:
    """The process that holds the run's lock."""
    process = await asyncio.create_subprocess_exec("sleep", "600")
    yield process
    if process.returncode is None:
        process.kill()
        await process.wait()


class Here(FakeHost):
    """This machine, with the lock in a folder of its own and a systemd of our own."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        programs = {"systemd-run": _SYSTEMD_RUN.format(python=sys.executable), "systemctl": "#!/bin/sh\nexit 3\n"}
        for name, text in programs.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def lock(self, pid: int) -> None:
        start = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        (self._folder / "holder").write_text(f"epoch {pid} {start}\n{{}}\n")

    async def safeguard(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = RUN_TIMEOUT,  # noqa: ASYNC109  (contract of Host)
        fresh: float | None = None,
    ) -> Result | None:
        del stdin, timeout, fresh
        here = [str(self._folder) if word == lockscripts.FOLDER else word for word in argv]
        environment = {**os.environ, "PATH": f"{self._folder}:{os.environ['PATH']}"}
        process = await asyncio.create_subprocess_exec(*here, stderr=asyncio.subprocess.PIPE, env=environment)
        _, said = await process.communicate()
        return self._end(here, process.returncode or 0, said.decode(), (0,))

    def _end(self, argv: Sequence[str], status: int, said: str, ok: Collection[int]) -> Result:
        assert status in ok, said
        return Result(tuple(argv), status, "", said)


async def test_the_command_runs_when_the_run_is_over(tmp_path: Path, run: asyncio.subprocess.Process) -> None:
    host, mark, proof = Here(tmp_path), tmp_path / "mark", tmp_path / "proof"
    host.lock(run.pid)
    await vigil.keep(
        host,
        "noout-node1",
        ["sh", "-c", 'kill -0 "$1" 2>"$2" || touch "$3"', "sh", str(run.pid), str(proof), str(mark)],
    )
    run.kill()
    await run.wait()

    async def missing() -> str:
        return "" if mark.exists() else f"nobody ran the command, or too early: {proof.exists()}"

    await until("the command", missing, timeout=30)


async def test_without_a_lock_nobody_would_know_when_the_run_is_over(
    tmp_path: Path, run: asyncio.subprocess.Process
) -> None:
    host = Here(tmp_path)
    with pytest.raises(AssertionError, match="no run holds the lock"):
        await vigil.keep(host, "noout-node1", ["true"])
    host.lock(run.pid)
    run.kill()
    await run.wait()
    with pytest.raises(AssertionError, match="no run holds the lock"):
        await vigil.keep(host, "noout-node1", ["true"])
