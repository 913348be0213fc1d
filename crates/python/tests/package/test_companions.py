"""What clients want, and events."""

from __future__ import annotations

import time

import pytest

from openalgo_shm import (
    EventPublisher,
    EventReader,
    InterestReader,
    LockFreeRingBuffer,
    OpenAlgoShmError,
    SharedMemoryBrokerAdapter,
)


def eventually(condition):
    end = time.monotonic() + 30
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.01)
    return found


def test_events_go_from_publisher_to_reader(ring):
    reader = EventReader(ring)
    with EventPublisher(ring, "zerodha") as publisher:
        publisher.publish({"type": "order_update", "owners": ["u"], "update": {"symbol": "₹"}})
        assert reader.wait(10) is True
        assert reader.poll() == [({"type": "order_update", "owners": ["u"], "update": {"symbol": "₹"}}, "zerodha")]
    assert (reader.poll(), reader.events_lost, reader.events_malformed) == ([], 0, 0)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"type": "x", "text": "a" * 2016}, "ERR_MESSAGE_TOO_LONG"),
        ({"text": "x"}, "ERR_INVALID_ARGUMENT"),
        ({"type": "x", "value": object()}, "ERR_INVALID_ARGUMENT"),
        ({"type": "x", "value": float("nan")}, "ERR_INVALID_ARGUMENT"),
    ],
)
def test_events_that_cannot_be(ring, event, code):
    with EventPublisher(ring) as publisher, pytest.raises(OpenAlgoShmError) as caught:
        publisher.publish(event)
    assert caught.value.code == code


def test_garbage_is_counted(ring):
    reader = EventReader(ring)
    with EventPublisher(ring) as publisher:
        for text in ("", "no json", "[1]", '{"a":1}', "[" * 2000):
            publisher.publish_text(text)
        publisher.publish({"type": "good"})
    assert [event for event, _ in reader.poll()] == [{"type": "good"}]
    assert reader.events_malformed == 5


def test_an_event_goes_into_a_ring_that_was_created_anew(ring):
    with EventPublisher(ring) as publisher:
        with LockFreeRingBuffer.open(f"{ring}.events") as old:
            old.unlink()
        reader = EventReader(ring)
        publisher.publish({"type": "x"})
        assert eventually(reader.poll) == [({"type": "x"}, "feed")]


def test_closed_readers(ring):
    events, interest = EventReader(ring), InterestReader(ring)
    events.close()
    interest.close()
    for action in (events.poll, events.wait, interest.poll, interest.wait, interest.wanted):
        with pytest.raises(OpenAlgoShmError) as caught:
            action()
        assert caught.value.code == "ERR_CLOSED"


def test_an_interest_that_nobody_has(ring):
    reader = InterestReader(ring)
    assert (reader.poll(), reader.wanted(), reader.wait(0)) == ([], [], False)


def test_an_adapter_listens(ring):
    adapter = SharedMemoryBrokerAdapter("zerodha", buffer_name=ring)
    assert adapter.wanted() == []
    adapter.listen(print, print)
    adapter.listen(print, print)
    assert adapter.wanted() == []
    adapter.stop()
    adapter.stop()
