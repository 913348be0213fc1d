"""The dialect of brokers, and what clients want."""

from __future__ import annotations

import datetime
import json
import math
import os
import threading
import time
from pathlib import Path

import pytest

from openalgo_shm import (
    FIELD_NAMES,
    LockFreeRingBuffer,
    OpenAlgoShmError,
    SharedMemoryBrokerAdapter,
    SharedMemoryPublisher,
    SharedMemorySubscriber,
)

# Names whose values in a dictionary of a tick are the tick's own.
OWN = ("symbol", "exchange", "mode", "ltt", "timestamp", "exchange_timestamp")
CASES = json.loads(Path(__file__).parents[3].joinpath("dialect/tests/cases.json").read_text())


@pytest.fixture
def subscriber(ring):
    with SharedMemorySubscriber(ring) as subscriber:
        yield subscriber


@pytest.fixture
def adapter(ring, subscriber):
    with SharedMemoryBrokerAdapter("zerodha", buffer_name=ring) as adapter:
        yield adapter


def publish(adapter, case) -> None:
    known = case.get("known", False)
    if known:
        adapter.publish_tick_data("SBIN", case["tick"], "NSE", case["mode"])
    elif "symbol" in case or "SYMBOL" in case.get("error", ""):
        adapter.publish_ticks([case["tick"]])
    else:
        adapter.publish_tick_data("GIVEN", case["tick"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_cases_that_all_languages_share(adapter, subscriber, case):
    if "error" in case:
        with pytest.raises(OpenAlgoShmError) as caught:
            publish(adapter, case)
        assert caught.value.code == case["error"]
        assert adapter.get_stats()["ticks_invalid"] == 1
        return
    publish(adapter, case)
    [tick] = subscriber.poll()
    expected = {name: math.nan if value == "NaN" else float(value) for name, value in case["fields"].items()}
    found = {key: value for key, value in tick.as_dict().items() if key not in ("symbol", "exchange", "mode", "depth")}
    members = case.get("members", {})
    assert tick.members == members
    others = {key: value for key, value in members.items() if key not in OWN}
    fields = {key: value for key, value in found.items() if key in FIELD_NAMES and key not in others}
    assert sorted(found.keys() - fields.keys() - others.keys()) == sorted(case.get("synonyms", []))
    assert {key: found[key] for key in others} == others
    assert fields == pytest.approx(expected, nan_ok=True, rel=0, abs=0)
    assert tick.mode == case["mode"]
    default = ("SBIN", "NSE") if case.get("known") else ("GIVEN", "NSE")
    assert (tick.symbol, tick.exchange) == (case.get("symbol", default[0]), case.get("exchange", default[1]))
    book = tick.depth or {"buy": [], "sell": []}
    levels = {side: [[level["price"], level["quantity"], level["orders"]] for level in book[side]] for side in book}
    assert levels == case.get("depth", {"buy": [], "sell": []})
    stats = adapter.get_stats()
    assert sorted(stats["unknown_keys"]) == sorted(case.get("unknown", []))
    assert sorted(stats["values_unreadable"]) == sorted(case.get("unreadable", []))


@pytest.mark.parametrize("case", [case for case in CASES if "unreadable" in case], ids=lambda case: case["name"])
def test_a_publisher_refuses_what_an_adapter_leaves_out(ring, case):
    with SharedMemoryPublisher(ring) as publisher, pytest.raises(OpenAlgoShmError) as caught:
        publisher.publish_market_data("A", case["tick"])
    assert caught.value.code == "ERR_INVALID_FIELD"


def test_names_that_the_adapter_used_are_readable(adapter, subscriber):
    adapter.publish_tick_data("A", {"last_price": 1, "ltq": 2})
    [tick] = subscriber.poll()
    assert (tick["ltp"], tick["last_price"], tick["ltq"], tick["last_quantity"]) == (1, 1, 2, 2)


def test_the_first_tick_opens_the_ring(ring):
    adapter = SharedMemoryBrokerAdapter(broker_name="your_broker", buffer_name=ring)
    assert adapter.publish_tick_data("RELIANCE", {"last_price": 1402.5, "exchange": "NSE"}) is True
    with SharedMemorySubscriber(ring, start_from="oldest") as subscriber:
        [tick] = subscriber.poll()
    assert (tick.symbol, tick.ltp, tick.publisher) == ("RELIANCE", 1402.5, "your_broker")
    adapter.stop()
    assert adapter.publish_tick_data("RELIANCE", {"ltp": 1}) is True
    adapter.cleanup()


def test_times_that_python_has_a_type_for(adapter, subscriber):
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    naive = datetime.datetime(2025, 5, 28, 15, 30, 45)
    adapter.publish_tick_data("A", {"timestamp": naive, "ltt": naive.replace(tzinfo=zone), "exchange_time": naive.date()})
    [tick] = subscriber.poll()
    assert (tick.timestamp, tick.ltt) == (1_748_426_445_000, 1_748_426_445_000)
    assert tick.exchange_timestamp == 1_748_370_600_000


def test_a_deep_book_is_cut_and_counted(adapter, subscriber):
    adapter.publish_tick_data("A", {"depth": {"buy": [{"price": n, "quantity": 1} for n in range(200)], "sell": []}})
    assert [level["price"] for level in subscriber.poll()[0].depth["buy"]] == [0, 1, 2, 3, 4]
    assert adapter.get_stats()["books_cut"] == 1


def test_values_whose_own_code_fails_or_publishes(adapter, subscriber):
    class Failing:
        def __float__(self) -> float:
            raise RuntimeError("no")

    class Publishing:
        def __float__(self) -> float:
            adapter.publish_tick_data("B", {"ltp": 2})
            return 3.0

    adapter.publish_tick_data("A", {"ltp": 1, "volume": Failing(), "oi": Publishing()})
    assert [(tick.symbol, tick.ltp, tick.oi) for tick in subscriber.poll()] == [("B", 2, None), ("A", 1, 3)]
    assert adapter.get_stats()["values_unreadable"] == {"volume": 1}


@pytest.mark.parametrize("change", ["add", "remove", "replace"])
def test_a_dictionary_that_changes_while_it_is_read(adapter, subscriber, change):
    tick = {"ltp": 1}

    class Changing:
        def __float__(self) -> float:
            if change != "add":
                tick.pop("open", None)
            if change != "remove":
                tick.update({f"new {number}": number for number in range(1 if change == "replace" else 99)})
            return 3.0

    tick |= {"volume": Changing(), "open": 5, "close": 6}
    if change == "replace":
        adapter.publish_tick_data("A", tick)
        [read] = subscriber.poll()
        assert (read.ltp, read.volume) == (1, 3)
    else:
        with pytest.raises(OpenAlgoShmError):
            adapter.publish_tick_data("A", tick)
        assert adapter.get_stats()["ticks_invalid"] == 1


def test_one_bad_tick_of_several_costs_none_of_the_others(adapter, subscriber):
    with pytest.raises(OpenAlgoShmError, match="the tick has no symbol inside"):
        adapter.publish_ticks([{"symbol": "A", "ltp": 1}, {"ltp": 2}, {"symbol": "C", "ltp": 3}])
    assert [tick.symbol for tick in subscriber.poll()] == ["A", "C"]
    assert adapter.get_stats()["ticks_invalid"] == 1


def test_an_interrupt_in_a_values_own_code_is_not_swallowed(adapter, subscriber):
    class Interrupting:
        def __float__(self) -> float:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adapter.publish_tick_data("A", {"ltp": 1, "volume": Interrupting()})
    assert subscriber.poll() == []
    adapter.publish_tick_data("A", {"ltp": 1})
    assert len(subscriber.poll()) == 1


def test_a_key_whose_end_runs_code(adapter, subscriber):
    class Key(str):
        def __del__(self) -> None:
            adapter.publish_tick_data("B", {"ltp": 2})

    for _ in range(300):
        adapter.publish_tick_data("A", {Key("ltp"): 1})
    ticks = subscriber.poll(1000)
    assert {(tick.symbol, tick.ltp) for tick in ticks} == {("A", 1), ("B", 2)}
    assert len(ticks) == 600


def test_text_that_is_not_ascii_costs_only_itself(adapter, subscriber):
    adapter.publish_tick_data("A", {"ltp": 1, "ltt": "/Date(é)/", "foo": 1})
    assert subscriber.poll()[0].ltp == 1
    stats = adapter.get_stats()
    assert (stats["values_unreadable"], stats["unknown_keys"]) == ({"ltt": 1}, {"foo": 1})


def test_a_publish_does_not_wait_for_the_name_of_a_ring(adapter, ring):
    """Another process that is creating the ring anew has the lock of its name."""
    fcntl = pytest.importorskip("fcntl")
    adapter.publish_tick_data("A", {"ltp": 1})
    with LockFreeRingBuffer.open(ring) as old:
        old.unlink()
    with open(f"/dev/shm/{ring}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        longest = 0.0
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            begun = time.monotonic()
            adapter.publish_tick_data("A", {"ltp": 2})
            longest = max(longest, time.monotonic() - begun)
    # It waited for three seconds, each time.
    assert longest < 2
    os.unlink(f"/dev/shm/{ring}.lock")


def test_threads_publish_side_by_side(adapter, subscriber):
    def publish(thread: int) -> None:
        for number in range(2000):
            adapter.publish_tick_data(f"S{thread}", {"last_price": number, "volume": "x"})

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ticks = subscriber.poll(10_000)
    for thread in range(4):
        assert [tick.ltp for tick in ticks if tick.symbol == f"S{thread}"] == list(range(2000))
    stats = adapter.get_stats()
    assert (stats["messages_published"], stats["values_unreadable"]) == (8000, {"volume": 8000})


def test_it_goes_over_to_a_ring_that_was_created_anew(adapter, ring):
    adapter.publish_tick_data("A", {"ltp": 1})
    with LockFreeRingBuffer.open(ring) as old:
        old.unlink()
    with SharedMemorySubscriber(ring) as subscriber:
        while not subscriber.wait(0.05):
            adapter.publish_tick_data("A", {"ltp": 2})
        assert subscriber.poll()[0].ltp == 2
    assert adapter.is_current() is True


@pytest.mark.parametrize(
    ("options", "code"),
    [({"broker_name": ""}, "ERR_INVALID_ARGUMENT"), ({"broker_name": "x", "utc_offset": "5"}, "ERR_INVALID_OPTION")],
)
def test_options_that_cannot_be(options, code):
    with pytest.raises(OpenAlgoShmError) as caught:
        SharedMemoryBrokerAdapter(**options)
    assert caught.value.code == code


def test_a_mode_that_is_none(adapter):
    with pytest.raises(OpenAlgoShmError, match="mode must be 1, 2 or 3, got 4"):
        adapter.publish_tick_data("A", {"ltp": 1}, mode=4)


def test_leaving_with_ends_the_listening(ring):
    with SharedMemoryBrokerAdapter("zerodha", buffer_name=ring) as adapter:
        adapter.listen(print, print)
        assert any(thread.name == "ring-interest" for thread in threading.enumerate())
    assert not any(thread.name == "ring-interest" for thread in threading.enumerate())
    assert adapter.wanted() == []
