"""Failures that end the host, and how they are told."""

from __future__ import annotations

EXIT_FAILURE = 1
EXIT_USAGE = 2


class HostError(Exception):
    """Ends the host with one line on stderr.

    ``code`` is a stable name for scripts, ``exit_code`` 2 for what the user has to change in the
    configuration and 1 for everything else.
    """

    def __init__(self, code: str, message: str, exit_code: int = EXIT_FAILURE) -> None:
        super().__init__(message)
        self.code = code
        self.exit_code = exit_code


def one_line(error: object, limit: int = 300) -> str:
    """The text of an error on one line of at most ``limit`` characters; never empty."""
    text = " ".join(str(error).split())
    if not text:
        text = type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"
