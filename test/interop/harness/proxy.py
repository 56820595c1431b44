"""A TCP proxy between the members of an ensemble, with faults: a delay, a cut in one direction, resets, a black hole, single bytes.

A `Route` is what one member is told instead of another's port. What cannot pass is held back, as TCP does when packets are lost,
and passes once the route is healed. It all runs in one thread of its own, with its own loop; the methods are for the case's thread.
"""

import asyncio
import contextlib
import socket
import struct
import threading

from .process import patient

FORTH, BACK = "forth", "back"


class Route:
    """From one member to a port of another."""

    def __init__(self, source, target, port):
        self.source = source
        self.target = target
        self.port = port
        self.bytes = {FORTH: 0, BACK: 0}
        self.heal()
        self.is_first_whole = False
        self.writers = set()
        self.changed = None

    def heal(self):
        self.delay_s = 0.0
        self.held = set()
        self.is_segmented = False
        self.is_refused = False


class Proxy:
    """Routes by (from, to, port); ask `port` for one, and faults by members."""

    def __init__(self, t):
        self._t = t
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.routes = {}
        self._fronts = {}

    def _call(self, function):
        async def call():
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(patient(30))

    def port(self, source, target, port):
        """The port that `source` is told for this port of `target`."""
        if (source, target, port) not in self._fronts:
            route = Route(source, target, port)
            front = self._t.port()
            asyncio.run_coroutine_threadsafe(self._listen(route, front), self._loop).result(patient(30))
            self.routes[source, target, port] = route
            self._fronts[source, target, port] = front
        return self._fronts[source, target, port]

    async def _listen(self, route, front):
        route.changed = asyncio.Event()
        await asyncio.start_server(lambda reader, writer: self._pass(route, reader, writer), "127.0.0.1", front)

    # Faults, on every route that leads from one of `sources` to one of `targets`.

    def between(self, sources, targets):
        return [route for (source, target, _), route in self.routes.items()
                if source in sources and target in targets and source != target]

    def change(self, routes, **changes):
        """delay_s, is_refused, held (a set of FORTH and BACK), is_segmented (single bytes; with is_first_whole not the first piece)."""
        def apply():
            for route in routes:
                for name, value in changes.items():
                    setattr(route, name, value)
                route.changed.set()

        self._call(apply)

    def cut(self, sources, targets):
        """Nothing gets from any of `sources` to any of `targets`, whoever has dialled; the other way stays open."""
        for routes, direction in ((self.between(sources, targets), FORTH), (self.between(targets, sources), BACK)):
            for route in routes:
                self.change([route], held=route.held | {direction})

    def isolate(self, numbers, others):
        self.cut(numbers, others)
        self.cut(others, numbers)

    def reset(self, routes):
        """Every connection ends by RST."""
        def apply():
            for route in routes:
                for writer in list(route.writers):
                    with contextlib.suppress(OSError):
                        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    writer.transport.abort()

        self._call(apply)

    def heal(self):
        def apply():
            for route in self.routes.values():
                route.heal()
                route.changed.set()

        self._call(apply)

    def passed(self, source, target):
        """Bytes that went from one member to another, whoever dialled."""
        return (sum(route.bytes[FORTH] for route in self.between([source], [target]))
                + sum(route.bytes[BACK] for route in self.between([target], [source])))

    # One connection.

    async def _pass(self, route, reader, writer):
        far_writer = None
        if not route.is_refused:
            with contextlib.suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", route.port)
        if far_writer is None:
            writer.transport.abort()
            return
        for end in (writer, far_writer):
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        route.writers |= {writer, far_writer}
        await asyncio.gather(self._pump(route, FORTH, reader, far_writer), self._pump(route, BACK, far_reader, writer))
        route.writers -= {writer, far_writer}

    def _tell_front(self, route, data):
        """Who dials for an election says where it listens, and Apache's servers dial back there: they shall come by here, too."""
        for source, target, port in self.routes:
            if (source, target) == (route.target, route.source):
                front = self._fronts[source, target, port]
                data = data.replace(b":%d" % port, b":%d" % front)
        return data

    async def _pump(self, route, direction, reader, writer):
        is_whole = route.is_first_whole
        is_first = direction == FORTH
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if is_first:
                    data = self._tell_front(route, data)
                is_first = False
                await asyncio.sleep(route.delay_s)
                for piece in ([bytes([byte]) for byte in data] if route.is_segmented and not is_whole else [data]):
                    await self._may_pass(route, direction)
                    writer.write(piece)
                    await writer.drain()
                    route.bytes[direction] += len(piece)
                    if route.is_segmented:
                        await asyncio.sleep(0)
                is_whole = False
            await self._may_pass(route, direction)
        # An end on either side is an end on both, but not before what was held has passed.
        writer.close()

    async def _may_pass(self, route, direction):
        while direction in route.held:
            route.changed.clear()
            await route.changed.wait()
