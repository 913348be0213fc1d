"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Far more than anything needs: timing never decides a test.
PATIENCE_S = 60.0


def eventually(what: str, look: Callable[[], T | None], seconds: float = PATIENCE_S) -> T:
    """The first truthy answer of ``look``; fails the test if none comes in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
