"""Who may import whom (docs/architecture.md): sideways or downwards only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ORDER: tuple[str, ...] = ("errors", "secrets", "topology", "certs", "issuing", "state", "ca", "host", "cluster")
ORDER += ("roles.base", "roles", "events")
ORDER += ("condition plan", "executor preview settled certify discover", "lab lifecycle", "cli", "__main__")
RANK = {f"meshctl.{name}": rank for rank, names in enumerate(ORDER) for name in names.split()}
CONTRACT = {
    "errors",
    "topology",
    "host.base",
    "host.holder",
    "host",
    "cluster",
    "state",
    "certs",
    "ca",
    "issuing",
    "roles",
}
OWNERS = {"asyncssh": ("meshctl.host",), "networkx": ("meshctl.plan", "meshctl.topology.connectivity")}
FILES = sorted(path for folder in ("meshctl", "roles") for path in (ROOT / folder).rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("meshctl", *parts) if parts[0] == "roles" else parts).removesuffix(".__init__")


def rank(module: str) -> int:
    """The place of the longest known prefix; the package itself is below everything."""
    return max((r for name, r in RANK.items() if f"{module}.".startswith(f"{name}.")), default=-1)


def imports(path: Path) -> Iterator[str]:
    """Every absolute import, wherever it stands; `from a import b` counts as both a and a.b."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module if node.module != "meshctl" else f"meshctl.{node.names[0].name}"
        elif isinstance(node, ast.ImportFrom) and node.level:
            package = module_of(path).split(".")[: (0 if path.name == "__init__.py" else -1) or None]
            yield ".".join([*package[: len(package) - node.level + 1], node.module or ""]).rstrip(".")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_only_go_down(path: Path) -> None:
    module = module_of(path)
    for imported in imports(path):
        owners = OWNERS.get(imported.split(".", maxsplit=1)[0], (module,))
        assert module.startswith(owners), f"{module} imports {imported}"
        if imported.startswith("meshctl."):
            assert rank(imported) <= rank(module), f"{module} imports {imported}, which is above it"
        if path.is_relative_to(ROOT / "roles") and imported.startswith("meshctl."):
            assert allowed_in_role(imported, ".".join(module.split(".")[:3])), f"{module} imports {imported}"


def allowed_in_role(imported: str, role: str) -> bool:
    """The contract, what several roles share (it lies directly in meshctl/roles/), and the role's own folder."""
    if imported.startswith("meshctl.roles."):
        own = f"{imported}.".startswith(f"{role}.")
        return own or (ROOT / "meshctl" / "roles" / f"{imported.split('.')[2]}.py").exists()
    layer = imported.removeprefix("meshctl.")
    return layer in CONTRACT or layer.split(".")[0] == "topology"


def test_the_layers_are_all_there() -> None:
    found = {f"{module_of(path)}." for path in FILES}
    unranked = {module for module in found if rank(module.rstrip(".")) < 0} - {"meshctl."}
    assert not unranked
