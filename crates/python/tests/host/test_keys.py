"""Proxies ask the host whose an API key is."""

from __future__ import annotations

import json
import os
import stat

import pytest

from harness.clients import KeyClient
from harness.processes import Flask, World


@pytest.fixture(autouse=True)
def running(world: World, flask: Flask) -> None:
    flask.do("key", user_id="u", api_key="good")
    flask.do("key", user_id="second", api_key="other")
    flask.login()
    world.host()


def test_keys_have_owners(keys: KeyClient) -> None:
    assert keys.ask(1, "good") == {"id": 1, "user_id": "u", "broker": "mock"}
    assert keys.ask(2, "other") == {"id": 2, "user_id": "second"}
    assert keys.ask(3, "bad") == {"id": 3, "user_id": None}
    assert keys.ask(4, "") == {"id": 4, "user_id": None}


def test_a_logout_revokes_no_key(flask: Flask, keys: KeyClient) -> None:
    assert keys.ask(1, "good")["user_id"] == "u"
    flask.logout()
    keys.until_changed()
    assert keys.ask(2, "good") == {"id": 2, "user_id": "u", "broker": "mock"}


def test_a_key_that_was_replaced_is_refused(flask: Flask, keys: KeyClient) -> None:
    assert keys.ask(1, "good")["user_id"] == "u"
    # OpenAlgo tells no other process of it.
    flask.do("key", user_id="u", api_key="better")
    keys.until_changed()
    assert keys.ask(2, "good") == {"id": 2, "user_id": None}
    assert keys.ask(3, "better")["user_id"] == "u"


def test_a_database_that_fails_is_an_error_and_no_refusal(flask: Flask, keys: KeyClient) -> None:
    flask.do("drop_keys")
    assert "error" in keys.ask(1, "good")


def test_bad_requests_are_answered_and_cost_no_other(keys: KeyClient) -> None:
    for line in ("no json", "[]", '{"id": 1}', '{"id": "x", "api_key": "k"}', '{"id": 1, "api_key": 5}', "x" * 20_000, "[" * 10_000):
        keys.send(line + "\n")
        assert "error" in keys.read()
    assert keys.ask(7, "good")["user_id"] == "u"
    # The longest key that a proxy passes on, each of its characters six bytes in JSON.
    assert keys.ask(8, "\x01" * 1024) == {"id": 8, "user_id": None}


def test_a_request_without_an_end_ends_the_connection(keys: KeyClient) -> None:
    keys.send("x" * 20_000)
    assert "error" in keys.read()
    with pytest.raises((EOFError, ConnectionResetError)):
        keys.read()


def test_a_socket_that_was_removed_is_made_anew(world: World, keys: KeyClient) -> None:
    path = world.folder / f"openalgo-shm-{os.getuid()}" / f"{world.ring}.sock"
    path.unlink()
    path.with_suffix(".lock").unlink()
    again = KeyClient(path)
    assert again.ask(1, "good")["user_id"] == "u"
    assert path.with_suffix(".lock").exists()
    again.close()


def test_a_flood_of_guesses_holds_up_no_revocation(world: World, flask: Flask, keys: KeyClient) -> None:
    path = world.folder / f"openalgo-shm-{os.getuid()}" / f"{world.ring}.sock"
    guesses = KeyClient(path)
    guesses.send("".join(json.dumps({"id": n, "api_key": f"guess {n}"}) + "\n" for n in range(1000)))
    flask.do("key", user_id="u", api_key="better")
    keys.until_changed()
    keys.send(json.dumps({"id": 1, "api_key": "good", "recheck": True}) + "\n")
    assert keys.read() == {"id": 1, "user_id": None}
    guesses.close()


def test_many_requests_at_once_are_all_answered_or_refused(keys: KeyClient) -> None:
    for number in range(2000):
        keys.send(json.dumps({"id": number, "api_key": "good"}) + "\n")
    answers = [keys.read() for _ in range(2000)]
    assert {answer["id"] for answer in answers} == set(range(2000))
    assert all(answer.get("user_id") == "u" or "error" in answer for answer in answers)


def test_the_socket_is_the_users_alone(world: World, keys: KeyClient) -> None:
    folder = world.folder / f"openalgo-shm-{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / f"{world.ring}.sock").stat().st_mode) == 0o600
