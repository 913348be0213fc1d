"""The processes of a test: host, proxy, and the stand-in's web application."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from .waiting import eventually

REPOSITORY = Path(__file__).resolve().parents[5]
PROXY = REPOSITORY / "dist" / "cli" / "main.js"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Running:
    """A process with its output in files."""

    def __init__(self, name: str, folder: Path, command: list[str], env: dict[str, str], **options: Any) -> None:
        self.name = name
        self._out = folder / f"{name}.out"
        self._err = folder / f"{name}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(command, stdout=out, stderr=err, env={**os.environ, **env}, **options)

    @property
    def out(self) -> str:
        return self._out.read_text(encoding="utf-8", errors="replace")

    @property
    def err(self) -> str:
        return self._err.read_text(encoding="utf-8", errors="replace")

    def until_said(self, text: str) -> None:
        def said() -> bool:
            if text in self.out or text in self.err:
                return True
            assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}: {self.err}"
            return False

        eventually(f"{self.name} says {text!r}; it said {self.err}", said)

    def wait(self, seconds: float = 60.0) -> int:
        return self.process.wait(seconds)

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class World:
    """One checkout of the stand-in with everything that runs in it."""

    def __init__(self, folder: Path, checkout: Path, ring: str, env: dict[str, str]) -> None:
        self.folder = folder
        self.checkout = checkout
        self.ring = ring
        self.env = env
        self.running: list[Running] = []
        self._count = 0

    def start(self, name: str, command: list[str], **options: Any) -> Running:
        self._count += 1
        running = Running(f"{name}{self._count}", self.folder, command, self.env, **options)
        self.running.append(running)
        return running

    def host(self, *arguments: str, ready: bool = True, ring: str | None = None, **options: Any) -> Running:
        command = [sys.executable, "-m", "openalgo_shm.host", "--buffer-name", ring or self.ring, *arguments]
        running = self.start("host", command, cwd=options.pop("cwd", self.checkout), **options)
        if ready:
            running.until_said("-> shared memory")
        return running

    def proxy(self, port: int, *more: str) -> Running:
        # The process that creates the ring decides how deep its books are.
        arguments = ["serve", "--ring", self.ring, "--port", str(port), "--depth-levels", "20", *more]
        running = self.start("proxy", ["node", str(PROXY), *arguments])

        def listens() -> bool:
            assert running.process.poll() is None, running.err
            try:
                with socket.create_connection(("127.0.0.1", port), 1):
                    return True
            except OSError:
                return False

        eventually("the proxy listens", listens)
        return running

    def flask(self) -> Flask:
        self._count += 1
        flask = Flask(self, self._count)
        self.running.append(flask)
        return flask

    def end(self) -> None:
        for running in self.running:
            running.kill()


class Flask(Running):
    """The stand-in's web application."""

    def __init__(self, world: World, number: int) -> None:
        super().__init__(
            f"flask{number}",
            world.folder,
            [sys.executable, "flask_side.py"],
            world.env,
            cwd=world.checkout,
            stdin=subprocess.PIPE,
        )
        self._done = 0
        self.until_said("ready")

    def do(self, command: str, **arguments: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": command, **arguments}).encode() + b"\n")
        self.process.stdin.flush()
        self._done += 1
        eventually(f"the web application did {command}: {self.err}", lambda: self.out.count('"done"') >= self._done)

    def login(self, user: str = "u", token: str = "t1", broker: str = "mock") -> None:
        self.do("login", name=user, token=token, broker=broker)

    def logout(self, user: str = "u", token: str = "t1", broker: str = "mock") -> None:
        self.do("login", name=user, token=token, broker=broker, revoke=True)

    def publish(self, topic: str, data: object) -> None:
        self.do("publish", topic=topic, data=data)


def health(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
        result: dict[str, Any] = json.loads(answer.read())
        return result
