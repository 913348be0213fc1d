"""Clients of the proxy and of the key socket."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from openalgo_shm import EventReader

from .waiting import PATIENCE_S, eventually

Message = dict[str, Any]


class Client:
    """A raw WebSocket client that keeps what it gets."""

    def __init__(self, port: int, api_key: str = "any", patience: float = PATIENCE_S) -> None:
        """:raises AssertionError: if the key is not accepted within ``patience`` seconds"""
        self.closed = False
        self.messages: list[Message] = []
        self._socket = connect(f"ws://127.0.0.1:{port}/ws", max_size=None, open_timeout=30, compression=None)
        threading.Thread(target=self._read, daemon=True).start()
        self.send({"action": "authenticate", "api_key": api_key})
        eventually(
            "the key is accepted",
            lambda: any(each.get("type") == "auth" and each["status"] == "success" for each in list(self.messages)),
            patience,
        )

    def send(self, message: Message) -> None:
        self._socket.send(json.dumps(message))

    def subscribe(self, *symbols: str, mode: int = 1, depth: int = 5, exchange: str = "NSE") -> None:
        instruments = [{"symbol": symbol, "exchange": exchange} for symbol in symbols]
        self.send({"action": "subscribe", "symbols": instruments, "mode": mode, "depth": depth})

    def unsubscribe(self, *symbols: str, mode: int = 1, exchange: str = "NSE") -> None:
        instruments = [{"symbol": symbol, "exchange": exchange, "mode": mode} for symbol in symbols]
        self.send({"action": "unsubscribe", "symbols": instruments})

    def ticks(self, symbol: str | None = None) -> list[Message]:
        return [
            message
            for message in list(self.messages)
            if message.get("type") == "market_data" and symbol in (None, message["symbol"])
        ]

    def until(self, fits: Any) -> Message:
        def found() -> Message | None:
            return next((each for each in list(self.messages) if fits(each)), None)

        return eventually("a message", found)

    def close(self) -> None:
        self._socket.close()

    def _read(self) -> None:
        try:
            for text in self._socket:
                self.messages.append(json.loads(text))
        except WebSocketException:
            pass
        self.closed = True


class OfficialClient:
    """OpenAlgo's own Python client, if it is installed; see ``official.py``."""

    def __init__(self, port: int, symbol: str) -> None:
        self.count = 0
        self._process: subprocess.Popen[str] | None = None
        if importlib.util.find_spec("openalgo") is None:
            return
        script = Path(__file__).with_name("official.py")
        command = [sys.executable, str(script), f"ws://127.0.0.1:{port}", "any", symbol]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def is_there(self) -> bool:
        return self._process is not None

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            self.count += line == "tick\n"


class Events:
    """All events of a ring, read on a thread of its own."""

    def __init__(self, ring: str) -> None:
        self.all: list[Message] = []
        self._reader = EventReader(buffer_name=ring)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def of(self, kind: str) -> list[Message]:
        return [event for event in list(self.all) if event["type"] == kind]

    def results(self) -> list[Message]:
        return [result for event in self.of("subscription_result") for result in event["results"]]

    def until_up(self, up: bool, after: int = 0) -> Message:
        """The first ``feed_source`` with this state among the events from number ``after`` on."""

        def found() -> Message | None:
            events = [event for event in self.all[after:] if event["type"] == "feed_source" and event["up"] is up]
            return events[0] if events else None

        return eventually(f"the source is {'up' if up else 'down'}", found)

    def until_reason(self, text: str) -> Message:
        def found() -> Message | None:
            return next((event for event in self.of("feed_source") if text in event.get("reason", "")), None)

        return eventually(f"a reason with {text!r}", found)

    def until_results(self, count: int, status: str) -> list[Message]:
        def enough() -> list[Message]:
            results = [result for result in self.results() if result["status"] == status]
            return results if len(results) >= count else []

        return eventually(f"{count} results {status}", enough)

    def close(self) -> None:
        self._ended.set()
        self._thread.join(10)
        self._reader.close()

    def _read(self) -> None:
        while not self._ended.is_set():
            self._reader.wait(0.1)
            self.all += [event for event, _ in self._reader.poll()]


def _connected(path: Path) -> socket.socket | None:
    """A connection; None if nobody listens there yet."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(60)
    try:
        connection.connect(str(path))
        return connection
    except OSError:
        connection.close()
        return None


class KeyClient:
    """A raw client of the key socket."""

    def __init__(self, path: Path) -> None:
        self._socket = eventually("the key socket", lambda: _connected(path))
        self._lines = self._socket.makefile("r", encoding="utf-8")

    def send(self, text: str) -> None:
        self._socket.sendall(text.encode())

    def read(self) -> Message:
        line = self._lines.readline()
        if not line:
            raise EOFError
        message: Message = json.loads(line)
        return message

    def ask(self, number: int, key: str) -> Message:
        """The answer to a request; pushes in between are skipped."""
        self.send(json.dumps({"id": number, "api_key": key}) + "\n")
        while "changed" in (answer := self.read()):
            pass
        return answer

    def until_changed(self) -> None:
        while "changed" not in self.read():
            pass

    def close(self) -> None:
        self._lines.close()
        self._socket.close()
