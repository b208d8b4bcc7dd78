"""Object stores: bytes under keys, durable when `put` returns.

`default()` is the one that BAAS_OBJECT_STORE names; every room may keep bytes in it under a
prefix of its own.
"""

from functools import cache
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from storage.backends.base import (
    ByteStream,
    KeyMissing,
    ObjectStore,
    StoredKey,
    StoreError,
    StoreFull,
    StoreUnavailable,
)

__all__ = [
    "ByteStream",
    "KeyMissing",
    "ObjectStore",
    "StoreError",
    "StoreFull",
    "StoreUnavailable",
    "StoredKey",
    "default",
    "from_url",
]


def default() -> ObjectStore:
    """The installation's object store. Raises ImproperlyConfigured when the setting is wrong."""
    return from_url(settings.OBJECT_STORE)


@cache
def from_url(url: str) -> ObjectStore:
    """The store of a URL: `file:///absolute/path` or `s3://ACCESS:SECRET@host:port/bucket?secure=0`.

    One instance per URL and process.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        path = unquote(parts.path)
        if parts.netloc or not path.startswith("/") or path == "/":
            raise ImproperlyConfigured(
                "BAAS_OBJECT_STORE must name an absolute directory: file:///var/lib/baas/objects."
            )
        from storage.backends.filesystem import FilesystemStore

        return FilesystemStore(Path(path))
    if parts.scheme == "s3":
        return _s3(parts)
    raise ImproperlyConfigured(
        f"BAAS_OBJECT_STORE has the scheme {parts.scheme!r}: expected file:// or s3://."
    )


def _s3(parts: SplitResult) -> ObjectStore:
    from storage.backends.s3 import S3Store

    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    bucket = parts.path.strip("/")
    if not parts.hostname or not parts.username or not parts.password or not bucket:
        raise ImproperlyConfigured(
            "BAAS_OBJECT_STORE must look like s3://ACCESS:SECRET@host:port/bucket?secure=0."
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return S3Store(
        endpoint=f"{host}:{parts.port}" if parts.port else host,
        access_key=unquote(parts.username),
        secret_key=unquote(parts.password),
        bucket=bucket,
        secure=query.get("secure", "1") != "0",
        region=query.get("region", "us-east-1"),
    )
