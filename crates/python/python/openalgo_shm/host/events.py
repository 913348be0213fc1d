"""What the host tells the proxies: its source, results of subscriptions, order updates."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from typing import Any

from openalgo_shm import EventPublisher, OpenAlgoShmError

from .failure import one_line
from .log import OncePerKind

# Longest event, in bytes of JSON. An event measured with Python's own JSON is never longer in the ring.
MAX_EVENT_BYTES = 2016
MAX_TEXT = 200

Event = dict[str, Any]


def _size(event: object) -> int:
    return len(json.dumps(event))


class Events:
    """Publishes events, from any thread. A fault of the ring is counted and logged once a kind."""

    def __init__(self, buffer_name: str, owner_name: str) -> None:
        """:raises OpenAlgoShmError: those of opening a ring."""
        self._publisher = EventPublisher(buffer_name=buffer_name, owner_name=owner_name)
        self._lock = threading.Lock()
        self._closed = False
        self.faults = OncePerKind()

    def publish(self, event: Event) -> bool:
        """True if the event went out."""
        with self._lock:
            if self._closed:
                return False
            try:
                self._publisher.publish(event)
                return True
            except (OpenAlgoShmError, TypeError, ValueError) as error:
                kind = getattr(error, "code", type(error).__name__)
                self.faults.note(f"{event['type']} {kind}", f"an event {event['type']} was not told: {one_line(error)}")
                return False

    def close(self) -> None:
        """Gives the lane back. Idempotent."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._publisher.close()


def order_update_event(update: dict[str, Any]) -> Event | None:
    """The event of an order update of OpenAlgo; None if it names no user or does not fit.

    A reason of a rejection is cut where the event would be too long.
    """
    user = update.get("user_id")
    if not isinstance(user, str) or not user:
        return None
    event: Event = {"type": "order_update", "owners": [user], "update": update}
    reason = update.get("rejection_reason")
    while _size(event) > MAX_EVENT_BYTES:
        if not isinstance(reason, str) or not reason:
            return None
        reason = reason[: len(reason) // 2]
        event["update"] = {**update, "rejection_reason": reason}
    return event


def result_events(feed: str, results: Iterable[dict[str, Any]]) -> Iterable[Event]:
    """Results in as few events as they fit into, in their order."""
    overhead = _size({"type": "subscription_result", "feed": feed, "results": []})
    batch: list[dict[str, Any]] = []
    used = overhead
    for result in results:
        size = _size(result) + 2
        if batch and used + size > MAX_EVENT_BYTES:
            yield {"type": "subscription_result", "feed": feed, "results": batch}
            batch, used = [], overhead
        batch.append(result)
        used += size
    if batch:
        yield {"type": "subscription_result", "feed": feed, "results": batch}
