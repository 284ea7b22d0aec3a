"""The installer, really run: in a folder instead of a root, with an apt that says what it is told to say."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from meshctl.roles.system import packages

POLICY = "usr/sbin/policy-rc.d"
KEYRING = "/etc/apt/keyrings/zabbly.asc"
URL = "https://pkgs.example.org/key.asc"
WANTED = "4EFC590696CB15B87C73A3AD82CC8797C838DCFD"
OTHER = "00112233445566778899AABBCCDDEEFF00112233"

APT_GET = r"""#!/bin/sh
[ ! -e "$ROOT/usr/sbin/policy-rc.d" ] || echo "policy: $(tail -n 1 "$ROOT/usr/sbin/policy-rc.d")"
for word; do case $word in -* | *::*) ;; *) words="$words $word" ;; esac done
echo "apt-get$words"
grep -qsxF -- "$words" "$ROOT/failing" && { echo "E: can't do$words"; exit 100; }
exit 0
"""
APT_HELPER = '#!/bin/sh\necho "download $2"\necho key >"$3"\n'
GPG = '#!/bin/sh\ncat "$ROOT/keys"\n'


@dataclass
class Machine:
    """A host's file system, and what its tools say."""

    path: Path

    def file(self, name: str) -> Path:
        return self.path / name.lstrip("/")

    def put(self, name: str, content: str) -> None:
        self.file(name).parent.mkdir(parents=True, exist_ok=True)
        self.file(name).write_text(content)
        self.file(name).chmod(0o755)

    def keys(self, *fingerprints: str) -> None:
        """What gpg shows of the downloaded file: each key with a subkey."""
        rows = (f"pub:-:\nfpr:::::::::{one}:\nsub:-:\nfpr:::::::::{'9' * 40}:\n" for one in fingerprints)
        self.put("keys", "".join(rows))

    def fail(self, *words: str) -> None:
        self.put("failing", "".join(f" {' '.join(words)}\n"))

    def install(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.file("tools")), "ROOT": str(self.path), "MESHCTL_ROOT": str(self.path)}
        return subprocess.run(
            ["/bin/sh", "-s", "--", *arguments],
            input=packages.INSTALL.decode(),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @property
    def log(self) -> str:
        return self.file("var/log/meshctl-packages.log").read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    for folder in ("run", "var/log", "usr/sbin"):
        made.file(folder).mkdir(parents=True)
    made.file("tools").mkdir()
    for name in ("awk", "cat", "chmod", "date", "flock", "grep", "mkdir", "mv", "rm", "seq", "sleep", "tail", "wc"):
        made.file(f"tools/{name}").symlink_to(shutil.which(name) or name)
    made.put("tools/apt-get", APT_GET)
    made.put("tools/dpkg", "#!/bin/sh\n")
    made.put("tools/gpg", GPG)
    made.put("usr/lib/apt/apt-helper", APT_HELPER)
    return made


def test_nothing_starts_while_packages_are_installed(machine: Machine) -> None:
    done = machine.install("--", "frr", "lvm2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert machine.log.splitlines()[-2:] == ["policy: exit 101", "apt-get install frr lvm2"]
    assert not machine.file(POLICY).exists()


def test_a_policy_of_the_operators_stays(machine: Machine) -> None:
    machine.put(POLICY, "#!/bin/sh\nexit 104\n")
    machine.install("--", "frr")
    assert machine.file(POLICY).read_text().endswith("exit 104\n")


def test_the_errors_of_this_run_are_told_and_no_others(machine: Machine) -> None:
    machine.fail("install", "frr")
    first = machine.install("--", "frr")
    assert first.returncode == 100
    assert first.stderr.splitlines()[0] == "E: can't do install frr"
    assert not machine.file(POLICY).exists()
    machine.fail("update")
    second = machine.install("--", "frr")
    assert second.stderr == f"E: can't do update\nall of it: {machine.file('var/log/meshctl-packages.log')}\n"


def test_a_key_with_the_pinned_fingerprint_is_kept(machine: Machine) -> None:
    machine.keys(WANTED)
    assert machine.install(URL, KEYRING, WANTED, "--", "incus").returncode == 0
    assert machine.file(KEYRING).read_text() == "key\n"
    assert machine.log.index(f"download {URL}") < machine.log.index("apt-get update")
    machine.install(URL, KEYRING, WANTED, "--", "incus")
    assert machine.log.count("download") == 1


@pytest.mark.parametrize("found", [(OTHER,), (WANTED, OTHER), (OTHER, WANTED), ()])
def test_a_file_with_any_other_key_is_refused(machine: Machine, found: tuple[str, ...]) -> None:
    machine.keys(*found)
    done = machine.install(URL, KEYRING, WANTED, "--", "incus")
    assert done.returncode == 1
    assert f"E: {URL} has the key" in done.stderr
    assert not machine.file(KEYRING).exists()
    assert "apt-get install incus" not in machine.log


def test_a_fresh_host_gets_lists_before_it_gets_gpg(machine: Machine) -> None:
    machine.file("tools/gpg").unlink()
    machine.fail("update")
    done = machine.install(URL, KEYRING, WANTED, "--", "incus")
    assert done.returncode == 1
    log = machine.log
    assert log.index("apt-get update") < log.index("apt-get install ca-certificates gpg")
