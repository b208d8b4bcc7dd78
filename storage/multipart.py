"""multipart/form-data with one file, parsed while it arrives. Pure.

Source: RFC 7578. The browser, `wx.uploadFile` and `my.uploadFile` send this.
"""

from collections.abc import Iterator
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from baas.kernel.problems import Invalid, Malformed, UnsupportedMediaType

FIELD: Final = "file"
MAX_OTHER: Final = 64 * 1024  # bytes of all the other fields together; they are ignored


class FileForm:
    """A form's one `file` part: `content_type` is known at once, the bytes come from `chunks()`."""

    def __init__(self, content_type: str | None, body: Iterator[bytes]) -> None:
        """Reads the body as far as the file's own headers. Raises Malformed, Invalid or
        UnsupportedMediaType."""
        self.content_type: str | None = None
        self._body = body
        self._pending: list[bytes] = []
        self._header_name = b""
        self._header_value = b""
        self._part_type: str | None = None
        self._part_name: bytes | None = None
        self._in_file = False
        self._files = 0
        self._ended = False
        self._other = 0
        self._parser = MultipartParser(
            _boundary(content_type),
            {
                "on_part_begin": self._begin_part,
                "on_part_data": self._data,
                "on_header_begin": self._begin_header,
                "on_header_field": self._field,
                "on_header_value": self._value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_data,
                "on_end": self._end,
            },
        )
        while not self._files and self._advance():
            pass
        if not self._files:
            self._require_end()

    def chunks(self) -> Iterator[bytes]:
        """The bytes. Raises Malformed when the form is cut off, Invalid for a second file."""
        while True:
            pending, self._pending = self._pending, []
            yield from pending
            if not self._advance():
                break
        yield from self._pending
        self._require_end()

    def _advance(self) -> bool:
        """Parse the next chunk of the body; False at its end."""
        chunk = next(self._body, None)
        if chunk is None:
            return False
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise Malformed(f"The form is malformed: {error}.", code="malformed_form") from error
        return True

    def _require_end(self) -> None:
        if not self._ended:
            raise Malformed(
                "The form ended before its closing boundary: nothing was stored.",
                code="incomplete_body",
            )
        if not self._files:
            raise Invalid(f"The form has no part named {FIELD!r}.", code="file_part_missing")

    def _begin_part(self) -> None:
        self._in_file = False
        self._part_name = self._part_type = None

    def _begin_header(self) -> None:
        self._header_name = self._header_value = b""

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        name = self._header_name.lower()
        if name == b"content-disposition":
            self._part_name = parse_options_header(self._header_value)[1].get(b"name")
        elif name == b"content-type":
            self._part_type = self._header_value.decode("latin-1")

    def _begin_data(self) -> None:
        if self._part_name != FIELD.encode():
            return
        self._in_file = True
        self._files += 1
        if self._files > 1:
            raise Invalid(
                f"The form has more than one part named {FIELD!r}: send them one by one.",
                code="too_many_files",
            )
        self.content_type = self._part_type

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._pending.append(data[start:end])
            return
        self._other += end - start
        if self._other > MAX_OTHER:
            raise Invalid(
                f"The form's other fields have more than {MAX_OTHER} bytes;"
                f" the part with the bytes must be named {FIELD!r}.",
                code="file_part_missing",
            )

    def _end(self) -> None:
        self._ended = True


def _boundary(content_type: str | None) -> bytes:
    media_type, options = parse_options_header(content_type)
    if media_type != b"multipart/form-data":
        raise UnsupportedMediaType(
            "This route takes multipart/form-data with one part named 'file';"
            " send raw bytes with PUT."
        )
    boundary = options.get(b"boundary")
    if not boundary or len(boundary) > 70:
        raise Malformed("The form's Content-Type has no valid boundary.", code="malformed_form")
    return boundary
