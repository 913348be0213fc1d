"""OpenAlgo's bus: the host binds it in the place of OpenAlgo's server, and Flask publishes on it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from .failure import HostError, one_line
from .log import OncePerKind
from .threads import Ending
from .topic import INVALIDATION_PREFIX, ORDERS_SUFFIX, SKIPPED_SUFFIXES, TickTopic, parse_tick_topic

_MAX_MESSAGE_BYTES = 1 << 20
_POLL_MS = 200
# A host or server that has just ended may hold the port for a moment, s.
_BIND_PATIENCE_S = 2.0


class Bus:
    """Binds the bus and hands on what comes over it."""

    def __init__(
        self,
        host: str,
        port: int,
        on_invalidation: Callable[[str, str], None],
        on_order: Callable[[dict[str, Any]], None],
        on_tick: Callable[[str, TickTopic, Any], None],
        ending: Ending,
    ) -> None:
        """
        :param on_invalidation: takes (user, kind of caches: AUTH, FEED, ALL)
        :param on_order: takes an order update
        :param on_tick: takes (topic, what it is about, data) of a tick that another process publishes
        :raises HostError: ``ERR_BUS_PORT_TAKEN``, ``ERR_BUS_ADDRESS``.
        """
        self._on_invalidation = on_invalidation
        self._on_order = on_order
        self._on_tick = on_tick
        self.unknown = 0
        self.skipped = 0
        self.malformed = 0
        self.faults = OncePerKind()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, _MAX_MESSAGE_BYTES)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._bind(host, port, ending)

    def run(self, ending: Ending) -> None:
        """Receives until the end."""
        try:
            while not ending.requested:
                if self._socket.poll(_POLL_MS):
                    self._receive(self._socket.recv_multipart())
        finally:
            self.close()

    def close(self) -> None:
        """Gives the port back."""
        self._socket.close(0)
        self._context.term()

    def take(self, topic: str, data: Any) -> None:
        """Hands on one message, wherever it comes from."""
        if topic.startswith(INVALIDATION_PREFIX):
            self._invalidate(data)
        elif topic.endswith(ORDERS_SUFFIX):
            if isinstance(data, dict):
                self._on_order(data)
            else:
                self.malformed += 1
        elif topic.endswith(SKIPPED_SUFFIXES):
            self.skipped += 1
        elif (about := parse_tick_topic(topic)) is not None:
            self._on_tick(topic, about, data)
        else:
            self.unknown += 1
            self.faults.note("unknown", f"a message on the bus has an unknown topic: {topic[:100]!r}")

    def _invalidate(self, data: Any) -> None:
        user = data.get("user_id") if isinstance(data, dict) else None
        if isinstance(user, str) and user:
            kind = data.get("cache_type")
            self._on_invalidation(user, kind if kind in ("AUTH", "FEED") else "ALL")
        else:
            self.malformed += 1

    def _receive(self, frames: list[bytes]) -> None:
        try:
            topic, payload = frames
            # Python writes NaN, which is no number for anybody else.
            self.take(topic.decode(), json.loads(payload, parse_constant=lambda _: None))
        except Exception as error:
            self.malformed += 1
            kind = type(error).__name__
            self.faults.note(kind, f"a message on the bus cannot be used: {kind}: {one_line(error)}")

    def _bind(self, host: str, port: int, ending: Ending) -> None:
        address = f"tcp://{host}:{port}"
        waited = 0.0
        while True:
            try:
                self._socket.bind(address)
                return
            except zmq.ZMQError as error:
                if error.errno != zmq.EADDRINUSE:
                    self.close()
                    raise HostError(
                        "ERR_BUS_ADDRESS",
                        f"OpenAlgo's bus cannot be bound at {address}: {one_line(error)}; "
                        "check ZMQ_HOST and ZMQ_PORT in OpenAlgo's .env",
                    ) from error
                if waited >= _BIND_PATIENCE_S or ending.wait(0.2):
                    self.close()
                    raise _port_taken(address, port) from error
                waited += 0.2


def _port_taken(address: str, port: int) -> HostError:
    holder = listener_of(port)
    return HostError(
        "ERR_BUS_PORT_TAKEN",
        f"OpenAlgo's bus {address} is taken by {holder or 'another process'}, and only one may bind it; "
        "end that process; if it is OpenAlgo's own server, start OpenAlgo with APP_MODE=standalone and "
        "without `python -m websocket_proxy.server`",
    )


def listener_of(port: int) -> str | None:
    """Which process listens at a TCP port, as ``process 123 (command line)``; None if it cannot be found (Linux only)."""
    if not sys.platform.startswith("linux"):
        return None
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            # The state 0A is listening; the local address ends with the port in hexadecimal.
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if any(str(each.readlink()) in inodes for each in (process / "fd").iterdir()):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                return f"process {process.name} ({command[:120]})"
        except OSError:
            continue
    return None
