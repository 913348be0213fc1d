"""The shapes of what the package returns."""

from __future__ import annotations

from typing import Literal, TypedDict

Mode = Literal[1, 2, 3]


class Level(TypedDict):
    """One price level. ``orders`` is 0 where the broker does not say."""

    price: float
    quantity: float
    orders: float


class Book(TypedDict):
    """An order book, best price first on both sides."""

    buy: list[Level]
    sell: list[Level]


class PublisherStats(TypedDict):
    name: str
    ring: str
    running: bool
    lane: int | None
    messages_published: int
    messages_rejected: int
    """Ticks that a lossless ring refused because it was full."""
    avg_latency_ns: float
    """Average duration of a publish in the core, of a sample of all; 0 before the first."""


class AdapterStats(PublisherStats):
    ticks_invalid: int
    """Ticks that were refused whole: no dictionary, a bad symbol, nothing that could be read."""
    books_cut: int
    """Books deeper than the ring has room for."""
    unknown_keys: dict[str, int]
    values_unreadable: dict[str, int]


class SubscriberStats(TypedDict):
    messages_received: int
    messages_lost: int
    """Ticks that were overwritten before it read them."""
    messages_corrupt: int
    lag: int
    """Ticks published and not yet read."""
    registered: bool


class RingInfo(TypedDict):
    name: str
    kind: Literal["ticks", "interest", "events"]
    lanes: int
    consumers: int
    capacity: int
    """Lines of 64 bytes in a lane; an LTP tick takes one."""
    topics: int
    depth_levels: int
    policy: Literal["overwrite", "lossless"]
    bytes: int


class LaneStats(TypedDict):
    lane: int
    publisher: str
    pid: int
    alive: bool
    started_ns: int
    messages_published: int
    messages_rejected: int
    lines_published: int
    topics: int
    topics_refused: int
    avg_latency_ns: float
    last_publish_ns: int


class ConsumerStats(TypedDict):
    consumer: int
    name: str
    pid: int
    started_ns: int
    messages_received: int
    messages_lost: int
    messages_corrupt: int
    lag: int


class RingStats(RingInfo):
    created_ns: int
    current: bool
    publishers: list[LaneStats]
    subscribers: list[ConsumerStats]


class FoundRing(TypedDict):
    name: str
    bytes: int
    in_use: bool
    version: int
