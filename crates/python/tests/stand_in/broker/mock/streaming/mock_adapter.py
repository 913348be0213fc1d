"""An adapter whose broker is the test: JSON lines over TCP, one connection an adapter.

The test's answer to a request decides: ``{"raise": text}`` makes the call raise, ``{"exit": 1}`` makes
it call sys.exit, anything else is what the call returns.
"""

import json
import os
import socket
import sys
import threading
import time

from database.auth_db import get_auth_token
from websocket_proxy.base_adapter import BaseBrokerWebSocketAdapter


class MockWebSocketAdapter(BaseBrokerWebSocketAdapter):
    def __init__(self):
        super().__init__()
        self.connection = None
        self.token = None
        self.answers = []
        self.answered = threading.Condition()
        self.requests = threading.Lock()

    def initialize(self, broker_name, user_id, auth_data=None):
        self.token = get_auth_token(user_id, bypass_cache=True)
        if not self.token:
            return {"status": "error", "code": "AUTHENTICATION_ERROR", "message": "No authentication token found"}
        return {"status": "success"}

    def connect(self):
        try:
            self.connection = socket.create_connection(("127.0.0.1", int(os.environ["MOCK_BROKER_PORT"])))
        except OSError as error:
            return {"success": False, "error": f"Failed to connect: {error}"}
        threading.Thread(target=self._receive, args=(self.connection,), daemon=True, name="mock-receive").start()
        result = self._ask({"op": "connect", "token": self.token})
        self.connected = bool(result and result.get("status") == "success")
        if os.environ.get("MOCK_LEAVES_THREAD"):
            threading.Thread(target=time.sleep, args=(3600,), name="mock-left-behind").start()
        return result

    def disconnect(self):
        self.connected = False
        if self.connection is not None:
            time.sleep(float(os.environ.get("MOCK_DISCONNECT_S", "0")))
            try:
                self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self.connection.close()
        # As some brokers do, whoever else uses it.
        if self.socket:
            self.socket.close(linger=0)
        self.cleanup_zmq()

    def subscribe(self, symbol, exchange, mode=2, depth_level=5):
        return self._ask({"op": "subscribe", "symbol": symbol, "exchange": exchange, "mode": mode, "depth": depth_level})

    def unsubscribe(self, symbol, exchange, mode=2):
        return self._ask({"op": "unsubscribe", "symbol": symbol, "exchange": exchange, "mode": mode})

    def _ask(self, request):
        with self.requests:
            self.connection.sendall(json.dumps(request).encode() + b"\n")
            with self.answered:
                if not self.answered.wait_for(lambda: self.answers, timeout=30):
                    return {"status": "error", "message": "the broker does not answer"}
                answer = self.answers.pop(0)
        if "raise" in answer:
            raise RuntimeError(answer["raise"])
        if "exit" in answer:
            sys.exit(answer["exit"])
        return answer

    def _receive(self, connection):
        try:
            for line in connection.makefile("r", encoding="utf-8"):
                message = json.loads(line)
                op = message.pop("op", None)
                if op == "tick":
                    # As some brokers do.
                    if self.socket:
                        self.publish_market_data(message["topic"], message["data"])
                elif op == "connected":
                    self.connected = message["value"]
                elif op == "burst":
                    for number in range(message["threads"]):
                        threading.Thread(target=self._burst, args=(number, message["count"]), daemon=True).start()
                else:
                    with self.answered:
                        self.answers.append(message)
                        self.answered.notify()
        except (OSError, ValueError):
            pass
        self.connected = False

    def _burst(self, number, count):
        for each in range(count):
            self.publish_market_data(f"NSE_BURST{number}_LTP", {"ltp": each + 1.0, "volume": number})
