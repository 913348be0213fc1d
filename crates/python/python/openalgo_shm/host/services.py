"""OpenAlgo's consumers of ticks in this process: its sandbox and its position manager.

They work inside the call that brings a tick, and may take seconds. Here they have a thread of their
own, and what they are too slow for is conflated: of one instrument and mode they get the newest tick.
"""

from __future__ import annotations

import importlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from .failure import one_line
from .log import OncePerKind, logger
from .threads import Ending
from .topic import TickTopic

# Distinct (exchange, symbol, mode) that may wait; more are dropped and counted.
_MAX_WAITING = 50_000


class MarketDataFeed:
    """Hands ticks to OpenAlgo's ``MarketDataService``. Offering one never waits for it."""

    def __init__(self, process: Callable[[dict[str, Any]], object], rest: Callable[[], None]) -> None:
        """
        :param process: takes a tick
        :param rest: called on the feed's thread when no tick waits, half a second after the last
        """
        self._process = process
        self._rest = rest
        self._waiting: OrderedDict[TickTopic, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._idle = False
        self.processed = 0
        self.conflated = 0
        self.dropped = 0
        self.faults = OncePerKind()

    def offer(self, about: TickTopic, data: Any) -> None:
        """Takes a tick; replaces one of the same instrument and mode that still waits, in its place."""
        if not isinstance(data, dict):
            return
        # The adapter may go on with its own dict.
        tick = data.copy()
        with self._lock:
            if about in self._waiting:
                self.conflated += 1
            elif len(self._waiting) >= _MAX_WAITING:
                self.dropped += 1
                return
            self._waiting[about] = tick
            if self._idle:
                self._idle = False
                self._changed.notify()

    def run(self, ending: Ending) -> None:
        """Hands ticks over until the end."""
        while not ending.requested:
            taken = self._take()
            if taken is None:
                self._rest()
                continue
            about, data = taken
            try:
                self._process({"symbol": about.symbol, "exchange": about.exchange, "mode": about.mode, "data": data})
                self.processed += 1
            except Exception as error:
                kind = type(error).__name__
                self.faults.note(kind, f"OpenAlgo's market data service failed: {kind}: {one_line(error)}")

    def _take(self) -> tuple[TickTopic, Any] | None:
        """The tick that waits longest; None after half a second without one."""
        with self._changed:
            if not self._waiting:
                self._idle = True
                self._changed.wait(0.5)
                self._idle = False
            return self._waiting.popitem(last=False) if self._waiting else None


def market_data_feed(rest: Callable[[], None]) -> MarketDataFeed | None:
    """The feed of OpenAlgo's service; None if this OpenAlgo has none."""
    try:
        service = importlib.import_module("services.market_data_service").get_market_data_service()
    except Exception as error:
        logger.warning("OpenAlgo's market data service cannot be used, its sandbox gets no ticks: %s", one_line(error))
        return None
    return MarketDataFeed(service.process_market_data, rest)
