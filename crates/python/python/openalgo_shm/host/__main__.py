"""``python -m openalgo_shm.host``: arguments, signals and exit codes."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from .failure import EXIT_FAILURE, EXIT_USAGE, HostError, one_line
from .log import LEVELS, configure, logger
from .threads import Ending

# For how long a thread that computes, such as a slow consumer of ticks, keeps Python's lock from one that has a tick,
# in seconds. Python's own 0.005 delayed ticks by 4 ms, and by 38 ms once in a hundred; this one by 0.6 and 0.7 ms.
_SWITCH_INTERVAL_S = 0.0005
_RING_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class _Parser(argparse.ArgumentParser):
    """Tells a wrong usage on one line."""

    def error(self, message: str) -> NoReturn:
        raise HostError("ERR_INVALID_ARGUMENT", f"{message}; see --help", EXIT_USAGE)


def _ring_name(text: str) -> str:
    if not _RING_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a ring: letters, digits, '_', '-' and '.', at most 100")
    return text


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m openalgo_shm.host",
        description="Runs OpenAlgo's broker adapter and publishes its ticks into shared memory, "
        "in the place of OpenAlgo's own WebSocket server. Exit codes: 0 ended by a signal, "
        "2 wrong usage or configuration, 1 any other failure.",
    )
    add = parser.add_argument
    add("--buffer-name", type=_ring_name, default="ws_proxy_buffer", help="name of the ring (default: %(default)s)")
    add("--checkout", type=Path, default=Path(), help="OpenAlgo's folder (default: the current one)")
    add("--buffer-size", type=_positive, help="bytes of a lane, if the ring is to be created")
    add("--depth-levels", type=_positive, help="levels a side of a book, if the ring is to be created")
    add("--log-level", choices=LEVELS, default="info", help="what is logged on stderr (default: %(default)s)")
    add("--parent-pipe", action="store_true", help="end when stdin closes, so that a parent takes the host along")
    return parser


def _fail(code: str, message: str, exit_code: int) -> NoReturn:
    sys.stdout.flush()
    print(f"openalgo-shm host: {message} ({code})", file=sys.stderr, flush=True)
    # Adapters leave threads behind that would keep the process.
    os._exit(exit_code)


def _end_with_parent(ending: Ending) -> None:
    """Requests the end once nobody holds the other end of stdin."""

    def watch() -> None:
        try:
            while os.read(0, 4096):
                pass
        except OSError:
            pass
        ending.request()

    threading.Thread(target=watch, name="openalgo-shm-parent", daemon=True).start()


def _end_on_signals(ending: Ending) -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        if ending.requested:
            os._exit(0)  # a second signal: at once
        ending.request()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)


def _exit_if_requested_early(ending: Ending, ready: threading.Event) -> None:
    """While OpenAlgo is imported, which takes seconds, nothing needs an orderly end."""

    def watch() -> None:
        while not ending.wait(3600.0):
            pass
        if not ready.is_set():
            os._exit(0 if ending.failure is None else ending.failure.exit_code)

    threading.Thread(target=watch, name="openalgo-shm-early-end", daemon=True).start()


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the host; never returns."""
    ending = Ending()
    ready = threading.Event()
    try:
        options = _parser().parse_args(arguments)
        configure(options.log_level)
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        _end_on_signals(ending)
        _exit_if_requested_early(ending, ready)
        if options.parent_pipe:
            _end_with_parent(ending)
        from .host import Host, Options

        host = Host(
            Options(options.buffer_name, options.checkout.resolve(), options.buffer_size, options.depth_levels), ending
        )
        # OpenAlgo's modules may have set their own.
        _end_on_signals(ending)
        ready.set()
        print(host.greeting, flush=True)
        host.run()
    except HostError as error:
        _fail(error.code, one_line(error, 1000), error.exit_code)
    except Exception as error:
        logger.debug("failed", exc_info=True)
        _fail(getattr(error, "code", "ERR_UNEXPECTED"), f"{type(error).__name__}: {one_line(error)}", EXIT_FAILURE)
    if ending.failure is not None:
        _fail(ending.failure.code, one_line(ending.failure, 1000), ending.failure.exit_code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
