"""The host's log: one line an entry, on stderr."""

from __future__ import annotations

import logging
import sys
import threading

LEVELS = ("debug", "info", "warning", "error")

logger = logging.getLogger("openalgo_shm.host")


class _OneLine(logging.Formatter):
    """Joins the lines of a message, so that tools that read logs by line see each entry whole."""

    def format(self, record: logging.LogRecord) -> str:
        return " ".join(super().format(record).split("\n"))


def configure(level: str) -> None:
    """Sends the host's entries of ``level`` and above to stderr, whatever OpenAlgo does to the root logger."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s host: %(message)s"))
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(level.upper())


class OncePerKind:
    """Counts faults by kind and logs the first of each, so that a fault a tick does not fill the disk."""

    def __init__(self, target: logging.Logger = logger) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def note(self, kind: str, message: str) -> None:
        """Counts one fault of ``kind``; ``message`` is logged if it is the first."""
        with self._lock:
            count = self._counts.get(kind, 0) + 1
            self._counts[kind] = count
        if count == 1:
            self._target.warning("%s (further faults of this kind are counted, not logged)", message)

    def counts(self) -> dict[str, int]:
        """How many faults there were, by kind."""
        with self._lock:
            return dict(self._counts)
