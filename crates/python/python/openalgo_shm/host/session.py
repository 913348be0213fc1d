"""The logged-in user's session at the broker: one adapter at a time, built anew whenever the login changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from openalgo_shm import OpenAlgoShmError

from .demand import Subscriptions, Wishes, failure_of
from .events import Events
from .failure import EXIT_FAILURE, HostError, one_line
from .health import Change, Health
from .log import logger
from .openalgo import Login, OpenAlgo
from .publisher import Ticks
from .source import Source
from .threads import Ending, TookTooLongError, bounded

NOBODY = "no user is logged in to OpenAlgo"

# Some adapters wait 15 s for their broker, some twice; more is a hang.
_CONNECT_S = 60.0
_DISCONNECT_S = 5.0
# Waits between attempts that fail, s: the first ones within seconds, for a day's trading.
_BACK_OFF_S = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
# A new wish shortens the wait to this, s: often enough for clients, seldom enough for the broker.
_WISH_BACK_OFF_S = 5.0
# How often the login is looked up: messages about it may be lost, and none comes while the host starts.
_LOGIN_EVERY_S = 2.0
_HEALTH_EVERY_S = 1.0
# Subscribing thousands pauses after this time to look at login and connection, s.
_WORK_S = 1.0


class AttemptFailedError(Exception):
    """The session could not be built; the text is the reason."""


class Session:
    """Follows OpenAlgo's login. All calls of the adapter happen on this thread, or wait for one that it started."""

    def __init__(
        self, openalgo: OpenAlgo, ticks: Ticks, source: Source, events: Events, buffer_name: str, owner_name: str
    ) -> None:
        """:raises OpenAlgoShmError: those of opening a ring."""
        self._openalgo = openalgo
        self._ticks = ticks
        self._source = source
        self._wake = threading.Event()
        self.wishes = Wishes(buffer_name, owner_name, self._wake.set)
        self._subscriptions = Subscriptions(self.wishes, events, source)
        self._adapter: Any = None
        self._login: Login | None = None
        self._rebuild = threading.Event()
        self._failures = 0
        self._never_reached = 0
        """Sessions in a row that never reached the broker."""
        self._next_attempt = 0.0
        self._last_attempt = 0.0
        self._next_login_check = 0.0
        self._next_health_check = 0.0
        self._health: Health | None = None
        # The number of the attempt of now; one that was given up as too slow finds another.
        self._attempt_number = 0

    @property
    def broker(self) -> str | None:
        """The broker of the session that is up; None without one."""
        login = self._login
        return login.broker if self._adapter is not None and login is not None else None

    @property
    def subscriptions(self) -> int:
        """How many (exchange, symbol, mode) are subscribed at the broker."""
        return self._subscriptions.count

    def invalidate(self, user: str) -> None:
        """The user's login has changed: the session is built anew, if it is this user's or there is none."""
        login = self._login
        if login is None or login.user == user:
            # Only a login that differs is a reason to log in at the broker again: brokers lock accounts for less.
            self._next_login_check = 0.0
            if login is None:
                self._next_attempt = 0.0
            self._wake.set()

    def wake(self) -> None:
        """Looks at the end, or at what has changed, at once."""
        self._wake.set()

    def hung_for(self) -> float:
        """For how long a call of the adapter has not returned, s; 0 if none is under way. For any thread."""
        since = self._subscriptions.calling_since
        return 0.0 if since is None else time.monotonic() - since

    def run(self, ending: Ending) -> None:
        """Runs the session until the end.

        :raises HostError: ``ERR_ADAPTER_HUNG`` if an adapter cannot be got rid of.
        """
        while not ending.requested:
            self._wake.clear()
            if self._rebuild.is_set():
                self._rebuild.clear()
                self._failures = 0
                self._next_attempt = 0.0
                self._drop("the login has changed, the session is built anew")
            if self._adapter is None:
                self._attempt_if_due()
            else:
                self._look_after(ending)
            if not ending.requested:
                self._wake.wait(self._idle_s())
        self._drop("the host is ending")

    def _idle_s(self) -> float:
        now = time.monotonic()
        if self._adapter is None:
            return max(0.05, min(self._next_attempt - now, 1.0))
        return max(0.05, min(self._next_health_check, self._next_login_check) - now)

    def _attempt_if_due(self) -> None:
        now = time.monotonic()
        asked = self.wishes.newest_wish > self._last_attempt and now - self._last_attempt >= _WISH_BACK_OFF_S
        if now < self._next_attempt and not (asked and self._login is not None) and not self._has_new_login(now):
            return
        self._last_attempt = now
        try:
            self._attempt()
        except AttemptFailedError as error:
            self._next_attempt = time.monotonic() + _BACK_OFF_S[min(self._failures, len(_BACK_OFF_S) - 1)]
            self._failures += 1
            self._source.down(str(error))
        else:
            self._failures = 0

    def _has_new_login(self, now: float) -> bool:
        """True if there is another login than the one that failed: no reason to wait any longer."""
        if self._login is None or now < self._next_login_check:
            return False
        self._next_login_check = now + _LOGIN_EVERY_S
        try:
            is_new = self._openalgo.login() != self._login
        except Exception as error:
            logger.warning("OpenAlgo's login cannot be looked up: %s", one_line(error))
            return False
        if is_new:
            self._failures = 0
            self._never_reached = 0
        return is_new

    def _attempt(self) -> None:
        """Builds the session of the user who is logged in; nobody is no failure.

        :raises AttemptFailedError: with the reason for clients.
        """
        login = self._current_login()
        self._login = login
        if login is None:
            self._source.down(NOBODY)
            self._next_attempt = time.monotonic() + _LOGIN_EVERY_S
            return
        self._publish_as(login.broker)
        self._adapter = self._connect(login)
        self._health = Health(self._adapter, self._ticks.count, self._never_reached)
        now = time.monotonic()
        self._next_health_check = now + _HEALTH_EVERY_S
        self._next_login_check = now + _LOGIN_EVERY_S
        logger.info("connected to broker %s for user %s", login.broker, login.user)
        self._source.up()
        self._subscriptions.start_over()
        self._wake.set()

    def _current_login(self) -> Login | None:
        try:
            return self._openalgo.login()
        except Exception as error:
            raise AttemptFailedError(f"OpenAlgo's database cannot be read: {one_line(error)}") from error

    def _publish_as(self, broker: str) -> None:
        try:
            self._ticks.move_to(broker)
        except OpenAlgoShmError as error:
            raise AttemptFailedError(f"the ring cannot be written ({error.code}): {one_line(error)}") from error
        self._source.moved(broker)

    def _connect(self, login: Login) -> Any:
        """An adapter that is connected.

        :raises AttemptFailedError: with the reason; nothing of the attempt is left.
        """
        self._attempt_number += 1
        number = self._attempt_number
        try:
            return bounded("connecting to the broker", _CONNECT_S, lambda: self._build(login, number))
        except BaseException as error:  # an adapter that calls sys.exit must not end the host
            self._attempt_number += 1
            self._discard(login.user)
            known = isinstance(error, (AttemptFailedError, TookTooLongError))
            reason = one_line(error) if known else f"{type(error).__name__}: {one_line(error)}"
            raise AttemptFailedError(f"{login.broker}: {reason}") from error

    def _build(self, login: Login, number: int) -> Any:
        """Builds an adapter with credentials that come fresh from the database.

        :raises AttemptFailedError: if the adapter says that it failed; else whatever it raises.
        """
        self._openalgo.clear_caches("AUTH")
        self._openalgo.clear_caches("FEED")
        adapter = self._openalgo.create_adapter(login.broker)
        try:
            _require("initialize", adapter.initialize(login.broker, login.user))
            _require("connect", adapter.connect())
            if number != self._attempt_number:
                raise AttemptFailedError("connected too late")
            return adapter
        except BaseException:
            _disconnect(adapter)
            raise
        finally:
            self._openalgo.release_sessions()

    def _look_after(self, ending: Ending) -> None:
        now = time.monotonic()
        if now >= self._next_login_check:
            self._next_login_check = now + _LOGIN_EVERY_S
            if self._login_has_changed():
                return
        if now >= self._next_health_check:
            self._next_health_check = now + _HEALTH_EVERY_S
            if not self._is_healthy():
                return
        if self._health is not None and self._health.is_lost:
            return  # an adapter without its broker would refuse everything
        deadline = now + _WORK_S

        def go_on() -> bool:
            return not (ending.requested or self._rebuild.is_set()) and time.monotonic() < deadline

        worked = self._subscriptions.work(self._adapter, go_on)
        self._subscriptions.remind(self._adapter)
        if worked.any:
            # Adapters look symbols up: what they have read must not be what they see tomorrow.
            self._openalgo.release_sessions()
        if worked.more:
            self._wake.set()

    def _login_has_changed(self) -> bool:
        """True if the session has to be built anew, without a message of OpenAlgo."""
        try:
            login = self._openalgo.login()
        except Exception as error:
            logger.warning("OpenAlgo's login cannot be looked up: %s", one_line(error))
            return False
        if login == self._login:
            return False
        self._openalgo.clear_caches()
        self._rebuild.set()
        self._wake.set()
        return True

    def _is_healthy(self) -> bool:
        """Tells when the adapter has lost its broker, or never found it; False once it is to be replaced."""
        change = self._health.look() if self._health is not None else Change.NONE
        if change is Change.LOST:
            self._source.down("the broker's connection is lost, the adapter reconnects")
        elif change is Change.NOT_REACHED:
            self._source.down("the adapter has not reached the broker yet")
        elif change is Change.BACK:
            self._source.up()
            self._subscriptions.back()
        elif change is Change.HOPELESS:
            if self._health is not None and self._health.was_connected:
                self._never_reached = 0
            elif self.wishes.any:
                # Brokers lock accounts that log in again and again.
                self._never_reached += 1
            else:
                return True
            self._rebuild.set()
            self._wake.set()
        return change is not Change.HOPELESS

    def _drop(self, reason: str) -> None:
        """Ends the session, if there is one."""
        if self._adapter is None:
            return
        self._source.down(reason)
        adapter, self._adapter = self._adapter, None
        self._subscriptions.drop()
        _certain("disconnecting from the broker", lambda: _disconnect(adapter))
        if self._login is not None:
            self._discard(self._login.user)

    def _discard(self, user: str) -> None:
        _certain("closing OpenAlgo's connection pool", lambda: self._openalgo.cleanup_pools(user))


def _certain(name: str, call: Callable[[], object]) -> None:
    """Calls what ends an adapter. One that does not end would go on publishing beside its successor, and nothing but
    the end of the process stops it: who started the host starts it again.

    :raises HostError: ``ERR_ADAPTER_HUNG``.
    """
    try:
        bounded(name, _DISCONNECT_S, call)
    except TookTooLongError as error:
        raise HostError("ERR_ADAPTER_HUNG", f"{error}; the host has to be started again", EXIT_FAILURE) from error


def _require(step: str, result: Any) -> None:
    """:raises AttemptFailedError: if an adapter's call failed."""
    reason = failure_of(result)
    if reason is not None:
        logger.warning("the adapter failed to %s: %s", step, reason)
        raise AttemptFailedError(reason)


def _disconnect(adapter: Any) -> None:
    try:
        adapter.disconnect()
    except BaseException as error:
        logger.warning("the adapter did not disconnect: %s", one_line(error))

