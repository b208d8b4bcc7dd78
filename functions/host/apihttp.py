"""A small HTTP/1.1 client for the platform's own API: persistent connections, bounded answers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

ANSWER_CAP: Final = 64 << 20
_HEAD_CAP: Final = 64 << 10
_IDLE_CONNECTIONS: Final = 16
Reserve = Callable[[int], Awaitable[None]]
_SAFE_METHODS: Final = frozenset(("GET", "HEAD"))


class ApiError(Exception):
    """The API could not be reached or answered nonsense; `code` is the problem for the guest."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


class _Closed(ConnectionError):
    """The server closed the connection before it answered anything."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as the guest needs it."""

    status: int
    content_type: str
    body: bytes


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.may_be_reused = True

    @property
    def is_usable(self) -> bool:
        return self.may_be_reused and not self.reader.at_eof() and not self.writer.is_closing()

    async def exchange(self, method: str, head: bytes, body: bytes, reserve: Reserve) -> Answer:
        self.writer.write(head)
        if body:
            self.writer.write(body)
        await self.writer.drain()
        status, headers = await self._read_head()
        while 100 <= status < 200:
            status, headers = await self._read_head()
        self.may_be_reused = headers.get("connection", "").lower() != "close"
        content = b""
        if method != "HEAD" and status not in (204, 304):
            content = await self._read_body(headers, reserve)
        return Answer(status, headers.get("content-type", ""), content)

    async def _read_head(self) -> tuple[int, dict[str, str]]:
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise ApiError(502, "bad_gateway", "The API sent half an answer.") from error
            raise _Closed from error
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return int(first.split(" ", 2)[1]), headers

    async def _read_body(self, headers: dict[str, str], reserve: Reserve) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return await self._read_chunks(reserve)
        if "content-length" in headers:
            length = int(headers["content-length"])
            _check_size(length)
            await reserve(length)
            return await self.reader.readexactly(length)
        self.may_be_reused = False
        content = bytearray()
        while data := await self.reader.read(65_536):
            content += data
            _check_size(len(content))
            await reserve(len(content))
        return bytes(content)

    async def _read_chunks(self, reserve: Reserve) -> bytes:
        content = bytearray()
        while True:
            size = int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16)
            _check_size(len(content) + size)
            if size == 0:
                while (await self.reader.readuntil(b"\r\n")) != b"\r\n":
                    continue  # trailers
                return bytes(content)
            await reserve(len(content) + size)
            content += await self.reader.readexactly(size)
            await self.reader.readexactly(2)


def _check_size(length: int) -> None:
    if length > ANSWER_CAP:
        detail = f"The answer has more than {ANSWER_CAP >> 20} MiB; read it in ranges."
        raise ApiError(413, "payload_too_large", detail)


class ApiClient:
    """Speaks to one API server."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket_path = parts.path if parts.scheme == "unix" else None
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._host = "localhost" if self._socket_path else parts.netloc
        self._idle: list[_Connection] = []

    async def request(
        self, method: str, target: str, headers: dict[str, str], body: bytes, reserve: Reserve
    ) -> Answer:
        """Send one request; ApiError when there is no proper answer.

        `reserve` is awaited with the answer's size, or what of it is known, before that is read.

        A request is repeated only when it is safe and a kept connection turned out to be closed.
        """
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body or method not in _SAFE_METHODS:
            lines.append(f"Content-Length: {len(body)}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
        connection, is_fresh = await self._take()
        try:
            return await self._exchange(connection, method, head, body, reserve)
        except (_Closed, ConnectionError) as error:
            if is_fresh or method not in _SAFE_METHODS:
                raise _unreachable(error) from error
        connection = await self._connect()
        try:
            return await self._exchange(connection, method, head, body, reserve)
        except ConnectionError as error:
            raise _unreachable(error) from error

    async def _exchange(
        self, connection: _Connection, method: str, head: bytes, body: bytes, reserve: Reserve
    ) -> Answer:
        try:
            answer = await connection.exchange(method, head, body, reserve)
        except (ValueError, IndexError, asyncio.IncompleteReadError) as error:
            connection.writer.close()
            raise ApiError(502, "bad_gateway", "The API answered nonsense.") from error
        except BaseException:
            connection.writer.close()  # also when cancelled: the answer would come too late
            raise
        if connection.is_usable and len(self._idle) < _IDLE_CONNECTIONS:
            self._idle.append(connection)
        else:
            connection.writer.close()
        return answer

    async def _take(self) -> tuple[_Connection, bool]:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection, False
            connection.writer.close()
        return await self._connect(), True

    async def _connect(self) -> _Connection:
        try:
            if self._socket_path:
                streams = await asyncio.open_unix_connection(self._socket_path, limit=_HEAD_CAP)
            else:
                streams = await asyncio.open_connection(*self._address, limit=_HEAD_CAP)
        except OSError as error:
            raise _unreachable(error) from error
        return _Connection(*streams)

    def close(self) -> None:
        """Close what is kept open."""
        for connection in self._idle:
            connection.writer.close()
        self._idle.clear()


def _unreachable(error: Exception) -> ApiError:
    return ApiError(503, "service_unavailable", f"The API does not answer: {type(error).__name__}")
