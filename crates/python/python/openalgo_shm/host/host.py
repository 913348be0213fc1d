"""The host put together, from the claim of its ring to its end."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openalgo_shm import SharedMemoryBrokerAdapter

from . import checkout, publisher
from .bus import Bus
from .events import Events, order_update_event
from .failure import EXIT_FAILURE, EXIT_USAGE, HostError, one_line
from .keys import Claim, KeyServer
from .log import logger
from .openalgo import Login, OpenAlgo
from .publisher import Ticks
from .services import market_data_feed
from .session import Session
from .source import Source
from .stats_file import StatsFile
from .threads import Ending, Threads, left_behind
from .topic import TickTopic

# The name of the host in the rings of interest and events, and of its lane while no broker is known.
OWNER = "openalgo-host"
NO_BROKER = "openalgo"
# Topics that a lane of the ring can name, if this host creates the ring; the most there can be.
MOST_TOPICS = 262_144
# A subscribe or unsubscribe that takes longer than this never returns, s.
HUNG_AFTER_S = 20.0
# The end takes at most this long, s, however long adapters would need.
END_WITHIN_S = 12.0


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    buffer_name: str
    checkout: Path
    buffer_size: int | None = None
    depth_levels: int | None = None


class Host:
    """The adapter host. Everything is opened by the constructor, which undoes nothing: a failure ends the process."""

    def __init__(self, options: Options, ending: Ending) -> None:
        """
        :raises HostError: for everything that the user can put right
        :raises OpenAlgoShmError: those of opening a ring
        """
        self._options = options
        self._ending = ending
        self._threads = Threads(ending)
        checkout.check(options.checkout)
        claim = Claim(options.buffer_name)
        checkout.enter(options.checkout)
        bus_host, bus_port = _bus_address()
        if bus_host not in ("127.0.0.1", "localhost", "::1"):
            logger.warning(
                "ZMQ_HOST is %s: every machine that reaches port %d can publish ticks, order updates and logouts; "
                "set it to 127.0.0.1 in OpenAlgo's .env",
                bus_host,
                bus_port,
            )
        self._bus = Bus(bus_host, bus_port, self._invalidated, self._order_changed, self._ticked_elsewhere, ending)
        checkout.import_websocket_proxy()
        self._openalgo = OpenAlgo()
        self._services = market_data_feed(self._openalgo.release_sessions)
        self._ticks = Ticks(self._services, self._bus.take, self._open_lane)
        publisher.install(self._ticks, bus_port)
        login, broker = self._look_up()
        self._ticks.move_to(broker)
        self._events = Events(options.buffer_name, OWNER)
        self._source = Source(self._events, broker)
        self._session = Session(self._openalgo, self._ticks, self._source, self._events, options.buffer_name, OWNER)
        self._keys = KeyServer(claim, self._openalgo, self._keys_changed)
        self.greeting = (
            f"host: nobody is logged in to OpenAlgo yet -> shared memory {options.buffer_name}"
            if login is None
            else f"host: broker {login.broker}, user {login.user} -> shared memory {options.buffer_name}"
        )

    def run(self) -> None:
        """Runs until the end is requested, then ends within :data:`END_WITHIN_S`."""
        self._threads_before = frozenset(threading.enumerate())
        start = self._threads.start
        start("keys", lambda: self._keys.run(self._ending))
        start("bus", lambda: self._bus.run(self._ending))
        start("interest", lambda: self._session.wishes.follow(self._ending))
        start("session", lambda: self._session.run(self._ending))
        start("source", lambda: self._source.repeat(self._ending))
        start("stats", lambda: StatsFile(self._session).run(self._ending))
        services = self._services
        if services is not None:
            start("services", lambda: services.run(self._ending))
        while not self._ending.wait(1.0):
            if self._session.hung_for() > HUNG_AFTER_S:
                self._source.down("the adapter does not answer")
                # Its thread cannot be ended, and the login of the morning would wait for it.
                message = f"a call of the adapter has not returned within {HUNG_AFTER_S:g} s; the host has to be started again"
                self._ending.request(HostError("ERR_ADAPTER_HUNG", message, EXIT_FAILURE))
        self._end()

    def _end(self) -> None:
        self._session.wake()
        alive = self._threads.join(END_WITHIN_S - 2.0)
        self._source.down("the host has ended")
        self._ticks.close()
        self._events.close()
        if alive:
            logger.warning("did not end in time and are left: %s", ", ".join(alive))
        others = left_behind(self._threads_before, 1.0)
        if others:
            logger.warning("threads of adapters that would not end are left: %s", ", ".join(others))
        self._log_counts()

    def _log_counts(self) -> None:
        counts: dict[str, Any] = {
            "ticks": self._ticks.faults.counts(),
            "events": self._events.faults.counts(),
            "bus": self._bus.faults.counts(),
            "keys": self._keys.faults.counts(),
        }
        if self._services is not None:
            counts["services"] = {
                "processed": self._services.processed,
                "conflated": self._services.conflated,
                "dropped": self._services.dropped,
                **self._services.faults.counts(),
            }
        logger.info("ended; faults and conflation: %s", {name: each for name, each in counts.items() if each})

    def _open_lane(self, owner: str) -> SharedMemoryBrokerAdapter:
        # A lane's names stay for the life of the ring, and weekly options come by the thousand.
        options: dict[str, Any] = {"buffer_name": self._options.buffer_name, "topics": MOST_TOPICS}
        if self._options.buffer_size is not None:
            options["buffer_size"] = self._options.buffer_size
        if self._options.depth_levels is not None:
            options["depth_levels"] = self._options.depth_levels
        lane = SharedMemoryBrokerAdapter(owner, **options)
        lane.start()
        return lane

    def _look_up(self) -> tuple[Login | None, str]:
        """The login of now, and the name under which ticks go into the ring until there is one."""
        try:
            login = self._openalgo.login()
            return login, login.broker if login is not None else self._openalgo.last_broker() or NO_BROKER
        except Exception as error:
            logger.warning("OpenAlgo's database cannot be read yet: %s", one_line(error))
            return None, NO_BROKER

    def _invalidated(self, user: str, kind: str) -> None:
        logger.info("OpenAlgo says that the login of %s has changed (%s)", user, kind)
        self._openalgo.clear_caches(kind)
        self._session.invalidate(user)
        self._keys.changed()

    def _keys_changed(self) -> None:
        self._keys.changed()

    def _order_changed(self, update: dict[str, Any]) -> None:
        event = order_update_event(update)
        if event is None:
            self._events.faults.note("order_update", "an order update names no user or is too long for an event")
        else:
            self._events.publish(event)

    def _ticked_elsewhere(self, topic: str, about: TickTopic, data: Any) -> None:
        # Anybody who reaches the bus can publish on it, and names stay in a lane for the life of the ring.
        if self._session.wishes.wants(about.exchange, about.symbol):
            self._ticks.publish(topic, data)


def _bus_address() -> tuple[str, int]:
    """OpenAlgo's settings of its bus.

    :raises HostError: ``ERR_INVALID_SETTING``.
    """
    text = os.environ.get("ZMQ_PORT") or "5555"
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise HostError(
            "ERR_INVALID_SETTING", f"ZMQ_PORT in OpenAlgo's .env is {text!r}, expected a port from 1 to 65535", EXIT_USAGE
        )
    return os.environ.get("ZMQ_HOST") or "127.0.0.1", int(text)
