"""What every parser promises: facts of the types that it names, or a ValueError.

Output of daemons is JSON of another version, cut off, or a sentence. A parser that trusts it would end in a KeyError,
or worse in a number where a name is expected, which fails far away. Roles turn the ValueError into a ParseError, which
names the host and the command.
"""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from meshctl.errors import ParseError

P = ParamSpec("P")
T = TypeVar("T")

_STUMBLES = (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


def parser(read: Callable[P, T]) -> Callable[P, T]:
    """Make a function keep the promise: what it stumbles over, and a result of other types, is a ValueError."""
    wanted: list[Any] = []

    @functools.wraps(read)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            result = read(*args, **kwargs)
        except _STUMBLES as error:
            raise ValueError(f"{type(error).__name__}: {error}"[:200]) from error
        if not wanted:
            wanted.append(get_type_hints(read)["return"])
        if not fits(result, wanted[0]):
            raise ValueError("a value is of another type")
        return result

    return checked


def understand(host: str, argv: Sequence[str], read: Callable[[str], T], output: str) -> T:
    """What a parser makes of a command's output. Raises ParseError when it is something else."""
    try:
        return read(output)
    except ValueError as error:
        what = getattr(read, "__name__", "output").replace("_", " ")
        raise ParseError(host, argv, f"{what} in a form known here ({error})", output) from error


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is what an annotation says, all the way down.

    >>> fits({"a": (1, 2)}, dict[str, tuple[int, ...]]), fits({"a": (1, "2")}, dict[str, tuple[int, ...]])
    (True, False)
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin in {Union, UnionType}:
        return any(fits(value, one) for one in inner)
    if origin is tuple:
        return isinstance(value, tuple) and _row(value, inner)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, origin) and all(fits(k, inner[0]) and fits(v, inner[1]) for k, v in value.items())
    if isinstance(origin, type) and issubclass(origin, Collection):
        return isinstance(value, origin) and all(fits(one, inner[0]) for one in value)
    return _plain(value, kind)


def _row(value: tuple[Any, ...], kinds: tuple[Any, ...]) -> bool:
    if kinds[1:] == (...,):
        return all(fits(one, kinds[0]) for one in value)
    return len(value) == len(kinds) and all(fits(one, kind) for one, kind in zip(value, kinds, strict=True))


def _plain(value: Any, kind: Any) -> bool:
    if kind is None or kind is NoneType:
        return value is None
    if not isinstance(value, (int, float) if kind is float else kind):
        return False
    if isinstance(value, bool) and kind in {int, float}:
        return False
    if isinstance(kind, type) and is_dataclass(kind):
        return all(fits(getattr(value, name), inner) for name, inner in _hints(kind).items())
    return True


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
