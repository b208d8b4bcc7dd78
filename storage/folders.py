"""Many objects at once: delete, copy and move, by name or by folder.

Of many objects, those that the caller may not touch are skipped and not counted; with one object,
he is told why not.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Final

from django.db import transaction
from psycopg import sql as psql

from baas.kernel.problems import FieldError, Forbidden, Invalid, NotFound, Problem
from baas.kernel.projects import ProjectConfig
from storage import access, buckets, objects, paths, service, sql
from storage.buckets import Bucket
from storage.caller import Caller
from storage.objects import Object
from storage.uploads import Upload

MAX_PATHS: Final = 1000
_BATCH: Final = 500  # objects in one transaction
_ALL: Final = psql.SQL("TRUE")

_One = Callable[[Object, str], object]


def delete_paths(caller: Caller, project: ProjectConfig, bucket_name: str, names: list[str]) -> int:
    """Delete those of the objects that are there and that the caller may delete; how many."""
    bucket = _open(caller, project, bucket_name)
    # In one order, so that two calls cannot wait for each other.
    wanted = sorted({paths.check_path(name, f"paths[{i}]") for i, name in enumerate(names)})
    with transaction.atomic():
        found = (sql.fetch(project.id, bucket.name, path) for path in wanted)
        return _delete(caller, project, bucket, [item for item in found if item is not None])


def delete_prefix(caller: Caller, project: ProjectConfig, bucket_name: str, prefix: str) -> int:
    """Delete the objects whose paths start with `prefix`, of those the caller may; how many."""
    bucket = _open(caller, project, bucket_name)
    deleted = 0
    for batch in _below(project, bucket, paths.check_prefix(prefix)):
        with transaction.atomic():
            deleted += _delete(caller, project, bucket, batch)
    return deleted


def empty(project: ProjectConfig, bucket_name: str) -> int:
    """Delete and announce every object of the bucket, on the project's behalf; how many."""
    return delete_prefix(service.SERVICE, project, bucket_name, "")


def _open(caller: Caller, project: ProjectConfig, bucket_name: str) -> Bucket:
    bucket = buckets.get(project.id, bucket_name)
    if access.is_closed(bucket.delete, caller):
        raise access.refusal(bucket, "delete", caller)
    return bucket


def _delete(caller: Caller, project: ProjectConfig, bucket: Bucket, found: list[Object]) -> int:
    deleted = 0
    for item in found:
        if access.allows(bucket.delete, caller, item.for_rules) and sql.delete(item, project.slug):
            service.forget(item.key)
            deleted += 1
    return deleted


def _below(project: ProjectConfig, bucket: Bucket, prefix: str) -> Iterator[list[Object]]:
    start, end = prefix, paths.end_of_prefix(prefix) if prefix else None
    while batch := sql.page(
        project.id, bucket.name, start=start, end=end, where=_ALL, limit=_BATCH
    ):
        yield batch
        start = batch[-1].path + "\x01"  # behind it: no path has a control character


def copy(
    caller: Caller, project: ProjectConfig, bucket_name: str, source: str, target: str
) -> Object:
    """Copy the object; the copy is the caller's. Raises what `service.get` and `service.put` do."""
    found = service.get(caller, project, bucket_name, source)
    with closing(service.open_bytes(found)) as stream:
        upload = Upload(
            chunks=stream,
            content_type=found.content_type,
            size=found.size,
            metadata=found.metadata,
            sha256=found.sha256,
        )
        return service.put(caller, project, bucket_name, target, upload)


def move(
    caller: Caller, project: ProjectConfig, bucket_name: str, source: str, target: str
) -> Object:
    """Give the object another path, in place of what is there; the bytes stay where they are.

    The caller must be allowed to delete it there and to write it here. Raises NotFound, Forbidden.
    """
    bucket = buckets.get(project.id, bucket_name)
    source, target = paths.check_path(source, "from"), paths.check_path(target, "to")
    for _ in range(service.ATTEMPTS):
        found = access.require_delete(bucket, caller, sql.fetch(project.id, bucket.name, source))
        if source == target:
            return found
        seen = sql.fetch(project.id, bucket.name, target)
        moved = replace(found, path=target, updated_at=objects.now())
        access.require_write(bucket, caller, seen, moved)
        if sql.move(found, moved, project.slug, seen):
            if seen is not None:
                service.forget(seen.key)
            return moved
    raise service.contended()


def copy_folder(
    caller: Caller, project: ProjectConfig, bucket_name: str, source: str, target: str
) -> int:
    """Copy every object below the folder that the caller may read and write; how many."""
    bucket = buckets.get(project.id, bucket_name)
    # A folder is copied by whom it may be listed to: of a public bucket too, whose objects anyone
    # may read who knows their names.
    if access.is_closed(bucket.read, caller):
        raise access.refusal(bucket, "read", caller)
    access.require_some_write(bucket, caller)

    def copy_one(item: Object, to: str) -> None:
        if not access.allows(bucket.read, caller, item.for_rules):
            raise access.not_found(bucket, caller, "read", item)
        copy(caller, project, bucket_name, item.path, to)

    return _each_below(project, bucket, source, target, copy_one)


def move_folder(
    caller: Caller, project: ProjectConfig, bucket_name: str, source: str, target: str
) -> int:
    """Move every object below the folder that the caller may delete and write; how many."""
    bucket = _open(caller, project, bucket_name)
    access.require_some_write(bucket, caller)
    return _each_below(
        project,
        bucket,
        source,
        target,
        lambda item, to: move(caller, project, bucket_name, item.path, to),
    )


def _each_below(
    project: ProjectConfig, bucket: Bucket, source: str, target: str, work: _One
) -> int:
    source, target = paths.check_prefix(source, "from"), paths.check_prefix(target, "to")
    if target.startswith(source) or source.startswith(target):
        raise Invalid(
            "A folder cannot be copied or moved into itself or over its parent.",
            errors=[FieldError("to", "invalid", "one folder lies in the other")],
        )
    paths.check_path(target[:-1], "to")
    done = 0
    refused: Problem | None = None
    for batch in _below(project, bucket, source):
        for item in batch:
            try:
                work(item, target + item.path.removeprefix(source))
                done += 1
            except (Forbidden, NotFound) as problem:
                refused = problem  # not his, or gone meanwhile
    if not done and isinstance(refused, Forbidden):
        raise refused
    return done
