"""The adapters' side of OpenAlgo's bus: connects a PUB socket and sends what each kind of adapter sends.

Commands come as lines on stdin: a name of SAMPLES, `probe`, or `raw TOPIC TEXT`.
"""

import json
import sys

import zmq

BOOK = {
    "buy": [{"price": 625.45 - i * 0.05, "quantity": 100 + i, "orders": 1 + i} for i in range(5)],
    "sell": [{"price": 625.55 + i * 0.05, "quantity": 200 + i, "orders": 2 + i} for i in range(5)],
}
BOOK_20 = {side: [{"price": 100.0 + i, "quantity": 10, "orders": 1} for i in range(20)] for side in ("buy", "sell")}
BOOK_50 = {side: [{"price": 100.0 + i, "quantity": 10, "orders": 1} for i in range(50)] for side in ("buy", "sell")}

ZERODHA_FULL = {
    "symbol": "SBIN", "exchange": "NSE", "mode": "full", "ltp": 625.5, "ltt": 1748426445, "timestamp": 1748426445123,
    "volume": 1200345, "last_quantity": 25, "average_price": 624.9, "total_buy_quantity": 5000,
    "total_sell_quantity": 6000, "open": 620.0, "high": 630.0, "low": 618.5, "close": 621.0, "oi": 0, "depth": BOOK,
}

SAMPLES = {
    "zerodha": [
        ("NSE_SBIN_DEPTH", ZERODHA_FULL),
        ("NSE_SBIN_QUOTE", {key: value for key, value in ZERODHA_FULL.items() if key != "depth"}),
        ("NSE_SBIN_LTP", {"symbol": "SBIN", "exchange": "NSE", "mode": "ltp", "ltp": 625.5, "ltt": 1748426445, "timestamp": 1748426445123}),
    ],
    "zerodha-index": [
        ("NSE_INDEX_NIFTY_QUOTE", {"symbol": "NIFTY", "exchange": "NSE_INDEX", "mode": "quote", "ltp": 24077.8, "price_change": 12.5, "price_change_percent": 0.05, "timestamp": 1748426445123}),
    ],
    "angel": [
        ("NFO_NIFTY28APR2425000CE_QUOTE", {"ltp": 101.5, "ltt": 1748426445000, "volume": 75, "open": 100.0, "high": 103.0, "low": 99.0, "close": 100.5, "last_trade_quantity": 75, "average_price": 101.1, "total_buy_quantity": 10.0, "total_sell_quantity": 20.0, "symbol": "NIFTY28APR2425000CE", "exchange": "NFO", "mode": 2, "timestamp": 1748426445123}),
        ("NSE_SBIN_DEPTH", {"ltp": 625.5, "ltt": 1748426445000, "volume": 10, "open": 1, "high": 2, "low": 1, "close": 1, "last_quantity": 5, "oi": 7, "upper_circuit": 700.0, "lower_circuit": 500.0, "depth": BOOK, "symbol": "SBIN", "exchange": "NSE", "mode": 3, "timestamp": 1748426445123}),
    ],
    "reliance": [
        ("NSE_RELIANCE_LTP", {"symbol": "RELIANCE", "exchange": "NSE", "mode": "ltp", "ltp": 1402.5, "timestamp": 1748426445123}),
    ],
    "dhan": [
        ("NSE_TCS_DEPTH", {"symbol": "TCS", "exchange": "NSE", "mode": 3, "timestamp": 1748426445123, "depth": BOOK_20, "depth_level": 20}),
    ],
    "fyers": [
        ("NSE_TCS:50_DEPTH", {"symbol": "TCS:50", "exchange": "NSE", "mode": 3, "timestamp": 1748426445, "depth": BOOK_50, "depth_level": 50, "ltp": 3500.0}),
    ],
    "delta": [
        ("CRYPTO_SOL_INR_DEPTH", {"symbol": "SOL_INR", "exchange": "CRYPTO", "ltp": 14500.25, "totalbuyqty": 12.5, "totalsellqty": 0.125, "bids": [{"price": 14500.0, "quantity": 0.5}], "asks": [{"price": 14501.0, "quantity": 0.25}], "timestamp": 1748426445123}),
    ],
    "old": [
        ("FLATTRADE_NSE_INDEX_BANKNIFTY_LTP", {"ltp": 52000.5, "timestamp": 1748426445123}),
        ("zerodha_BSE_SENSEX_LTP", {"ltp": 80000.5, "timestamp": 1748426445123}),
    ],
    "not-a-number": [
        ("NSE_INFY_QUOTE", {"ltp": float("nan"), "volume": 10, "high": float("inf"), "timestamp": 1748426445123}),
    ],
    "orders": [
        ("ZERODHA_some_user_orders", {"orderid": "240", "symbol": "NIFTY25AUG26FUT", "exchange": "NFO", "action": "BUY", "quantity": 65, "order_status": "complete", "average_price": 24077.8}),
        ("ANALYZE_some_user_orders", {"orderid": "241", "order_status": "open", "broker": "sandbox"}),
    ],
    "others": [
        ("CACHE_INVALIDATE_ALL_some_user", {"action": "invalidate", "user_id": "some_user", "cache_type": "ALL"}),
        ("ZERODHA_some_user_positions", {"positions": []}),
        ("ZERODHA_some_user_margins", {}),
    ],
}


def main() -> None:
    socket = zmq.Context.instance().socket(zmq.PUB)
    socket.setsockopt(zmq.SNDHWM, 1000)
    socket.setsockopt(zmq.LINGER, 1000)
    socket.connect(sys.argv[1])
    print("connected", flush=True)
    for line in sys.stdin:
        command, *rest = line.rstrip("\n").split(" ", 2)
        if command == "probe":
            socket.send_multipart([b"NSE_PROBE_LTP", b'{"ltp": 1}'])
        elif command == "raw":
            socket.send_multipart([part.encode() for part in rest])
        else:
            for topic, data in SAMPLES[command]:
                socket.send_multipart([topic.encode(), json.dumps(data).encode()])


main()
