"""A pool of connections, and the publisher that its adapters share."""

import json
import os
import threading

import zmq

_creating = threading.local()


def shared_publisher_of_pool():
    """The publisher that an adapter under construction shall use; None outside of a pool."""
    return getattr(_creating, "publisher", None)


class SharedZmqPublisher:
    """One for the process."""

    _instance = None
    _lock = threading.Lock()

    def __new__(cls):
        with cls._lock:
            if cls._instance is None:
                cls._instance = super().__new__(cls)
                cls._instance._ready = False
        return cls._instance

    def __init__(self):
        if self._ready:
            return
        self._ready = True
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.PUB)
        self.socket.setsockopt(zmq.LINGER, 1000)
        self.zmq_port = None
        self._connected = False
        self._publish_lock = threading.Lock()

    def connect(self):
        if not self._connected:
            self.zmq_port = int(os.environ["ZMQ_PORT"])
            self.socket.connect(f"tcp://{os.environ['ZMQ_HOST']}:{self.zmq_port}")
            self._connected = True
        return self.zmq_port

    def publish(self, topic, data):
        if not self._connected:
            return
        with self._publish_lock:
            self.socket.send_multipart([topic.encode(), json.dumps(data).encode()])

    def cleanup(self):
        self.socket.close(linger=0)
        self.context.term()
        SharedZmqPublisher._instance = None


class ConnectionPool:
    """Spreads symbols over connections; takes a second subscription of a mode for one that it has."""

    def __init__(self, adapter_class, broker_name, user_id):
        self.adapter_class = adapter_class
        self.broker_name = broker_name
        self.user_id = user_id
        self.max_symbols = int(os.environ.get("MAX_SYMBOLS_PER_WEBSOCKET", "1000"))
        self.max_connections = int(os.environ.get("MAX_WEBSOCKET_CONNECTIONS", "3"))
        self.lock = threading.RLock()
        self.adapters = []
        self.symbol_counts = []
        self.subscription_map = {}
        self.shared_publisher = SharedZmqPublisher()
        self.initialized = False
        self.connected = False

    def _create(self):
        self.shared_publisher.connect()
        _creating.publisher = self.shared_publisher
        try:
            adapter = self.adapter_class()
        finally:
            _creating.publisher = None
        adapter.publish_market_data = self.shared_publisher.publish
        return adapter

    def initialize(self, broker_name, user_id, auth_data=None, force=False):
        if self.initialized and not force:
            return {"success": True, "message": "Already initialized"}
        with self.lock:
            adapter = self._create()
            result = adapter.initialize(broker_name, user_id, auth_data)
            if result and (result.get("success") is False or result.get("status") == "error"):
                return {"success": False, "error": result.get("message", result.get("error", "failed"))}
            self.adapters.append(adapter)
            self.symbol_counts.append(0)
            self.initialized = True
            return {"success": True}

    def connect(self):
        if self.connected:
            return {"success": True, "message": "Already connected"}
        with self.lock:
            result = self.adapters[0].connect()
            if result and (result.get("success") is False or result.get("status") == "error"):
                return {"success": False, "error": result.get("message", result.get("error", "failed"))}
            self.connected = True
            return {"success": True}

    def _with_capacity(self):
        for index, count in enumerate(self.symbol_counts):
            if count < self.max_symbols:
                return index
        if len(self.adapters) >= self.max_connections:
            raise RuntimeError(
                f"Maximum capacity reached: {self.max_connections} connections × {self.max_symbols} symbols"
            )
        adapter = self._create()
        adapter.initialize(self.broker_name, self.user_id)
        adapter.connect()
        self.adapters.append(adapter)
        self.symbol_counts.append(0)
        return len(self.adapters) - 1

    def _modes(self, symbol, exchange):
        return {m: index for (s, e, m), index in self.subscription_map.items() if (s, e) == (symbol, exchange)}

    def subscribe(self, symbol, exchange, mode=2, depth_level=5):
        with self.lock:
            key = (symbol, exchange, mode)
            if key in self.subscription_map:
                return {"status": "success", "message": "Already subscribed"}
            modes = self._modes(symbol, exchange)
            try:
                index = next(iter(modes.values())) if modes else self._with_capacity()
                if modes and mode < max(modes):
                    self.subscription_map[key] = index
                    return {"status": "success", "message": "covered"}
                result = self.adapters[index].subscribe(symbol, exchange, mode, depth_level)
            except RuntimeError as error:
                return {"status": "error", "code": "MAX_CAPACITY_REACHED", "message": str(error)}
            except Exception as error:
                return {"status": "error", "code": "SUBSCRIPTION_ERROR", "message": str(error)}
            if result.get("status") == "success":
                self.subscription_map[key] = index
                if not modes:
                    self.symbol_counts[index] += 1
            return result

    def unsubscribe(self, symbol, exchange, mode=2):
        with self.lock:
            index = self.subscription_map.pop((symbol, exchange, mode), None)
            if index is None:
                return {"status": "error", "code": "NOT_SUBSCRIBED", "message": "Not subscribed"}
            modes = self._modes(symbol, exchange)
            if modes and mode < max(modes):
                return {"status": "success"}
            result = self.adapters[index].unsubscribe(symbol, exchange, mode)
            if isinstance(result, dict) and result.get("status") == "error":
                # It goes on counting it, as OpenAlgo's pool does.
                self.subscription_map[(symbol, exchange, mode)] = index
                return result
            if modes:
                return self.adapters[index].subscribe(symbol, exchange, max(modes), 5)
            self.symbol_counts[index] -= 1
            return result

    def disconnect(self):
        with self.lock:
            for adapter in self.adapters:
                try:
                    adapter.disconnect()
                except Exception:
                    pass
            self.adapters.clear()
            self.symbol_counts.clear()
            self.subscription_map.clear()
            self.connected = False
            self.initialized = False
