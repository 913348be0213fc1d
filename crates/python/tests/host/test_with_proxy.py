"""Host and proxy together, as OpenAlgo's clients see them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from harness.broker import MockBroker, Request
from harness.clients import Client, Events
from harness.processes import Flask, World, free_port
from harness.waiting import eventually


@pytest.fixture
def port(world: World, flask: Flask) -> Iterator[int]:
    """A proxy that asks the host whose keys are; two users have some."""
    flask.do("key", user_id="u", api_key="key-of-u")
    flask.do("key", user_id="second", api_key="key-of-second")
    port = free_port()
    path = world.folder / f"openalgo-shm-{os.getuid()}" / f"{world.ring}.sock"
    world.proxy(port, "--keys-socket", str(path))
    yield port


def answer_to(client: Client, kind: str) -> dict[str, Any]:
    return client.until(lambda message: message.get("type") == kind)


def test_a_refusal_reaches_the_client_that_asked(
    world: World, flask: Flask, broker: MockBroker, port: int
) -> None:
    def answer(request: Request) -> dict[str, Any]:
        if request.get("symbol") == "NOSUCH":
            return {"status": "error", "message": "Symbol NOSUCH not found"}
        return {"status": "success", "actual_depth": min(request.get("depth", 5), 5)}

    broker.answer = answer
    flask.login()
    world.host()
    client = Client(port, "key-of-u")
    assert client.messages[0]["broker"] == "mock"
    assert client.messages[0]["user_id"] == "u"
    client.subscribe("GOOD", "NOSUCH", mode=3, depth=20)
    told = answer_to(client, "subscribe")
    by_symbol = {each["symbol"]: each for each in told["subscriptions"]}
    assert told["status"] == "partial"
    assert by_symbol["GOOD"]["depth"] == 5
    assert by_symbol["NOSUCH"]["message"] == "Symbol NOSUCH not found"
    # Wished again at once, it is refused again.
    client.messages.clear()
    client.subscribe("NOSUCH", mode=3, depth=20)
    assert answer_to(client, "subscribe")["status"] == "partial"
    client.close()


def test_order_updates_reach_the_clients_of_their_user_alone(
    world: World, flask: Flask, broker: MockBroker, port: int
) -> None:
    flask.login()
    world.host()
    first, second = Client(port, "key-of-u"), Client(port, "key-of-second")
    for client in (first, second):
        client.send({"action": "subscribe_orders"})
        answer_to(client, "subscribe_orders")
    update = {"type": "order_update", "mode": "live", "broker": "mock", "order_status": "complete"}

    def both_have_theirs() -> bool:
        flask.publish("MOCK_u_orders", {**update, "user_id": "u", "orderid": "1"})
        flask.publish("ANALYZE_second_orders", {**update, "user_id": "second", "mode": "analyze", "orderid": "2"})
        return bool(orders(first) and orders(second))

    eventually("order updates", both_have_theirs)
    assert orders(first) == {"1"}
    assert orders(second) == {"2"}
    first.close()
    second.close()


def orders(client: Client) -> set[str]:
    return {each["orderid"] for each in list(client.messages) if each.get("type") == "order_update"}


def test_a_logout_keeps_clients_and_a_replaced_key_ends_theirs(
    world: World, flask: Flask, broker: MockBroker, port: int, events: Events
) -> None:
    flask.login()
    world.host()
    first, second = Client(port, "key-of-u"), Client(port, "key-of-second")
    first.subscribe("SBIN")
    second.subscribe("SBIN")
    broker.subscribed(1)
    flask.logout()
    events.until_reason("no user is logged in")
    seen = len(events.all)
    flask.login(token="t2")
    events.until_up(True, after=seen)

    def both_get_ticks() -> bool:
        broker.tick("NSE_SBIN_LTP", {"ltp": 5.0})
        return bool(first.ticks() and second.ticks())

    eventually("ticks at both", both_get_ticks)
    flask.do("key", user_id="u", api_key="new-key-of-u")
    eventually("the first client is closed", lambda: first.closed)
    assert not second.closed
    with pytest.raises(AssertionError):
        Client(port, "key-of-u", patience=3)
    Client(port, "new-key-of-u").close()
    second.close()
