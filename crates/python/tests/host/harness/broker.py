"""The broker behind the stand-in's adapter: what the test says, over TCP."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

from .waiting import eventually

Request = dict[str, Any]


def accept_all(request: Request) -> dict[str, Any]:
    return {"status": "success"}


class MockBroker:
    """Answers what ``answer`` says, remembers all requests, and sends ticks to all connections."""

    def __init__(self) -> None:
        self.answer: Callable[[Request], dict[str, Any]] = accept_all
        self.requests: list[Request] = []
        self._connections: list[socket.socket] = []
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def tick(self, topic: str, data: object) -> None:
        self._send({"op": "tick", "topic": topic, "data": data})

    def burst(self, threads: int, count: int) -> None:
        """Lets the adapter publish ``count`` ticks from each of ``threads`` threads."""
        self._send({"op": "burst", "threads": threads, "count": count})

    def let_say(self, connected: bool) -> None:
        """Lets the adapters say whether they are connected."""
        self._send({"op": "connected", "value": connected})

    def cut(self) -> None:
        """Closes all connections."""
        with self._lock:
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def connected(self) -> int:
        return len(self._connections)

    def of(self, op: str) -> list[Request]:
        with self._lock:
            return [request for request in self.requests if request["op"] == op]

    def subscribed(self, count: int = 1) -> list[Request]:
        """Waits for so many subscriptions; all there are."""

        def enough() -> list[Request]:
            requests = self.of("subscribe")
            return requests if len(requests) >= count else []

        return eventually(f"{count} subscriptions at the broker", enough)

    def forget(self) -> None:
        with self._lock:
            self.requests.clear()

    def close(self) -> None:
        self._server.close()
        with contextlib.suppress(OSError):
            self.cut()

    def _send(self, message: dict[str, Any]) -> None:
        line = json.dumps(message).encode() + b"\n"
        with self._lock:
            for connection in list(self._connections):
                try:
                    connection.sendall(line)
                except OSError:
                    self._connections.remove(connection)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with self._lock:
                self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            for line in connection.makefile("r", encoding="utf-8"):
                request = json.loads(line)
                with self._lock:
                    self.requests.append(request)
                answer = json.dumps(self.answer(request)).encode() + b"\n"
                with self._lock:
                    connection.sendall(answer)
        except (OSError, ValueError):
            pass
        with self._lock:
            if connection in self._connections:
                self._connections.remove(connection)
