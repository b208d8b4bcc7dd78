"""What a function prints, collected for one invocation: capped, timed, secrets redacted."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime

from functions.runtypes import LogItem

BYTES_CAP = 256 << 10
LINES_CAP = 1000
_LEVELS = frozenset(("debug", "info", "warning", "error"))
_PARTIAL_CAP = 128 << 10  # bytes without a newline that are kept
_SHORTEST_SECRET = 4  # redacting shorter ones would tear the text apart
_LAST_WORDS = 512  # bytes within which V8 says what it died of
_LOOKED_FOR = 256  # values and lines that are looked for inside of messages


def now_text() -> str:
    """The present moment as RFC 3339 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Redactor:
    """Replaces secret values by their names, and the lines of those that have several.

    Searching costs time for each value. Of a secret with hundreds of lines the later ones are
    replaced only where they are a line of the message by themselves, which is a look-up.
    """

    def __init__(self, secrets: Iterable[tuple[str, str]]) -> None:
        values: dict[str, str] = {}
        lines: dict[str, str] = {}
        for name, value in secrets:
            values[value] = f"[redacted:{name}]"
            lines |= dict.fromkeys(value.splitlines(), values[value])
        pairs = [pair for pair in (values | lines).items() if len(pair[0]) >= _SHORTEST_SECRET]
        most = max(_LOOKED_FOR, min(len(values), 4 * _LOOKED_FOR))
        # Longest first, so that a secret that contains another leaves no rest.
        self._pairs = sorted(pairs[:most], key=lambda pair: -len(pair[0]))
        self._lines = {line.strip(): replacement for line, replacement in pairs[most:]}

    def redact(self, text: str) -> str:
        """Return the text without the secrets."""
        for value, replacement in self._pairs:
            text = text.replace(value, replacement)
        if self._lines:
            text = "\n".join(self._lines.get(line.strip(), line) for line in text.split("\n"))
        return text


class Transcript:
    """The log of one invocation."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._items: list[LogItem] = []
        self._bytes = 0
        self.is_full = False

    def add(self, level: str, message: str) -> None:
        """Append a line, or note once that the rest is left out."""
        if self.is_full:
            return
        if len(self._items) >= LINES_CAP or self._bytes >= BYTES_CAP:
            self.is_full = True
            level, message = "warning", "[log truncated: at most 256 KiB and 1,000 lines are kept]"
        text = self._redactor.redact(message)[: max(BYTES_CAP - self._bytes, 200)]
        self._bytes += len(text.encode("utf-8", "replace"))
        self._items.append(LogItem(time=now_text(), level=level, message=text))

    def items(self) -> tuple[LogItem, ...]:
        """What was kept."""
        return tuple(self._items)


class LineSplitter:
    """Bytes of one pipe to lines; each source keeps its own unfinished line."""

    def __init__(self, level: str, *, structured: bool) -> None:
        self._level = level
        self._structured = structured
        self._partial = b""

    def feed(self, data: bytes, transcript: Transcript) -> None:
        """Add the complete lines in `data` to the transcript."""
        if transcript.is_full:
            self._partial = b""  # a flood is not even split
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            if transcript.is_full:
                return
            self._add(line, transcript)
        if len(self._partial) > _PARTIAL_CAP:
            self.finish(transcript)

    def finish(self, transcript: Transcript) -> None:
        """Add the unfinished line."""
        if self._partial:
            self._add(self._partial, transcript)
            self._partial = b""

    def drop(self) -> None:
        """Forget the unfinished line."""
        self._partial = b""

    def _add(self, line: bytes, transcript: Transcript) -> None:
        if transcript.is_full:
            return
        text = line.decode("utf-8", "backslashreplace")
        level = self._level
        if self._structured:
            level, text = _parse(text)
        transcript.add(level, text)


class HeapAbort:
    """Notices V8's last words on stderr, which say that it is out of memory.

    Who forges them has a crash of his own called by another name, and nothing else.
    """

    _WORDS = (b"FATAL ERROR: ", b"Fatal process out of memory", b"out of memory")

    def __init__(self) -> None:
        self._tail = b""
        self.was_seen = False

    def feed(self, data: bytes) -> None:
        """Take bytes as they come."""
        window = self._tail + data
        self._tail = window[-_LAST_WORDS:]
        fatal, process, memory = (words in window for words in self._WORDS)
        self.was_seen = self.was_seen or process or (fatal and memory)


def _parse(line: str) -> tuple[str, str]:
    """Level and message of a structured line; a forged one is shown as it is."""
    try:
        item = json.loads(line)
        level, message = item["level"], item["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "info", line
    if not isinstance(message, str) or not isinstance(level, str) or level not in _LEVELS:
        return "info", line
    return level, message.encode("utf-8", "backslashreplace").decode()
