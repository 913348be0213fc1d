"""Whether an adapter has its broker, as far as it can be seen from outside."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from typing import Any

# An adapter that connects in the background has this long before it counts as away, s.
_FIRST_CONNECTION_S = 30.0
# An adapter reconnects by itself; after this long without success it is to be replaced, s.
_RECONNECT_S = 60.0
# One that has never reached its broker is to be replaced after this long, s; twice as long each time, up to half an hour.
_NEVER_REACHED_S = 120.0
_NEVER_REACHED_MOST_S = 1800.0


class Change(enum.Enum):
    """What has become of the connection since the last look."""

    NONE = enum.auto()
    LOST = enum.auto()
    NOT_REACHED = enum.auto()
    BACK = enum.auto()
    HOPELESS = enum.auto()


class Health:
    """Watches one adapter.

    Ticks prove a connection whatever the adapter says, because not all say it well. Only one that was
    seen connected can be lost.
    """

    def __init__(self, adapter: Any, ticks: Callable[[], int], times_before: int = 0) -> None:
        """
        :param ticks: how many ticks have been published so far
        :param times_before: how many adapters before this one have never reached the broker
        """
        self._patience_s = min(_NEVER_REACHED_S * 2.0 ** min(times_before, 10), _NEVER_REACHED_MOST_S)
        self._adapter = adapter
        self._ticks = ticks
        self._ticks_seen = ticks()
        self._began = time.monotonic()
        self._seen_connected = False
        self._away_since: float | None = None

    @property
    def is_lost(self) -> bool:
        """True while the adapter has lost a connection that it had."""
        return self._seen_connected and self._away_since is not None

    @property
    def was_connected(self) -> bool:
        """True once the adapter was seen connected."""
        return self._seen_connected

    def look(self) -> Change:
        """Looks at the adapter."""
        ticks = self._ticks()
        ticking, self._ticks_seen = ticks != self._ticks_seen, ticks
        connected = is_connected(self._adapter)
        if connected or ticking:
            self._seen_connected = True
            was_away, self._away_since = self._away_since is not None, None
            return Change.BACK if was_away else Change.NONE
        return self._look_at_the_absent() if connected is False else Change.NONE

    def _look_at_the_absent(self) -> Change:
        now = time.monotonic()
        if self._away_since is not None:
            limit = _RECONNECT_S if self._seen_connected else self._patience_s - _FIRST_CONNECTION_S
            return Change.HOPELESS if now - self._away_since > limit else Change.NONE
        if self._seen_connected:
            self._away_since = now
            return Change.LOST
        if now - self._began > _FIRST_CONNECTION_S:
            self._away_since = now
            return Change.NOT_REACHED
        return Change.NONE


def is_connected(adapter: Any) -> bool | None:
    """Whether the adapter has its broker; of a pool, whether any of its adapters has. None if it does not say."""
    try:
        members = getattr(getattr(adapter, "_pool", None), "adapters", None) or [adapter]
        said = [getattr(each, "connected", None) for each in list(members)]
    except Exception:
        return None
    answers = [each for each in said if isinstance(each, bool)]
    return any(answers) if answers else None
