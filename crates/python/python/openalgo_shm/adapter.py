"""Where a broker's adapter hands over its ticks, and hears what clients want."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from openalgo_shm._native import BrokerAdapter, InterestChange, InterestReader

_log = logging.getLogger(__name__)
#: How often the listener looks for proxies that died, in seconds.
_TURN_SECONDS = 0.5


class SharedMemoryBrokerAdapter(BrokerAdapter):
    """Publishes a broker's ticks just as they are.

    Any of the names that OpenAlgo's adapters and Kite's ticker use, times in seconds or ms, numbers as text. What
    cannot be read is left out and counted; one bad value never costs the price. The ring is opened with the first
    tick; if it is removed, the adapter goes over to the one that has its name within a second. Any thread may publish.

    Options: ``buffer_name``, ``exchange`` (of ticks that name none, default ``NSE``), ``utc_offset`` (of times that
    name none, default ``+05:30``), and those of ``LockFreeRingBuffer``.

    Raises ``OpenAlgoShmError``: ``ERR_INVALID_ARGUMENT`` for an empty broker name, ``ERR_INVALID_OPTION``.
    """

    _listener: _Listener | None = None

    def listen(
        self,
        subscribe: Callable[[InterestChange], object],
        unsubscribe: Callable[[InterestChange], object],
    ) -> None:
        """Calls back, on a thread of its own, for what the clients of all proxies begin and cease to want.

        At first for all that is wanted already, within a second, and for every change from then on, each topic and
        mode once however many want it. A topic in mode 3 comes again when the deepest book that anybody wants changes.
        An exception in a callback is logged and ends nothing.

        Raises ``OpenAlgoShmError``: those of opening a ring.
        """
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop()
        self._listener = _Listener(self.buffer_name, self.broker_name, subscribe, unsubscribe)

    def wanted(self) -> list[InterestChange]:
        """Every topic and mode that clients want now; empty unless it listens."""
        return [] if self._listener is None else self._listener.reader.wanted()

    def stop(self) -> None:
        """Gives the lane back and hears no more of what is wanted. The ring and what is in it stay. Idempotent."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop()
        super().stop()

    def cleanup(self) -> bool:
        """Stops, and removes the ring's name; processes that have it open keep it. True if there was one."""
        self.stop()
        return super().cleanup()


class _Listener:
    def __init__(
        self,
        buffer_name: str,
        owner_name: str,
        subscribe: Callable[[InterestChange], object],
        unsubscribe: Callable[[InterestChange], object],
    ) -> None:
        self.reader = InterestReader(buffer_name, owner_name)
        self._callbacks = {"subscribe": subscribe, "unsubscribe": unsubscribe}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ring-interest", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._turn()
            except Exception:
                _log.exception("what clients want cannot be read; trying again")
                self._stopping.wait(_TURN_SECONDS)
        self.reader.close()

    def _turn(self) -> None:
        for change in self.reader.poll():
            try:
                self._callbacks[change.kind](change)
            except Exception:
                _log.exception("the callback for %r failed", change)
        self.reader.wait(_TURN_SECONDS)
