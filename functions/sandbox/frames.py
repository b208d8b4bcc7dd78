"""Length-prefixed frames: 4 bytes big-endian header length, a JSON header, a raw body.

The header's member `body` is the body's length and is absent when there is none. Thinking only:
bytes in, frames out. Every frame may come from hostile code, so sizes are checked before bytes
are kept.
"""

import json
import socket
import struct
from dataclasses import dataclass, field
from typing import Any

_LENGTH = struct.Struct(">I")
_READ_SIZE = 65_536


class FrameError(Exception):
    """The peer sent what is not a frame, or one over the agreed size; the channel is unusable."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: a JSON object and raw bytes."""

    header: dict[str, Any]
    body: bytes = b""


def encode(header: dict[str, Any], body: bytes = b"") -> bytes:
    """Return the frame's bytes. The header must be JSON-serialisable and not hold `body`."""
    if body:
        header = {**header, "body": len(body)}
    packed = json.dumps(header, separators=(",", ":")).encode()
    return b"".join((_LENGTH.pack(len(packed)), packed, body))


def _refuse_constant(name: str) -> None:
    raise FrameError(f"{name} in a frame header")


_DECODE = json.JSONDecoder(parse_constant=_refuse_constant).decode


def decode_header(packed: bytes) -> dict[str, Any]:
    """Parse a header; FrameError for anything but a JSON object of sane depth."""
    try:
        header = _DECODE(packed.decode())
    except (ValueError, RecursionError) as error:
        raise FrameError("frame header is not JSON") from error
    if not isinstance(header, dict):
        raise FrameError("frame header is not an object")
    return header


@dataclass(slots=True)
class FrameReader:
    """Turns a byte stream into frames; raises FrameError once, after which it must be dropped."""

    header_cap: int
    body_cap: int
    _buffer: bytearray = field(default_factory=bytearray)
    _header: dict[str, Any] | None = None
    _needed: int = 4  # bytes that the buffer must hold before the next step

    @property
    def is_idle(self) -> bool:
        """True when no part of a frame has been received."""
        return self._header is None and not self._buffer

    @property
    def wanted(self) -> int:
        """A good size for the next read."""
        return max(_READ_SIZE, self._needed - len(self._buffer))

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes as they come and return the frames that became complete."""
        self._buffer += data
        frames: list[Frame] = []
        while len(self._buffer) >= self._needed:
            frame = self._step()
            if frame is not None:
                frames.append(frame)
        return frames

    def _step(self) -> Frame | None:
        if self._header is not None:
            with memoryview(self._buffer) as view:  # a slice of the buffer would be one more copy
                frame = Frame(self._header, bytes(view[: self._needed]))
            del self._buffer[: self._needed]
            self._header, self._needed = None, 4
            return frame
        (length,) = _LENGTH.unpack_from(self._buffer)
        if length > self.header_cap:
            raise FrameError(f"frame header of {length} bytes, at most {self.header_cap} allowed")
        if len(self._buffer) < 4 + length:
            self._needed = 4 + length
            return None
        header = decode_header(bytes(self._buffer[4 : 4 + length]))
        del self._buffer[: 4 + length]
        size = header.pop("body", 0)
        if type(size) is not int or not 0 <= size <= self.body_cap:
            raise FrameError(f"frame body of {size!r} bytes, at most {self.body_cap} allowed")
        if size == 0:
            self._needed = 4
            return Frame(header)
        self._header, self._needed = header, size
        return None


class BlockingChannel:
    """Frames over a blocking socket, one after the other."""

    def __init__(self, sock: socket.socket, *, header_cap: int, body_cap: int) -> None:
        self._socket = sock
        self._reader = FrameReader(header_cap, body_cap)
        self._ready: list[Frame] = []

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Send one frame; OSError when the peer is gone."""
        self._socket.sendall(encode(header, body))

    def receive(self) -> Frame | None:
        """Wait for the next frame; None when the peer closed the channel."""
        while not self._ready:
            data = self._socket.recv(self._reader.wanted)
            if not data:
                return None
            self._ready = self._reader.feed(data)
        return self._ready.pop(0)
