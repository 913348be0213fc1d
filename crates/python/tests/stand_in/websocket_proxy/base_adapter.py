"""What all adapters share: publishing, through a pool's publisher or a socket of their own."""

import json
import os

import zmq

from .connection_manager import shared_publisher_of_pool


class BaseBrokerWebSocketAdapter:
    """Base class of the brokers' adapters."""

    def __init__(self):
        self._shared_publisher = shared_publisher_of_pool()
        self._uses_shared_zmq = self._shared_publisher is not None
        if self._uses_shared_zmq:
            self.socket = self._shared_publisher.socket
            self.context = self._shared_publisher.context
            self.zmq_port = self._shared_publisher.zmq_port
        else:
            self.context = zmq.Context.instance()
            self.socket = self._create_socket()
            self.zmq_port = self._connect_to_zmq_bus()
        self.connected = False

    def _create_socket(self):
        socket = self.context.socket(zmq.PUB)
        socket.setsockopt(zmq.LINGER, 1000)
        return socket

    def _connect_to_zmq_bus(self):
        port = int(os.environ["ZMQ_PORT"])
        self.socket.connect(f"tcp://{os.environ['ZMQ_HOST']}:{port}")
        return port

    def cleanup_zmq(self):
        if not self._uses_shared_zmq and self.socket:
            self.socket.close(linger=0)
            self.socket = None

    def publish_market_data(self, topic, data):
        if self._uses_shared_zmq and self._shared_publisher:
            self._shared_publisher.publish(topic, data)
        elif self.socket:
            self.socket.send_multipart([topic.encode(), json.dumps(data).encode()])
