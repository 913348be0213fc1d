"""Events beside the ticks, such as order updates: small JSON objects with a ``type``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from openalgo_shm import _native


class EventPublisher(_native.EventWriter):
    """Publishes events to all proxies. They are rare; each goes out at once.

    Raises ``OpenAlgoShmError``: ``ERR_NO_FREE_LANE`` and those of opening a ring.
    """

    def publish(self, event: Mapping[str, Any]) -> None:
        """Publishes one event.

        Raises ``OpenAlgoShmError``: ``ERR_MESSAGE_TOO_LONG`` for more than 2016 bytes of JSON, ``ERR_INVALID_ARGUMENT``
        for what is no JSON or has no ``type``, ``ERR_CLOSED``.
        """
        if not isinstance(event, Mapping) or not isinstance(event.get("type"), str):
            raise _native.error("ERR_INVALID_ARGUMENT", "an event must be a mapping with a type that is text")
        try:
            text = json.dumps(dict(event), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            # Text with half a surrogate pair is no JSON.
            text.encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise _native.error("ERR_INVALID_ARGUMENT", f"the event cannot be written as JSON: {error}") from error
        self.publish_text(text)


class EventReader(_native.EventReader):
    """Reads the events of all feeds, from now on."""

    #: Events that were no JSON object with a type.
    events_malformed = 0

    def poll(self) -> list[tuple[dict[str, Any], str]]:
        """The events since the last call, each with the name of who published it."""
        events = []
        for text, publisher in self.poll_texts():
            event = _parse(text)
            if event is None:
                self.events_malformed += 1
            else:
                events.append((event, publisher))
        return events


def _parse(text: str) -> dict[str, Any] | None:
    """Another process may have written anything."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and isinstance(value.get("type"), str) else None
