"""OpenAlgo's checkout: is it one, can this Python run it, and its modules in the right order."""

from __future__ import annotations

import importlib
import os
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from .failure import EXIT_USAGE, HostError, one_line

# Enough to tell OpenAlgo from anything else; all are imported later.
_MARKS = ("websocket_proxy/broker_factory.py", "websocket_proxy/connection_manager.py", "database/auth_db.py")
_REQUIRES_PYTHON = re.compile(r"""^requires-python\s*=\s*["']([^"']*)["']""", re.MULTILINE)
_AT_LEAST = re.compile(r">=\s*(\d+)\.(\d+)")


def _refuse(code: str, message: str) -> NoReturn:
    raise HostError(code, message, EXIT_USAGE)


def check(path: Path) -> None:
    """Checks the checkout without importing anything of it.

    :raises HostError: ``ERR_NOT_A_CHECKOUT``, ``ERR_PYTHON_TOO_OLD`` or ``ERR_NO_ENV_FILE``.
    """
    missing = [mark for mark in _MARKS if not (path / mark).is_file()]
    if missing:
        _refuse(
            "ERR_NOT_A_CHECKOUT",
            f"{path} is not a checkout of OpenAlgo: it has no {missing[0]}; "
            "start the host in OpenAlgo's folder or name it with --checkout",
        )
    required = _required_python(path)
    if required is not None and sys.version_info[:2] < required:
        _refuse(
            "ERR_PYTHON_TOO_OLD",
            f"{path} needs Python {required[0]}.{required[1]} or newer, this is "
            f"{sys.version_info[0]}.{sys.version_info[1]} ({sys.executable}); use OpenAlgo's own virtual environment",
        )
    if not (path / ".env").is_file():
        _refuse(
            "ERR_NO_ENV_FILE",
            f"{path} has no file .env; copy .sample.env to .env, fill it in and start OpenAlgo once",
        )


def _required_python(path: Path) -> tuple[int, int] | None:
    """The Python that the checkout says it needs; None if it does not say."""
    try:
        text = (path / "pyproject.toml").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = _REQUIRES_PYTHON.search(text)
    least = _AT_LEAST.search(found.group(1)) if found else None
    return (int(least.group(1)), int(least.group(2))) if least else None


def enter(path: Path) -> None:
    """Makes the checkout the working directory and reads its settings, which win over the environment.

    Paths in OpenAlgo's settings are relative to its folder, and its modules read settings while
    they are imported: both come before the first import.

    :raises HostError: ``ERR_IMPORT_FAILED`` if this is not OpenAlgo's Python environment.
    """
    os.chdir(path)
    sys.path.insert(0, str(path))
    load_dotenv = imported("dotenv").load_dotenv
    load_dotenv(path / ".env", override=True)


def import_websocket_proxy() -> ModuleType:
    """Imports OpenAlgo's package of adapters before any other module of it.

    It and the brokers' packages import one another; the circle closes only from this side.

    :raises HostError: ``ERR_IMPORT_FAILED``.
    """
    return imported("websocket_proxy")


def imported(name: str) -> ModuleType:
    """A module of OpenAlgo, or of its environment.

    :raises HostError: ``ERR_IMPORT_FAILED``.
    """
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        _refuse(
            "ERR_IMPORT_FAILED",
            f"{name} of OpenAlgo cannot be imported: {type(error).__name__}: {one_line(error)}; "
            f"run the host with the Python of OpenAlgo's environment (this is {sys.executable})",
        )
