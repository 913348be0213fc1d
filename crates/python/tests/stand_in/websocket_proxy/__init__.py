"""Registers the brokers. It and their packages import one another, which works only from this side."""

from .base_adapter import BaseBrokerWebSocketAdapter
from .broker_factory import create_broker_adapter, register_adapter
from .connection_manager import ConnectionPool, SharedZmqPublisher

from broker.mock.streaming.mock_adapter import MockWebSocketAdapter  # isort: skip

register_adapter("mock", MockWebSocketAdapter)
register_adapter("second", MockWebSocketAdapter)

__all__ = [
    "BaseBrokerWebSocketAdapter",
    "ConnectionPool",
    "SharedZmqPublisher",
    "create_broker_adapter",
    "register_adapter",
]
