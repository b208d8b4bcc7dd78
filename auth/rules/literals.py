"""Text and byte literals: between their source form and their value."""

from __future__ import annotations

import re
from typing import Final

_ESCAPE: Final = re.compile(
    r"\\(?:[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|([\s\S]))"
)
_SIMPLE: Final = {
    **{"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"},
    **{sign: sign for sign in "\\?\"'`"},
}
_QUOTED: Final = {
    **{"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"},
}


def read_text(source: str) -> str:
    """The value of a text literal. Raises ValueError with a sentence about a bad escape."""
    body, raw = _unquote(source)
    value = body if raw else _ESCAPE.sub(_text_escape, body)
    if "\0" in value:
        raise ValueError("text in a rule cannot contain the NUL character")
    return value


def read_bytes(source: str) -> bytes:
    """The value of a bytes literal; `\\x` and octal escapes are octets, the rest is UTF-8."""
    body, raw = _unquote(source[1:])
    if raw:
        return body.encode()
    parts: list[bytes] = []
    end = 0
    for found in _ESCAPE.finditer(body):
        parts.append(body[end : found.start()].encode())
        octet = (found[1] and int(found[1], 16)) or (found[4] and int(found[4], 8))
        if found[1] or found[4]:
            parts.append(bytes([octet or 0]))
        elif found[2] or found[3]:
            raise ValueError("\\u and \\U do not belong in bytes")
        else:
            parts.append(_text_escape(found).encode())
        end = found.end()
    return b"".join((*parts, body[end:].encode()))


def write_text(value: str) -> str:
    """A literal which `read_text` reads back as `value`."""
    return '"' + "".join(_QUOTED.get(sign, sign) for sign in value) + '"'


def write_bytes(value: bytes) -> str:
    """A literal which `read_bytes` reads back as `value`."""
    return 'b"' + "".join(f"\\x{octet:02x}" for octet in value) + '"'


def _unquote(source: str) -> tuple[str, bool]:
    raw = source[0] in "rR"
    body = source[1:] if raw else source
    width = 3 if body[:3] in ('"""', "'''") else 1
    return body[width:-width], raw


def _text_escape(found: re.Match[str]) -> str:
    digits = found[1] or found[2] or found[3]
    if digits or found[4]:
        code = int(digits, 16) if digits else int(found[4], 8)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise ValueError(f"{found[0]} is not a Unicode character")
        return chr(code)
    try:
        return _SIMPLE[found[5]]
    except KeyError:
        raise ValueError(
            f"{found[0]} is not an escape of CEL; write \\\\ for a backslash"
        ) from None
