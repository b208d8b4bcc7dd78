"""Replies with an object's bytes: headers that are safe for bytes which users sent, and streams."""

import re
from typing import Final
from urllib.parse import quote

from baas.kernel.http.request import Request, Response
from storage.backends import ByteStream
from storage.backends.base import CHUNK
from storage.buckets import Bucket
from storage.conditions import http_date
from storage.metrics import SENT
from storage.objects import Object

# Types that can run no script in a browser, given `nosniff`. All others are shown in a sandbox:
# HTML or SVG of a user must not act with the origin of the app.
_INERT: Final = re.compile(r"(image|audio|video|font)/.*|application/pdf|text/plain")
_SANDBOX: Final = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$&+.^_`|~ ()-]+")


def headers(request: Request, bucket: Bucket, object_: Object) -> list[tuple[str, str]]:
    """What stands in every successful reply, 304 included."""
    fields = [
        ("ETag", f'"{object_.etag}"'),
        ("Last-Modified", http_date(object_.updated_at)),
        ("Cache-Control", bucket.cache_control or _default_cache_control(bucket)),
        ("Accept-Ranges", "bytes"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    if not bucket.public:
        fields.append(("Vary", "Authorization"))
    if not is_inert(object_.content_type):
        fields.append(("Content-Security-Policy", _SANDBOX))
    download = request.query.get("download")
    if download is not None:
        name = download or object_.path.rpartition("/")[2]
        fields.append(("Content-Disposition", attachment(name)))
    fields.extend((f"x-meta-{name}", value) for name, value in object_.metadata.items())
    return fields


def is_inert(content_type: str) -> bool:
    """Whether a browser that shows it runs nothing that stands in it."""
    essence = content_type.partition(";")[0].strip().lower()
    # Whatever ends so is XML for a browser, and XML can hold scripts: SVG and its unknown kin.
    return _INERT.fullmatch(essence) is not None and not essence.endswith("xml")


def _default_cache_control(bucket: Bucket) -> str:
    # Kept by caches, but asked for with the ETag each time: an overwrite shows at once.
    return "no-cache" if bucket.public else "private, no-cache"


def attachment(name: str) -> str:
    """Content-Disposition (RFC 6266) that saves under `name`, whatever characters it has."""
    name = re.sub(r"[\x00-\x1f\x7f/\\]", "_", name)[:255]
    if _TOKEN.fullmatch(name):
        return f'attachment; filename="{name}"'
    plain = re.sub(r"[^A-Za-z0-9!#$&+.^_`|~ ()-]", "_", name)
    # Old clients take the first, all others the second (RFC 8187).
    encoded = quote(name.encode("utf-8", "replace"), safe="!#$&+-.^_`|~")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


class Sending:
    """A stream on its way to the server, counted; the server closes it."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> "Sending":
        return self

    def __next__(self) -> bytes:
        chunk = next(self._stream)
        SENT.inc(len(chunk))
        return chunk

    def close(self) -> None:
        self._stream.close()


def reply(
    status: int, stream: ByteStream, length: int, fields: list[tuple[str, str]], content_type: str
) -> Response:
    """The stream as a reply. Short ones are read at once and closed: no stream to look after."""
    if length <= CHUNK:
        with stream:
            body = b"".join(stream)
        SENT.inc(len(body))
        return Response(status, body, fields, content_type)
    fields = [*fields, ("Content-Length", str(length))]
    return Response(status, Sending(stream), fields, content_type)
