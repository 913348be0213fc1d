"""install() beside OpenAlgo's own server: ticks go into the ring as well as on ZeroMQ."""

from __future__ import annotations

import json
import re
import sys

import pytest
import zmq
from openalgo_shm import SharedMemorySubscriber

from host_harness.processes import World
from host_harness.waiting import eventually

PUBLISHES = """
import sys, time
from dotenv import load_dotenv
load_dotenv(".env", override=True)
import websocket_proxy
from openalgo_shm.install import faults, install, uninstall
from websocket_proxy.base_adapter import BaseBrokerWebSocketAdapter
from websocket_proxy.connection_manager import SharedZmqPublisher

shared = SharedZmqPublisher()
shared.connect()
alone = BaseBrokerWebSocketAdapter()
before = SharedZmqPublisher.publish, BaseBrokerWebSocketAdapter.publish_market_data

install(buffer_name=sys.argv[1])
install(buffer_name=sys.argv[1])
number = 0
while number < int(sys.argv[3]):
    number += 1
    shared.publish("NSE_POOLED_LTP", {"ltp": float(number)})
    alone.publish_market_data("NSE_ALONE_QUOTE", {"ltp": float(number), "volume": 5})
    alone.publish_market_data("NSE_BAD_LTP", {"ltp": 1.0})
    shared.publish("CACHE_INVALIDATE_ALL_u", {"user_id": "u"})
    time.sleep(0.01)
print("faults", faults(), flush=True)
uninstall()
uninstall()
assert (SharedZmqPublisher.publish, BaseBrokerWebSocketAdapter.publish_market_data) == before
print("undone", flush=True)
"""


@pytest.fixture
def bus(world: World) -> zmq.Socket[bytes]:
    found = re.search(r"ZMQ_PORT='(\d+)'", (world.checkout / ".env").read_text())
    assert found
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.bind(f"tcp://127.0.0.1:{found.group(1)}")
    socket.setsockopt(zmq.SUBSCRIBE, b"")
    socket.setsockopt(zmq.RCVTIMEO, 60_000)
    return socket


def test_ticks_go_both_ways(world: World, bus: zmq.Socket[bytes]) -> None:
    with SharedMemorySubscriber(buffer_name=world.ring) as subscriber:
        publisher = world.start("publisher", [sys.executable, "-c", PUBLISHES, world.ring, "good", "200"], cwd=world.checkout)
        publisher.until_said("undone")
        ticks = subscriber.poll()
        while more := subscriber.poll():
            ticks += more
    assert "faults {}" in publisher.out
    by_symbol = {symbol: [tick.ltp for tick in ticks if tick.symbol == symbol] for symbol in ("POOLED", "ALONE")}
    # Each exactly once, though both publishing places are patched and install() was called twice.
    assert by_symbol["POOLED"] == by_symbol["ALONE"] == [float(number) for number in range(1, 201)]
    topics = set()
    while bus.poll(1000):
        topic, payload = bus.recv_multipart()
        topics.add(topic.decode())
        json.loads(payload)
    assert topics == {"NSE_POOLED_LTP", "NSE_ALONE_QUOTE", "NSE_BAD_LTP", "CACHE_INVALIDATE_ALL_u"}


def test_a_fault_of_the_ring_never_costs_the_publish_on_zeromq(world: World, bus: zmq.Socket[bytes]) -> None:
    # The name is taken by what is no ring.
    from pathlib import Path

    Path("/dev/shm", world.ring).write_bytes(b"no ring at all" * 1000)
    publisher = world.start("publisher", [sys.executable, "-c", PUBLISHES, world.ring, "broken", "200"], cwd=world.checkout)
    publisher.until_said("undone")
    faults = re.search(r"faults (\{.*\})", publisher.out)
    assert faults and "ERR_" in faults.group(1)
    assert publisher.err.count("did not go into the ring") <= 2
    received = eventually("ticks on ZeroMQ", lambda: bus.poll(100) and bus.recv_multipart())
    assert received[0].startswith(b"NSE_")
