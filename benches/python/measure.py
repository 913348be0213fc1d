"""Publishing and reading in Python, beside what OpenAlgo does today: ``json.dumps`` and a pyzmq send.

    python benches/python/measure.py [--runs 5] [--quick] [--only publish|read|latency] [--json FILE]

Every figure is the median of several runs, with the smallest and the largest; peers run in turn with ours, in the same
process. ``latency`` needs the built npm package, and builds the load client of ``benches/fanout``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import zmq

from openalgo_shm import (
    LockFreeRingBuffer,
    SharedMemoryBrokerAdapter,
    SharedMemoryPublisher,
    SharedMemorySubscriber,
    monotonic_ns,
)

ROOT = Path(__file__).resolve().parents[2]
Figures = dict[str, list[float]]


def ticks() -> dict[str, dict[str, object]]:
    """The dictionaries of an adapter that follows OpenAlgo's names: 6 keys, 15 keys, and five levels a side."""
    ltp = {"symbol": "SBIN", "exchange": "NSE", "mode": "ltp", "ltp": 625.5, "ltt": 1748426445, "timestamp": 1748426445123}
    quote = ltp | {
        "mode": "quote", "volume": 123456, "open": 1.5, "high": 2.5, "low": 1.0, "close": 1.2, "average_price": 1.4,
        "last_quantity": 10, "total_buy_quantity": 1000, "total_sell_quantity": 999,
    }  # fmt: skip
    levels = [{"price": 100.0 + level, "quantity": 10 * level, "orders": level} for level in range(5)]
    return {"LTP": ltp, "quote": quote, "depth 5": quote | {"mode": "full", "depth": {"buy": levels, "sell": levels}}}


def per_call(action: Callable[[], object], calls: int) -> float:
    """Nanoseconds of one call."""
    begun = time.perf_counter_ns()
    for _ in range(calls):
        action()
    return (time.perf_counter_ns() - begun) / calls


@contextmanager
def bus() -> Iterator[Callable[[dict[str, object]], None]]:
    """OpenAlgo's way: a PUB socket that connects to a SUB socket that binds."""
    context = zmq.Context()
    sub, pub = context.socket(zmq.SUB), context.socket(zmq.PUB)
    port = sub.bind_to_random_port("tcp://127.0.0.1")
    sub.setsockopt(zmq.SUBSCRIBE, b"")
    sub.setsockopt(zmq.RCVHWM, 10)
    pub.setsockopt(zmq.SNDHWM, 1000)
    pub.connect(f"tcp://127.0.0.1:{port}")
    time.sleep(0.5)
    yield lambda tick: pub.send_multipart([b"NSE_SBIN_LTP", json.dumps(tick).encode()])
    context.destroy(linger=0)


def publish(figures: Figures, ring: str, calls: int) -> None:
    with SharedMemoryBrokerAdapter("bench", buffer_name=ring) as adapter, bus() as send:
        for mode, (name, tick) in enumerate(ticks().items(), 1):
            own = per_call(lambda: adapter.publish_tick_data("SBIN", tick, "NSE", mode), calls)
            dumps = per_call(lambda: json.dumps(tick), calls // 4)
            sent = per_call(lambda: send(tick), calls // 4)
            note(figures, f"publish {name}, ns", own)
            note(figures, f"publish {name}: json.dumps alone, ns", dumps)
            note(figures, f"publish {name}: json.dumps + pyzmq, ns", sent)
            note(figures, f"publish {name}: times less than json.dumps + pyzmq", sent / own)
    with SharedMemoryPublisher(ring) as publisher:
        sbin = publisher.topic("SBIN", "NSE")
        note(figures, "publish by topic handle, ns", per_call(lambda: sbin.ltp(625.5, timestamp=1748426445123), calls))


def read(figures: Figures, ring: str, count: int) -> None:
    with (
        SharedMemorySubscriber(ring, 64 << 20) as subscriber,
        SharedMemoryPublisher(ring) as publisher,
    ):
        sbin = publisher.topic("SBIN", "NSE")
        for _ in range(count):
            sbin.ltp(625.5, volume=1000, timestamp=1748426445123)
        begun = time.perf_counter()
        for index, _ in enumerate(subscriber, 1):
            if index == count:
                break
        note(figures, "iteration, M ticks/s", count / (time.perf_counter() - begun) / 1e6)
        for _ in range(count):
            sbin.ltp(625.5, volume=1000, timestamp=1748426445123)
        begun = time.perf_counter()
        rows = 0
        while rows < count:
            rows += len(subscriber.poll_arrow())
        note(figures, "Arrow batches, M ticks/s", count / (time.perf_counter() - begun) / 1e6)


def latency(figures: Figures, ring: str, seconds: int) -> None:
    """Age of a tick from ``publish`` in Python to the client's socket: 10 clients × 300 symbols × 5 ticks/s."""
    clients, symbols, rate = 10, 300, 5
    port = 18_765
    serve = subprocess.Popen(
        ["node", ROOT / "dist/cli/main.js", "serve", "--ring", ring, "--port", str(port), "--log-level", "warn"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert serve.stdout is not None and "shared memory" in serve.stdout.readline()
        arguments = {"port": port, "path": "/", "protocol": "openalgo", "clients": clients, "topics": symbols, "mode": 1}
        # With a rate it notes ages; the ticks are ours.
        arguments |= {"feed": "none", "rate": 1, "warm-up": 2000, "time": seconds * 1000, "pid": serve.pid}
        words = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
        load = subprocess.Popen([ROOT / "target/benches/release/fanout-load", *words], stdout=subprocess.PIPE, text=True)
        with SharedMemoryBrokerAdapter("bench", buffer_name=ring) as adapter:
            tick = dict(ticks()["LTP"])
            step = 1 / (symbols * rate)
            due = time.perf_counter()
            number = 0
            while load.poll() is None:
                tick["seq"] = monotonic_ns()
                adapter.publish_tick_data(f"SYM{number % symbols}", tick, "NSE", 1)
                number += 1
                due += step
                time.sleep(max(0.0, due - time.perf_counter()))
        seen = json.loads(load.stdout.read()) if load.stdout is not None else {}
        what = f"{clients} clients × {symbols} symbols × {rate}/s, publish in Python to socket"
        note(figures, f"{what}, p50 µs", seen["p50_us"])
        note(figures, f"{what}, p99 µs", seen["p99_us"])
        note(figures, f"{what}, deliveries/s", seen["deliveries_per_second"])
    finally:
        serve.terminate()
        serve.wait()


def note(figures: Figures, name: str, value: float) -> None:
    figures.setdefault(name, []).append(value)


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=["publish", "read", "latency"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    parts: dict[str, Callable[[Figures, str], None]] = {
        "publish": lambda figures, ring: publish(figures, ring, 20_000 if options.quick else 100_000),
        "read": lambda figures, ring: read(figures, ring, 200_000 if options.quick else 800_000),
        "latency": lambda figures, ring: latency(figures, ring, 3 if options.quick else 10),
    }
    if options.only in (None, "latency"):
        command = ["cargo", "build", "--release", "--locked", "--quiet", "--manifest-path", "benches/fanout/Cargo.toml"]
        subprocess.run(command, cwd=ROOT, env=os.environ | {"CARGO_TARGET_DIR": str(ROOT / "target/benches")}, check=True)
    figures: Figures = {}
    for run in range(options.runs):
        for name, part in parts.items():
            if options.only in (None, name):
                ring = f"bench_python_{os.getpid()}_{run}_{name}"
                part(figures, ring)
                with LockFreeRingBuffer.open(ring) as left:
                    left.unlink()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {options.runs} runs\n")
    print("| figure | median | smallest | largest |\n|---|---|---|---|")
    for name, values in figures.items():
        print(f"| {name} | {shown(statistics.median(values))} | {shown(min(values))} | {shown(max(values))} |")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
