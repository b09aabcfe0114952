"""The network between nodes: a TCP proxy in front of each node that can block, delay and reset its connections with each
other node.

All nodes connect to a node through the same proxy, which reads the id of the connecting node in the hello.

A cut link is like an unplugged cable: bytes stop, connections stay, and bytes in flight arrive once the link is restored,
as with TCP's retransmission. A severed link is like a host that refuses: connections are reset, and new ones are closed at
once.
"""

import asyncio
import contextlib
import threading
import time

CHUNK_BYTES = 1 << 16
HELLO_MAGIC = b"BOPF"
HELLO_FROM = slice(32, 40)  # of a frame: the id of the node that sent it (docs/formats/peer.md)
NOBODY = 0  # who connects without a hello
CHUNKS_UNDER_WAY = 64  # a direction; beyond, the sender meets a full socket


class Direction:
    """Bytes from one node to another, over all connections."""

    def __init__(self):
        self.open = asyncio.Event()
        self.open.set()
        self.delay_s = 0.0


class Network:
    """All proxies, on an event loop in its own thread."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="proxy")
        self.thread.start()
        self.directions = {}
        self.severed = set()
        self.connections = {}
        self.servers = []

    # ---- for the tests' thread ----

    def link(self, target, address, target_address):
        """Listens on `address` and forwards connections to `target`."""
        self._call(self._link(target, address, target_address))

    def cut(self, source, target):
        """Blocks bytes from source to target, not those from target to source."""
        self._call(self._set(source, target, False))

    def mend(self, source, target):
        self._call(self._set(source, target, True))

    def isolate(self, node, others):
        for other in others:
            self.cut(node, other)
            self.cut(other, node)

    def delay(self, source, target, seconds):
        self._call(self._delay(source, target, seconds))

    def sever(self, one, other):
        """Resets the connections between two nodes and refuses new ones."""
        self._call(self._sever(one, other))

    def heal(self):
        """Removes all faults."""
        self._call(self._heal())

    def close(self):
        self._call(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    # ---- on the loop ----

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def _direction(self, source, target):
        return self.directions.setdefault((source, target), Direction())

    async def _link(self, target, address, target_address):
        host, _, port = address.rpartition(":")
        target_host, _, target_port = target_address.rpartition(":")
        async def serve(reader, writer):
            await self._carry(target, reader, writer, target_host, int(target_port))
        self.servers.append(await asyncio.start_server(serve, host, int(port)))

    async def _set(self, source, target, is_open):
        gate = self._direction(source, target).open
        gate.set() if is_open else gate.clear()

    async def _delay(self, source, target, seconds):
        self._direction(source, target).delay_s = seconds

    async def _sever(self, one, other):
        self.severed |= {(one, other), (other, one)}
        for writer in self.connections.get((one, other), set()) | self.connections.get((other, one), set()):
            writer.transport.abort()

    async def _heal(self):
        self.severed.clear()
        for direction in self.directions.values():
            direction.open.set()
            direction.delay_s = 0.0

    async def _close(self):
        for server in self.servers:
            server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @staticmethod
    async def _who_connects(reader):
        """The node id in the hello, and the bytes read so far."""
        data = b""
        while len(data) < HELLO_FROM.stop and data[:len(HELLO_MAGIC)] == HELLO_MAGIC[:len(data)]:
            more = await reader.read(CHUNK_BYTES)
            if not more:
                break
            data += more
        known = data.startswith(HELLO_MAGIC) and len(data) >= HELLO_FROM.stop
        return int.from_bytes(data[HELLO_FROM], "little") if known else NOBODY, data

    async def _carry(self, target, reader, writer, host, port):
        """One connection to `target`."""
        writers = [writer]
        source = NOBODY
        try:
            source, hello = await self._who_connects(reader)
            if (source, target) in self.severed:
                return
            far_reader, far_writer = await asyncio.open_connection(host, port)
            writers.append(far_writer)
            self.connections.setdefault((source, target), set()).update(writers)
            await asyncio.gather(
                self._pump(reader, far_writer, self._direction(source, target), hello),
                self._pump(far_reader, writer, self._direction(target, source)))
        except (OSError, asyncio.IncompleteReadError):
            pass  # the proxy says it as TCP does: by closing the other side
        finally:
            self.connections.get((source, target), set()).difference_update(writers)
            for end in writers:
                end.transport.abort()

    async def _pump(self, reader, writer, direction, first=b""):
        queue = asyncio.Queue(CHUNKS_UNDER_WAY)
        delivering = asyncio.ensure_future(self._deliver(queue, writer, direction))
        try:
            if first:
                await queue.put((time.monotonic() + direction.delay_s, first))
            while data := await reader.read(CHUNK_BYTES):
                await queue.put((time.monotonic() + direction.delay_s, data))
            await queue.put(None)
            await delivering
            raise ConnectionResetError  # ends the other direction too
        finally:
            delivering.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await delivering

    @staticmethod
    async def _deliver(queue, writer, direction):
        while item := await queue.get():
            due, data = item
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await direction.open.wait()
            writer.write(data)
            await writer.drain()
