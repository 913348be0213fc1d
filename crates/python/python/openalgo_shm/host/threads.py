"""The host's threads, and an end within a bounded time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from .failure import HostError, one_line
from .log import logger

T = TypeVar("T")

_PREFIX = "openalgo-shm-"


class Ending:
    """Whether the host shall end, and why."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self.failure: HostError | None = None

    @property
    def requested(self) -> bool:
        """True once the host shall end."""
        return self._event.is_set()

    def request(self, failure: HostError | None = None) -> None:
        """Asks for the end. Only the first failure is kept."""
        with self._lock:
            if failure is not None and self.failure is None and not self._event.is_set():
                self.failure = failure
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Waits for the request, at most ``seconds``; True if there is one."""
        return self._event.wait(seconds)


class Threads:
    """Starts the host's own threads. One that fails ends the host, with its name in the message."""

    def __init__(self, ending: Ending) -> None:
        self._ending = ending
        self._threads: list[threading.Thread] = []

    def start(self, name: str, run: Callable[[], None]) -> None:
        """Runs ``run`` on a thread of its own until it returns."""

        def guarded() -> None:
            try:
                run()
            except HostError as error:
                self._ending.request(error)
            except BaseException as error:
                self._ending.request(
                    HostError("ERR_THREAD_FAILED", f"the thread {name} failed: {type(error).__name__}: {one_line(error)}")
                )

        thread = threading.Thread(target=guarded, name=f"{_PREFIX}{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self, seconds: float) -> list[str]:
        """Waits for all of them, at most ``seconds`` in all; the names of those that have not ended."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [thread.name for thread in self._threads if thread.is_alive()]


def left_behind(before: frozenset[threading.Thread], seconds: float) -> list[str]:
    """Names of threads of adapters that have not ended after ``seconds``.

    :param before: the threads that there were before the first adapter
    """
    deadline = time.monotonic() + seconds
    while True:
        others = [
            thread.name
            for thread in threading.enumerate()
            if thread not in before and not thread.name.startswith(_PREFIX)
        ]
        if not others or time.monotonic() > deadline:
            return others
        time.sleep(0.05)


class TookTooLongError(Exception):
    """A call of :func:`bounded` has not returned in time; its thread goes on."""


def bounded(name: str, seconds: float, call: Callable[[], T]) -> T:
    """Calls ``call`` on a thread of its own and waits for it at most ``seconds``.

    For code of others that may never return. What it raises is raised here, too.

    :raises TookTooLongError: if it has not returned by then; the thread is left to itself.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name=f"{_PREFIX}{name}", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        logger.warning("%s has not returned within %g s: its thread %s is left to itself", name, seconds, thread.name)
        raise TookTooLongError(f"{name} has not returned within {seconds:g} s")
    if errors:
        raise errors[0]
    return results[0]
