"""Market data through a lock-free ring in shared memory: publish, read, and stand in for OpenAlgo's server.

Publisher and reader are processes of the same machine; the ring is named, and the first process creates it.

    >>> from openalgo_shm import SharedMemoryPublisher, SharedMemorySubscriber
    >>> with SharedMemorySubscriber() as subscriber, SharedMemoryPublisher() as publisher:
    ...     publisher.publish_market_data("RELIANCE", {"ltp": 1402.5, "volume": 5000})
    ...     next(subscriber).ltp
    True
    1402.5
"""

from openalgo_shm._native import (
    FIELD_NAMES,
    FORMAT_VERSION,
    ArrowBatch,
    InterestChange,
    InterestReader,
    LockFreeRingBuffer,
    OpenAlgoShmError,
    SharedMemoryPublisher,
    Tick,
    TopicHandle,
    monotonic_ns,
)
from openalgo_shm.adapter import SharedMemoryBrokerAdapter
from openalgo_shm.events import EventPublisher, EventReader
from openalgo_shm.install import install, uninstall
from openalgo_shm.subscriber import SharedMemorySubscriber

__all__ = [
    "FIELD_NAMES",
    "FORMAT_VERSION",
    "ArrowBatch",
    "EventPublisher",
    "EventReader",
    "InterestChange",
    "InterestReader",
    "LockFreeRingBuffer",
    "OpenAlgoShmError",
    "SharedMemoryBrokerAdapter",
    "SharedMemoryPublisher",
    "SharedMemorySubscriber",
    "Tick",
    "TopicHandle",
    "install",
    "monotonic_ns",
    "uninstall",
]
