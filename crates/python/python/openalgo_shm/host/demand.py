"""From what clients want to the adapter's subscriptions, and back: what became of them."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from openalgo_shm import InterestReader, OpenAlgoShmError

from .events import MAX_TEXT, Events, result_events
from .failure import one_line
from .health import is_connected
from .log import OncePerKind, logger
from .source import Source
from .threads import Ending

DEPTH_MODE = 3
# What OpenAlgo's clients ask for if they say nothing; also passed on for modes without a book.
DEFAULT_DEPTH = 5
# The reader of the interest drops dead proxies while it is polled; it wants that once a second.
_POLL_S = 0.25
# Results wait for others at most this long, s.
_RESULTS_S = 0.1
_RESULTS_AT_ONCE = 256
_REMIND_EVERY_S = 5.0
# An adapter that says that it is connected, and refuses because it is not, is believed after this, s.
_AWAY_PATIENCE_S = 30.0
# An unsubscribe that fails is tried so often.
_UNSUBSCRIBE_TRIES = 5


class Key(NamedTuple):
    """What can be subscribed once; ``mode`` is 1 LTP, 2 quote, 3 depth."""

    exchange: str
    symbol: str
    mode: int


class _Held(NamedTuple):
    """A subscription at the adapter: levels asked for, levels that come."""

    asked: int
    actual: int


class _Refused(NamedTuple):
    """A subscription that the adapter does not take: levels asked for, the broker's reason."""

    asked: int
    reason: str


class Wishes:
    """The union of what the clients of all proxies want, kept by a thread of its own.

    The adapter may block for seconds; the interest must be read all the same.
    """

    def __init__(self, buffer_name: str, owner_name: str, wake: Callable[[], None]) -> None:
        """
        :param wake: called when there is something to do
        :raises OpenAlgoShmError: those of opening a ring.
        """
        self._buffer_name = buffer_name
        self._owner_name = owner_name
        self._reader = self._open()
        self._wake = wake
        self._lock = threading.Lock()
        self._wanted: dict[Key, int] = {}
        self._changed: OrderedDict[Key, None] = OrderedDict()
        self._ended: set[Key] = set()
        self.newest_wish = 0.0
        """When the last new wish came, on the monotonic clock, s."""
        self.faults = OncePerKind()

    def follow(self, ending: Ending) -> None:
        """Reads the interest until the end."""
        try:
            while not ending.requested:
                try:
                    self._reader.wait(_POLL_S)
                    changes = self._reader.poll()
                except OpenAlgoShmError as error:
                    self.faults.note(error.code, f"what clients want cannot be read: {one_line(error)}")
                    ending.wait(1.0)
                    self._reopen()
                    continue
                if changes:
                    self._take(changes)
        finally:
            self._reader.close()

    @property
    def any(self) -> bool:
        """Whether anything is wanted."""
        return bool(self._wanted)

    def wants(self, exchange: str, symbol: str) -> bool:
        """Whether a symbol is wanted in any mode. From any thread."""
        return any(Key(exchange, symbol, mode) in self._wanted for mode in (1, 2, 3))

    def all_again(self) -> None:
        """Everything that is wanted is to be subscribed anew."""
        with self._lock:
            self._ended.clear()
            self._changed = OrderedDict.fromkeys(self._wanted)

    def again(self, key: Key) -> None:
        """This is to be looked at once more."""
        with self._lock:
            self._changed[key] = None

    def next(self) -> tuple[Key, int | None, bool] | None:
        """The next key to look at, with the depth wanted (None: nobody wants it), and whether an earlier wish ended."""
        with self._lock:
            if not self._changed:
                return None
            key, _ = self._changed.popitem(last=False)
            ended = key in self._ended
            self._ended.discard(key)
            return key, self._wanted.get(key), ended

    def _take(self, changes: Any) -> None:
        with self._lock:
            for change in changes:
                key = Key(change.exchange, change.symbol, int(change.mode))
                if change.kind == "subscribe":
                    self._wanted[key] = int(change.depth or 0) or DEFAULT_DEPTH
                    self.newest_wish = time.monotonic()
                else:
                    self._wanted.pop(key, None)
                    self._ended.add(key)
                self._changed[key] = None
        self._wake()

    def _open(self) -> InterestReader:
        return InterestReader(buffer_name=self._buffer_name, owner_name=self._owner_name)

    def _reopen(self) -> None:
        """A new reader, and what differs between its view and the one before."""
        self._reader.close()
        try:
            self._reader = self._open()
            self._reader.poll()
            wanted = {
                Key(each.exchange, each.symbol, int(each.mode)): int(each.depth or 0) or DEFAULT_DEPTH
                for each in self._reader.wanted()
            }
        except OpenAlgoShmError as error:
            self.faults.note(error.code, f"what clients want cannot be read: {one_line(error)}")
            return
        with self._lock:
            for key in self._wanted.keys() - wanted.keys():
                self._ended.add(key)
                self._changed[key] = None
            for key, depth in wanted.items():
                if self._wanted.get(key) != depth:
                    self._changed[key] = None
            self._wanted = wanted
        self._wake()


class AdapterAwayError(Exception):
    """The adapter took no subscription because it is not connected: no refusal of the broker's."""


class Worked(NamedTuple):
    """Whether there was any work, and whether there may be more."""

    any: bool
    more: bool


class Subscriptions:
    """The adapter's subscriptions. Used by the session's thread alone, but for :attr:`calling_since`."""

    def __init__(self, wishes: Wishes, events: Events, source: Source) -> None:
        self.calling_since: float | None = None
        """Since when a call of the adapter is under way, on the monotonic clock, s; None while there is none."""
        self._orphans: dict[Key, int] = {}
        self._away_since: float | None = None
        self._wishes = wishes
        self._events = events
        self._source = source
        self._held: dict[Key, _Held] = {}
        self._refused: dict[Key, _Refused] = {}
        self._next_reminder = 0.0
        self._results: list[dict[str, Any]] = []
        self._results_since = 0.0

    @property
    def count(self) -> int:
        """How many (exchange, symbol, mode) the adapter has taken."""
        return len(self._held)

    def start_over(self) -> None:
        """The adapter is a new one: it has no subscriptions and has refused nothing."""
        self.drop()
        self._wishes.all_again()

    def drop(self) -> None:
        """The adapter is gone with its subscriptions."""
        self._held.clear()
        self._refused.clear()
        self._orphans.clear()
        self._results.clear()

    def work(self, adapter: Any, go_on: Callable[[], bool]) -> Worked:
        """Brings the adapter to what is wanted, until ``go_on`` says no."""
        any_done = False
        while (may := go_on()) and (wish := self._wishes.next()) is not None:
            any_done = True
            try:
                self._settle(adapter, *wish)
            except AdapterAwayError as error:
                logger.info("the adapter is not connected, subscribing waits: %s", error)
                self._wishes.again(wish[0])
                self.tell()
                return Worked(any=any_done, more=False)
            if len(self._results) >= _RESULTS_AT_ONCE or time.monotonic() - self._results_since > _RESULTS_S:
                self.tell()
        self.tell()
        return Worked(any=any_done, more=not may)

    def back(self) -> None:
        """The adapter has its broker again: tells all results, which proxies have forgotten, and asks again for what
        was refused, for it may have been refused because the broker was away."""
        for key, held in self._held.items():
            self._note(key, "success", depth=held.actual)
        self.tell()
        for key in self._refused:
            self._wishes.again(key)
        self._refused.clear()

    def remind(self, adapter: Any) -> None:
        """Tells again, every 5 s, what was refused and is still wanted, and tries again to give up what the adapter
        would not: it counts against the broker's limit.

        A proxy gives a refused wish up. One that is still there belongs to a proxy that has not heard the
        refusal, or to a client that wished anew before this host could see the wish end.
        """
        now = time.monotonic()
        if now < self._next_reminder:
            return
        self._next_reminder = now + _REMIND_EVERY_S
        for key, refused in self._refused.items():
            self._note(key, "error", message=refused.reason)
        self.tell()
        for key, tries in list(self._orphans.items()):
            del self._orphans[key]
            if key not in self._held:
                self._unsubscribe(adapter, key, tries + 1)

    def tell(self) -> None:
        """Tells the proxies the results that have gathered."""
        results, self._results = self._results, []
        for event in result_events(self._source.feed, results):
            self._events.publish(event)

    def _settle(self, adapter: Any, key: Key, wanted: int | None, ended: bool) -> None:
        if ended:
            self._refused.pop(key, None)
        held = self._held.get(key)
        if wanted is None:
            if held is not None:
                self._unsubscribe(adapter, key)
            self._note(key, "ended")
        elif held is None:
            refused = self._refused.get(key)
            if refused is None or refused.asked != wanted:
                self._subscribe(adapter, key, wanted)
        elif key.mode != DEPTH_MODE or wanted <= max(held):
            # A shallower wish leaves a deeper book as it is.
            self._note(key, "success", depth=held.actual)
        else:
            self._change_depth(adapter, key, held, wanted)

    def _subscribe(self, adapter: Any, key: Key, depth: int) -> None:
        self._orphans.pop(key, None)
        actual, refusal = self._ask(adapter, key, depth)
        if actual is None and self._is_away(adapter, refusal):
            raise AdapterAwayError(refusal)
        if actual is not None:
            self._refused.pop(key, None)
            self._held[key] = _Held(depth, actual)
            self._note(key, "success", depth=actual)
        else:
            self._refused[key] = _Refused(depth, refusal)
            self._note(key, "error", message=refusal)

    def _is_away(self, adapter: Any, refusal: str) -> bool:
        """Whether a refusal is only that the adapter is not connected. What it says counts for a while at most, if it
        says beside that it is connected."""
        connected = is_connected(adapter)
        if connected is False:
            return True
        if not _says_away(refusal):
            self._away_since = None
            return False
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        return now - self._away_since < _AWAY_PATIENCE_S

    def _change_depth(self, adapter: Any, key: Key, held: _Held, depth: int) -> None:
        """Unsubscribes first: an adapter's pool takes a second subscription for one that it has.

        :raises AdapterAwayError: if the adapter is not connected.
        """
        if is_connected(adapter) is False:
            raise AdapterAwayError("a deeper book waits")
        trouble = self._unsubscribe(adapter, key)
        if trouble is not None:
            self._held[key] = _Held(depth, held.actual)
            self._note(key, "success", depth=held.actual, message=trouble)
            return
        actual, refusal = self._ask(adapter, key, depth)
        if actual is not None:
            self._held[key] = _Held(depth, actual)
            self._note(key, "success", depth=actual)
            return
        if self._is_away(adapter, refusal):
            raise AdapterAwayError(refusal)
        # Those who had a book keep it.
        again, _ = self._ask(adapter, key, held.asked)
        if again is not None:
            self._held[key] = _Held(depth, again)
            self._note(key, "success", depth=again, message=refusal)
        else:
            self._refused[key] = _Refused(depth, refusal)
            self._note(key, "error", message=refusal)

    def _ask(self, adapter: Any, key: Key, depth: int) -> tuple[int | None, str]:
        self.calling_since = time.monotonic()
        try:
            return _ask(adapter, key, depth)
        finally:
            self.calling_since = None

    def _unsubscribe(self, adapter: Any, key: Key, tries: int = 1) -> str | None:
        """Gives a subscription up, whatever the adapter says; the reason if it says that it failed."""
        self._held.pop(key, None)
        self.calling_since = time.monotonic()
        try:
            reason = failure_of(adapter.unsubscribe(key.symbol, key.exchange, key.mode))
        except BaseException as error:
            reason = f"{type(error).__name__}: {one_line(error)}"
        finally:
            self.calling_since = None
        if reason is not None:
            if tries < _UNSUBSCRIBE_TRIES and "not subscribed" not in reason.lower().replace("_", " "):
                self._orphans[key] = tries
            logger.warning("unsubscribing %s:%s mode %d failed: %s", key.exchange, key.symbol, key.mode, reason)
        return reason

    def _note(self, key: Key, status: str, depth: int | None = None, message: str | None = None) -> None:
        result: dict[str, Any] = {
            "exchange": key.exchange,
            "symbol": key.symbol,
            "mode": key.mode,
            "status": status,
        }
        if depth is not None and key.mode == DEPTH_MODE:
            result["depth"] = depth
        if message is not None:
            result["message"] = message[:MAX_TEXT]
        if not self._results:
            self._results_since = time.monotonic()
        self._results.append(result)


def failure_of(result: Any) -> str | None:
    """The reason why an adapter's call failed; None if it did not. Adapters say so in two shapes."""
    if result is False:
        return "the adapter said no"
    if not isinstance(result, dict):
        return None
    if result.get("status") == "error" or result.get("success") is False:
        return one_line(result.get("message") or result.get("error") or result.get("code") or "no reason given")
    return None


def _says_away(reason: str) -> bool:
    """Whether the reason of a refusal is the adapter's own connection."""
    return "not connected" in reason.lower().replace("_", " ")


def _ask(adapter: Any, key: Key, depth: int) -> tuple[int | None, str]:
    """Subscribes; the levels that will come, or None and the reason of the refusal."""
    try:
        result = adapter.subscribe(key.symbol, key.exchange, key.mode, depth)
    except BaseException as error:
        return None, f"{type(error).__name__}: {one_line(error)}"
    if isinstance(result, dict) and result.get("status") == "success":
        actual = result.get("actual_depth")
        return (actual if isinstance(actual, int) and actual > 0 else depth), ""
    return None, failure_of(result) or "the adapter gave no answer"
