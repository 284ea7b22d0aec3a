# ruff: noqa: T201, S606  (a stopgap)
"""A driver for the lab until `meshctl lab` exists: python -m meshctl.lab up|down|status|ssh|… TOPOLOGY [--name N]."""

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

from meshctl.errors import MeshctlError
from meshctl.lab import cables, login, running
from meshctl.lab.status import status
from meshctl.topology import load


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m meshctl.lab")
    parser.add_argument("action", choices=["up", "down", "status", "ssh", "power-off", "power-on", "cut", "heal"])
    parser.add_argument("topology", type=Path)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="NODE [CMD] | A B")
    parser.add_argument("--name", default=os.environ.get("MESHCTL_LAB"), help="lab name (or $MESHCTL_LAB)")
    parser.add_argument("--image", default="full", choices=["full", "bare"])
    return parser.parse_args()


async def _do(args: argparse.Namespace) -> None:
    topology = load(args.topology)
    name = args.name or topology.cluster
    began = time.monotonic()
    match args.action, args.rest:
        case "up", []:
            await running.up(topology, name=name, image_name=args.image, progress=lambda m: print(m, file=sys.stderr))
            print(f"lab {name} is up after {time.monotonic() - began:.1f} s")
        case "down", []:
            print(f"lab {name} removed" if await running.down(name) else f"there was no lab {name}")
        case "status", []:
            print(await status(name))
        case "ssh", [node, *command]:
            argv = login.ssh_argv(name, node, command)
            os.execvp(argv[0], argv)
        case "power-off", [node]:
            await running.power_off(name, node)
        case "power-on", [node]:
            await running.power_on(name, node)
        case "cut", [a, b]:
            print("cut:", *(await cables.cut(name, a, b)))
        case "heal", [a, b]:
            print("healed:", *(await cables.heal(name, a, b)))
        case _:
            raise SystemExit(f"wrong arguments for {args.action}: {args.rest}")


if __name__ == "__main__":
    try:
        asyncio.run(_do(_arguments()))
    except MeshctlError as e:
        sys.exit(f"{e}\n{e.advice}")
    except ExceptionGroup as group:
        sys.exit("\n".join(f"{e}" for e in group.exceptions))
