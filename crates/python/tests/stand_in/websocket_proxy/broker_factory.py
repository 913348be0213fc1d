"""Adapters by the broker's name, in pools unless the settings say otherwise."""

import importlib
import os

from .connection_manager import ConnectionPool

ENABLE_CONNECTION_POOLING = os.getenv("ENABLE_CONNECTION_POOLING", "true").lower() == "true"
BROKER_ADAPTERS = {}
_POOLED_ADAPTERS = {}


def register_adapter(broker_name, adapter_class):
    BROKER_ADAPTERS[broker_name.lower()] = adapter_class


def create_broker_adapter(broker_name, use_pooling=None):
    adapter_class = BROKER_ADAPTERS.get(broker_name)
    if adapter_class is None:
        try:
            module = importlib.import_module(f"broker.{broker_name}.streaming.{broker_name}_adapter")
            adapter_class = getattr(module, f"{broker_name.capitalize()}WebSocketAdapter")
        except (ImportError, AttributeError) as error:
            raise ValueError(f"Unsupported broker: {broker_name}. No adapter available.") from error
    pooling = ENABLE_CONNECTION_POOLING if use_pooling is None else use_pooling
    return _PooledAdapterWrapper(adapter_class, broker_name) if pooling else adapter_class()


def cleanup_pools_for_user(user_id, broker_name=None):
    removed = 0
    for key in [key for key in _POOLED_ADAPTERS if key.endswith(f"_{user_id}")]:
        _POOLED_ADAPTERS.pop(key).disconnect()
        removed += 1
    return removed


class _PooledAdapterWrapper:
    """Takes a pool that exists already, with the tokens that it began with."""

    def __init__(self, adapter_class, broker_name):
        self._adapter_class = adapter_class
        self._broker_name = broker_name
        self._user_id = None
        self._pool = None

    def initialize(self, broker_name, user_id, auth_data=None, force=False):
        if self._pool is None:
            key = f"{self._broker_name}_{user_id}"
            if key not in _POOLED_ADAPTERS:
                _POOLED_ADAPTERS[key] = ConnectionPool(self._adapter_class, self._broker_name, user_id)
            self._pool = _POOLED_ADAPTERS[key]
            self._user_id = user_id
        return self._pool.initialize(broker_name, user_id, auth_data, force=force)

    def connect(self):
        return self._pool.connect() if self._pool else {"success": False, "error": "Not initialized"}

    def disconnect(self):
        if self._pool:
            self._pool.disconnect()
            _POOLED_ADAPTERS.pop(f"{self._broker_name}_{self._user_id}", None)

    def subscribe(self, symbol, exchange, mode=2, depth_level=5):
        return self._pool.subscribe(symbol, exchange, mode, depth_level)

    def unsubscribe(self, symbol, exchange, mode=2):
        return self._pool.unsubscribe(symbol, exchange, mode)

    @property
    def connected(self):
        return self._pool.connected if self._pool else False
