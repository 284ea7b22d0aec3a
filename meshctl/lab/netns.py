"""Doing something inside a network namespace: in a thread that enters it and is never used for anything else.

A thread's namespace also decides which network /proc/sys/net shows, and a socket belongs for ever to the
namespace it was made in. The thread ends instead of going back, so a failed way back can't leave a worker of some
pool in the wrong network.
"""

import asyncio
import ctypes
import os
import threading
from collections.abc import Callable
from typing import TypeVar

from meshctl.lab.errors import LabError
from meshctl.lab.names import NETNS

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _enter(namespace: str) -> None:
    try:
        fd = os.open(NETNS / namespace, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise LabError(
            f"there is no network namespace {namespace}", advice="Is the lab up? `meshctl lab status` shows it."
        ) from None
    try:
        if _libc.setns(fd, _CLONE_NEWNET):
            error = ctypes.get_errno()
            raise LabError(
                f"can't enter network namespace {namespace}: {os.strerror(error)}", advice="The lab needs root."
            )
    finally:
        os.close(fd)


def _leave() -> None:
    if _libc.unshare(_CLONE_NEWNET):
        error = ctypes.get_errno()
        raise LabError(f"can't make a network namespace: {os.strerror(error)}", advice="The lab needs root.")


def call_in(namespace: str, function: Callable[[], T]) -> T:
    """The result of `function`, called inside the namespace."""
    return _apart(lambda: _enter(namespace), function)


def call_in_new(function: Callable[[], T]) -> T:
    """The result of `function`, called inside a new network namespace, which goes away with the thread."""
    return _apart(_leave, function)


def _apart(move: Callable[[], None], function: Callable[[], T]) -> T:
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            move()
            results.append(function())
        except BaseException as e:  # noqa: BLE001  (raised again below, in the caller's thread)
            errors.append(e)

    thread = threading.Thread(target=body, name="in another network")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


async def acall_in(namespace: str, function: Callable[[], T]) -> T:
    """`call_in` without blocking the event loop."""
    return await asyncio.to_thread(call_in, namespace, function)
