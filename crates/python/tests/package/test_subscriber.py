"""Reading in Python: iteration, polling, columns, asyncio, threads, forks, signals."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import polars
import pyarrow
import pytest

from openalgo_shm import (
    LockFreeRingBuffer,
    OpenAlgoShmError,
    SharedMemoryBrokerAdapter,
    SharedMemoryPublisher,
    SharedMemorySubscriber,
)


@pytest.fixture
def subscriber(ring):
    with SharedMemorySubscriber(ring) as subscriber:
        yield subscriber


@pytest.fixture
def publisher(ring, subscriber):
    with SharedMemoryPublisher(ring) as publisher:
        yield publisher


def test_iteration_gives_every_tick_in_order_and_ends_with_stop(publisher, subscriber):
    read = []
    thread = threading.Thread(target=lambda: read.extend(tick.ltp for tick in subscriber))
    thread.start()
    for number in range(5000):
        publisher.publish_market_data("A", {"ltp": number})
    while len(read) < 5000:
        time.sleep(0.01)
    subscriber.stop()
    thread.join()
    assert read == list(range(5000))


def test_ticks_of_two_processes(ring, subscriber):
    code = (
        "import sys; from openalgo_shm import SharedMemoryPublisher\n"
        "with SharedMemoryPublisher(sys.argv[1], publisher_name=sys.argv[2]) as p:\n"
        "    for n in range(1000): p.publish_market_data('A', {'ltp': n})\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, ring, name]) for name in ("one", "two")]
    for process in started:
        assert process.wait() == 0
    ticks = subscriber.poll(4000)
    for name in ("one", "two"):
        assert [tick.ltp for tick in ticks if tick.publisher == name] == list(range(1000))
    assert [tick.sequence for tick in ticks if tick.publisher == "one"] == list(range(1000))


def test_a_subscriber_that_is_lapped_counts_its_loss(ring):
    subscriber = SharedMemorySubscriber(ring, 4096).start()
    with SharedMemoryPublisher(ring) as publisher:
        for number in range(1000):
            publisher.publish_market_data("A", {"ltp": number})
    received = len(subscriber.poll(1000))
    stats = subscriber.get_stats()
    assert stats["messages_lost"] > 0
    assert stats["messages_received"] + stats["messages_lost"] == 1000
    assert (received, stats["lag"]) == (stats["messages_received"], 0)


def test_a_wait_has_a_limit_and_ends_with_a_tick(publisher, subscriber):
    assert subscriber.wait(0) is False
    assert subscriber.wait(0.05) is False
    threading.Timer(0.05, publisher.publish_market_data, ("A", {"ltp": 1})).start()
    assert subscriber.wait() is True
    assert len(subscriber.poll()) == 1
    with pytest.raises(OpenAlgoShmError, match="timeout must be a number"):
        subscriber.wait(float("nan"))


def test_the_interpreter_is_free_while_waiting(subscriber):
    counted = 0
    thread = threading.Thread(target=subscriber.wait, args=(0.3,))
    thread.start()
    while thread.is_alive():
        counted += 1
    assert counted > 1000


def test_ctrl_c_ends_a_wait(ring):
    code = (
        "import sys; from openalgo_shm import SharedMemorySubscriber\n"
        "subscriber = SharedMemorySubscriber(sys.argv[1]).start()\n"
        "print('ready', flush=True)\n"
        "try:\n    next(subscriber)\nexcept KeyboardInterrupt:\n    print('interrupted')\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, ring], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[0] == "interrupted\n"


def test_asyncio(publisher, subscriber):
    async def read(count: int) -> list[float]:
        prices = []
        async for tick in subscriber:
            prices.append(tick.ltp)
            if len(prices) == count:
                return prices

    async def both() -> list[float]:
        reading = asyncio.create_task(read(500))
        for number in range(500):
            publisher.publish_market_data("A", {"ltp": number})
            if number % 50 == 0:
                await asyncio.sleep(0.002)
        return await reading

    assert asyncio.run(both()) == list(range(500))


def test_asyncio_ends_with_stop_and_can_be_cancelled(ring):
    async def run() -> None:
        subscriber = SharedMemorySubscriber(ring)
        reading = asyncio.create_task(anext(aiter(subscriber)))
        await asyncio.sleep(0.05)
        subscriber.stop()
        with pytest.raises(StopAsyncIteration):
            await reading
        again = asyncio.create_task(anext(aiter(subscriber)))
        await asyncio.sleep(0.05)
        again.cancel()
        with pytest.raises(asyncio.CancelledError):
            await again
        subscriber.stop()

    asyncio.run(run())


def test_stop_inside_a_loop_ends_it_and_no_tick_stays_behind(ring):
    async def run() -> list[float]:
        read = []
        with SharedMemorySubscriber(ring) as subscriber, SharedMemoryPublisher(ring) as publisher:
            publisher.publish_batch({"symbol": "A", "ltp": number} for number in range(10))
            async for tick in subscriber:
                read.append(tick.ltp)
                if len(read) == 3:
                    break
            assert subscriber.get_stats()["lag"] == 7
            read += [tick.ltp for tick in subscriber.poll(2)] + [next(subscriber).ltp]
            async for tick in subscriber:
                read.append(tick.ltp)
                if len(read) == 10:
                    subscriber.stop()
        return read

    assert asyncio.run(run()) == list(range(10))


def test_a_cancelled_wait_keeps_neither_the_next_nor_the_process(ring):
    code = (
        "import asyncio, sys; from openalgo_shm import SharedMemorySubscriber\n"
        "async def run():\n"
        "    subscriber = SharedMemorySubscriber(sys.argv[1]).start()\n"
        "    waiting = asyncio.create_task(subscriber.wait_async())\n"
        "    await asyncio.sleep(0.1)\n"
        "    waiting.cancel()\n"
        "    print(await asyncio.wait_for(subscriber.wait_async(0.1), 20))\n"
        "asyncio.run(run())\n"
    )
    done = subprocess.run([sys.executable, "-c", code, ring], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_others_read_while_a_thread_waits(publisher, subscriber):
    waiting = threading.Thread(target=lambda: [subscriber.wait(0.1) for _ in range(20)])
    waiting.start()
    polls = 0
    while waiting.is_alive():
        assert subscriber.poll() == []
        polls += 1
    # With the lock held by the wait, each poll took as long as one.
    assert polls > 200


def test_a_batch_is_no_larger_than_asked_for(publisher, subscriber):
    publisher.publish_batch({"symbol": "A", "ltp": number} for number in range(10))
    assert next(subscriber).ltp == 0
    assert pyarrow.table(subscriber.poll_arrow(2))["ltp"].to_pylist() == [1, 2]
    assert [tick.ltp for tick in subscriber.poll(2)] == [3, 4]
    assert pyarrow.table(subscriber.poll_arrow())["ltp"].to_pylist() == [5, 6, 7, 8, 9]


def test_a_ring_that_was_removed_stays_removed(ring):
    publisher = SharedMemoryPublisher(ring, depth_levels=20).start()
    with SharedMemorySubscriber(ring) as subscriber:
        publisher.cleanup()
        assert subscriber.wait(1.3) is False
        assert subscriber.poll() == []
        with pytest.raises(OpenAlgoShmError):
            LockFreeRingBuffer.open(ring)
        publisher.start().publish_market_data("A", {"ltp": 1})
        assert subscriber.wait(30) is True
        publisher.cleanup()


def test_errors_while_the_interpreter_ends(ring):
    code = (
        "import sys; from openalgo_shm import OpenAlgoShmError, SharedMemoryPublisher\n"
        "class Late:\n"
        "    def __init__(self): self.publisher, self.error = SharedMemoryPublisher(sys.argv[1]), OpenAlgoShmError\n"
        "    def __del__(self):\n"
        "        try: self.publisher.publish_market_data('A', {'ltp': 1})\n"
        "        except self.error as error: print(error.code)\n"
        "late = Late()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, ring], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("ERR_CLOSED\n", "")


def test_columns(publisher, subscriber):
    book = {"buy": [{"price": 1, "quantity": 2, "orders": 3}], "sell": []}
    publisher.publish_market_data("A", {"ltp": 1, "timestamp": 1_748_426_445_123})
    publisher.publish_market_data("B", {"open": 2, "depth": book}, "BSE")
    publisher.publish_market_data("A", {"ltp": float("nan"), "timestamp": float("nan")})
    batch = subscriber.poll_arrow()
    assert len(batch) == batch.num_rows == 3
    table = pyarrow.table(batch)
    assert table.column_names == batch.column_names
    table.validate(full=True)
    assert table["symbol"].to_pylist() == ["A", "B", "A"]
    assert table["exchange"].to_pylist() == ["NSE", "BSE", "NSE"]
    assert table["publisher"].to_pylist() == ["publisher"] * 3
    assert table["mode"].to_pylist() == [1, 3, 1]
    assert table["sequence"].to_pylist() == [0, 1, 2]
    ltp = table["ltp"].to_pylist()
    assert ltp[:2] == [1.0, None] and ltp[2] != ltp[2]
    assert table["open"].to_pylist() == [None, 2.0, None]
    assert table["close"].null_count == 3
    times = table["timestamp"].to_pylist()
    assert times[0].timestamp() == 1_748_426_445.123 and times[1:] == [None, None]
    assert table["buy"].to_pylist() == [[], [{"price": 1, "quantity": 2, "orders": 3}], []]
    assert polars.DataFrame(batch)["ltp"].to_list()[0] == 1.0


def test_columns_are_the_same_for_every_batch_and_go_on_where_iteration_ended(publisher, subscriber):
    empty = pyarrow.table(subscriber.poll_arrow())
    for number in range(300):
        publisher.publish_market_data(f"S{number % 7}", {"ltp": number})
    first = next(subscriber)
    batches = [pyarrow.table(subscriber.poll_arrow(100)) for _ in range(4)]
    assert all(batch.schema == empty.schema for batch in batches)
    prices = [first.ltp] + pyarrow.concat_tables(batches)["ltp"].to_pylist()
    assert prices == list(range(300))


def test_it_goes_over_to_a_ring_that_was_created_anew(publisher, subscriber, ring):
    publisher.publish_market_data("A", {"ltp": 1})
    with LockFreeRingBuffer.open(ring) as old:
        old.unlink()
    with SharedMemoryPublisher(ring) as successor:
        successor.publish_market_data("A", {"ltp": 2})
        assert [next(subscriber).ltp, next(subscriber).ltp] == [1, 2]
    stats = subscriber.get_stats()
    assert (stats["messages_received"], stats["messages_lost"]) == (2, 0)


def test_a_ring_that_is_not_there(ring):
    with pytest.raises(OpenAlgoShmError) as caught:
        SharedMemorySubscriber(ring, create=False).start()
    assert caught.value.code == "ERR_SHM_NOT_FOUND"


def test_a_subscriber_that_is_not_running(ring):
    subscriber = SharedMemorySubscriber(ring)
    for action in (subscriber.poll, subscriber.wait, subscriber.poll_arrow, subscriber.get_stats):
        with pytest.raises(OpenAlgoShmError) as caught:
            action()
        assert caught.value.code == "ERR_CLOSED"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_is_refused_though_a_thread_of_its_parent_waits(subscriber, ring):
    adapter = SharedMemoryBrokerAdapter("broker", buffer_name=ring)
    adapter.listen(print, print)
    waiting = threading.Thread(target=subscriber.wait, args=(2,))
    waiting.start()
    time.sleep(0.2)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(20)
            for action in (subscriber.poll, subscriber.get_stats, adapter.wanted, subscriber.start):
                try:
                    action()
                except OpenAlgoShmError as error:
                    code = 0 if error.code == "ERR_CLOSED" else 2
            subscriber.stop()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    waiting.join()
    adapter.stop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_made_by_fork_cannot_tear_its_parents_lane(publisher, subscriber, ring):
    handle = publisher.topic("A")
    adapter = SharedMemoryBrokerAdapter("broker", buffer_name=ring).start()
    handle.ltp(1)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            refused = []
            actions = [
                lambda: handle.ltp(9),
                lambda: publisher.publish_market_data("A", {"ltp": 9}),
                lambda: adapter.publish_tick_data("A", {"ltp": 9}),
                subscriber.poll,
            ]
            for action in actions:
                try:
                    action()
                except OpenAlgoShmError as error:
                    refused.append(error.code)
            # Giving up what is the parent's does not take it from the parent, and a lane of its own is free to use.
            publisher.stop()
            subscriber.stop()
            adapter.stop()
            with SharedMemoryPublisher(ring, publisher_name="child") as own:
                own.publish_market_data("CHILD", {"ltp": 5})
            code = 0 if refused == ["ERR_CLOSED"] * 4 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    handle.ltp(2)
    read = sorted((tick.symbol, tick.ltp) for tick in subscriber.poll())
    assert read == [("A", 1), ("A", 2), ("CHILD", 5)]
    ticks = subscriber.ring_stats()["publishers"]
    alive = {lane["publisher"]: lane["alive"] for lane in ticks}
    assert alive == {"publisher": True, "broker": True, "child": False}
    adapter.stop()
