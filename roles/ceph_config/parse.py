"""What the files and tools of a host say about a Ceph cluster: pure functions."""

import configparser
import re
from collections.abc import Mapping

from meshctl.roles.parsing import parser

_RELEASE = re.compile(r"^ceph version \S+ .*?\) (?P<name>[a-z]+) \(", re.MULTILINE)


@parser
def keyring(text: str) -> dict[str, str]:
    """Entity → key of a keyring file. Raises ValueError when it is none."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    try:
        parser.read_string(re.sub(r"(?m)^[ \t]+", "", text))
    except configparser.Error as error:
        raise ValueError(f"not a keyring: {type(error).__name__}") from None  # its text could hold a key
    return {entity: parser[entity]["key"].strip() for entity in parser.sections() if "key" in parser[entity]}


def render_keyring(keys: Mapping[str, str], caps: Mapping[str, Mapping[str, str]]) -> str:
    """A keyring file with these entities, in this order."""
    lines = []
    for entity, key in keys.items():
        lines += [f"[{entity}]", f"\tkey = {key}"]
        lines += [f'\tcaps {service} = "{cap}"' for service, cap in caps.get(entity, {}).items()]
    return "\n".join(lines) + "\n"


@parser
def release(version: str) -> str:
    """The release's name in what `ceph-mon --version` prints. Raises ValueError when there is none."""
    match = _RELEASE.search(version)
    if match is None:
        raise ValueError("no release name")
    return match["name"]
