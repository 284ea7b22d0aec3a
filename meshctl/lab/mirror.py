"""Where the packages come from: this machine's own apt sources, asked from apt, never a mirror named here."""

import platform
import re

from meshctl.lab.proc import run
from meshctl.lab.tools import KEYRING

_FORMAT = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"


async def sources(release: str) -> str:
    """An apt sources list for `release` from the machine's mirrors; empty where those don't carry Debian.

    mmdebstrap then uses its own default mirror.
    """
    system = platform.freedesktop_os_release()
    if system.get("ID") != "debian":
        return ""
    argv = ["apt-get", "indextargets", "--no-release-info", "--format", _FORMAT, "Created-By: Packages"]
    return translate(await run(argv), system.get("VERSION_CODENAME", ""), release)


def translate(targets: str, own: str, release: str) -> str:
    """The same repositories for another release: its main archive, its updates and its security suite."""
    lines = []
    for uri, suite, component in sorted({tuple(line.split("|")) for line in targets.splitlines()}):
        if component == "main" and (match := re.fullmatch(rf"(?:{own}|{release})(|-updates|-security)", suite)):
            lines.append(f"deb [signed-by={KEYRING}] {uri} {release}{match[1]} main\n")
    return "".join(dict.fromkeys(lines))


async def proxy_options() -> str:
    """This machine's proxy and date settings of apt, for the apt that builds the image."""
    dump = await run(["apt-config", "dump"])
    wanted = re.compile(r"Acquire::(https?::Proxy|Check-Valid-Until|Check-Date)\b.*", re.IGNORECASE)
    return "".join(f"{line}\n" for line in dump.splitlines() if wanted.match(line))
