"""install() beside OpenAlgo's own server: ticks go into the ring as well as on ZeroMQ."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from harness.processes import Running, World
from harness.waiting import eventually
from openalgo_shm import SharedMemorySubscriber

PUBLISHES = """
import sys, time
from dotenv import load_dotenv
load_dotenv(".env", override=True)
import websocket_proxy
from openalgo_shm import install, uninstall
from openalgo_shm.install import faults
from websocket_proxy.base_adapter import BaseBrokerWebSocketAdapter
from websocket_proxy.connection_manager import SharedZmqPublisher

shared = SharedZmqPublisher()
shared.connect()
alone = BaseBrokerWebSocketAdapter()
before = SharedZmqPublisher.publish, BaseBrokerWebSocketAdapter.publish_market_data

install(buffer_name=sys.argv[1])
install(buffer_name=sys.argv[1])
number = 0
while number < int(sys.argv[2]):
    number += 1
    shared.publish("NSE_POOLED_LTP", {"ltp": float(number)})
    alone.publish_market_data("NSE_ALONE_QUOTE", {"ltp": float(number), "volume": 5})
    shared.publish("CACHE_INVALIDATE_ALL_u", {"user_id": "u"})
    time.sleep(0.01)
print("faults", faults(), flush=True)
uninstall()
uninstall()
assert (SharedZmqPublisher.publish, BaseBrokerWebSocketAdapter.publish_market_data) == before
print("undone", flush=True)
"""


class Bus:
    """Binds the stand-in's bus, as OpenAlgo's server does; only a socket that is read subscribes at publishers."""

    def __init__(self, port: int) -> None:
        self.received: list[tuple[str, object]] = []
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self._socket.bind(f"tcp://127.0.0.1:{port}")
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def topics(self) -> set[str]:
        return {topic for topic, _ in list(self.received)}

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close(0)

    def _read(self) -> None:
        while not self._ended.is_set():
            if self._socket.poll(100):
                topic, payload = self._socket.recv_multipart()
                self.received.append((topic.decode(), json.loads(payload)))


@pytest.fixture
def bus(world: World) -> Iterator[Bus]:
    found = re.search(r"ZMQ_PORT='(\d+)'", (world.checkout / ".env").read_text())
    assert found
    bus = Bus(int(found.group(1)))
    yield bus
    bus.close()


def publish(world: World) -> Running:
    command = [sys.executable, "-c", PUBLISHES, world.ring, "200"]
    publisher = world.start("publisher", command, cwd=world.checkout)
    publisher.until_said("undone")
    return publisher


def test_ticks_go_both_ways(world: World, bus: Bus) -> None:
    with SharedMemorySubscriber(buffer_name=world.ring) as subscriber:
        publisher = publish(world)
        ticks = subscriber.poll()
        while more := subscriber.poll():
            ticks += more
    assert "faults {}" in publisher.out
    # Each exactly once, though both publishing places are patched and install() was called twice.
    for symbol in ("POOLED", "ALONE"):
        prices = [tick.ltp for tick in ticks if tick.symbol == symbol]
        assert prices == [float(number) for number in range(1, 201)]
    everything = {"NSE_POOLED_LTP", "NSE_ALONE_QUOTE", "CACHE_INVALIDATE_ALL_u"}
    eventually("all topics on ZeroMQ", lambda: bus.topics() == everything)


def test_a_fault_of_the_ring_never_costs_the_publish_on_zeromq(world: World, bus: Bus) -> None:
    # The name is taken by what is no ring.
    Path("/dev/shm", world.ring).write_bytes(b"no ring at all" * 1000)
    publisher = publish(world)
    faults = re.search(r"faults \{'(ERR_[A-Z_]+)': 400\}", publisher.out)
    assert faults, publisher.out
    assert publisher.err.count("did not go into the ring") == 1
    eventually("ticks on ZeroMQ", lambda: {"NSE_POOLED_LTP", "NSE_ALONE_QUOTE"} <= bus.topics())
