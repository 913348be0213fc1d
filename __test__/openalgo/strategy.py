"""A strategy as users of OpenAlgo write it, with the official client, unchanged: `strategy.py WS_URL KEY [--once]`.

Commands come as lines on stdin, what happens goes to stdout as lines.
"""

import json
import sys
import threading
import time

from openalgo import api

INSTRUMENTS = {
    "ltp": [{"exchange": "NSE", "symbol": "RELIANCE"}, {"exchange": "NSE_INDEX", "symbol": "NIFTY"}],
    "quote": [{"exchange": "NFO", "symbol": "NIFTY28APR2425000CE"}],
    "depth": [{"exchange": "NSE", "symbol": "SBIN"}],
}

received = {"ltp": 0, "quote": 0, "depth": 0}


def say(what: str, details: object = None) -> None:
    # On a line of its own, in one piece: the client's own thread prints, too.
    sys.stdout.write(f"\n{what} {json.dumps(details)}\n")
    sys.stdout.flush()


def keep_connected(client: api, is_subscribed: threading.Event) -> None:
    """What users of old clients do themselves."""
    while True:
        time.sleep(0.2)
        if not client.connected and client.connect() and is_subscribed.is_set():
            subscribe(client)


def subscribe(client: api) -> None:
    client.subscribe_ltp(INSTRUMENTS["ltp"], on_data_received=callback("ltp"))
    client.subscribe_quote(INSTRUMENTS["quote"], on_data_received=callback("quote"))
    client.subscribe_depth(INSTRUMENTS["depth"], on_data_received=callback("depth"))


def callback(kind: str):
    def on_data(data: dict) -> None:
        received[kind] += 1
        if received[kind] == 1:
            say(f"first {kind}", data)

    return on_data


def main() -> None:
    client = api(api_key=sys.argv[2], host="http://127.0.0.1:5000", ws_url=sys.argv[1], verbose=1)
    connected = client.connect()
    # It gives up after five seconds, which a busy machine may need.
    for _ in range(0 if "--once" in sys.argv else 5):
        if connected:
            break
        client.disconnect()
        connected = client.connect()
    say("connected", {"ok": connected})
    if not connected:
        client.disconnect()
        return
    is_subscribed = threading.Event()
    if not hasattr(client, "auto_reconnect"):
        threading.Thread(target=keep_connected, args=(client, is_subscribed), daemon=True).start()
    for line in sys.stdin:
        command = line.strip()
        if command == "subscribe":
            subscribe(client)
            is_subscribed.set()
            say("subscribed")
        elif command == "orders":
            say("knows orders", hasattr(client, "subscribe_orders"))
            if hasattr(client, "subscribe_orders"):
                client.subscribe_orders(on_order_update=lambda update: say("order", update))
        elif command == "get":
            say("ltp", client.get_ltp())
            say("quotes", client.get_quotes())
            say("depth", client.get_depth())
        elif command == "unsubscribe":
            client.unsubscribe_ltp(INSTRUMENTS["ltp"])
            client.unsubscribe_quote(INSTRUMENTS["quote"])
            client.unsubscribe_depth(INSTRUMENTS["depth"])
            say("unsubscribed")
        elif command == "reset":
            received.update({"ltp": 0, "quote": 0, "depth": 0})
            say("reset")
        elif command == "count":
            say("count", received)
        elif command == "end":
            client.disconnect()
            say("ended")
            return


main()
