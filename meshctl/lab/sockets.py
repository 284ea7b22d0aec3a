"""TCP connections into a lab, made by a process that itself stays on the machine's own network."""

import asyncio
import socket

from meshctl.lab.names import check_lab_name, lab_namespace
from meshctl.lab.netns import acall_in


async def connect(lab: str, host: str, port: int, seconds: float = 10) -> socket.socket:
    """A connected, non-blocking socket to an address inside the lab; the caller owns it.

    `host` is an address. OSError as usual when it refuses or can't be reached, TimeoutError after `seconds`,
    LabError if there is no such lab.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = await acall_in(
        lab_namespace(check_lab_name(lab)), lambda: socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    )
    try:
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
    except TimeoutError:
        sock.close()
        raise TimeoutError(f"{host} port {port} in lab {lab} did not answer within {seconds:g} s") from None
    except BaseException:
        sock.close()
        raise
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
