"""Finding the roles: every folder with a `role.py` in `meshctl.roles.__path__` is one layer."""

import importlib
import pkgutil
from types import ModuleType

import meshctl.roles
from meshctl.errors import UsageError
from meshctl.roles.base import Role


def discover() -> dict[str, type[Role]]:
    """All roles by name, in alphabetical order.

    Raises UsageError when a folder has no role, two roles share a name, or a role needs one that isn't there.
    """
    found: dict[str, type[Role]] = {}
    for module in pkgutil.iter_modules(meshctl.roles.__path__):
        if module.ispkg:
            _add(found, load(module.name))
    check(found)
    return dict(sorted(found.items()))


def load(folder: str) -> type[Role]:
    """The one Role class in `meshctl.roles.FOLDER.role`."""
    path = f"{meshctl.roles.__name__}.{folder}.role"
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name not in {path, path.removesuffix(".role")}:
            raise  # something that the role itself imports
        raise UsageError(f"the folder {folder!r} among the roles has no role.py") from error
    return _role_in(module)


def check(roles: dict[str, type[Role]]) -> None:
    """Raise UsageError when a role needs one that isn't there."""
    for name, role in roles.items():
        if unknown := role.needs - roles.keys():
            raise UsageError(
                f"role {name} needs {', '.join(sorted(unknown))}, which no folder provides",
                advice=f"Known roles: {', '.join(sorted(roles))}.",
            )


def _role_in(module: ModuleType) -> type[Role]:
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Role) and value.__module__ == module.__name__
    ]
    if len(classes) != 1:
        names = ", ".join(c.__name__ for c in classes) or "none"
        raise UsageError(f"{module.__name__} should define exactly one Role; found {names}")
    return classes[0]


def _add(found: dict[str, type[Role]], role: type[Role]) -> None:
    if other := found.get(role.name):
        raise UsageError(f"two roles are called {role.name!r}: {other.__module__} and {role.__module__}")
    found[role.name] = role
