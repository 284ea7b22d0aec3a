"""A cluster at work, and witnesses that keep the time of everything that does not answer.

On every host a writer through librbd; one instance per host, each pinging all others and the uplink's gateway; an HTTP
service in one of them, asked from outside through the uplink. All write down when something answered; the judging is
done afterwards.
"""

import base64
import itertools
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.conftest import Lab

NODES = ("node1", "node2", "node3")
ADDRESS = {node: f"10.158.0.{10 + number}" for number, node in enumerate(NODES, 1)}
GATEWAY = "203.0.113.1"
SERVED, SERVICE = "node2", "198.51.100.1"
"""The instance with the HTTP service, by its home, and the service's address on the uplink."""
PING = 0.2
"""Seconds from one ping to the next."""
ASK = 0.1
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Interval:
    """Seconds since 1970."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start

    def touches(self, other: "Interval") -> bool:
        return self.start < other.end and other.start < self.end


def gaps(answers: Sequence[float], every: float) -> list[Interval]:
    """Where answers were missing: what lies between two of them beyond the time that always does."""
    return [
        Interval(before + every, after) for before, after in itertools.pairwise(answers) if after - before > 2.5 * every
    ]


@dataclass
class Client:
    """Asks the HTTP service ten times a second, in the namespace that is the world outside."""

    lab: Lab
    answers: list[float] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        argv = ["ip", "netns", "exec", f"mesh.{self.lab.name}", sys.executable, "-c", _ASKING, SERVICE, str(ASK)]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process
        assert self._process.stdout
        self.answers += [float(line) for line in self._process.stdout]

    def stop(self) -> None:
        if self._process and self._thread:
            self._process.terminate()
            self._process.wait(10)
            self._thread.join(10)


_ASKING = """
import sys, time, urllib.request
url, every = f"http://{sys.argv[1]}/", float(sys.argv[2])
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
while True:
    asked = time.time()
    try:
        with opener.open(url, timeout=1) as answer:
            if answer.read() == b"served\\n":
                print(time.time(), flush=True)
    except OSError:
        pass
    time.sleep(max(0, asked + every - time.time()))
"""


@dataclass
class Load:
    """The work on one lab."""

    lab: Lab
    client: Client

    @classmethod
    def on(cls, lab: Lab) -> "Load":
        return cls(lab, Client(lab))

    def start(self) -> None:
        """Everything runs, and has answered once, when this returns."""
        for node in NODES:
            self._put(node, "/usr/local/lib/load/writer.py", (HERE / "load_writer.py").read_text())
            self._put(node, "/etc/systemd/system/load-writer.service", _WRITER_UNIT)
            self.lab.ssh(node, "systemctl", "enable", "--now", "load-writer.service")
        self._put("node1", "/usr/local/lib/load/image.sh", _IMAGE)
        self.lab.ssh("node1", "sh", "/usr/local/lib/load/image.sh")
        for node in NODES:
            nic = f"eth0,ipv4.address={ADDRESS[node]}"
            self.lab.ssh(
                node, "incus", "launch", "-q", "load", f"on-{node}", "-s", "local", "-d", nic, "--target", node
            )
        self._open_to_the_world()
        self.client.start()
        self._until_all_answer()

    def _open_to_the_world(self) -> None:
        """A forward on a routed address, and the route to it in the world outside."""
        self.lab.ssh("node1", "incus", "network", "set", "UPLINK", f"ipv4.routes={SERVICE}/32")
        self.lab.ssh("node1", "incus", "network", "forward", "create", "overlay", SERVICE)
        self.lab.ssh("node1", *_PORT, SERVICE, "tcp", "80", ADDRESS[SERVED], "80")
        router = self.lab.ssh("node1", "incus", "network", "get", "overlay", "volatile.network.ipv4.address").strip()
        route = ["ip", "-n", f"mesh.{self.lab.name}", "route", "replace", f"{SERVICE}/32", "via", router]
        subprocess.run(route, check=True)

    def _until_all_answer(self) -> None:
        deadline = time.monotonic() + 120
        while missing := [pair for pair in self.pairs() if not self.pings(*pair)] or not self.client.answers:
            assert time.monotonic() < deadline, f"no answer yet: {missing}"
            time.sleep(1)
        time.sleep(3)  # undisturbed, for every series to have a beginning

    @staticmethod
    def pairs() -> list[tuple[str, str]]:
        """Who pings whom: home node of the one, home node of the other or `gateway`."""
        return [(one, other) for one in NODES for other in (*NODES, "gateway") if one != other]

    def pings(self, one: str, other: str) -> list[float]:
        """When the instance of `one` got answers from that of `other`."""
        target = ADDRESS.get(other, GATEWAY)
        for node in NODES:  # wherever it is now
            path = f"/var/lib/incus/storage-pools/local/containers/on-{one}/rootfs/var/ping-{target}"
            done = self.lab.call("lab", "ssh", self.lab.topology, node, "cat", path)
            if done.returncode == 0:
                return [float(stamp) for stamp in _ANSWER.findall(done.stdout)]
        return []

    def writes(self, node: str) -> list[tuple[float, float]]:
        """Writes of a host's writer that took long: when they ended, and the seconds they took."""
        return [(at, took) for at, kind, took in self._writer_log(node) if kind == "slow"]

    def failures(self, node: str) -> list[float]:
        """When an operation of a host's writer failed."""
        return [at for at, kind, _ in self._writer_log(node) if kind == "failed"]

    def written(self, node: str) -> int:
        """How many writes were acknowledged."""
        return int(max((took for _, kind, took in self._writer_log(node) if kind == "acked"), default=0))

    def _writer_log(self, node: str) -> Iterator[tuple[float, str, float]]:
        for line in self.lab.ssh(node, "cat", "/var/lib/load/writer.log").splitlines():
            at, kind, value = line.split()[:3]
            yield float(at), kind, float(value)

    def lost_writes(self, node: str) -> list[int]:
        """Stops the writer and compares every block with the last one that was acknowledged."""
        self.lab.ssh(node, "systemctl", "stop", "load-writer.service")
        lost: list[int] = json.loads(self.lab.ssh(node, "python3", "/usr/local/lib/load/writer.py", node, "verify"))
        return lost

    def stop(self) -> None:
        """Takes everything away again."""
        self.client.stop()
        for node in NODES:
            self.lab.call("lab", "ssh", self.lab.topology, node, "systemctl", "disable", "--now", "load-writer.service")
            self.lab.call("lab", "ssh", self.lab.topology, node, "rm", "-rf", "/var/lib/load")
            self.lab.call("lab", "ssh", self.lab.topology, "node1", "rbd", "rm", "--no-progress", f"incus/load-{node}")
            self.lab.call("lab", "ssh", self.lab.topology, "node1", "incus", "delete", "-q", "--force", f"on-{node}")
        for command in (
            ("network", "forward", "delete", "overlay", SERVICE),
            ("network", "unset", "UPLINK", "ipv4.routes"),
            ("image", "delete", "load"),
        ):
            self.lab.call("lab", "ssh", self.lab.topology, "node1", "incus", *command)

    def _put(self, node: str, path: str, content: str) -> None:
        encoded = base64.b64encode(content.encode()).decode()
        self.lab.ssh(node, f"mkdir -p {Path(path).parent} && echo {encoded} | base64 -d >{path}")


def total(found: Iterable[Interval]) -> float:
    return sum(gap.seconds for gap in found)


def longest(found: Iterable[Interval]) -> float:
    return max((gap.seconds for gap in found), default=0.0)


_ANSWER = re.compile(r"^\[(\d+\.\d+)\] \d+ bytes from", re.MULTILINE)
_PORT = ("incus", "network", "forward", "port", "add", "overlay")

_WRITER_UNIT = """
[Unit]
After=network.target

[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/load/writer.py %H
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
"""

# Pings and turns off checksum offload with the host's own programs: busybox' ping (which its shell prefers, unless
# there is a path) prints no times, and userspace OVS needs the checksums of TCP computed (docs/lab.md). Each ping has
# an echo id of its own: containers count processes alike, and behind one NAT address the second of two with the same
# id gets no answer until the first has been silent for 30 s.
_IMAGE = rf"""
set -e
umask 022
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
cd "$d"
for folder in bin sbin etc dev proc sys tmp run root var usr www; do mkdir -p "rootfs/$folder"; done
cp /bin/busybox rootfs/bin/busybox
for name in sh ip sleep httpd; do ln -s busybox "rootfs/bin/$name"; done
for program in /usr/bin/ping /usr/sbin/ethtool; do
    cp "$program" rootfs/bin/
    for library in $(ldd "$program" | grep -o '/[^ ]*'); do
        mkdir -p "rootfs$(dirname "$library")"
        cp -L "$library" "rootfs$library"
    done
done
echo served >rootfs/www/index.html
cat >rootfs/sbin/init <<'INIT'
#!/bin/sh
ip link set lo up
ip link set eth0 up
/bin/ethtool -K eth0 tx off
httpd -p 80 -h /www
for to in {" ".join((*ADDRESS.values(), GATEWAY))}; do
    (
        read -r random </proc/sys/kernel/random/uuid
        id=$((0x${{random%%-*}} % 65535 + 1))
        while :; do /bin/ping -n -D -e "$id" -i {PING} "$to" >>"/var/ping-$to" 2>&1; sleep {PING}; done
    ) &
done
exec /bin/busybox udhcpc -f -i eth0 -s /etc/udhcpc.script -t 3 -T 1 -A 1
INIT
cat >rootfs/etc/udhcpc.script <<'SCRIPT'
#!/bin/sh
case $1 in bound | renew) ;; *) exit 0 ;; esac
ip address replace "$ip/$mask" dev eth0
[ -z "$router" ] || ip route replace default via "${{router%% *}}"
SCRIPT
chmod 755 rootfs/sbin/init rootfs/etc/udhcpc.script
printf 'architecture: %s\ncreation_date: 1\nproperties: {{description: load}}\n' "$(uname -m)" >metadata.yaml
tar -cf image.tar metadata.yaml rootfs
incus image import -q image.tar --alias load
"""
