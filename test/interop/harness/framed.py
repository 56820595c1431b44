"""A connection by hand whose frames begin with their size. Whatever it is asked for is None once the server has closed it."""

import socket
import struct


class Framed:
    def __init__(self, port, timeout_s=60, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data):
        """These bytes; a server that has closed is found out by who reads."""
        try:
            self.socket.sendall(data)
        except OSError:
            pass

    def take(self, size):
        data = b""
        while len(data) < size:
            try:
                part = self.socket.recv(size - len(data))
            except ConnectionError:
                return None
            if not part:
                return None
            data += part
        return data

    def receive(self):
        """A frame's payload."""
        head = self.take(4)
        return None if head is None else self.take(struct.unpack(">i", head)[0])

    def is_closed(self):
        """Whether the server closes without another byte."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def close(self):
        self.socket.close()
