"""What user code prints and logs becomes one stream of JSON lines on the log pipe.

`print` becomes level info, stderr level error, `logging` its own level; all keep their order. What
C code writes to descriptors 1 and 2 goes through pipes of its own, which the host reads too.
"""

import io
import json
import logging
import os
import sys
import threading
from typing import Any

_LINE_CAP = 16_384  # longer lines are cut into pieces of this many bytes
_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warning"), (logging.INFO, "info"))


class LogPipe:
    """Writes log items; safe to use from several threads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def write(self, level: str, message: str) -> None:
        """Send one item."""
        line = json.dumps({"level": level, "message": message}).encode() + b"\n"
        with self._lock:
            view = memoryview(line)
            while view:
                view = view[os.write(self._descriptor, view) :]


class PrintStream(io.RawIOBase):
    """The raw end of sys.stdout or sys.stderr: lines become log items."""

    def __init__(self, pipe: LogPipe, level: str) -> None:
        self._pipe = pipe
        self._level = level
        self._partial = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        written = bytes(data)
        *lines, self._partial = (self._partial + written).split(b"\n")
        for line in lines:
            self._emit(line)
        while len(self._partial) > _LINE_CAP:
            self._emit(self._partial[:_LINE_CAP])
            self._partial = self._partial[_LINE_CAP:]
        return len(written)

    def end_line(self) -> None:
        """Send what was printed without a newline."""
        if self._partial:
            self._emit(self._partial)
            self._partial = b""

    def _emit(self, line: bytes) -> None:
        self._pipe.write(self._level, line.decode("utf-8", "backslashreplace"))


class LogHandler(logging.Handler):
    """Sends records of the standard library's loggers to the log pipe."""

    def __init__(self, pipe: LogPipe) -> None:
        super().__init__()
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        level = next((name for number, name in _LEVELS if record.levelno >= number), "debug")
        try:
            self._pipe.write(level, self.format(record))
        except Exception:  # noqa: BLE001 - the contract of logging: report, do not raise
            self.handleError(record)


class Output:
    """The three ways out of a function, joined."""

    def __init__(self, descriptor: int) -> None:
        self.pipe = LogPipe(descriptor)
        self._raw = (PrintStream(self.pipe, "info"), PrintStream(self.pipe, "error"))
        out, err = (
            io.TextIOWrapper(
                io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=True
            )
            for raw in self._raw
        )
        self._text = (out, err)
        sys.stdout = out
        sys.stderr = err
        root = logging.getLogger()
        root.handlers[:] = [LogHandler(self.pipe)]
        root.setLevel(logging.INFO)
        self.logger = logging.getLogger("function")
        self.logger.setLevel(logging.DEBUG)

    def end_call(self) -> None:
        """Send everything that was printed until now."""
        for text, raw in zip(self._text, self._raw, strict=True):
            text.flush()
            raw.end_line()
