"""A thousand services in one process of their own: `python -P -m tests.benchmarks.load.targets N`.

Each has a port of its own and answers any request with five numbers. The ports are printed in one
line; the process ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys

from tests.benchmarks.load.ground import METRICS

BODY = json.dumps({"metrics": METRICS}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(BODY),
    BODY,
)


class Service(asyncio.Protocol):
    """Answers request after request on a connection until the client hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        """Answer each head that is complete."""
        self.received += data
        *heads, self.received = self.received.split(b"\r\n\r\n")
        for _ in heads:
            self.transport.write(ANSWER)


async def main(count: int) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Service, "127.0.0.1", 0) for _ in range(count)]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
