"""Publishing from Python."""

from __future__ import annotations

import math
import os
from decimal import Decimal
from fractions import Fraction

import numpy
import pytest

from openalgo_shm import (
    LockFreeRingBuffer,
    OpenAlgoShmError,
    SharedMemoryPublisher,
    SharedMemorySubscriber,
)


def code_of(action) -> str:
    with pytest.raises(OpenAlgoShmError) as caught:
        action()
    assert str(caught.value).startswith(f"{caught.value.code}: ")
    return caught.value.code


@pytest.fixture
def subscriber(ring):
    with SharedMemorySubscriber(ring) as subscriber:
        yield subscriber


@pytest.fixture
def publisher(ring, subscriber):
    with SharedMemoryPublisher(ring) as publisher:
        yield publisher


def test_the_snippets_of_the_specification_run(ring):
    publisher = SharedMemoryPublisher(buffer_name=ring, buffer_size=1024 * 1024)
    publisher.start()
    tick = {"type": 1, "ltp": 150.25, "volume": 1000, "bid": 150.0, "ask": 150.5, "seq": 1}
    for _ in range(64):
        publisher.publish_market_data("RELIANCE", tick)
    stats = publisher.get_stats()
    assert stats["messages_published"] == 64
    assert stats["avg_latency_ns"] > 0
    publisher.stop()
    assert publisher.cleanup() is True
    assert publisher.cleanup() is False


def test_a_tick_arrives_as_it_was_published(publisher, subscriber):
    book = {"buy": [{"price": 1.5, "quantity": 2, "orders": 3}], "sell": [{"price": 2.5, "quantity": 4, "orders": 0}]}
    assert publisher.publish_market_data("SBIN", {"ltp": 2.0, "52_week_high": 9, "depth": book}, "BSE") is True
    [tick] = subscriber.poll()
    assert (tick.symbol, tick.exchange, tick.mode, tick.publisher) == ("SBIN", "BSE", 3, "publisher")
    assert (tick.ltp, tick.week_52_high, tick["52_week_high"], tick.open) == (2.0, 9.0, 9.0, None)
    assert tick.depth == book
    assert tick.as_dict() == {
        "symbol": "SBIN", "exchange": "BSE", "mode": 3, "ltp": 2.0, "52_week_high": 9.0, "depth": book
    }
    assert "open" not in tick and "ltp" in tick and tick.get("open", 7) == 7
    with pytest.raises(KeyError):
        tick["open"]


def test_mode_and_exchange_follow_from_the_tick(publisher, subscriber):
    publisher.publish_market_data("A", {"ltp": 1, "timestamp": 1_748_426_445_123})
    publisher.publish_market_data("B", {"ltp": 1, "open": 2, "exchange": "MCX"})
    publisher.publish_market_data("C", {"ltp": 1, "type": 2})
    assert [(t.symbol, t.exchange, t.mode) for t in subscriber.poll()] == [("A", "NSE", 1), ("B", "MCX", 2), ("C", "NSE", 2)]


@pytest.mark.parametrize(
    "value",
    [Decimal("150.25"), numpy.float64(150.25), numpy.float32(150.25), Fraction(601, 4), "150.25", " 150.25 "],
    ids=repr,
)
def test_numbers_of_every_kind(publisher, subscriber, value):
    publisher.publish_market_data("A", {"ltp": value, "volume": numpy.int64(7)})
    [tick] = subscriber.poll()
    assert (tick.ltp, tick.volume) == (150.25, 7)


def test_what_is_not_finite_travels_as_nan(publisher, subscriber):
    huge = 10**400
    publisher.publish_market_data("A", {"ltp": math.nan, "open": math.inf, "close": "NaN", "volume": huge})
    [tick] = subscriber.poll()
    assert all(math.isnan(value) for value in (tick.ltp, tick.open, tick.close, tick.volume))


@pytest.mark.parametrize("value", [True, numpy.True_, "N/A", b"1", [1], {}, object(), 1j], ids=repr)
def test_a_value_that_is_no_number_is_refused_by_name(publisher, subscriber, value):
    with pytest.raises(OpenAlgoShmError, match="volume must be a number") as caught:
        publisher.publish_market_data("A", {"ltp": 1, "volume": value})
    assert caught.value.code == "ERR_INVALID_FIELD"
    assert subscriber.poll() == []


@pytest.mark.parametrize("tick", [None, 5, "ltp", [("ltp", 1)], {"ltp"}], ids=repr)
def test_what_is_no_dictionary_is_refused(publisher, tick):
    assert code_of(lambda: publisher.publish_market_data("A", tick)) == "ERR_INVALID_FIELD"


def test_keys_that_are_no_text_are_left_out(publisher, subscriber):
    publisher.publish_market_data("A", {"ltp": 1, 5: 2, None: 3, ("a", "b"): 4})
    assert subscriber.poll()[0].as_dict() == {"symbol": "A", "exchange": "NSE", "mode": 1, "ltp": 1.0}


@pytest.mark.parametrize("symbol", ["", "S" * 49, "₹" * 17, "A\nB"])
def test_a_symbol_that_cannot_be_one(publisher, symbol):
    assert code_of(lambda: publisher.publish_market_data(symbol, {"ltp": 1})) == "ERR_INVALID_SYMBOL"


def test_a_lone_surrogate_is_no_symbol(publisher):
    with pytest.raises((OpenAlgoShmError, UnicodeEncodeError)):
        publisher.publish_market_data("\ud800", {"ltp": 1})


def test_a_book_that_is_too_deep(publisher):
    levels = [{"price": 1, "quantity": 1}] * 200
    with pytest.raises(OpenAlgoShmError, match="200 levels a side does not fit a ring made for 5") as caught:
        publisher.publish_market_data("A", {"depth": {"buy": levels, "sell": []}})
    assert caught.value.code == "ERR_BOOK_TOO_DEEP"


def test_200_levels_fit_a_ring_made_for_them(ring):
    levels = [{"price": float(n), "quantity": 1.0, "orders": 2.0} for n in range(200)]
    with (
        SharedMemorySubscriber(ring, depth_levels=200) as subscriber,
        SharedMemoryPublisher(ring) as publisher,
    ):
        publisher.publish_market_data("A", {"depth": {"buy": levels, "sell": levels}})
        assert subscriber.poll()[0].depth == {"buy": levels, "sell": levels}


def test_a_batch_ends_at_the_tick_that_is_wrong(publisher, subscriber):
    assert publisher.publish_batch({"symbol": s, "ltp": 1} for s in "ABC") == 3
    assert code_of(lambda: publisher.publish_batch([{"symbol": "D", "ltp": 1}, {"ltp": 1}])) == "ERR_INVALID_SYMBOL"
    assert [tick.symbol for tick in subscriber.poll()] == ["A", "B", "C", "D"]


def test_a_topic_handle_outlives_a_restart(publisher, subscriber, ring):
    sbin = publisher.topic("SBIN")
    assert sbin.ltp(625.5, volume=10, timestamp=1_748_426_445_123) is True
    publisher.stop()
    assert code_of(lambda: sbin.ltp(1)) == "ERR_CLOSED"
    publisher.start()
    sbin.quote({"ltp": 626, "open": 620})
    sbin.depth({"depth": {"buy": [], "sell": []}})
    ticks = subscriber.poll()
    assert [(t.symbol, t.mode, t.ltp) for t in ticks] == [("SBIN", 1, 625.5), ("SBIN", 2, 626), ("SBIN", 3, None)]
    assert (ticks[0].volume, ticks[0].timestamp) == (10, 1_748_426_445_123)


def test_a_lossless_ring_refuses_when_full(ring):
    subscriber = SharedMemorySubscriber(ring, 4096, preset="spsc").start()
    publisher = SharedMemoryPublisher(ring).start()
    published = sum(publisher.publish_market_data("A", {"ltp": n}) for n in range(100))
    assert 0 < published < 100
    stats = publisher.get_stats()
    assert (stats["messages_published"], stats["messages_rejected"]) == (published, 100 - published)
    assert [tick.ltp for tick in subscriber.poll(1000)] == list(range(published))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"buffer_name": "a/b"}, "ERR_SHM_NAME"),
        ({"buffer_name": ""}, "ERR_SHM_NAME"),
        ({"buffer_size": 1}, "ERR_INVALID_OPTION"),
        ({"buffer_size": -1}, "ERR_INVALID_OPTION"),
        ({"lanes": 65}, "ERR_INVALID_OPTION"),
        ({"depth_levels": 201}, "ERR_INVALID_OPTION"),
        ({"topics": 0}, "ERR_INVALID_OPTION"),
        ({"policy": "maybe"}, "ERR_INVALID_OPTION"),
        ({"preset": "mpsc"}, "ERR_INVALID_OPTION"),
    ],
)
def test_options_that_cannot_be(options, code):
    for made in (SharedMemoryPublisher, SharedMemorySubscriber):
        assert code_of(lambda made=made: made(**options)) == code


def test_no_free_lane_names_the_owners(ring):
    with SharedMemoryPublisher(ring, lanes=1, publisher_name="first"):
        with pytest.raises(OpenAlgoShmError, match=r"first \(pid \d+\)") as caught:
            SharedMemoryPublisher(ring).start()
        assert caught.value.code == "ERR_NO_FREE_LANE"


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="segments are no files here")
def test_a_ring_of_another_version(ring):
    with LockFreeRingBuffer(ring) as made:
        name = made.name
    with open(f"/dev/shm/{name}", "r+b") as segment:
        segment.seek(8)
        segment.write((1).to_bytes(8, "little"))
    assert code_of(lambda: SharedMemoryPublisher(ring).start()) == "ERR_SHM_VERSION"
    assert LockFreeRingBuffer.remove_if_unused(ring) is True


def test_the_ring_class(ring):
    made = LockFreeRingBuffer(ring, 1 << 20, depth_levels=7)
    assert made.info() | {"bytes": 0} == {
        "name": ring, "kind": "ticks", "lanes": 8, "consumers": 64, "capacity": 16384, "topics": 32768,
        "depth_levels": 7, "policy": "overwrite", "bytes": 0,
    }
    assert code_of(lambda: LockFreeRingBuffer(ring, depth_levels=8)) == "ERR_SHM_MISMATCH"
    assert ring in [found["name"] for found in LockFreeRingBuffer.list()]
    with SharedMemoryPublisher(ring, publisher_name="zerodha") as publisher:
        publisher.publish_market_data("A", {"ltp": 1})
        [lane] = made.stats()["publishers"]
        assert (lane["publisher"], lane["alive"], lane["messages_published"]) == ("zerodha", True, 1)
        assert LockFreeRingBuffer.remove_if_unused(ring) is False
    assert made.is_current() is True
    assert made.unlink() is True
    assert (made.is_current(), made.unlink()) == (False, False)
    made.close()
    assert code_of(made.info) == "ERR_CLOSED"
    assert code_of(lambda: LockFreeRingBuffer.open(ring)) == "ERR_SHM_NOT_FOUND"
