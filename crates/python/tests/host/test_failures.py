"""Bad input ends the host with one line and an exit code, or is waited out."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness.broker import MockBroker
from harness.clients import Client, Events, KeyClient
from harness.processes import Flask, Running, World
from harness.waiting import eventually


def refusal(host: Running, exit_code: int) -> str:
    """The one line with which the host has ended."""
    assert host.wait() == exit_code, host.err
    lines = [line for line in host.err.splitlines() if line.startswith("openalgo-shm host: ")]
    assert len(lines) == 1, host.err
    assert "Traceback" not in host.err
    return lines[0]


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--buffer-name", "a/b"], ["--buffer-size", "0"]])
def test_wrong_usage(world: World, arguments: list[str]) -> None:
    assert "(ERR_INVALID_ARGUMENT)" in refusal(world.host(*arguments, ready=False), 2)


def test_no_checkout(world: World) -> None:
    line = refusal(world.host(ready=False, cwd=world.folder), 2)
    assert "is not a checkout of OpenAlgo" in line
    assert line.endswith("(ERR_NOT_A_CHECKOUT)")


def test_the_checkout_may_be_named(world: World, flask: Flask) -> None:
    flask.login()
    world.host("--checkout", str(world.checkout), cwd=world.folder)


def test_no_env_file(world: World) -> None:
    (world.checkout / ".env").unlink()
    assert "(ERR_NO_ENV_FILE)" in refusal(world.host(ready=False), 2)


def test_a_python_that_is_too_old(world: World) -> None:
    (world.checkout / "pyproject.toml").write_text('[project]\nrequires-python = ">=3.99"\n')
    line = refusal(world.host(ready=False), 2)
    assert "needs Python 3.99 or newer" in line
    assert f"this is {sys.version_info[0]}.{sys.version_info[1]}" in line


def test_an_environment_without_openalgos_packages(world: World) -> None:
    (world.checkout / "websocket_proxy" / "__init__.py").write_text("import no_such_package_anywhere\n")
    assert "no_such_package_anywhere" in refusal(world.host(ready=False), 2)


def test_a_module_that_ends_the_process_is_named(world: World) -> None:
    module = world.checkout / "database" / "auth_db.py"
    module.write_text("import sys\nsys.exit('no DATABASE_URL')\n" + module.read_text())
    host = world.host(ready=False)
    assert host.wait() == 2
    assert "ERR_IMPORT_FAILED" in host.err and "SystemExit: no DATABASE_URL" in host.err


def test_a_wrong_port_in_the_settings(world: World) -> None:
    path = world.checkout / ".env"
    path.write_text(re.sub(r"ZMQ_PORT='\d+'", "ZMQ_PORT='no'", path.read_text()))
    assert "(ERR_INVALID_SETTING)" in refusal(world.host(ready=False), 2)


def test_the_bus_is_taken(world: World) -> None:
    found = re.search(r"ZMQ_PORT='(\d+)'", (world.checkout / ".env").read_text())
    assert found
    with socket.create_server(("127.0.0.1", int(found.group(1)))):
        line = refusal(world.host(ready=False), 1)
    assert "(ERR_BUS_PORT_TAKEN)" in line
    assert f"process {os.getpid()} (" in line
    assert "APP_MODE=standalone" in line


def test_a_second_host_of_the_ring(world: World, flask: Flask) -> None:
    first = world.host()
    line = refusal(world.host(ready=False), 1)
    assert "(ERR_HOST_RUNNING)" in line
    assert f"process {first.process.pid}" in line
    first.kill()
    world.host()


def test_a_second_host_of_the_checkout(world: World, flask: Flask) -> None:
    first = world.host()
    line = refusal(world.host(ready=False, ring=f"{world.ring}_b"), 1)
    assert "(ERR_BUS_PORT_TAKEN)" in line
    assert f"process {first.process.pid} (" in line


def test_a_socket_that_a_dead_host_left_is_replaced(world: World, flask: Flask, request: pytest.FixtureRequest) -> None:
    world.host().kill()
    world.host()
    keys: KeyClient = request.getfixturevalue("keys")
    assert keys.ask(1, "nobody's")["user_id"] is None


def test_a_folder_that_is_not_private_is_refused(world: World, flask: Flask) -> None:
    folder = world.folder / f"openalgo-shm-{os.getuid()}"
    folder.mkdir(mode=0o755)
    assert "(ERR_KEY_SOCKET)" in refusal(world.host(ready=False), 1)


@pytest.mark.skipif(os.getuid() != 0 or shutil.which("setpriv") is None, reason="needs another user's file")
def test_no_right_to_write_shared_memory(world: World, flask: Flask) -> None:
    # A ring of another user, and root without its power over files.
    path = Path("/dev/shm") / world.ring
    path.write_bytes(b"")
    os.chown(path, 12345, 12345)
    path.chmod(0o600)
    command = ["setpriv", "--bounding-set", "-all", sys.executable, "-m", "openalgo_shm.host", "--buffer-name", world.ring]
    line = refusal(world.start("host", command, cwd=world.checkout), 1)
    assert re.search(r"\(ERR_[A-Z_]+\)$", line)
    assert "ERR_UNEXPECTED" not in line


def test_a_signal_ends_the_host_and_frees_everything(world: World, flask: Flask, broker: MockBroker) -> None:
    flask.login()
    host = world.host()
    eventually("the adapter", lambda: broker.connected() == 1)
    assert host.terminate() == 0
    eventually("the adapter is gone", lambda: broker.connected() == 0)
    assert not (world.folder / f"openalgo-shm-{os.getuid()}" / f"{world.ring}.sock").exists()
    again = world.host()
    again.process.send_signal(signal.SIGINT)
    assert again.wait() == 0


def test_threads_of_adapters_do_not_keep_the_host(world: World, flask: Flask, broker: MockBroker) -> None:
    with (world.checkout / ".env").open("a") as env:
        env.write("MOCK_LEAVES_THREAD='1'\nMOCK_DISCONNECT_S='3600'\n")
    flask.login()
    host = world.host()
    host.until_said("connected to broker")
    assert host.terminate() == 0
    assert "mock-left-behind" in host.err


def test_publishing_during_the_end_harms_nobody(
    world: World, flask: Flask, broker: MockBroker, client: Client
) -> None:
    with (world.checkout / ".env").open("a") as env:
        env.write("MOCK_DISCONNECT_S='1'\n")
    flask.login()
    host = world.host()
    client.subscribe("BURST0")
    broker.subscribed(1)
    broker.burst(4, 500_000)
    eventually("ticks", lambda: client.ticks("BURST0"))
    assert host.terminate() == 0
    assert "Traceback" not in host.err


def test_a_signal_while_openalgo_is_imported(world: World) -> None:
    (world.checkout / "websocket_proxy" / "__init__.py").write_text(
        "import time\nprint('importing', flush=True)\ntime.sleep(3600)\n"
    )
    host = world.host(ready=False)
    host.until_said("importing")
    assert host.terminate() == 0


def test_the_host_ends_with_its_parent(world: World, flask: Flask) -> None:
    host = world.host("--parent-pipe", stdin=subprocess.PIPE)
    assert host.process.stdin is not None
    host.process.stdin.close()
    assert host.wait() == 0


def test_a_database_that_is_missing_is_waited_for(world: World, events: Events) -> None:
    world.host()
    events.until_reason("OpenAlgo's database cannot be read")
    world.flask().login()
    events.until_up(True)
