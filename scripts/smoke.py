"""Tries the installed package on a system that has no more than Python: two processes, ticks between them, a kill."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time

from openalgo_shm import LockFreeRingBuffer, SharedMemoryBrokerAdapter, SharedMemoryPublisher, SharedMemorySubscriber

PATIENCE_S = 60.0


def publish(ring: str) -> None:
    """The child: publishes until it is killed."""
    with SharedMemoryPublisher(buffer_name=ring, publisher_name="child") as publisher:
        price = 3500.0
        while True:
            publisher.publish_market_data("TCS", {"ltp": price})
            price += 1
            time.sleep(0.001)


def try_it(ring: str) -> None:
    with SharedMemorySubscriber(buffer_name=ring) as subscriber:
        child = subprocess.Popen([sys.executable, __file__, ring])
        try:
            assert subscriber.wait(PATIENCE_S), "no tick within a minute"
            tick = subscriber.poll()[0]
            assert (tick.symbol, tick.publisher) == ("TCS", "child")
            print(f"a tick from process {child.pid}")
        finally:
            child.kill()
            child.wait()
        with SharedMemoryBrokerAdapter("child", buffer_name=ring) as adapter:
            adapter.publish_tick_data("INFY", {"last_price": "1500.5", "exchange": "NSE"})
            assert adapter.get_stats()["lane"] == 0
        print("the lane of a killed process is free")
        prices = [tick.ltp for tick in subscriber.poll(1_000_000) if tick.symbol == "INFY"]
        assert prices == [1500.5]
        print("a broker's tick is understood")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        publish(sys.argv[1])
    name = f"smoke-{os.getpid()}"
    try:
        try_it(name)
    finally:
        for found in LockFreeRingBuffer.list():
            if found["name"].startswith(name):
                LockFreeRingBuffer.remove_if_unused(found["name"])
    print(f"all well on {platform.system()}-{platform.machine()}, Python {platform.python_version()}")
