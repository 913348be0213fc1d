"""The stand-in for OpenAlgo's ZeroMQ publisher: what adapters publish goes into the ring."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Callable
from typing import Any, ClassVar

from openalgo_shm import OpenAlgoShmError, SharedMemoryBrokerAdapter

from .failure import one_line
from .log import OncePerKind
from .services import MarketDataFeed
from .topic import SKIPPED_SUFFIXES, TickTopics


class Ticks:
    """Publishes ticks into the ring, from any thread. No fault ever reaches the adapter that publishes."""

    def __init__(
        self,
        services: MarketDataFeed | None,
        on_message: Callable[[str, Any], None],
        open_lane: Callable[[str], SharedMemoryBrokerAdapter],
    ) -> None:
        """
        :param services: OpenAlgo's consumers of ticks in this process
        :param on_message: takes (topic, payload) of what is no tick, such as order updates of the sandbox
        :param open_lane: opens the ring's lane under a broker's name
        """
        self._services = services
        self._on_message = on_message
        self._open_lane = open_lane
        self._lane: SharedMemoryBrokerAdapter | None = None
        self._owner: str | None = None
        self._topics = TickTopics()
        self._lane_lock = threading.Lock()
        self.faults = OncePerKind()

    def count(self) -> int:
        """Ticks that have gone into the ring under the name of now; 0 without a lane."""
        lane = self._lane
        return int(lane.get_stats()["messages_published"]) if lane is not None else 0

    @property
    def owner(self) -> str | None:
        """Under which name ticks go into the ring; None before the first and after the end."""
        return self._owner

    def move_to(self, owner: str) -> None:
        """Publishes under this broker's name from now on.

        :raises OpenAlgoShmError: those of opening a ring; the lane before is kept then.
        """
        with self._lane_lock:
            if owner == self._owner:
                return
            lane = self._open_lane(owner)
            before, self._lane, self._owner = self._lane, lane, owner
        if before is not None:
            before.stop()

    def close(self) -> None:
        """Ends publishing; ticks that adapters publish later are counted as faults. Idempotent."""
        with self._lane_lock:
            before, self._lane, self._owner = self._lane, None, None
        if before is not None:
            before.stop()

    def publish(self, topic: str, data: Any) -> None:
        """Publishes what an adapter says on a topic."""
        try:
            about = self._topics[topic]
        except TypeError:
            about = None
        if about is None:
            self._pass_on(topic, data)
            return
        lane = self._lane
        if lane is None:
            self.faults.note("closed", "a tick came after the end and was dropped")
            return
        try:
            lane.publish_tick_data(about.symbol, data, exchange=about.exchange, mode=about.mode)
        except Exception as error:
            kind = error.code if isinstance(error, OpenAlgoShmError) else type(error).__name__
            self.faults.note(str(kind), f"a tick of {topic} did not go into the ring: {one_line(error)}")
        if self._services is not None:
            self._services.offer(about, data)

    def _pass_on(self, topic: str, data: Any) -> None:
        if isinstance(topic, str) and topic.endswith(SKIPPED_SUFFIXES):
            return
        try:
            self._on_message(topic, data)
        except Exception as error:
            self.faults.note("message", f"a message of {topic!r} was not passed on: {one_line(error)}")


class StandInSocket:
    """Truthy, because some adapters publish only if they have a socket, and some close it."""

    def __init__(self, ticks: Ticks) -> None:
        self._ticks = ticks

    def send_multipart(self, frames: Any, *_args: Any, **_options: Any) -> None:
        """Publishes the two frames topic and JSON."""
        topic, payload = frames
        self._ticks.publish(bytes(topic).decode(), json.loads(bytes(payload)))

    def setsockopt(self, *_args: Any, **_options: Any) -> None:
        """There is no socket whose options could be set."""

    def connect(self, *_args: Any, **_options: Any) -> None:
        """There is nothing to connect to."""

    def close(self, linger: int | None = None) -> None:
        """Nothing to close: other adapters still publish."""


class StandInContext:
    """The context that belongs to a :class:`StandInSocket`."""

    def __init__(self, socket: StandInSocket) -> None:
        self._socket = socket
        self.closed = False

    def socket(self, *_args: Any, **_options: Any) -> StandInSocket:
        """The one socket that there is."""
        return self._socket

    def term(self) -> None:
        """Nothing to end."""


def install(ticks: Ticks, zmq_port: int) -> None:
    """Puts the ring in the place of OpenAlgo's two publishing places, in this process."""
    manager = importlib.import_module("websocket_proxy.connection_manager")
    base = importlib.import_module("websocket_proxy.base_adapter")
    package = importlib.import_module("websocket_proxy")
    _replace_shared_publisher(manager, package, ticks, zmq_port)
    _replace_own_publishing(base.BaseBrokerWebSocketAdapter, ticks, zmq_port)


def _replace_shared_publisher(manager: Any, package: Any, ticks: Ticks, zmq_port: int) -> None:
    """For adapters in a connection pool, and for all others in this process who publish on the bus."""
    the_socket = StandInSocket(ticks)
    the_context = StandInContext(the_socket)

    class RingPublisher:
        """One for the process, as OpenAlgo's is."""

        _instance: ClassVar[RingPublisher | None] = None
        _lock: ClassVar[threading.Lock] = threading.Lock()

        def __new__(cls) -> RingPublisher:
            with cls._lock:
                if cls._instance is None:
                    cls._instance = super().__new__(cls)
                return cls._instance

        def __init__(self) -> None:
            self.socket = the_socket
            self.context = the_context
            self.zmq_port = zmq_port
            self._connected = True

        def connect(self) -> int:
            """Connected from the start."""
            return zmq_port

        def publish(self, topic: str, data: Any) -> None:
            """Publishes into the ring."""
            ticks.publish(topic, data)

        def cleanup(self) -> None:
            """The ring is closed by the host."""

    for module in (manager, package):
        module.SharedZmqPublisher = RingPublisher


def _replace_own_publishing(base: Any, ticks: Ticks, zmq_port: int) -> None:
    """For adapters without a pool, which have a socket of their own."""

    def create_socket(_adapter: Any) -> StandInSocket:
        return StandInSocket(ticks)

    def connect_to_bus(_adapter: Any) -> int:
        return zmq_port

    def publish_market_data(_adapter: Any, topic: str, data: Any) -> None:
        ticks.publish(topic, data)

    base._create_socket = create_socket
    base._connect_to_zmq_bus = connect_to_bus
    base.publish_market_data = publish_market_data
