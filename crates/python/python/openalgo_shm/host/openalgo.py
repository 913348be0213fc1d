"""What the host uses of OpenAlgo, in one place: its login, its caches, its keys and its adapters.

OpenAlgo keeps a database session for each thread and reads from it what it has read before. Every
question here closes the thread's session afterwards, so that the next one sees the database as it is.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .checkout import imported
from .failure import one_line
from .log import logger

# Caches that hold what a login changes, by the kind of an invalidation, as OpenAlgo's server clears them.
_AUTH_CACHES = ("auth_cache",)
_FEED_CACHES = ("feed_token_cache",)
_KEY_CACHES = ("verified_api_key_cache", "invalid_api_key_cache")
_ALL_CACHES = (*_AUTH_CACHES, *_FEED_CACHES, "broker_cache", *_KEY_CACHES)
_CACHES = {"AUTH": _AUTH_CACHES, "FEED": _FEED_CACHES}


@dataclass(frozen=True)
class Login:
    """The user who is logged in at a broker. Two logins are equal if the broker sees the same session."""

    user: str
    broker: str
    tokens: str
    """A digest of the broker's tokens; the same tokens stored anew give the same digest."""


@dataclass(frozen=True)
class KeyOwner:
    """The owner of an API key."""

    user: str
    broker: str | None
    """The user's broker, also after a logout; None if the user never logged in at one."""


class KeyCheckError(Exception):
    """A key could not be checked: it may be valid or not."""


class OpenAlgo:
    """OpenAlgo's modules, imported after ``websocket_proxy``."""

    def __init__(self) -> None:
        self._auth: Any = imported("database.auth_db")
        self._factory: Any = imported("websocket_proxy.broker_factory")
        self._key_generation = 0
        self._release = _release_function(self._auth)

    def release_sessions(self) -> None:
        """Closes the database sessions of the calling thread, which OpenAlgo leaves to those who call it."""
        self._release()

    @contextmanager
    def _database(self) -> Iterator[Any]:
        try:
            yield self._auth
        finally:
            self._release()

    def login(self) -> Login | None:
        """The newest login that is not revoked; None if nobody is logged in.

        :raises Exception: whatever the database raises.
        """
        with self._database() as auth:
            rows = [row for row in auth.Auth.query.all() if not row.is_revoked and row.broker and row.name]
            if not rows:
                return None
            row = max(rows, key=lambda each: int(each.id or 0))
            # Stored anew, the same token has another cipher text.
            tokens = f"{auth.decrypt_token(row.auth)}\0{auth.decrypt_token(row.feed_token) if row.feed_token else ''}"
            return Login(str(row.name), str(row.broker).lower(), hashlib.sha256(tokens.encode()).hexdigest())

    def last_broker(self) -> str | None:
        """The broker of the newest login, also of a revoked one.

        :raises Exception: whatever the database raises.
        """
        with self._database() as auth:
            rows = [row for row in auth.Auth.query.all() if row.broker]
            return str(max(rows, key=lambda each: int(each.id or 0)).broker).lower() if rows else None

    def clear_caches(self, kind: str = "ALL") -> None:
        """Empties OpenAlgo's caches in this process; ``kind`` is AUTH, FEED or ALL."""
        self._key_generation += 1
        for name in _CACHES.get(kind, _ALL_CACHES):
            cache = getattr(self._auth, name, None)
            if cache is not None:
                cache.clear()

    def clear_key_caches(self) -> None:
        """Empties only what OpenAlgo remembers of checked keys."""
        self._key_generation += 1
        for name in _KEY_CACHES:
            cache = getattr(self._auth, name, None)
            if cache is not None:
                cache.clear()

    def create_adapter(self, broker: str) -> Any:
        """An adapter of OpenAlgo's factory.

        :raises Exception: ``ValueError`` for an unknown broker, or whatever the adapter raises.
        """
        adapter = self._factory.create_broker_adapter(broker)
        if not adapter:
            raise ValueError(f"OpenAlgo has no adapter for the broker {broker}")
        return adapter

    def cleanup_pools(self, user: str) -> None:
        """Discards OpenAlgo's connection pools of a user, which hold the tokens that they began with."""
        cleanup = getattr(self._factory, "cleanup_pools_for_user", None)
        if cleanup is None:
            return
        try:
            cleanup(user)
        except Exception as error:
            logger.warning("OpenAlgo's connection pool of user %s did not close: %s", user, one_line(error))

    def check_key(self, key: str) -> KeyOwner | None:
        """The owner of an API key; None if it is nobody's. Takes up to some 100 ms: the key's hash is slow on purpose.

        :raises KeyCheckError: if OpenAlgo could not check it.
        """
        generation = self._key_generation
        owner = self._check_key(key)
        if generation != self._key_generation:
            # OpenAlgo reads the rows first and remembers the key after 50 ms: it may have put one back that was
            # replaced meanwhile.
            self.clear_key_caches()
            owner = self._check_key(key)
        return owner

    def _check_key(self, key: str) -> KeyOwner | None:
        with self._database() as auth:
            try:
                user = auth.verify_api_key(key)
                if not user:
                    self._ensure_refused(auth, key)
                    return None
                row = auth.Auth.query.filter_by(name=user).first()
                return KeyOwner(str(user), str(row.broker).lower() if row is not None and row.broker else None)
            except KeyCheckError:
                raise
            except Exception as error:
                raise KeyCheckError(f"OpenAlgo could not check the key: {one_line(error)}") from error

    @staticmethod
    def _ensure_refused(auth: Any, key: str) -> None:
        """OpenAlgo answers "nobody's" also if its database fails, but remembers only keys that it has really refused."""
        refused = getattr(auth, "invalid_api_key_cache", None)
        if refused is not None and hashlib.sha256(key.encode()).hexdigest() not in refused:
            raise KeyCheckError("OpenAlgo could not check the key, its log has the reason")

    def keys_digest(self) -> str:
        """Changes when a key is made, replaced or deleted.

        :raises Exception: whatever the database raises.
        """
        with self._database() as auth:
            rows = sorted(f"{row.user_id}\0{row.api_key_hash}" for row in auth.ApiKeys.query.all())
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def _release_function(auth: Any) -> Callable[[], None]:
    """OpenAlgo's own function for its threads; in one that has none, that of the login's session."""
    try:
        release = importlib.import_module("utils.db_sessions").remove_all_scoped_sessions
    except (ImportError, AttributeError):
        release = auth.db_session.remove

    def call() -> None:
        try:
            release()
        except Exception as error:
            logger.warning("OpenAlgo's database sessions were not released: %s", one_line(error))

    return call
