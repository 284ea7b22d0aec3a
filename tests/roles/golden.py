"""Golden files: what a role renders, one text file per node, kept under `golden/TOPOLOGY/` beside the test.

`UPDATE_GOLDEN=1 pytest …` rewrites them; read the diff before committing it.
"""

import os
from pathlib import Path

from meshctl.host.base import Files
from meshctl.roles.base import Role
from meshctl.topology import Topology, load

TOPOLOGIES = Path(__file__).resolve().parents[2] / "topologies"


def topology(name: str) -> Topology:
    """An example topology: `triangle`, `five`, `ring` or `dual`."""
    return load(TOPOLOGIES / f"{name}.yaml")


def check(test_file: str, role: type[Role], name: str) -> None:
    """Compare what `role` renders for every node of a topology with the golden files beside `__file__`."""
    mesh = topology(name)
    check_files(test_file, name, {node.name: role(mesh).render(node) for node in mesh.nodes})


def check_files(test_file: str, name: str, rendered: dict[str, Files]) -> None:
    """The same for files rendered already, by node."""
    folder = Path(test_file).parent / "golden" / name
    texts = {f"{node}.txt": as_text(files) for node, files in rendered.items()}
    if os.environ.get("UPDATE_GOLDEN"):
        _rewrite(folder, texts)
    assert sorted(texts) == sorted(path.name for path in folder.glob("*.txt")), "run with UPDATE_GOLDEN=1?"
    for file, content in texts.items():
        assert content == (folder / file).read_text(), f"{folder / file} differs; run with UPDATE_GOLDEN=1?"


def as_text(files: Files) -> str:
    """All files of a host, each under a line with its mode, owner and path."""
    parts = [
        f"=== {file.mode:04o} {file.owner}:{file.group} {path}{' (secret)' if file.secret else ''}\n"
        f"{file.content.decode()}"
        for path, file in sorted(files.items())
    ]
    return "\n".join(parts)


def _rewrite(folder: Path, texts: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.txt"):
        stale.unlink()
    for file, content in texts.items():
        (folder / file).write_text(content)
