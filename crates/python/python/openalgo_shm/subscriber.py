"""The reader of a ring, with what asyncio needs."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from openalgo_shm._native import OpenAlgoShmError, Subscriber, Tick

#: Longest wait of the thread that waits for asyncio, in seconds; after it the loop may have been cancelled.
_TURN_SECONDS = 0.5


class SharedMemorySubscriber(Subscriber):
    """Reads every tick of a ring: ``for tick in subscriber``, ``async for``, ``poll`` or ``poll_arrow``.

    Iteration blocks until there is a tick, with the interpreter released, and ends when ``stop`` is called. A
    subscriber that falls a whole ring behind loses ticks and counts them (``get_stats()["messages_lost"]``). If the
    ring is removed, it goes over to the one that has its name within a second.

    Options (the first process creates the ring, later ones ignore its size options):

    - ``buffer_name``: the ring's name. Default ``ws_proxy_buffer``.
    - ``buffer_size``: bytes of one publisher's lane. Default 1 MiB: 16,384 LTP ticks.
    - ``subscriber_name``: what monitors see, at most 48 bytes.
    - ``start_from``: ``"newest"`` (what is published from now on) or ``"oldest"`` (what is still there).
    - ``register``: whether monitors see it and a lossless ring waits for it. Default: if there is room.
    - ``create``: whether to create the ring where there is none. Default true.
    - ``wait``: ``"adaptive"`` (spin about 20 µs, then sleep), ``"spin"`` (takes a core) or ``"sleep"``.
    - ``topics``, ``depth_levels``, ``lanes``, ``consumers``, ``policy``, ``preset``: as for ``LockFreeRingBuffer``.

    Raises ``OpenAlgoShmError`` with ``ERR_INVALID_OPTION`` or ``ERR_SHM_NAME``.
    """

    _executor: ThreadPoolExecutor | None = None

    def __aiter__(self) -> SharedMemorySubscriber:
        self.start()
        return self

    async def __anext__(self) -> Tick:
        while True:
            try:
                tick = self.next_or_none()
                if tick is not None:
                    return tick
                await self.wait_async(_TURN_SECONDS)
            except OpenAlgoShmError as error:
                if error.code == "ERR_CLOSED" and self.is_stopped:
                    raise StopAsyncIteration from None
                raise

    async def wait_async(self, timeout: float | None = None) -> bool:
        """Waits until there is a tick, as ``wait`` does, without blocking the event loop.

        One thread of its own waits, whatever the number of calls.
        """
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="ring-wait")
        loop = asyncio.get_running_loop()
        end = None if timeout is None else loop.time() + timeout
        while True:
            # In turns: a thread that waits cannot be cancelled.
            left = _TURN_SECONDS if end is None else min(_TURN_SECONDS, end - loop.time())
            if await loop.run_in_executor(self._executor, self.wait, left):
                return True
            if self.is_stopped or (end is not None and loop.time() >= end):
                return False

    def stop(self) -> None:
        """Leaves the ring. An iteration or a wait in another thread ends within 0.1 s. Idempotent; ``start`` joins again."""
        super().stop()
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False)
