"""Whether the host's source, the broker's session, is there, as the proxies hear it."""

from __future__ import annotations

import threading

from .events import MAX_TEXT, Event, Events
from .log import logger
from .threads import Ending

# A proxy that starts late hears of the source within this time, s.
REPEAT_S = 5.0


class Source:
    """Tells every change at once and repeats the last one, so that late proxies know."""

    def __init__(self, events: Events, feed: str) -> None:
        self._events = events
        self._lock = threading.Lock()
        self._feed = feed
        self._reason: str | None = "the host is starting"

    @property
    def feed(self) -> str:
        """The owner of the lane of ticks: the broker's name."""
        return self._feed

    def up(self) -> None:
        """The broker's session is there."""
        self._change(self._feed, None)

    def down(self, reason: str) -> None:
        """The broker's session is away."""
        self._change(self._feed, reason[:MAX_TEXT])

    def moved(self, feed: str) -> None:
        """The ticks come under another name from now on."""
        if feed != self._feed:
            self._change(self._feed, f"OpenAlgo's broker is {feed} now")
            self._change(feed, f"connecting to {feed}")

    def repeat(self, ending: Ending) -> None:
        """Repeats the state until the end."""
        while not ending.wait(REPEAT_S):
            with self._lock:
                self._events.publish(self._event())

    def _change(self, feed: str, reason: str | None) -> None:
        with self._lock:
            if (feed, reason) == (self._feed, self._reason):
                return
            self._feed, self._reason = feed, reason
            self._events.publish(self._event())
        if reason is None:
            logger.info("the session at broker %s is up", feed)
        else:
            logger.warning("the session is down: %s", reason)

    def _event(self) -> Event:
        event: Event = {"type": "feed_source", "feed": self._feed, "up": self._reason is None}
        if self._reason is not None:
            event["reason"] = self._reason
        return {**event, "answers": True, "broker": self._feed}
