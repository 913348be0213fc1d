"""The adapter host: runs OpenAlgo's broker adapters and publishes their ticks into shared memory.

Run it in OpenAlgo's checkout and environment, in the place of its own WebSocket server:
``python -m openalgo_shm.host``. No file of OpenAlgo is changed.
"""
