"""Bytes in a bucket of an S3 service, through the `minio` client."""

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, Final, cast

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from storage.backends.base import (
    CHUNK,
    ByteStream,
    KeyMissing,
    ObjectStore,
    StoredKey,
    StoreFull,
    StoreUnavailable,
    require_key,
)

logger = logging.getLogger(__name__)

# Bytes of one part of a large put; a put holds about three of them in memory. S3 takes 10,000
# parts, so the largest object has 78 GiB.
PART: Final = 8 * 1024 * 1024
_CONNECT_S: Final = 3.0
_READ_S: Final = 60.0  # a completed multipart upload of many parts takes the service a while
_CONNECTIONS: Final = 32
_FULL: Final = frozenset({"XMinioStorageFull", "InsufficientStorage", "QuotaExceeded"})
_MISSING: Final = frozenset({"NoSuchKey", "NoSuchObject"})


class S3Store(ObjectStore):
    """Keeps bytes in one bucket, which is made when it is not there."""

    def __init__(
        self,
        *,
        endpoint: str,
        access_key: str,
        secret_key: str,
        bucket: str,
        secure: bool = True,
        region: str = "us-east-1",
    ) -> None:
        self._bucket = bucket
        self._client = Minio(
            endpoint,
            access_key=access_key,
            secret_key=secret_key,
            secure=secure,
            region=region,
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=_CONNECT_S, read=_READ_S),
                maxsize=_CONNECTIONS,
                retries=urllib3.Retry(
                    total=2, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]
                ),
            ),
        )
        self._has_bucket = False
        self._making_bucket = threading.Lock()

    def put(self, key: str, chunks: Iterable[bytes]) -> int:
        require_key(key)
        self._require_bucket()
        reader = _Reader(chunks)
        with _translated(key):
            # Small ones go in one request; a failed multipart upload is aborted by the client.
            self._client.put_object(
                self._bucket,
                key,
                cast(BinaryIO, reader),
                length=-1,
                part_size=PART,
                num_parallel_uploads=1,
            )
        return reader.size

    def open(self, key: str, start: int = 0, end: int | None = None) -> ByteStream:
        require_key(key)
        with _translated(key):
            if end is not None and end <= start:
                self._client.stat_object(self._bucket, key)
                return _S3Stream(None, key)
            response = self._client.get_object(
                self._bucket, key, offset=start, length=0 if end is None else end - start
            )
        return _S3Stream(response, key)

    def delete(self, key: str) -> None:
        require_key(key)
        with _translated(key):
            try:
                self._client.remove_object(self._bucket, key)
            except S3Error as error:
                if error.code not in _MISSING:
                    raise

    def keys(self, prefix: str = "") -> Iterator[StoredKey]:
        with _translated(prefix):
            self._require_bucket()
            for item in self._client.list_objects(self._bucket, prefix=prefix, recursive=True):
                if item.is_dir or item.object_name is None:
                    continue
                yield StoredKey(
                    key=item.object_name,
                    size=item.size or 0,
                    modified_at=item.last_modified or datetime.now(UTC),
                )

    def discard_unfinished(self, older_than_s: float) -> int:
        limit = datetime.now(UTC) - timedelta(seconds=older_than_s)
        removed = 0
        with _translated("uploads"):
            self._require_bucket()
            # The client has no public method for these two requests.
            found = self._client._list_multipart_uploads(self._bucket)
            for upload in found.uploads:
                name, id_ = upload.object_name, upload.upload_id
                if not id_ or upload.initiated_time is None or upload.initiated_time > limit:
                    continue
                parts = self._client._list_parts(self._bucket, name, id_).parts
                if any(part.last_modified and part.last_modified > limit for part in parts):
                    continue  # slow, but running
                self._client._abort_multipart_upload(self._bucket, name, id_)
                removed += 1
        return removed

    def check(self) -> dict[str, Any]:
        with _translated(self._bucket):
            self._require_bucket()
            # Listing one key needs the service, the bucket and valid keys.
            next(iter(self._client.list_objects(self._bucket, prefix=".health")), None)
        return {"kind": "s3"}

    def _require_bucket(self) -> None:
        if self._has_bucket:
            return
        with self._making_bucket, _translated(self._bucket):
            if not self._client.bucket_exists(self._bucket):
                try:
                    self._client.make_bucket(self._bucket)
                    logger.info("made the bucket %s of the object store", self._bucket)
                except S3Error as error:
                    # Another process was quicker.
                    if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                        raise
            self._has_bucket = True


class _Reader:
    """Chunks as the file that the client wants to read from."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.size = 0
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        parts, have = [self._rest], len(self._rest)
        while have < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            parts.append(chunk)
            have += len(chunk)
        data = b"".join(parts)
        self._rest = data[size:]
        data = data[:size]
        self.size += len(data)
        return data


class _S3Stream(ByteStream):
    def __init__(self, response: urllib3.BaseHTTPResponse | None, key: str) -> None:
        self._response = response
        self._key = key

    def __next__(self) -> bytes:
        if self._response is None:
            raise StopIteration
        with _translated(self._key):
            chunk = self._response.read(CHUNK)
        if not chunk:
            raise StopIteration
        return chunk

    def close(self) -> None:
        if self._response is not None:
            # What was not read is dropped with the connection.
            self._response.close()
            self._response.release_conn()
            self._response = None


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except S3Error as error:
        if error.code in _MISSING:
            raise KeyMissing(key) from error
        if error.code in _FULL or error.response.status == 507:
            raise StoreFull("the S3 service has no space left") from error
        raise StoreUnavailable(f"the S3 service refuses: {error.code}") from error
    except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
        raise StoreUnavailable(f"the S3 service is out of reach: {error}") from error
