"""What comes from the broker reaches clients, and what clients want reaches the broker."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from harness.broker import MockBroker, Request, accept_all
from harness.clients import Client, Events
from harness.processes import Flask, World
from harness.waiting import eventually

BOOK = {side: [{"price": 100.0 + level, "quantity": 10, "orders": 1} for level in range(5)] for side in ("buy", "sell")}


def pump(broker: MockBroker, client: Client, topic: str, data: object, symbol: str) -> dict[str, Any]:
    """Ticks until the client has one of the symbol: the broker's connection may just be made."""

    def arrived() -> dict[str, Any] | None:
        broker.tick(topic, data)
        ticks = client.ticks(symbol)
        return ticks[-1] if ticks else None

    return eventually(f"a tick of {symbol}", arrived)


@pytest.mark.parametrize("pooling", ["true", "false"])
def test_ticks_of_all_modes_reach_a_client(
    world: World, flask: Flask, broker: MockBroker, client: Client, pooling: str
) -> None:
    with (world.checkout / ".env").open("a") as env:
        env.write(f"ENABLE_CONNECTION_POOLING='{pooling}'\n")
    flask.login()
    host = world.host()
    assert f"host: broker mock, user u -> shared memory {world.ring}" in host.out
    client.subscribe("LTP1", mode=1)
    client.subscribe("QUOTE1", mode=2)
    client.subscribe("DEPTH1", mode=3)
    client.subscribe("NIFTY", mode=1, exchange="NSE_INDEX")
    client.subscribe("SOL_INR", mode=1, exchange="CRYPTO")
    assert {(each["exchange"], each["symbol"], each["mode"]) for each in broker.subscribed(5)} == {
        ("NSE", "LTP1", 1),
        ("NSE", "QUOTE1", 2),
        ("NSE", "DEPTH1", 3),
        ("NSE_INDEX", "NIFTY", 1),
        ("CRYPTO", "SOL_INR", 1),
    }
    assert pump(broker, client, "NSE_LTP1_LTP", {"ltp": 625.5, "mode": "ltp"}, "LTP1")["mode"] == 1
    quote = pump(broker, client, "NSE_QUOTE1_QUOTE", {"ltp": 7.0, "volume": 3, "open": 1.0}, "QUOTE1")
    assert (quote["mode"], quote["data"]["volume"]) == (2, 3)
    depth = pump(broker, client, "NSE_DEPTH1_DEPTH", {"ltp": 9.0, "depth": BOOK}, "DEPTH1")
    assert depth["mode"] == 3
    assert len(depth["data"]["depth"]["buy"]) == 5
    assert pump(broker, client, "NSE_INDEX_NIFTY_LTP", {"ltp": 25000.0}, "NIFTY")["exchange"] == "NSE_INDEX"
    assert pump(broker, client, "CRYPTO_SOL_INR_LTP", {"ltp": 1.5}, "SOL_INR")["exchange"] == "CRYPTO"


def test_unsubscribing_reaches_the_broker_and_the_adapter_is_kept(
    world: World, flask: Flask, broker: MockBroker, client: Client, events: Events
) -> None:
    flask.login()
    world.host()
    client.subscribe("SBIN")
    broker.subscribed(1)
    client.unsubscribe("SBIN")
    eventually("an unsubscription", lambda: broker.of("unsubscribe"))
    assert events.until_results(1, "ended")[0]["symbol"] == "SBIN"
    assert broker.connected() == 1
    client.subscribe("SBIN")
    broker.subscribed(2)


def test_a_deeper_book_is_unsubscribed_first(
    world: World, flask: Flask, broker: MockBroker, client: Client, events: Events
) -> None:
    def answer(request: Request) -> dict[str, Any]:
        # The broker has books of 10 levels at most.
        return {"status": "success", "actual_depth": min(request.get("depth", 5), 10)}

    broker.answer = answer
    flask.login()
    world.host()
    client.subscribe("TCS", mode=3, depth=5)
    events.until_results(1, "success")
    broker.forget()
    client.subscribe("TCS", mode=3, depth=20)
    assert [each["depth"] for each in events.until_results(2, "success")] == [5, 10]
    asked = [(each["op"], each.get("depth")) for each in broker.requests]
    assert asked == [("unsubscribe", None), ("subscribe", 20)]


def test_who_had_a_book_keeps_it_when_a_deeper_one_is_refused(
    world: World, flask: Flask, broker: MockBroker, client: Client, events: Events
) -> None:
    def answer(request: Request) -> dict[str, Any]:
        if request.get("depth", 5) > 5:
            return {"status": "error", "message": "only 5 levels"}
        return {"status": "success"}

    broker.answer = answer
    flask.login()
    world.host()
    client.subscribe("TCS", mode=3, depth=5)
    events.until_results(1, "success")
    client.subscribe("TCS", mode=3, depth=20)
    told = eventually("the refusal", lambda: [each for each in events.results() if "message" in each])[0]
    assert (told["status"], told["depth"], told["message"]) == ("success", 5, "only 5 levels")


def test_of_3100_symbols_the_100_that_do_not_fit_are_refused(
    world: World, flask: Flask, broker: MockBroker, client: Client, events: Events
) -> None:
    flask.login()
    world.host()
    names = [f"S{number}" for number in range(3100)]
    for start in range(0, 3100, 500):
        client.subscribe(*names[start : start + 500])
    refused = events.until_results(100, "error")
    taken = events.until_results(3000, "success")
    assert len({each["symbol"] for each in refused}) == 100
    assert len({each["symbol"] for each in taken}) == 3000
    assert all("Maximum capacity reached" in each["message"] for each in refused)
    assert broker.connected() == 3
    # A refused wish is not tried again until it ends; then there is room once others have left.
    client.unsubscribe(*[each["symbol"] for each in taken[:10]])
    events.until_results(10, "ended")
    again = refused[0]["symbol"]
    client.unsubscribe(again)
    eventually(
        "the wish has ended",
        lambda: any(each["symbol"] == again and each["status"] == "ended" for each in events.results()),
    )
    client.subscribe(again)
    eventually(
        "the refused symbol is taken",
        lambda: any(each["symbol"] == again and each["status"] == "success" for each in events.results()),
    )


def test_a_refusal_of_any_kind_is_told_and_harms_nobody(
    world: World, flask: Flask, broker: MockBroker, client: Client, events: Events
) -> None:
    def answer(request: Request) -> dict[str, Any]:
        answers: dict[str, dict[str, Any]] = {
            "UNKNOWN": {"status": "error", "message": "Symbol UNKNOWN not found"},
            "FALSE": {"success": False, "error": "no"},
            "RAISES": {"raise": "adapter exploded"},
            "EXITS": {"exit": 3},
            "EMPTY": {},
        }
        return answers.get(request.get("symbol", ""), {"status": "success"})

    broker.answer = answer
    with (world.checkout / ".env").open("a") as env:
        env.write("ENABLE_CONNECTION_POOLING='false'\n")
    flask.login()
    world.host()
    client.subscribe("UNKNOWN", "FALSE", "RAISES", "EXITS", "EMPTY", "GOOD")
    refused = {each["symbol"]: each["message"] for each in events.until_results(5, "error")}
    assert refused["UNKNOWN"] == "Symbol UNKNOWN not found"
    assert refused["FALSE"] == "no"
    assert "adapter exploded" in refused["RAISES"]
    assert "SystemExit" in refused["EXITS"]
    assert refused["EMPTY"] == "the adapter gave no answer"
    assert pump(broker, client, "NSE_GOOD_LTP", {"ltp": 1.0}, "GOOD")


def test_adapters_publish_from_many_threads(
    world: World, flask: Flask, broker: MockBroker, client: Client
) -> None:
    flask.login()
    world.host("--buffer-size", str(16 << 20))
    names = [f"BURST{number}" for number in range(8)]
    client.subscribe(*names)
    broker.subscribed(8)
    broker.burst(8, 1000)
    for name in names:
        eventually(f"the last tick of {name}", lambda name=name: any(  # type: ignore[misc]
            each["data"]["ltp"] == 1000.0 for each in client.ticks(name)
        ))


def test_a_slow_consumer_of_ticks_holds_up_nobody(
    world: World, flask: Flask, broker: MockBroker, client: Client
) -> None:
    with (world.checkout / ".env").open("a") as env:
        env.write("MOCK_SERVICE_S='2.5'\n")
    flask.login()
    host = world.host()
    client.subscribe("SBIN")
    broker.subscribed(1)
    started = time.monotonic()
    for number in range(200):
        broker.tick("NSE_SBIN_LTP", {"ltp": number + 1.0})
    eventually("the last of 200 ticks", lambda: any(each["data"]["ltp"] == 200.0 for each in client.ticks("SBIN")))
    # One after the other, they would have taken 500 s.
    assert time.monotonic() - started < 100
    served = world.checkout / "services.jsonl"

    def last_of(path: Path) -> float | None:
        lines = path.read_text().splitlines() if path.exists() else []
        return float(json.loads(lines[-1])["data"]["ltp"]) if lines else None

    eventually("the consumer has the newest tick", lambda: last_of(served) == 200.0)
    assert len(served.read_text().splitlines()) < 100
    assert host.terminate() == 0
    assert "conflated" in host.err


def test_ticks_that_come_over_the_bus_reach_clients_too(
    world: World, flask: Flask, broker: MockBroker, client: Client
) -> None:
    flask.login()
    world.host()
    client.subscribe("SBIN")
    broker.subscribed(1)

    def arrived() -> bool:
        flask.publish("NSE_SBIN_LTP", {"ltp": 5.0})
        return bool(client.ticks("SBIN"))

    eventually("a tick over the bus", arrived)


def test_a_shallower_wish_leaves_a_deeper_book(
    world: World, flask: Flask, broker: MockBroker, client: Client, proxy_port: int, events: Events
) -> None:
    flask.login()
    world.host()
    client.subscribe("X", mode=3, depth=5)
    broker.subscribed(1)
    other = Client(proxy_port)
    other.subscribe("X", mode=3, depth=20)
    broker.subscribed(2)
    broker.forget()
    other.unsubscribe("X", mode=3)
    # Something behind it, which the host comes to after the shallower wish.
    client.subscribe("Y")
    broker.subscribed(1)
    assert [(request["op"], request["symbol"]) for request in broker.requests] == [("subscribe", "Y")]
    other.close()


def test_an_unsubscribe_that_fails_is_tried_again(
    world: World, flask: Flask, broker: MockBroker, client: Client, events: Events
) -> None:
    flask.login()
    world.host()
    client.subscribe("X")
    broker.subscribed(1)
    broker.answer = lambda request: {"status": "error" if request["op"] == "unsubscribe" else "success", "message": "busy"}
    client.unsubscribe("X")
    eventually("the failed unsubscribe", lambda: broker.of("unsubscribe"))
    broker.answer = accept_all
    eventually("another try", lambda: len(broker.of("unsubscribe")) >= 2)
