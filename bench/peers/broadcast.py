"""The bare peer of the realtime benchmark: one frame, made once, to every open socket.

    python -m bench.peers.broadcast SOCKET_PATH

A client that sends `go <count> <per_s> <payload>` starts a round for all who are connected.
"""

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, broadcast, unix_serve

_open: set[ServerConnection] = set()


async def _serve(connection: ServerConnection) -> None:
    _open.add(connection)
    try:
        async for message in connection:
            _, count, per_s, payload = str(message).split(" ", 3)
            for _ in range(int(count)):
                broadcast(_open, payload)
                await asyncio.sleep(1 / float(per_s))
    finally:
        _open.discard(connection)


async def _main(path: str) -> None:
    async with unix_serve(_serve, path, compression=None, ping_interval=None):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
