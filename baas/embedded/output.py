"""The children's log lines, each with its writer's name, on one stream that may never block us."""

import asyncio
import os
import select
import stat
from collections import deque
from collections.abc import Callable

_MAX_LINE = 64 * 1024
_MAX_WAITING = 2 * 1024 * 1024  # bytes kept for a reader that is slow
_PIECE = 4096  # a pipe that polls as writable takes this much without blocking (PIPE_BUF)
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)


class Output:
    """Writes lines to a descriptor. When its reader does not read, lines are dropped and counted:
    a terminal that is paused or a pipe that nobody drains must not stop the whole product.
    """

    def __init__(self, fd: int, *, colour: bool | None = None) -> None:
        self._fd = fd
        self._colour = (
            os.isatty(fd) and not os.environ.get("NO_COLOR") if colour is None else colour
        )
        self._is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._dropped = 0
        self._colours: dict[str, int] = {}
        self._watching = False
        self._broken = False

    def say(self, name: str, text: str) -> None:
        """Write the lines of a text under this name."""
        for line in text.splitlines():
            self.write(name, line.encode(errors="replace"))

    def write(self, name: str, line: bytes) -> None:
        """Write one line; returns at once."""
        if self._broken:
            return
        if self._waiting_bytes > _MAX_WAITING:
            self._dropped += 1
            return
        if self._dropped:
            note = f"({self._dropped} log lines were dropped: nobody read them)"
            self._dropped = 0
            self.write("stack", note.encode())
        data = self._prefix(name) + line + b"\n"
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._write_what_fits()

    def flush(self, timeout_s: float = 1.0) -> None:
        """Give a reader that still reads a moment to take what waits; for the end."""
        while self._waiting and not self._broken:
            if not self._is_file and not select.select([], [self._fd], [], timeout_s)[1]:
                return
            self._write_piece()

    def _prefix(self, name: str) -> bytes:
        label = f"{name:<13} | "
        if self._colour:
            number = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
            label = f"\x1b[{number}m{label}\x1b[0m"
        return label.encode()

    def _write_what_fits(self) -> None:
        while self._waiting and not self._broken and self._is_writable():
            self._write_piece()
        self._watch(bool(self._waiting) and not self._broken)

    def _is_writable(self) -> bool:
        return self._is_file or bool(select.select([], [self._fd], [], 0)[1])

    def _write_piece(self) -> None:
        data = self._waiting.popleft()
        self._waiting_bytes -= len(data)
        try:
            written = os.write(self._fd, data[:_PIECE])
        except BlockingIOError:
            written = 0
        except OSError:
            # The terminal is gone. The product goes on; there is nobody to tell.
            self._broken = True
            self._waiting.clear()
            return
        if written < len(data):
            self._waiting.appendleft(data[written:])
            self._waiting_bytes += len(data) - written

    def _watch(self, wanted: bool) -> None:
        if wanted == self._watching or self._is_file:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # before and after the loop, `flush` empties the queue
        if wanted:
            loop.add_writer(self._fd, self._write_what_fits)
        else:
            loop.remove_writer(self._fd)
        self._watching = wanted


class Lines:
    """Reads lines from a pipe, for as long as a child holds its other end."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take  # is given each line, without its end
        self._partial = b""
        self._read_end, self.write_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._read_end, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._read_end, self._read)

    def close_write_end(self) -> None:
        """Once the child has it: the end of the child is then the end of the file."""
        os.close(self.write_end)

    def close(self) -> None:
        """Take what is there and stop reading."""
        while self._read_end >= 0 and self._read():
            pass
        self._end()

    def _read(self) -> bool:
        try:
            data = os.read(self._read_end, _MAX_LINE)
        except BlockingIOError:
            return False
        if not data:
            self._end()
            return False
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._partial) > _MAX_LINE:
            self._take(self._partial)
            self._partial = b""
        return True

    def _end(self) -> None:
        if self._read_end < 0:
            return
        self._loop.remove_reader(self._read_end)
        os.close(self._read_end)
        self._read_end = -1
        if self._partial:
            self._take(self._partial)
            self._partial = b""
