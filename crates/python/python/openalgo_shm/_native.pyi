"""The native part. What is public is exported by ``openalgo_shm``."""

from collections.abc import Iterable, Mapping

from typing import Any, Literal, final

from typing_extensions import CapsuleType, Self

from openalgo_shm.types import (
    AdapterStats,
    Book,
    FoundRing,
    Mode,
    PublisherStats,
    RingInfo,
    RingStats,
    SubscriberStats,
)

FORMAT_VERSION: int
"""Version of the segment format that this build makes and reads."""
FIELD_NAMES: list[str]
"""Names of the numeric fields on the wire, in the order of their presence bits."""

class OpenAlgoShmError(Exception):
    """An error that says what was found, what was expected and what to do. ``code`` never changes."""

    code: str

def error(code: str, message: str) -> OpenAlgoShmError: ...
def monotonic_ns() -> int:
    """Nanoseconds of the clock that stamps messages, the same for all processes of a machine."""

@final
class Tick:
    """A tick. Fields that the tick does not have are ``None``. Prices are in the instrument's currency, times in ms
    since 1970. ``tick["52_week_high"]`` takes the names on the wire, those that brokers' adapters use, and other keys that
    this one's adapter wrote."""

    @property
    def symbol(self) -> str: ...
    @property
    def exchange(self) -> str: ...
    @property
    def publisher(self) -> str:
        """Name of who published it: the broker's, for an adapter."""
    @property
    def mode(self) -> Mode:
        """1 LTP, 2 quote, 3 depth."""
    @property
    def sequence(self) -> int:
        """Number of the message in its publisher's lane, from 0, without gaps."""
    @property
    def publish_ns(self) -> int:
        """When it was published, ns of ``monotonic_ns``."""
    @property
    def members(self) -> dict[str, float | str | bool]:
        """What the broker's adapter wrote that no field says in the same form, by its keys."""
    @property
    def age_ms(self) -> int | None:
        """Of the last value of another source, such as another proxy: how old it was when it was published here."""
    @property
    def oldest_age_ms(self) -> int | None:
        """With an ``age_ms``: how old its oldest value was then."""
    @property
    def depth(self) -> Book | None: ...
    @property
    def ltp(self) -> float | None: ...
    @property
    def volume(self) -> float | None: ...
    @property
    def ltt(self) -> float | None: ...
    @property
    def timestamp(self) -> float | None: ...
    @property
    def open(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def close(self) -> float | None: ...
    @property
    def prev_close(self) -> float | None: ...
    @property
    def average_price(self) -> float | None: ...
    @property
    def last_quantity(self) -> float | None: ...
    @property
    def oi(self) -> float | None: ...
    @property
    def bid(self) -> float | None: ...
    @property
    def ask(self) -> float | None: ...
    @property
    def bid_qty(self) -> float | None: ...
    @property
    def ask_qty(self) -> float | None: ...
    @property
    def total_buy_quantity(self) -> float | None: ...
    @property
    def total_sell_quantity(self) -> float | None: ...
    @property
    def change(self) -> float | None: ...
    @property
    def change_percent(self) -> float | None: ...
    @property
    def upper_circuit(self) -> float | None: ...
    @property
    def lower_circuit(self) -> float | None: ...
    @property
    def week_52_high(self) -> float | None: ...
    @property
    def week_52_low(self) -> float | None: ...
    @property
    def oi_day_high(self) -> float | None: ...
    @property
    def oi_day_low(self) -> float | None: ...
    @property
    def oi_change(self) -> float | None: ...
    @property
    def seq(self) -> float | None: ...
    @property
    def turnover(self) -> float | None: ...
    @property
    def instrument_token(self) -> float | None: ...
    @property
    def tradable(self) -> float | None: ...
    @property
    def exchange_timestamp(self) -> float | None: ...
    def get(self, name: str, default: Any = None) -> Any: ...
    def keys(self) -> list[str]: ...
    def as_dict(self) -> dict[str, Any]:
        """With the names on the wire, and those that the broker's adapter used, as OpenAlgo's clients have them."""
    def __getitem__(self, name: str, /) -> Any: ...
    def __contains__(self, name: str, /) -> bool: ...

@final
class ArrowBatch:
    """Ticks as columns. pyarrow, polars and DuckDB take it as it is: ``pyarrow.table(batch)``, ``polars.DataFrame(batch)``.

    Columns: ``exchange``, ``symbol`` and ``publisher`` as dictionaries, ``mode``, ``sequence``, ``publish_ns``, every
    field under its name on the wire (times as timestamps in UTC, null where a tick does not have it), ``buy`` and
    ``sell`` as lists of levels, and ``age_ms``: how old the last value of another source was when it came, null of all
    other ticks. Every batch has the same columns.
    """

    @property
    def num_rows(self) -> int: ...
    @property
    def column_names(self) -> list[str]: ...
    def __len__(self) -> int: ...
    def __arrow_c_schema__(self) -> CapsuleType: ...
    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[CapsuleType, CapsuleType]: ...
    def __arrow_c_stream__(self, requested_schema: object = None) -> CapsuleType: ...

@final
class LockFreeRingBuffer:
    """A named ring in shared memory.

    - ``buffer_size``: bytes of one lane, in lines of 64 bytes, rounded down to a power of two. Default 1 MiB.
    - ``topics``: topics that one publisher can name, 1 to 262,144. Default 32,768.
    - ``depth_levels``: levels a side, 0 to 200. Default 5.
    - ``lanes``: publishers at the same time, 1 to 64. Default 8.
    - ``consumers``: subscribers that can register, 1 to 256. Default 64.
    - ``policy``: ``"overwrite"`` (default) or ``"lossless"``. ``preset``: ``"mpmc"`` (default) or ``"spsc"``.

    Raises ``OpenAlgoShmError``: ``ERR_SHM_MISMATCH`` if the ring exists with other options, ``ERR_INVALID_OPTION``,
    ``ERR_SHM_NAME``, ``ERR_SHM_FULL``, ``ERR_SHM_PERMISSION``, ``ERR_SHM_VERSION``, ``ERR_SHM_LAYOUT``, ``ERR_SHM_BUSY``.
    """

    def __new__(
        cls,
        buffer_name: str = "ws_proxy_buffer",
        buffer_size: int | None = None,
        *,
        topics: int | None = None,
        depth_levels: int | None = None,
        lanes: int | None = None,
        consumers: int | None = None,
        policy: Literal["overwrite", "lossless"] | None = None,
        preset: Literal["mpmc", "spsc"] | None = None,
    ) -> Self: ...
    @staticmethod
    def open(buffer_name: str = "ws_proxy_buffer") -> LockFreeRingBuffer:
        """Attaches to an existing ring as it is. Raises ``ERR_SHM_NOT_FOUND`` and those of the constructor."""
    @staticmethod
    def list() -> list[FoundRing]:
        """The rings on this machine that this user may open."""
    @staticmethod
    def remove_if_unused(buffer_name: str) -> bool:
        """Removes a ring that no living process holds. True if it was removed."""
    @property
    def name(self) -> str: ...
    def info(self) -> RingInfo: ...
    def stats(self) -> RingStats:
        """A picture of its publishers and subscribers now; costs microseconds and disturbs nobody."""
    def is_current(self) -> bool:
        """False once the name was removed or leads to a newer ring."""
    def unlink(self) -> bool:
        """Removes the name if it still leads to this ring, and the small rings beside it unless somebody holds them.
        Processes that have it open keep it. True if it was removed."""
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

@final
class TopicHandle:
    """One topic of a publisher, for callers that publish it often: its name is checked and looked up once. It stays
    valid when the publisher is stopped and started again."""

    symbol: str
    exchange: str
    def ltp(
        self,
        price: float,
        /,
        *,
        volume: float | None = None,
        ltt: float | None = None,
        timestamp: float | None = None,
    ) -> bool:
        """Publishes an LTP tick; times in ms since 1970. False if a lossless ring is full. Raises ``ERR_CLOSED``."""
    def quote(self, data: Mapping[str, Any]) -> bool:
        """Publishes a quote. Raises as ``publish_market_data``."""
    def depth(self, data: Mapping[str, Any]) -> bool:
        """Publishes an order book, and the other fields that are given. Raises as ``publish_market_data``."""

class SharedMemoryPublisher:
    """Publishes ticks. Any number of threads may use it.

    - ``buffer_name``: the ring's name. The first process creates the ring; later ones attach and ignore its size options.
    - ``publisher_name``: what readers see, and clients as ``broker``; at most 48 bytes.
    - ``exchange``: of ticks that name none. Default ``NSE``.
    - the others as for ``LockFreeRingBuffer``.
    """

    def __new__(
        cls,
        buffer_name: str = "ws_proxy_buffer",
        buffer_size: int | None = None,
        *,
        publisher_name: str = "publisher",
        exchange: str = "NSE",
        topics: int | None = None,
        depth_levels: int | None = None,
        lanes: int | None = None,
        consumers: int | None = None,
        policy: Literal["overwrite", "lossless"] | None = None,
        preset: Literal["mpmc", "spsc"] | None = None,
    ) -> Self: ...
    def start(self) -> Self:
        """Attaches to the ring as it is, or creates it, and takes a lane. Does nothing if it runs already.

        Raises ``OpenAlgoShmError``: ``ERR_NO_FREE_LANE`` and those of opening a ring.
        """
    def publish_market_data(self, symbol: str, data: Mapping[str, Any], exchange: str | None = None) -> bool:
        """Publishes one tick. Never waits. False if a lossless ring is full.

        ``type`` (or ``mode``) is 1 LTP, 2 quote, 3 depth; by default it follows from the fields. Fields have the names
        on the wire or any name that a broker's adapter uses.

        Raises ``OpenAlgoShmError``: ``ERR_INVALID_FIELD`` naming the key, ``ERR_INVALID_SYMBOL``, ``ERR_BOOK_TOO_DEEP``,
        ``ERR_TOO_MANY_TOPICS``, ``ERR_SHM_FULL`` (of a new topic), ``ERR_CLOSED``.
        """
    def publish_batch(self, ticks: Iterable[Mapping[str, Any]]) -> int:
        """Publishes ticks that have their symbols inside. Returns how many: all, unless a lossless ring is full. If one
        is invalid, those before it are published and it raises."""
    def topic(self, symbol: str, exchange: str | None = None) -> TopicHandle:
        """The fast way to publish one topic often."""
    def get_stats(self) -> PublisherStats: ...
    def ring_info(self) -> RingInfo | None:
        """The shape of its ring; ``None`` unless it runs."""
    def is_current(self) -> bool:
        """False while it publishes to a ring whose name was removed or leads to a newer one."""
    def stop(self) -> None:
        """Gives the lane back. The ring and what is in it stay. Idempotent."""
    def cleanup(self) -> bool:
        """Stops, and removes the ring's name; processes that have it open keep it. True if there was one."""
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

class BrokerAdapter:
    def __new__(
        cls,
        broker_name: str,
        *,
        buffer_name: str = "ws_proxy_buffer",
        exchange: str = "NSE",
        utc_offset: str = "+05:30",
        buffer_size: int | None = None,
        topics: int | None = None,
        depth_levels: int | None = None,
        lanes: int | None = None,
        consumers: int | None = None,
        policy: Literal["overwrite", "lossless"] | None = None,
        preset: Literal["mpmc", "spsc"] | None = None,
    ) -> Self: ...
    @property
    def broker_name(self) -> str: ...
    @property
    def buffer_name(self) -> str: ...
    def start(self) -> Self:
        """Opens the ring and takes a lane. Without it the first tick does so."""
    def publish_tick_data(
        self, symbol: str, tick: Mapping[str, Any], exchange: str | None = None, mode: Mode | None = None
    ) -> bool:
        """Publishes a tick. What is given beside it wins over what stands inside. False if a lossless ring is full.

        A value that cannot be read is left out and counted. Raises ``OpenAlgoShmError``: ``ERR_INVALID_FIELD`` for what
        is no dictionary or holds nothing that can be read, ``ERR_INVALID_SYMBOL``, ``ERR_TOO_MANY_TOPICS``, those of ``start``.
        """
    def publish_ticks(self, ticks: Iterable[Mapping[str, Any]]) -> int:
        """Publishes ticks that have their symbols inside, in order. Returns how many: all, unless a lossless ring is full."""
    def get_stats(self) -> AdapterStats: ...
    def is_current(self) -> bool: ...
    def stop(self) -> None: ...
    def cleanup(self) -> bool: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

class Subscriber:
    def __new__(
        cls,
        buffer_name: str = "ws_proxy_buffer",
        buffer_size: int | None = None,
        *,
        subscriber_name: str = "subscriber",
        start_from: Literal["newest", "oldest"] = "newest",
        register: bool | None = None,
        create: bool = True,
        wait: Literal["spin", "adaptive", "sleep"] = "adaptive",
        topics: int | None = None,
        depth_levels: int | None = None,
        lanes: int | None = None,
        consumers: int | None = None,
        policy: Literal["overwrite", "lossless"] | None = None,
        preset: Literal["mpmc", "spsc"] | None = None,
    ) -> Self: ...
    def start(self) -> Self:
        """Attaches to the ring as it is, or creates it, and joins. Does nothing if it has joined already.

        Raises ``OpenAlgoShmError``: ``ERR_NO_FREE_CONSUMER``, ``ERR_SHM_NOT_FOUND`` (with ``create=False``),
        ``ERR_SHM_MISMATCH`` (it carries something else than ticks) and those of opening a ring.
        """
    def poll(self, max: int = 256) -> list[Tick]:
        """Up to ``max`` ticks, without waiting. Raises ``ERR_CLOSED``."""
    def wait(self, timeout: float | None = None) -> bool:
        """Waits until there is a tick. False after ``timeout`` seconds, and when it is stopped meanwhile. Ctrl-C works."""
    def poll_arrow(self, max: int = 65_536) -> ArrowBatch:
        """Up to ``max`` ticks as columns, without waiting. Raises ``ERR_CLOSED``."""
    def __iter__(self) -> Self: ...
    def __next__(self) -> Tick: ...
    def next_or_none(self) -> Tick | None:
        """The next tick, or ``None`` if there is none now."""
    def get_stats(self) -> SubscriberStats: ...
    def ring_stats(self) -> RingStats:
        """The whole ring: all publishers and subscribers."""
    @property
    def buffer_name(self) -> str: ...
    @property
    def is_stopped(self) -> bool: ...
    def is_current(self) -> bool: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

@final
class InterestChange:
    """A topic is wanted in a mode, or no longer. ``depth`` is the deepest book that anybody wants, levels a side; 0 for
    modes without a book."""

    @property
    def kind(self) -> Literal["subscribe", "unsubscribe"]: ...
    @property
    def exchange(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def mode(self) -> Mode: ...
    @property
    def depth(self) -> int: ...

@final
class InterestReader:
    """What the clients of all living proxies want together, each topic and mode once. A proxy that dies is forgotten
    within a second. Raises ``OpenAlgoShmError``: those of opening a ring."""

    def __new__(cls, buffer_name: str = "ws_proxy_buffer", owner_name: str = "feed") -> Self: ...
    def poll(self) -> list[InterestChange]:
        """What has changed since the last call. Call it at least once a second: it forgets proxies that died."""
    def wait(self, timeout: float | None = None) -> bool:
        """Waits until something has changed, at most ``timeout`` seconds."""
    def wanted(self) -> list[InterestChange]: ...
    def close(self) -> None: ...

class EventWriter:
    def __new__(cls, buffer_name: str = "ws_proxy_buffer", owner_name: str = "feed") -> Self: ...
    def publish_text(self, text: str) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

class EventReader:
    def __new__(cls, buffer_name: str = "ws_proxy_buffer", owner_name: str = "reader") -> Self: ...
    def poll_texts(self) -> list[tuple[str, str]]: ...
    def wait(self, timeout: float | None = None) -> bool:
        """Waits until there is an event, at most ``timeout`` seconds."""
    @property
    def events_lost(self) -> int: ...
    def close(self) -> None: ...
