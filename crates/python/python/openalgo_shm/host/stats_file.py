"""The file from which OpenAlgo's health page reads how its WebSocket server does."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from .failure import one_line
from .log import OncePerKind
from .session import Session
from .threads import Ending

INTERVAL_S = 10.0


class StatsFile:
    """Writes the file with the keys that OpenAlgo's own server writes."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._path = Path(os.environ.get("WS_PROXY_STATS_FILE") or os.path.join("log", "ws_proxy_stats.json"))
        self._faults = OncePerKind()

    def run(self, ending: Ending) -> None:
        """Writes every 10 s until the end."""
        self._write()
        while not ending.wait(INTERVAL_S):
            self._write()

    def _write(self) -> None:
        broker = self._session.broker
        stats = {
            "timestamp": time.time(),
            "total_connections": 0 if broker is None else 1,
            "total_symbols": self._session.subscriptions,
            # The proxy's clients are not known here; its own page counts them.
            "clients_connected": 0,
            "brokers": [] if broker is None else [broker],
        }
        partial = self._path.with_name(f"{self._path.name}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(stats), encoding="utf-8")
            os.replace(partial, self._path)
        except OSError as error:
            message = f"{self._path} cannot be written, OpenAlgo's health page shows nothing: {one_line(error)}"
            self._faults.note("write", message)
