"""Objects: kept, read, listed, deleted. The doors and other rooms call these.

The bytes go first, under a key of their own that nobody knows; then one statement puts the
metadata in place together with the event. So an object is visible when, and only when, it is
complete. What a failure between the two leaves behind is bytes without a name: `sweep` removes
them.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import psycopg
from django.db import transaction

from baas.kernel import db, ids
from baas.kernel.problems import (
    Conflict,
    Internal,
    Invalid,
    PreconditionFailed,
    Problem,
    Unavailable,
)
from baas.kernel.projects import ProjectConfig
from storage import access, backends, buckets, objects, paths, sql
from storage.backends import ByteStream, KeyMissing, StoreError, StoreFull
from storage.caller import SERVICE, Caller
from storage.conditions import names_etag
from storage.metrics import RECEIVED
from storage.objects import Object
from storage.sweeps import Sweep, remove_all, sweep
from storage.uploads import Meter, Upload, check_type, require_size, require_type

__all__ = [
    "SERVICE",
    "Caller",
    "Object",
    "Received",
    "Sweep",
    "Upload",
    "delete",
    "forget",
    "get",
    "keep",
    "open_bytes",
    "put",
    "receive",
    "sweep",
]

logger = logging.getLogger(__name__)

# How often a write looks again after another one got in between.
ATTEMPTS: Final = 10

T = TypeVar("T")


def put(
    caller: Caller, project: ProjectConfig, bucket_name: str, path: str, upload: Upload
) -> Object:
    """Keep the bytes as the object `path`, in place of one that is there, and announce it.

    Raises NotFound `bucket_not_found`; Forbidden; PreconditionFailed; TooLarge
    `object_too_large`; UnsupportedMediaType `type_not_allowed`; Invalid; Unavailable
    `storage_full` or `storage_unavailable`; what the chunks raise. Then all is as before.
    """
    received = receive(caller, project, bucket_name, path, upload)
    try:
        return keep(received)
    except Problem:
        # Anything else (a lost connection) may have committed: then the sweep decides.
        forget(received.new.key)
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """Bytes that are durable, but that nobody sees yet."""

    caller: Caller
    project: ProjectConfig
    bucket: buckets.Bucket
    upload: Upload
    new: Object
    seen: Object | None  # what was at the path when the upload began


def receive(
    caller: Caller,
    project: ProjectConfig,
    bucket_name: str,
    path: str,
    upload: Upload,
    *,
    may_be_repeat: bool = False,
) -> Received:
    """The first half of `put`: check what can be checked, then take the bytes.

    `keep` comes next, else `forget`. Of a call that may be a repeated one, the preconditions are
    left to `keep`: the object that is there may be the call's own. Raises as `put` does.
    """
    bucket = buckets.get(project.id, bucket_name)
    path = paths.check_path(path)
    moment = objects.now()
    new = Object(
        project_id=project.id,
        bucket=bucket.name,
        path=path,
        version=ids.new_id(),
        size=upload.size or 0,
        content_type=check_type(upload.content_type),
        etag="",
        sha256="",
        owner=caller.uid,
        metadata=upload.metadata,
        created_at=moment,
        updated_at=moment,
    )
    seen = sql.fetch(project.id, bucket.name, path)
    # All that can be known is refused before a byte of the body is read. A rule about the size
    # of a body of unknown length has to wait for its end.
    if upload.size is not None or "size" not in bucket.write.source:
        access.require_write(bucket, caller, seen, _over(new, seen))
        if not may_be_repeat:
            _require_preconditions(upload, seen)
        require_size(new.size, bucket.max_size)
    else:
        access.require_some_write(bucket, caller)
    require_type(new.content_type, bucket.allowed_types)

    store = backends.default()
    meter = Meter(bucket.max_size)
    _stored(lambda: store.put(new.key, meter.through(upload.chunks)))
    RECEIVED.inc(meter.size)
    new = replace(
        new, size=meter.size, etag=meter.md5, sha256=meter.sha256, updated_at=objects.now()
    )
    if upload.sha256 is not None and upload.sha256 != new.sha256:
        forget(new.key)
        raise Invalid(
            "The bytes that arrived have another SHA-256 than Content-Digest says:"
            " nothing was stored, send them again.",
            code="checksum_mismatch",
        )
    return Received(
        caller=caller, project=project, bucket=bucket, upload=upload, new=new, seen=seen
    )


def keep(received: Received) -> Object:
    """The second half of `put`: the object stands at its path, and is announced."""
    new, seen, bucket = received.new, received.seen, received.bucket
    for _ in range(ATTEMPTS):
        written = _over(new, seen)
        access.require_write(bucket, received.caller, seen, written)
        _require_preconditions(received.upload, seen)
        try:
            done = sql.write(written, received.project.slug, seen)
        except psycopg.errors.ForeignKeyViolation as error:
            raise paths.bucket_not_found(bucket.name) from error
        if done:
            if seen is not None:
                forget(seen.key)
            return written
        seen = sql.fetch(new.project_id, new.bucket, new.path)
    raise contended()


def _over(new: Object, seen: Object | None) -> Object:
    """The new object as it would stand in the place of `seen`: still its owner's."""
    if seen is None:
        return new
    return replace(new, owner=seen.owner, created_at=seen.created_at)


def _require_preconditions(upload: Upload, seen: Object | None) -> None:
    if upload.only_new and seen is not None:
        raise PreconditionFailed(
            "There is an object at this path already (If-None-Match: *).", code="object_exists"
        )
    if upload.only_over is not None and (
        seen is None or not names_etag(upload.only_over, seen.etag, weak=False)
    ):
        raise PreconditionFailed("The object is not the one that If-Match names.")


def get(caller: Caller, project: ProjectConfig, bucket_name: str, path: str) -> Object:
    """What is known of the object. Raises NotFound, or Forbidden when nothing may be read."""
    bucket = buckets.get(project.id, bucket_name)
    found = sql.fetch(project.id, bucket.name, paths.check_path(path))
    return access.require_read(bucket, caller, found)


def open_bytes(object_: Object, start: int = 0, end: int | None = None) -> ByteStream:
    """The object's bytes from `start` to before `end`. The caller closes the stream.

    Raises KeyMissing when the object was overwritten or deleted since it was looked up.
    """
    return _stored(lambda: backends.default().open(object_.key, start, end))


def missing_bytes(object_: Object) -> Internal:
    """For an object whose bytes are gone though it was not replaced."""
    logger.error(
        "the bytes of %s/%s are gone", object_.bucket, object_.path, extra={"key": object_.key}
    )
    return Internal("The bytes of this object are lost. Name the request id when you report it.")


def delete(
    caller: Caller,
    project: ProjectConfig,
    bucket_name: str,
    path: str,
    *,
    if_match: str | None = None,
) -> None:
    """Delete the object and announce it. Raises NotFound, Forbidden or PreconditionFailed."""
    bucket = buckets.get(project.id, bucket_name)
    path = paths.check_path(path)
    for _ in range(ATTEMPTS):
        seen = access.require_delete(bucket, caller, sql.fetch(project.id, bucket.name, path))
        if if_match is not None and not names_etag(if_match, seen.etag, weak=False):
            raise PreconditionFailed("The object is not the one that If-Match names.")
        if sql.delete(seen, project.slug):
            forget(seen.key)
            return
    raise contended()


def delete_project(project_id: int) -> None:
    """Hook of `projects.delete`: the rows now, the bytes after the commit; no events."""
    db.execute("DELETE FROM storage_object WHERE project_id = %s", (project_id,))
    db.execute("DELETE FROM storage_bucket WHERE project_id = %s", (project_id,))
    prefix = objects.project_prefix(project_id)
    transaction.on_commit(lambda: remove_all(prefix), robust=True)


def contended() -> Conflict:
    return Conflict("The object is being written by many at once: try again.", code="object_busy")


def forget(key: str) -> None:
    """Remove bytes that nothing names any more, once the transaction, if any, has committed."""

    def remove() -> None:
        try:
            backends.default().delete(key)
        except StoreError as error:
            logger.warning("bytes are left for the sweep: %s: %s", key, error)

    transaction.on_commit(remove, robust=True)


def _stored(work: Callable[[], T]) -> T:
    """The result of `work`, with the store's troubles as problems. KeyMissing passes through."""
    try:
        return work()
    except KeyMissing:
        raise
    except StoreFull as error:
        logger.warning("the object store is full: %s", error)
        raise Unavailable(
            "The object store has no space left: nothing was stored.",
            code="storage_full",
            retry_after_s=30,
        ) from error
    except StoreError as error:
        logger.warning("the object store fails: %s", error)
        raise Unavailable(
            "The object store is out of reach for the moment: try again.",
            code="storage_unavailable",
        ) from error
