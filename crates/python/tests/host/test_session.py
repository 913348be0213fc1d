"""The session at the broker follows OpenAlgo's login."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from harness.broker import MockBroker, Request, accept_all
from harness.clients import Client, Events, OfficialClient
from harness.processes import Flask, World
from harness.waiting import eventually


def tokens(broker: MockBroker) -> list[str]:
    return [request["token"] for request in broker.of("connect")]


def test_nobody_is_logged_in_at_first(
    world: World, flask: Flask, broker: MockBroker, client: Client, events: Events
) -> None:
    host = world.host()
    assert "nobody is logged in" in host.out
    events.until_reason("no user is logged in to OpenAlgo")
    client.subscribe("SBIN")
    flask.login()
    up = events.until_up(True)
    assert (up["feed"], up["broker"], up["answers"]) == ("mock", "mock", True)
    assert broker.subscribed(1)[0]["symbol"] == "SBIN"
    assert events.until_results(1, "success")[0]["symbol"] == "SBIN"


def test_logout_and_login(world: World, flask: Flask, broker: MockBroker, client: Client, events: Events) -> None:
    flask.login()
    world.host()
    client.subscribe("SBIN", "TCS")
    broker.subscribed(2)
    flask.logout()
    events.until_reason("no user is logged in to OpenAlgo")
    eventually("the adapter is gone", lambda: broker.connected() == 0)
    seen = len(events.all)
    broker.forget()
    flask.login(token="t2")
    events.until_up(True, after=seen)
    assert {each["symbol"] for each in broker.subscribed(2)} == {"SBIN", "TCS"}
    assert tokens(broker)[-1] == "t2"


def test_a_new_token_builds_the_session_anew_and_tells_all_results_again(
    world: World, flask: Flask, broker: MockBroker, client: Client, events: Events
) -> None:
    flask.login(token="monday")
    world.host()
    client.subscribe("A", "B", "C")
    events.until_results(3, "success")
    flask.login(token="tuesday")
    assert {each["symbol"] for each in events.until_results(6, "success")[3:]} == {"A", "B", "C"}
    assert tokens(broker)[-1] == "tuesday"
    eventually("one adapter is left", lambda: broker.connected() == 1)


def test_the_same_token_stored_anew_changes_nothing(
    world: World, flask: Flask, broker: MockBroker, events: Events
) -> None:
    flask.login(token="same")
    world.host()
    events.until_up(True)
    flask.login(token="same")
    repeats = len(events.of("feed_source"))
    eventually("another repetition", lambda: len(events.of("feed_source")) > repeats)
    assert tokens(broker) == ["same"]


def test_a_login_whose_message_was_lost_is_found(
    world: World, flask: Flask, broker: MockBroker, events: Events
) -> None:
    flask.login(token="old")
    world.host()
    events.until_up(True)
    # This web application's messages go nowhere.
    settings = world.checkout / ".env"
    before = settings.read_text()
    settings.write_text(re.sub(r"ZMQ_PORT='\d+'", "ZMQ_PORT='9'", before))
    deaf = world.flask()
    settings.write_text(before)
    deaf.login(token="new")
    eventually("the new token", lambda: "new" in tokens(broker))


def test_an_expired_token_is_retried_until_there_is_a_fresh_one(
    world: World, flask: Flask, broker: MockBroker, client: Client, events: Events
) -> None:
    def answer(request: Request) -> dict[str, Any]:
        if request["op"] == "connect" and request["token"] != "fresh":
            return {"status": "error", "code": "AUTHENTICATION_ERROR", "message": "401 token expired"}
        return {"status": "success"}

    broker.answer = answer
    flask.login(token="stale")
    world.host()
    client.subscribe("SBIN")
    assert events.until_reason("401 token expired")["up"] is False
    eventually("more than one attempt", lambda: len(tokens(broker)) >= 3)
    assert not events.results()
    flask.login(token="fresh")
    events.until_up(True)
    events.until_results(1, "success")


def test_both_shapes_of_failure_and_exceptions_are_told_with_their_reason(
    world: World, flask: Flask, broker: MockBroker, events: Events
) -> None:
    answers: list[dict[str, Any]] = [
        {"success": False, "error": "shape one"},
        {"status": "error", "message": "shape two"},
        {"raise": "it blew up"},
        {"exit": 5},
        {"status": "success"},
    ]
    broker.answer = lambda request: answers.pop(0) if request["op"] == "connect" else {"status": "success"}
    with (world.checkout / ".env").open("a") as env:
        env.write("ENABLE_CONNECTION_POOLING='false'\n")
    flask.login()
    world.host()
    for reason in ("shape one", "shape two", "it blew up", "SystemExit"):
        events.until_reason(reason)
    events.until_up(True)


def test_a_broker_that_hangs_up_is_told_and_the_session_survives(
    world: World, flask: Flask, broker: MockBroker, events: Events
) -> None:
    flask.login()
    world.host()
    events.until_up(True)
    # The adapter was seen connected once it was looked at.
    repeats = len(events.of("feed_source"))
    eventually("a repetition", lambda: len(events.of("feed_source")) > repeats)
    broker.cut()
    events.until_reason("the broker's connection is lost")
    seen = len(events.all)
    flask.login(token="t2")
    events.until_up(True, after=seen)


def test_an_adapter_that_reconnects_by_itself_keeps_its_subscriptions(
    world: World, flask: Flask, broker: MockBroker, client: Client, events: Events
) -> None:
    flask.login()
    world.host()
    client.subscribe("SBIN")
    events.until_results(1, "success")
    repeats = len(events.of("feed_source"))
    eventually("a repetition", lambda: len(events.of("feed_source")) > repeats)
    broker.let_say(connected=False)
    events.until_reason("the broker's connection is lost")
    # Nothing is refused meanwhile.
    client.subscribe("TCS")
    seen = len(events.all)
    broker.let_say(connected=True)
    events.until_up(True, after=seen)
    told = [each["symbol"] for each in events.until_results(3, "success")]
    assert told[1:] == ["SBIN", "TCS"]
    assert [each["symbol"] for each in broker.of("subscribe")] == ["SBIN", "TCS"]


def test_another_broker_gets_a_lane_of_its_own_name(
    world: World, flask: Flask, broker: MockBroker, client: Client, events: Events
) -> None:
    flask.login(broker="mock")
    world.host()
    client.subscribe("SBIN")
    broker.subscribed(1)
    flask.login(broker="second", token="t2")
    eventually("the second broker is up", lambda: any(
        each["up"] and each["feed"] == "second" for each in events.of("feed_source")
    ))
    assert any(not each["up"] and each["feed"] == "mock" for each in events.of("feed_source"))
    broker.subscribed(2)

    def arrived() -> bool:
        broker.tick("NSE_SBIN_LTP", {"ltp": 3.0})
        return any(each["broker"] == "second" for each in client.ticks("SBIN"))

    eventually("a tick of the second broker", arrived)


def test_an_unknown_broker_is_told(world: World, flask: Flask, events: Events) -> None:
    flask.login(broker="nosuch")
    world.host()
    events.until_reason("Unsupported broker: nosuch")
    flask.login(broker="mock", token="t2")
    events.until_up(True)


def test_order_updates_go_to_their_owners(world: World, flask: Flask, events: Events) -> None:
    flask.login()
    world.host()
    events.until_up(True)
    update = {
        "type": "order_update", "mode": "live", "broker": "mock", "orderid": "1", "symbol": "SBIN",
        "exchange": "NSE", "action": "BUY", "quantity": 1, "price": float("nan"), "rejection_reason": "",
    }
    flask.publish("MOCK_first_user_orders", {**update, "user_id": "first_user"})
    flask.publish("ANALYZE_second_orders", {**update, "user_id": "second", "mode": "analyze"})
    flask.publish("MOCK_long_orders", {**update, "user_id": "long", "rejection_reason": "x\u20b9" * 3000})
    flask.publish("MOCK_nobody_orders", update)
    flask.publish("MOCK_u_positions", {"user_id": "u"})
    flask.publish("NOBODY_KNOWS", {"a": 1})
    flask.do("raw", frames=["only one frame"])
    flask.do("raw", frames=["NSE_X_LTP", "no json"])
    flask.publish("MOCK_last_orders", {**update, "user_id": "last"})
    orders = eventually(
        "the last order update",
        lambda: [each for each in events.of("order_update")] if any(
            each["owners"] == ["last"] for each in events.of("order_update")
        ) else [],
    )
    assert [each["owners"] for each in orders] == [["first_user"], ["second"], ["long"], ["last"]]
    assert orders[0]["update"]["price"] is None
    assert orders[1]["update"]["mode"] == "analyze"
    assert orders[2]["update"]["rejection_reason"].startswith("x\u20b9")


def test_the_health_page_gets_its_file(world: World, flask: Flask, client: Client, events: Events) -> None:
    flask.login()
    world.host()
    client.subscribe("SBIN")
    events.until_results(1, "success")
    path = world.checkout / "log" / "ws_proxy_stats.json"

    def complete() -> bool:
        stats = json.loads(path.read_text()) if path.exists() else {}
        return stats.get("total_symbols") == 1

    eventually("the file", complete)
    stats = json.loads(path.read_text())
    assert set(stats) == {"timestamp", "total_connections", "total_symbols", "clients_connected", "brokers"}
    assert (stats["total_connections"], stats["brokers"]) == (1, ["mock"])


def test_messages_about_a_login_that_has_not_changed_log_nobody_in(
    world: World, flask: Flask, broker: MockBroker, client: Client, events: Events
) -> None:
    flask.login()
    world.host()
    client.subscribe("X")
    broker.subscribed(1)
    for _ in range(20):
        flask.do("publish", topic="CACHE_INVALIDATE_FEED_u", data={"user_id": "u", "cache_type": "FEED"})
    client.subscribe("Y")
    broker.subscribed(2)
    assert len(broker.of("connect")) == 1


def test_messages_about_a_login_that_the_broker_refuses_do_not_hurry(
    world: World, flask: Flask, broker: MockBroker, client: Client, events: Events
) -> None:
    broker.answer = lambda request: {"status": "error", "message": "401 Unauthorized"}
    flask.login()
    world.host()
    eventually("an attempt", lambda: broker.of("connect"))
    # Attempts come after 0.5, 1, 2, 5, 10 s; each of these messages was another one.
    for _ in range(30):
        flask.do("publish", topic="CACHE_INVALIDATE_FEED_u", data={"user_id": "u", "cache_type": "FEED"})
    assert len(broker.of("connect")) < 25
    broker.answer = accept_all
    seen = len(events.all)
    flask.login(token="t2")
    events.until_up(True, after=seen)


def test_a_deeper_book_waits_for_an_adapter_that_connects_again(
    world: World, flask: Flask, broker: MockBroker, client: Client, proxy_port: int, events: Events
) -> None:
    flask.login()
    world.host()
    client.subscribe("X", mode=3, depth=5)
    broker.subscribed(1)
    away = {"status": "error", "code": "NOT_CONNECTED", "message": "Not connected"}
    broker.answer = lambda request: away if request["op"] == "subscribe" else {"status": "success"}
    client.subscribe("X", mode=3, depth=20)
    broker.subscribed(2)
    broker.answer = accept_all
    eventually("the deeper book", lambda: broker.of("subscribe")[-1]["depth"] == 20 and len(broker.of("subscribe")) > 2)
    assert not [each for each in events.results() if each["status"] == "error"]


def test_a_subscribe_while_the_adapter_connects_again_is_no_refusal(
    world: World, flask: Flask, broker: MockBroker, client: Client, events: Events
) -> None:
    flask.login()
    world.host()
    symbols = [f"S{number}" for number in range(50)]
    client.subscribe(*symbols)
    broker.subscribed(50)

    def away(request: Request) -> dict[str, Any]:
        if request["op"] != "subscribe":
            return {"status": "success"}
        return {"status": "error", "code": "NOT_CONNECTED", "message": "Not connected to WebSocket"}

    broker.answer = away
    seen = len(events.all)
    broker.forget()
    flask.login(token="t2")
    events.until_up(True, after=seen)
    broker.subscribed(1)
    broker.answer = accept_all
    eventually("all are subscribed", lambda: {each["symbol"] for each in broker.of("subscribe")} >= set(symbols))
    eventually("a tick", lambda: broker.tick("NSE_S7_LTP", {"ltp": 1.0}) or client.ticks("S7"))
    assert not [each for each in client.messages if each.get("type") == "subscription_refused"]


@pytest.mark.parametrize("what", ["subscribe", "disconnect"])
def test_an_adapter_that_hangs_ends_the_host(
    world: World, flask: Flask, broker: MockBroker, client: Client, events: Events, what: str
) -> None:
    hanging = threading.Event()

    def answer(request: Request) -> dict[str, Any]:
        if request["op"] == "subscribe" and what == "subscribe":
            hanging.wait(60)
        return {"status": "success"}

    broker.answer = answer
    world.env["MOCK_DISCONNECT_S"] = "3600" if what == "disconnect" else "0"
    flask.login()
    host = world.host()
    client.subscribe("X")
    broker.subscribed(1)
    if what == "disconnect":
        flask.login(token="t2")
    assert host.wait() == 1
    hanging.set()
    assert "ERR_ADAPTER_HUNG" in host.err


@pytest.fixture
def official(proxy_port: int) -> Iterator[OfficialClient]:
    client = OfficialClient(proxy_port, "S0")
    yield client
    client.close()


def test_kills_in_turn_with_50_clients_and_the_official_one(
    world: World, flask: Flask, broker: MockBroker, proxy_port: int, events: Events, official: OfficialClient
) -> None:
    flask.login()
    host = world.host()
    symbols = [f"S{number}" for number in range(50)]
    clients = connect_all(proxy_port, symbols)
    broker.subscribed(50)
    all_get_ticks(broker, clients, symbols, official)

    host.kill()
    seen = len(events.all)
    broker.forget()
    world.host()
    events.until_up(True, after=seen)
    broker.subscribed(50)
    all_get_ticks(broker, clients, symbols, official)

    flask.kill()
    all_get_ticks(broker, clients, symbols, official)
    flask = world.flask()
    seen = len(events.all)
    broker.forget()
    flask.login(token="t2")
    events.until_up(True, after=seen)
    broker.subscribed(50)
    all_get_ticks(broker, clients, symbols, official)

    proxy = next(each for each in world.running if each.name.startswith("proxy"))
    proxy.kill()
    for client in clients:
        client.close()
    eventually("the dead proxy's wishes are dropped", lambda: len(broker.of("unsubscribe")) >= 50)
    world.proxy(proxy_port)
    broker.forget()
    clients = connect_all(proxy_port, symbols)
    broker.subscribed(50)
    all_get_ticks(broker, clients, symbols, official)
    for client in clients:
        client.close()


def connect_all(port: int, symbols: list[str]) -> list[Client]:
    clients = [Client(port) for _ in symbols]
    for client, symbol in zip(clients, symbols, strict=True):
        client.subscribe(symbol)
    return clients


def all_get_ticks(broker: MockBroker, clients: list[Client], symbols: list[str], official: OfficialClient) -> None:
    officially = official.count
    before = [len(client.ticks()) for client in clients]

    def arrived() -> bool:
        for symbol in symbols:
            broker.tick(f"NSE_{symbol}_LTP", {"ltp": 1.0})
        if official.is_there and official.count == officially:
            return False
        return all(len(client.ticks()) > count for client, count in zip(clients, before, strict=True))

    eventually("a tick at every client", arrived)
