"""Ask the stack through its public port."""

import asyncio
import socket
from pathlib import Path
from urllib.parse import urlsplit

_TIMEOUT_S = 5.0


async def get(url: str, path: str) -> tuple[int, str]:
    """The status and body of a GET; (0, reason) when there is no answer."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode("ascii"))
                reply = await reader.read(-1)
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        return 0, str(error) or type(error).__name__
    head, _, body = reply.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if len(words) < 2 or not words[1].isdigit():
        return 0, "the answer is not HTTP"
    return int(words[1]), body.decode(errors="replace")


def listens(path: Path) -> bool:
    """Whether somebody listens on the Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        try:
            client.connect(str(path))
        except BlockingIOError:
            return True  # its queue is full: busy, but there
        except OSError:
            return False
        return True
