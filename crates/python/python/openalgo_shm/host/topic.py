"""Topics of OpenAlgo's bus."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Mode = Literal[1, 2, 3]

MODES: dict[str, Mode] = {"LTP": 1, "QUOTE": 2, "DEPTH": 3}

# Exchanges whose own name has the separator of topics in it.
INDEX_EXCHANGES = frozenset({"NSE_INDEX", "BSE_INDEX", "MCX_INDEX", "GLOBAL_INDEX"})

INVALIDATION_PREFIX = "CACHE_INVALIDATE"
ORDERS_SUFFIX = "_orders"
# Private messages of an account that OpenAlgo's server skips as well.
SKIPPED_SUFFIXES = ("_positions", "_margins")

# Topics are few; more distinct ones than this are a fault of their publisher.
_MAX_TOPICS = 200_000


class TickTopic(NamedTuple):
    """What a tick is about; ``mode`` is 1 LTP, 2 quote, 3 depth."""

    exchange: str
    symbol: str
    mode: Mode


def parse_tick_topic(topic: str) -> TickTopic | None:
    """Takes ``EXCHANGE_SYMBOL_MODE`` apart; None if the topic is none of a tick.

    The symbol may contain the separator, the exchange only if it is one of ``INDEX_EXCHANGES``.
    """
    rest, _, label = topic.rpartition("_")
    mode = MODES.get(label.upper())
    if mode is None:
        return None
    exchange, _, symbol = rest.partition("_")
    second, separator, tail = symbol.partition("_")
    if separator and f"{exchange}_{second}" in INDEX_EXCHANGES:
        exchange, symbol = f"{exchange}_{second}", tail
    return TickTopic(exchange, symbol, mode) if exchange and symbol else None


class TickTopics(dict[str, TickTopic | None]):
    """What topics are about, for those who look the same ones up again and again: ``topics[topic]`` is what
    :func:`parse_tick_topic` gives, and None for what is no text. From any thread.

    Only topics of ticks are kept. A key that cannot be one of a dict raises ``TypeError``, as in any dict.
    """

    def __missing__(self, topic: Any) -> TickTopic | None:
        about = parse_tick_topic(topic) if isinstance(topic, str) else None
        if about is not None:
            if len(self) >= _MAX_TOPICS:
                self.clear()
            self[topic] = about
        return about
