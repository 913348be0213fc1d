"""The dialect of brokers, and what clients want."""

from __future__ import annotations

import datetime
import json
import math
import threading
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
        adapter.publish_tick_data("KNOWN", case["tick"], "MCX", case["mode"])
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
    fields = {key: value for key, value in found.items() if key in FIELD_NAMES}
    assert sorted(found.keys() - fields.keys()) == sorted(case.get("synonyms", []))
    assert fields == pytest.approx(expected, nan_ok=True, rel=0, abs=0)
    assert tick.mode == case["mode"]
    default = ("KNOWN", "MCX") if case.get("known") else ("GIVEN", "NSE")
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
    adapter.publish_tick_data("A", tick)
    [read] = subscriber.poll()
    assert (read.ltp, read.volume) == (1, 3)


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
