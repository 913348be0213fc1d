"""OpenAlgo's own Python client, unchanged, in a process of its own: ``official.py WS_URL KEY SYMBOL``.

Prints a line for every tick. Older clients do not connect again by themselves; their users do it for them.
"""

from __future__ import annotations

import sys
import time

from openalgo import api  # type: ignore[import-untyped]


def main() -> None:
    url, key, symbol = sys.argv[1:]
    client = api(api_key=key, host="http://127.0.0.1:5000", ws_url=url)

    def on_tick(_: object) -> None:
        sys.stdout.write("tick\n")
        sys.stdout.flush()

    while True:
        if not client.connected and client.connect():
            client.subscribe_ltp([{"exchange": "NSE", "symbol": symbol}], on_data_received=on_tick)
        time.sleep(0.2)


if __name__ == "__main__":
    main()
