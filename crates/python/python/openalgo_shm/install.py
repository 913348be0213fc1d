"""For those who keep OpenAlgo's own server: its adapters publish into the ring as well as on ZeroMQ."""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from openalgo_shm._native import OpenAlgoShmError
from openalgo_shm.adapter import SharedMemoryBrokerAdapter
from openalgo_shm.host.failure import one_line
from openalgo_shm.host.log import OncePerKind
from openalgo_shm.host.topic import TickTopics

_log = logging.getLogger("openalgo_shm.install")
# Trying to open a ring takes longer than publishing a tick on ZeroMQ: not with every tick.
_OPEN_EVERY_S = 1.0

_lock = threading.Lock()
_installed: _Installed | None = None


class _Ring:
    """Publishes what goes over the bus; a fault of the ring never reaches the caller."""

    def __init__(self, buffer_name: str, owner: str, options: dict[str, Any]) -> None:
        self._lane = SharedMemoryBrokerAdapter(owner, buffer_name=buffer_name, **options)
        self._topics = TickTopics()
        self._paused_until = 0.0
        self._pause_kind = ""
        self.faults = OncePerKind(_log)

    def publish(self, topic: Any, data: Any) -> None:
        try:
            about = self._topics[topic]
        except TypeError:
            about = None
        if about is None:
            return
        if self._paused_until and time.monotonic() < self._paused_until:
            self.faults.note(self._pause_kind, "the ring cannot be opened")
            return
        try:
            self._lane.publish_tick_data(about.symbol, data, exchange=about.exchange, mode=about.mode)
        except Exception as error:
            kind = str(error.code if isinstance(error, OpenAlgoShmError) else type(error).__name__)
            self.faults.note(kind, f"a tick of {topic} did not go into the ring: {one_line(error)}")
            if not self._lane.get_stats()["running"]:
                self._paused_until, self._pause_kind = time.monotonic() + _OPEN_EVERY_S, kind

    def close(self) -> None:
        try:
            self._lane.stop()
        except Exception as error:
            self.faults.note("stop", f"the ring was not closed: {one_line(error)}")


class _Installed:
    """The two publishing places of OpenAlgo with the ring in front, and how they were."""

    def __init__(self, ring: _Ring) -> None:
        self.ring = ring
        manager = importlib.import_module("websocket_proxy.connection_manager")
        base = importlib.import_module("websocket_proxy.base_adapter")
        self._shared: Any = manager.SharedZmqPublisher
        self._base: Any = base.BaseBrokerWebSocketAdapter
        self._shared_publish = self._shared.publish
        self._own_publish = self._base.publish_market_data
        self._shared.publish = _with_ring(ring, self._shared_publish)
        self._base.publish_market_data = _unless_shared(ring, self._own_publish)

    def undo(self) -> None:
        self._shared.publish = self._shared_publish
        self._base.publish_market_data = self._own_publish
        self.ring.close()


def _with_ring(ring: _Ring, publish: Callable[..., Any]) -> Callable[..., Any]:
    def publish_twice(publisher: Any, topic: Any, data: Any) -> Any:
        try:
            ring.publish(topic, data)
        finally:
            result = publish(publisher, topic, data)
        return result

    return publish_twice


def _unless_shared(ring: _Ring, publish: Callable[..., Any]) -> Callable[..., Any]:
    """An adapter with the shared publisher comes by there, and must not publish twice."""

    def publish_twice(adapter: Any, topic: Any, data: Any) -> Any:
        shared = getattr(adapter, "_uses_shared_zmq", False) and getattr(adapter, "_shared_publisher", None)
        try:
            if not shared:
                ring.publish(topic, data)
        finally:
            result = publish(adapter, topic, data)
        return result

    return publish_twice


def install(buffer_name: str = "ws_proxy_buffer", *, owner: str = "openalgo", **options: Any) -> None:
    """Makes OpenAlgo's adapters in this process publish into the ring as well as on ZeroMQ.

    Call it in OpenAlgo's process after ``import websocket_proxy``. Adapters that exist already are
    included. A fault of the ring is counted and logged once a kind, and never costs the publish on
    ZeroMQ. Idempotent: while installed, a second call changes nothing.

    :param buffer_name: the ring's name
    :param owner: the name under which monitors and clients see the ticks' publisher
    :param options: of ``SharedMemoryBrokerAdapter``, such as ``depth_levels``
    :raises ImportError: outside of OpenAlgo's environment
    :raises OpenAlgoShmError: ``ERR_INVALID_ARGUMENT`` or ``ERR_INVALID_OPTION`` for wrong arguments
    """
    global _installed
    with _lock:
        if _installed is None:
            _installed = _Installed(_Ring(buffer_name, owner, options))


def uninstall() -> None:
    """Undoes :func:`install` and gives the ring's lane back. Idempotent."""
    global _installed
    with _lock:
        installed, _installed = _installed, None
    if installed is not None:
        installed.undo()


def faults() -> dict[str, int]:
    """How many ticks did not go into the ring, by kind of fault; empty if not installed."""
    installed = _installed
    return installed.ring.faults.counts() if installed is not None else {}
