"""A line between browser and server that can be cut: every byte goes through it, none is changed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from curator_server import HOST


class Wire:
    """Carries connections to another port of this machine.

    Attributes:
        port: where it listens.
    """

    def __init__(self, to_port: int) -> None:
        self.port = 0
        self._to_port = to_port
        self._ends: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def cut(self) -> int:
        """Break all connections off, whatever is on its way; returns how many. New ones are carried."""
        ends = list(self._ends)
        for end in ends:
            end.transport.abort()
        self._ends.clear()
        return len(ends) // 2

    @contextlib.asynccontextmanager
    async def carrying(self) -> AsyncIterator["Wire"]:
        """Listen until the end of the block."""
        server = await asyncio.start_server(self._carry, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(HOST, self._to_port)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self._ends |= ends
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        self._ends -= ends


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
