"""Secrets in all forms in which they could lie about, and programs that look for them on the hosts."""

import base64
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_PEM = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----\n(.+?)-----END \1-----", re.DOTALL)
_CEPH = re.compile(r"\bkey = ([A-Za-z0-9+/=]{40})$", re.MULTILINE)
SHORTEST = 16


@dataclass(frozen=True)
class Needles:
    """What nobody else may see, by a name that a failure may print."""

    by_name: Mapping[str, tuple[bytes, ...]]

    def seen_in(self, content: bytes) -> set[str]:
        """The names of the secrets in a text."""
        return {name for name, forms in self.by_name.items() if any(form in content for form in forms)}

    def lines(self) -> str:
        """For the programs below: `NAME HEX` per form."""
        return "".join(f"{name} {form.hex()}\n" for name, forms in self.by_name.items() for form in forms)


def secrets_in(where: str, text: str) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    """The private keys and Ceph keys in a file's text."""
    for number, match in enumerate(_PEM.finditer(text)):
        body = [line.encode() for line in match[2].split()]
        der = base64.b64decode(b"".join(body))
        whole = base64.b64encode(match[0].encode())[60:]  # what comes before is the same in every key
        yield f"{where}#{number}", (*body[:-1], der, der.hex().encode(), whole[:60])
    for number, match in enumerate(_CEPH.finditer(text)):
        key, plain = match[1].encode(), base64.b64decode(match[1])
        yield f"{where}#key{number}", (key, base64.b64encode(key)[:52], plain, plain.hex().encode())


def needles(files: Iterable[tuple[str, str]]) -> Needles:
    """All secrets of these (name, text)."""
    found: dict[str, tuple[bytes, ...]] = {}
    for where, text in files:
        for name, forms in secrets_in(where, text):
            found[name] = tuple(form for form in forms if len(form) >= SHORTEST)
    return Needles(found)


FILES_OF_OTHERS = textwrap.dedent(
    """
    # As a user without any rights: every file that can be read and was changed since the boot. Prints `NAME PATH`.
    import os, re, stat, sys
    forms = {bytes.fromhex(line.split()[1]): line.split()[0] for line in sys.stdin}
    pattern = re.compile(b"|".join(re.escape(form) for form in forms))
    since = float(sys.argv[1])
    for top in sys.argv[2:]:
        for folder, folders, files in os.walk(top):
            folders[:] = [f for f in folders if os.path.join(folder, f) not in ("/proc", "/sys", "/dev")]
            for name in files:
                path = os.path.join(folder, name)
                try:
                    info = os.lstat(path)
                    if not stat.S_ISREG(info.st_mode) or max(info.st_ctime, info.st_mtime) < since:
                        continue
                    with open(path, "rb") as stream:
                        found = {forms[match] for match in pattern.findall(stream.read(1 << 28))}
                except OSError:
                    continue
                for one in sorted(found):
                    print(one, path, flush=True)
    print("looked at everything")
    """
)

SAMPLER = textwrap.dedent(
    """
    # Every process that lives for a few milliseconds: its arguments and its environment, each text once.
    import os, sys, time
    stop, out = sys.argv[1:]
    born, seen = {}, {}
    def read(pid, what):
        try:
            with open(f"/proc/{pid}/{what}", "rb") as stream:
                return stream.read(1 << 20)
        except OSError:
            return b""
    while not os.path.exists(stop):
        now = time.monotonic()
        pids = {pid for pid in os.listdir("/proc") if pid.isdigit()}
        born = {pid: born.get(pid, now) for pid in pids}
        for pid, when in born.items():
            if now - when < 0.3:  # it may be before its exec
                for what in ("cmdline", "environ"):
                    content = read(pid, what)
                    if content and content not in seen:
                        seen[content] = (pid, what, read(pid, "comm").decode(errors="replace").strip())
        time.sleep(0.001)
    with open(out, "wb") as stream:
        for content, (pid, what, comm) in seen.items():
            line = content.replace(b"\\0", b" ").replace(b"\\n", b" ")
            stream.write(f"{comm}[{pid}] {what}: ".encode() + line + b"\\n")
    """
)
