"""The little of the OVSDB protocol (RFC 7047) that the shim speaks: watch the bridges, add one, change one."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from meshctl.lab.errors import LabError, LabTimeout

_ANSWER_SECONDS = 20
_DATABASE = "Open_vSwitch"


class Database:
    """A connection to one host's Open vSwitch database. `bridges` maps name to datapath type, kept up to date."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, changed: Callable[[], None]) -> None:
        self.bridges: dict[str, str] = {}
        self._rows: dict[str, str] = {}
        self._reader = reader
        self._writer = writer
        self._changed = changed
        self._ids = itertools.count()
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def call(self, method: str, params: list[Any]) -> Any:
        """The result of one request; LabError if the database refuses it."""
        number = next(self._ids)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._send({"method": method, "params": params, "id": number})
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer = await future
        except TimeoutError:
            raise LabTimeout(f"Open vSwitch to answer {method}", _ANSWER_SECONDS) from None
        finally:
            del self._waiting[number]
        if answer.get("error"):
            raise LabError(f"Open vSwitch refused {method}: {answer['error']}")
        return answer["result"]

    async def transact(self, *operations: dict[str, Any]) -> None:
        """Several changes, all or none of them."""
        results = await self.call("transact", [_DATABASE, *operations])
        errors = [r for r in results if r and r.get("error")]
        if errors:
            raise LabError(f"Open vSwitch refused a change: {errors}")

    async def watch(self) -> None:
        """Start keeping `bridges`; `changed` is called after every change."""
        columns = {"Bridge": {"columns": ["name", "datapath_type"]}}
        self._take(await self.call("monitor", [_DATABASE, "lab", columns]))

    async def listen(self) -> None:
        """Handle what the server sends, until it goes away."""
        async for message in _messages(self._reader):
            if message.get("method") == "echo":
                self._send({"result": message["params"], "error": None, "id": message["id"]})
            elif message.get("method") == "update":
                self._take(message["params"][1])
            elif (future := self._waiting.get(message.get("id", -1))) and not future.done():
                future.set_result(message)

    def _send(self, message: dict[str, Any]) -> None:
        self._writer.write(json.dumps(message).encode())

    def _take(self, update: dict[str, Any]) -> None:
        for row, change in update.get("Bridge", {}).items():
            self.bridges.pop(self._rows.pop(row, ""), None)
            if new := change.get("new"):
                self._rows[row] = new["name"]
                self.bridges[new["name"]] = new["datapath_type"]
        self._changed()


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """JSON values follow each other without any separator."""
    decoder, text = json.JSONDecoder(), ""
    while chunk := await reader.read(65536):
        text += chunk.decode()
        while text:
            try:
                message, end = decoder.raw_decode(text)
            except json.JSONDecodeError:
                break
            text = text[end:]
            yield message


@contextlib.asynccontextmanager
async def connected(socket: Path, changed: Callable[[], None]) -> AsyncIterator[tuple[Database, asyncio.Task[None]]]:
    """A watched database, and the task that ends when the server does. OSError if nothing listens there."""
    reader, writer = await asyncio.open_unix_connection(socket)
    database = Database(reader, writer, changed)
    listening = asyncio.create_task(database.listen())
    try:
        await database.watch()
        yield database, listening
    finally:
        listening.cancel()
        await asyncio.wait({listening})
        writer.close()


def set_netdev(bridge: str) -> dict[str, Any]:
    """Move a bridge to the userspace datapath."""
    return {
        "op": "update",
        "table": "Bridge",
        "where": [["name", "==", bridge]],
        "row": {"datapath_type": "netdev"},
    }


def set_external_id(key: str, value: str) -> dict[str, Any]:
    """Set one of the switch's external ids that isn't set."""
    return {
        "op": "mutate",
        "table": _DATABASE,
        "where": [],
        "mutations": [["external_ids", "insert", ["map", [[key, value]]]]],
    }


def add_bridge(bridge: str, mac: str, port: str) -> list[dict[str, Any]]:
    """A userspace bridge with that MAC and one port, passing what a NIC would pass, LLDP included."""
    other = ["map", [["hwaddr", mac], ["forward-bpdu", "true"]]]
    row = {
        "name": bridge,
        "datapath_type": "netdev",
        "other_config": other,
        "ports": ["set", [["named-uuid", "local"], ["named-uuid", "behind"]]],
    }
    return [
        _insert("Interface", "local_if", {"name": bridge, "type": "internal"}),
        _insert("Port", "local", {"name": bridge, "interfaces": ["named-uuid", "local_if"]}),
        _insert("Interface", "behind_if", {"name": port}),
        _insert("Port", "behind", {"name": port, "interfaces": ["named-uuid", "behind_if"]}),
        _insert("Bridge", "bridge", row),
        {
            "op": "mutate",
            "table": _DATABASE,
            "where": [],
            "mutations": [["bridges", "insert", ["set", [["named-uuid", "bridge"]]]]],
        },
    ]


def _insert(table: str, name: str, row: dict[str, Any]) -> dict[str, Any]:
    return {"op": "insert", "table": table, "uuid-name": name, "row": row}
