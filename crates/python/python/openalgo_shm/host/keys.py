"""The key socket: proxies ask whose an API key is, OpenAlgo answers.

A request is a line ``{"id": n, "api_key": "..."}``, its answer ``{"id": n, "user_id": "u", "broker":
"zerodha"}``, ``{"id": n, "user_id": null}`` for a key that is nobody's, or ``{"id": n, "error":
"text"}`` if it could not be checked. ``{"changed": true}`` says that answers given before may be wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import os
import stat
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .failure import HostError, one_line
from .log import OncePerKind, logger
from .openalgo import KeyCheckError, KeyOwner, OpenAlgo
from .threads import Ending

# A key's hash takes a core and 64 MiB for some 50 ms.
_WORKERS = 2
_MAX_CONNECTIONS = 256
# A key has at most some hundred characters; each may take six bytes in JSON.
_MAX_LINE_BYTES = 16_384
_MAX_PENDING = 1024
_MAX_UNSENT_BYTES = 1 << 20
# How often keys are compared with the database: OpenAlgo sends no message when one is replaced.
_COMPARE_EVERY_S = 2.0
# Longest path of a Unix socket that every system takes, bytes.
_MAX_PATH_BYTES = 103


def socket_path(ring: str) -> Path:
    """Where the key socket of a ring is: in the user's runtime folder, else in a folder of the user's under /tmp."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return Path(runtime) / "openalgo-shm" / f"{ring}.sock"
    return Path(os.environ.get("TMPDIR") or "/tmp") / f"openalgo-shm-{_user_id()}" / f"{ring}.sock"


def pipe_name(ring: str) -> str:
    """The named pipe that is the key socket on Windows."""
    return rf"\\.\pipe\openalgo-shm-{getpass.getuser()}-{ring}"


def _user_id() -> int:
    return os.getuid() if sys.platform != "win32" else 0


class Claim:
    """The only host of a ring. Held as long as the process lives, however it ends."""

    def __init__(self, ring: str) -> None:
        """:raises HostError: ``ERR_HOST_RUNNING`` or ``ERR_KEY_SOCKET``."""
        self.ring = ring
        if sys.platform == "win32":
            self.path = Path(tempfile.gettempdir()) / f"openalgo-shm-{ring}.sock"
        else:
            self.path = socket_path(ring)
            _ensure_private(self.path.parent)
            if len(os.fsencode(self.path)) > _MAX_PATH_BYTES:
                raise HostError(
                    "ERR_KEY_SOCKET",
                    f"the path of the key socket {self.path} is longer than {_MAX_PATH_BYTES} bytes; "
                    "choose a shorter ring name or XDG_RUNTIME_DIR",
                )
        self._take()

    def renew(self) -> None:
        """Takes the lock's file again if it was removed: what clears up /tmp takes old files along.

        :raises HostError: ``ERR_HOST_RUNNING`` if another host was faster.
        """
        try:
            is_ours = os.path.samestat(os.fstat(self._file.fileno()), self._lock_path.stat())
        except OSError:
            is_ours = False
        if not is_ours:
            before = self._file
            self._take()
            before.close()

    @property
    def _lock_path(self) -> Path:
        return self.path.with_suffix(".lock")

    def _take(self) -> None:
        self._file = open(self._lock_path, "a+", encoding="ascii")  # noqa: SIM115 - held until the end
        try:
            _lock(self._file.fileno())
        except OSError:
            self._file.seek(0, os.SEEK_SET)
            holder = self._file.read().strip()
            raise HostError(
                "ERR_HOST_RUNNING",
                f"another host runs for the ring {self.ring}" + (f": process {holder}" if holder else "") + "; "
                "end it first, or give this one another --buffer-name",
            ) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()


def _lock(descriptor: int) -> None:
    """:raises OSError: if another process holds it."""
    if sys.platform == "win32":
        import msvcrt

        # A byte far behind the text, which stays readable.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _ensure_private(folder: Path) -> None:
    """:raises HostError: ``ERR_KEY_SOCKET`` if the folder is not the user's alone."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise HostError("ERR_KEY_SOCKET", f"the folder of the key socket cannot be made: {one_line(error)}") from error
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != _user_id() or mode != 0o700:
        raise HostError(
            "ERR_KEY_SOCKET",
            f"{folder} must be a folder of mode 0700 that belongs to user {_user_id()}, "
            f"it has mode {mode:04o} and belongs to user {found.st_uid}; remove it or correct it",
        )


class KeyServer:
    """Answers proxies on the key socket."""

    def __init__(self, claim: Claim, openalgo: OpenAlgo, on_keys_changed: Callable[[], None]) -> None:
        """:param on_keys_changed: called, on a thread of the server, when a key was made, replaced or deleted"""
        self._claim = claim
        self._openalgo = openalgo
        self._on_keys_changed = on_keys_changed
        self._connections: set[_Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="openalgo-shm-key")
        # A key that was replaced is noticed, however many guesses wait; and who is connected comes before who is not.
        self._comparer = ThreadPoolExecutor(1, thread_name_prefix="openalgo-shm-key-compare")
        self._recheckers = ThreadPoolExecutor(1, thread_name_prefix="openalgo-shm-key-again")
        self._pending = 0
        self._inode = 0
        self.faults = OncePerKind()

    def changed(self) -> None:
        """Tells all proxies that answers given before may be wrong. From any thread."""
        loop = self._loop
        if loop is not None:
            # The loop may just have ended with the host.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._push_changed)

    def run(self, ending: Ending) -> None:
        """Serves until the end.

        :raises HostError: ``ERR_KEY_SOCKET``.
        """
        try:
            asyncio.run(self._serve(ending))
        finally:
            self._loop = None
            for workers in (self._workers, self._comparer, self._recheckers):
                workers.shutdown(wait=False, cancel_futures=True)

    async def _serve(self, ending: Ending) -> None:
        self._loop = asyncio.get_running_loop()
        close = await self._listen(self._loop)
        try:
            digest: str | None = None
            while not ending.requested:
                digest = await self._compare(digest)
                if self._is_removed():
                    logger.warning("the key socket was removed, it is made anew")
                    close()
                    close = await self._listen(self._loop)
                await _sleep_until(ending, _COMPARE_EVERY_S)
        finally:
            close()
            for connection in list(self._connections):
                connection.abort()

    def _is_removed(self) -> bool:
        """True if the socket is gone, or another's: what clears up /tmp takes old files along."""
        if sys.platform == "win32":
            return False
        try:
            self._claim.renew()
            return self._claim.path.stat().st_ino != self._inode
        except OSError:
            return True

    async def _listen(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        def connection() -> _Connection:
            return _Connection(self)

        try:
            if sys.platform == "win32":
                assert isinstance(loop, asyncio.ProactorEventLoop)
                pipes = await loop.start_serving_pipe(connection, pipe_name(self._claim.ring))

                def close_pipes() -> None:
                    for pipe in pipes:
                        pipe.close()

                return close_pipes
            path = self._claim.path
            _ensure_private(path.parent)
            self._claim.renew()
            # The claim is held: whatever is there was left by a host that is dead.
            path.unlink(missing_ok=True)
            server = await loop.create_unix_server(connection, path)
            path.chmod(0o600)
            self._inode = path.stat().st_ino
        except OSError as error:
            raise HostError("ERR_KEY_SOCKET", f"the key socket cannot be opened: {one_line(error)}") from error

        inode = self._inode

        def close() -> None:
            server.close()
            with contextlib.suppress(OSError):
                if path.stat().st_ino == inode:
                    path.unlink()

        return close

    async def _compare(self, before: str | None) -> str | None:
        """Compares OpenAlgo's keys with those before; the digest of those now."""
        assert self._loop is not None
        try:
            digest = await self._loop.run_in_executor(self._comparer, self._openalgo.keys_digest)
        except Exception as error:
            kind = type(error).__name__
            self.faults.note(kind, f"OpenAlgo's keys cannot be compared: {kind}: {one_line(error)}")
            return before
        if before is not None and digest != before:
            logger.info("OpenAlgo's API keys have changed")
            self._openalgo.clear_key_caches()
            self._on_keys_changed()
        return digest

    def _push_changed(self) -> None:
        for connection in list(self._connections):
            connection.send({"changed": True})

    def enter(self, connection: _Connection) -> bool:
        """Counts a connection in; False if there are too many."""
        if len(self._connections) >= _MAX_CONNECTIONS:
            self.faults.note("connections", f"more than {_MAX_CONNECTIONS} connections at the key socket")
            return False
        self._connections.add(connection)
        return True

    def leave(self, connection: _Connection) -> None:
        """Counts a connection out."""
        self._connections.discard(connection)

    def request(self, connection: _Connection, line: bytes) -> None:
        """Answers one request, as soon as OpenAlgo has."""
        try:
            request = json.loads(line)
            number, key = request["id"], request["api_key"]
            if not isinstance(key, str) or not isinstance(number, int):
                raise ValueError("id must be a whole number and api_key a text")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            connection.send({"id": None, "error": f"no request: {one_line(error)}"})
            return
        if self._pending >= _MAX_PENDING:
            connection.send({"id": number, "error": f"more than {_MAX_PENDING} keys wait to be checked"})
            return
        assert self._loop is not None
        self._pending += 1
        workers = self._recheckers if request.get("recheck") is True else self._workers
        task = self._loop.create_task(self._answer(connection, number, key, workers))
        connection.tasks.add(task)
        task.add_done_callback(connection.tasks.discard)

    async def _answer(self, connection: _Connection, number: int, key: str, workers: ThreadPoolExecutor) -> None:
        assert self._loop is not None
        answer: dict[str, Any] = {"id": number}
        try:
            owner = await self._loop.run_in_executor(workers, self._check, connection, key)
        except KeyCheckError as error:
            self.faults.note("check", str(error))
            answer["error"] = str(error)
        except Exception as error:
            self.faults.note(type(error).__name__, f"a key could not be checked: {one_line(error)}")
            answer["error"] = "the key could not be checked"
        else:
            answer["user_id"] = owner.user if owner is not None else None
            if owner is not None and owner.broker is not None:
                answer["broker"] = owner.broker
        finally:
            self._pending -= 1
        connection.send(answer)

    def _check(self, connection: _Connection, key: str) -> KeyOwner | None:
        if connection.is_lost:
            raise KeyCheckError("the proxy has gone")
        return self._openalgo.check_key(key)


async def _sleep_until(ending: Ending, seconds: float) -> None:
    waited = 0.0
    while waited < seconds and not ending.requested:
        await asyncio.sleep(0.1)
        waited += 0.1


class _Connection(asyncio.Protocol):
    """One proxy."""

    def __init__(self, server: KeyServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._server.enter(self):
            transport.abort()

    @property
    def is_lost(self) -> bool:
        """True once nobody reads answers any more. For any thread."""
        return self._transport is None

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for task in self.tasks:
            task.cancel()
        self._server.leave(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\n")) >= 0:
            line = bytes(self._received[:end])
            del self._received[: end + 1]
            if len(line) > _MAX_LINE_BYTES:
                # One request that is too long costs no other.
                self._refuse_long()
            elif line.strip():
                self._server.request(self, line)
        if len(self._received) > _MAX_LINE_BYTES:
            self._refuse_long()
            if self._transport is not None:
                self._transport.close()

    def _refuse_long(self) -> None:
        self.send({"id": None, "error": f"a request has more than {_MAX_LINE_BYTES} bytes"})

    def send(self, answer: dict[str, Any]) -> None:
        """Sends a line; gives up a proxy that does not read."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > _MAX_UNSENT_BYTES:
            self._server.faults.note("unread", "a proxy does not read its answers at the key socket")
            transport.abort()
            return
        transport.write(json.dumps(answer).encode() + b"\n")

    def abort(self) -> None:
        """Closes at once."""
        if self._transport is not None:
            self._transport.abort()
