"""Fixtures of the tests of the adapter host: a checkout of the stand-in for OpenAlgo and what runs in it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.broker import MockBroker
from harness.clients import Client, Events, KeyClient
from harness.processes import Flask, World, free_port

STAND_IN = Path(__file__).parents[1] / "stand_in"


@pytest.fixture
def broker() -> Iterator[MockBroker]:
    broker = MockBroker()
    yield broker
    broker.close()


@pytest.fixture
def world(broker: MockBroker, request: pytest.FixtureRequest) -> Iterator[World]:
    # Paths of Unix sockets are short: not pytest's own folder.
    folder = Path(tempfile.mkdtemp(prefix="oas-"))
    checkout = folder / "checkout"
    shutil.copytree(STAND_IN, checkout, ignore=shutil.ignore_patterns("__pycache__"))
    (checkout / "db").mkdir()
    (checkout / ".env").write_text(
        f"ZMQ_HOST='127.0.0.1'\nZMQ_PORT='{free_port()}'\nDATABASE_URL='sqlite:///db/openalgo.db'\n"
        f"MOCK_BROKER_PORT='{broker.port}'\n"
    )
    ring = f"host_test_{os.getpid()}_{folder.name[4:]}"
    world = World(folder, checkout, ring, {"TMPDIR": str(folder), "XDG_RUNTIME_DIR": ""})
    yield world
    world.end()
    for left in Path("/dev/shm").glob(f"{ring}*"):
        left.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def flask(world: World) -> Flask:
    """The web application, with the database made and nobody logged in."""
    return world.flask()


@pytest.fixture
def events(world: World) -> Iterator[Events]:
    events = Events(world.ring)
    yield events
    events.close()


@pytest.fixture
def proxy_port(world: World) -> int:
    port = free_port()
    world.proxy(port)
    return port


@pytest.fixture
def client(proxy_port: int) -> Iterator[Client]:
    client = Client(proxy_port)
    yield client
    client.close()


@pytest.fixture
def keys(world: World) -> Iterator[KeyClient]:
    """A client of the key socket; the host must run."""
    client = KeyClient(world.folder / f"openalgo-shm-{os.getuid()}" / f"{world.ring}.sock")
    yield client
    client.close()
