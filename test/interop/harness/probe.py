"""Asks a server whether it answers yet: one request of each protocol, written out by hand."""

import socket
import struct
import time

from .process import patient

ASK_AGAIN_S = 5  # Apache's server never ends a connection whose end came too early, while it started.


def words(port, word, timeout_s=patient(10), host="127.0.0.1"):
    """The answer of a keeper to a four-letter word, or None when there is none."""
    give_up = time.monotonic() + timeout_s
    while True:
        try:
            with socket.create_connection((host, port), min(ASK_AGAIN_S, timeout_s)) as peer:
                peer.sendall(word.encode())
                answer = b""
                while chunk := peer.recv(65536):
                    answer += chunk
                return answer.decode("utf-8", "replace")
        except TimeoutError:
            if time.monotonic() > give_up:
                return None
        except OSError:
            return None


def keeper_answers(port, host="127.0.0.1"):
    return "Mode:" in (words(port, "srvr", host=host) or "")  # ruok is answered before anything is served.


def _read_exactly(peer, size):
    data = b""
    while len(data) < size:
        chunk = peer.recv(size - len(data))
        if not chunk:
            raise OSError("closed")
        data += chunk
    return data


def _string(data, at):
    (size,) = struct.unpack_from(">h", data, at)
    return (None, at + 2) if size < 0 else (data[at + 2 : at + 2 + size].decode(), at + 2 + size)


def metadata(port, timeout_s=2.0):
    """(controller id, [broker ids]) by Metadata version 1 for no topic, or None when there is no answer."""
    client = b"interop"
    body = struct.pack(">hhih", 3, 1, 7, len(client)) + client + struct.pack(">i", 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout_s) as peer:
            peer.settimeout(timeout_s)
            peer.sendall(struct.pack(">i", len(body)) + body)
            (size,) = struct.unpack(">i", _read_exactly(peer, 4))
            data = _read_exactly(peer, size)
    except OSError:
        return None
    correlation, count = struct.unpack_from(">ii", data, 0)
    if correlation != 7:
        return None
    at, brokers = 8, []
    for _ in range(count):
        (broker,) = struct.unpack_from(">i", data, at)
        _, at = _string(data, at + 4)
        _, at = _string(data, at + 4)
        brokers.append(broker)
    (controller,) = struct.unpack_from(">i", data, at)
    return controller, brokers


def broker_answers(port):
    """True when the broker knows itself and a controller."""
    seen = metadata(port)
    return seen is not None and len(seen[1]) > 0 and seen[0] in seen[1]
