"""The virtual machines and the command line on them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VAGRANT = ROOT / "vagrant"

_SSH_SECONDS = 120


class StageError(Exception):
    """A stage did not show what it has to."""


@dataclass(frozen=True)
class Machines:
    """The hosts of a topology as machines of `vagrant/`, reached by the configuration that Vagrant prints."""

    names: tuple[str, ...]
    topology: Path
    folder: Path
    ends: float
    """`time.monotonic()` of the run's own deadline: no command goes on after it."""

    @property
    def ssh_config(self) -> Path:
        """What `vagrant ssh-config` printed when all machines were on."""
        return self.folder / "ssh_config"

    def vagrant(self, *words: str, seconds: float = 3600, environment: Mapping[str, str] | None = None) -> str:
        """Vagrant's standard output."""
        return self._run(["vagrant", *words], seconds, cwd=VAGRANT, environment=environment)

    def meshctl(self, *words: str, seconds: float = 3600, codes: tuple[int, ...] = (0,)) -> dict[str, Any]:
        """The JSON object of a command."""
        argv = [sys.executable, "-m", "meshctl", f"--ssh-config={self.ssh_config}", f"--state-dir={self.folder}/state"]
        document: dict[str, Any] = json.loads(self._run([*argv, "--output=json", *words], seconds, codes=codes))
        return document

    def on(self, node: str, *argv: str, stdin: str = "", seconds: float = _SSH_SECONDS) -> str:
        """Standard output of a command on a machine, run as root."""
        line = ["ssh", "-F", str(self.ssh_config), node, "sudo", "-n", "--", *map(_quoted, argv)]
        return self._run(line, seconds, stdin=stdin)

    def until(self, what: str, probe: Callable[[], str], *, seconds: float) -> None:
        """Ask every ten seconds until `probe` has nothing to complain of."""
        give_up = min(time.monotonic() + seconds, self.ends)
        while seen := probe():
            if time.monotonic() > give_up:
                raise StageError(f"waited for {what}; last seen: {seen}")
            time.sleep(10)

    def _run(
        self, argv: list[str], seconds: float, *, cwd: Path = ROOT, stdin: str = "",
        codes: tuple[int, ...] = (0,), environment: Mapping[str, str] | None = None,
    ) -> str:  # fmt: skip
        left = min(seconds, self.ends - time.monotonic())
        if left <= 0:
            raise StageError("the run's deadline has come")
        with (self.folder / "log").open("a") as log:
            log.write(f"+ {' '.join(argv)}\n")
            log.flush()
            try:
                done = subprocess.run(
                    argv, cwd=cwd, input=stdin, stdout=subprocess.PIPE, stderr=log, text=True, timeout=left,
                    check=False, env={**os.environ, **(environment or {})},
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                raise StageError(f"`{' '.join(argv)}` did not finish within {left:.0f} s") from None
            log.write(done.stdout)
        if done.returncode not in codes:
            tail = (self.folder / "log").read_text(errors="replace").splitlines()[-12:]
            raise StageError(f"`{' '.join(argv)}` exited with {done.returncode}:\n  " + "\n  ".join(tail))
        return done.stdout


def _quoted(word: str) -> str:
    """One word for the remote shell."""
    return "'" + word.replace("'", "'\\''") + "'"
