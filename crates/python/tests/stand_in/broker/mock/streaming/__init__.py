from .mock_adapter import MockWebSocketAdapter

__all__ = ["MockWebSocketAdapter"]
