"""A ring of its own for every test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from openalgo_shm import LockFreeRingBuffer, OpenAlgoShmError

_numbers = itertools.count()


@pytest.fixture
def ring() -> Iterator[str]:
    name = f"py_test_{os.getpid()}_{next(_numbers)}"
    yield name
    for left in (name, f"{name}.interest", f"{name}.events"):
        try:
            with LockFreeRingBuffer.open(left) as found:
                found.unlink()
        except OpenAlgoShmError as error:
            assert error.code == "ERR_SHM_NOT_FOUND"
