"""Lists of objects, flat or folder by folder."""

from dataclasses import dataclass, field
from typing import Any, Final

from psycopg import sql as psql

from baas.kernel import cursors
from baas.kernel.problems import Malformed
from baas.kernel.projects import ProjectConfig
from storage import access, buckets, paths, sql
from storage.caller import Caller
from storage.objects import Object

# Rows looked at in one query while folders are collected. A folder's further rows are skipped by
# starting the next query behind it, so a folder of a million objects costs one query.
_FOLDER_BATCH: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    items: list[Object] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)  # the folders, each ends with /
    next_cursor: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "items": [item.as_dict() for item in self.items],
            "prefixes": self.prefixes,
            "next_cursor": self.next_cursor,
        }


def page(
    caller: Caller,
    project: ProjectConfig,
    bucket_name: str,
    *,
    prefix: str,
    folders: bool,
    limit: int,
    cursor: str | None,
) -> Page:
    """The next `limit` objects (with `folders`: objects and folders) that the caller may read.

    Raises NotFound `bucket_not_found`, Forbidden when he may read none, Invalid, Malformed.
    """
    bucket = buckets.get(project.id, bucket_name)
    where = access.readable(bucket, caller)
    prefix = paths.check_prefix(prefix)
    # A cursor is the first path that may come next.
    start = prefix if cursor is None else max(prefix, _decode(cursor))
    end = paths.end_of_prefix(prefix) if prefix else None
    if folders:
        return _folder(project.id, bucket.name, prefix, start, end, where, limit)
    found = sql.page(project.id, bucket.name, start=start, end=end, where=where, limit=limit + 1)
    more = cursors.encode(found[limit].path) if len(found) > limit else None
    return Page(items=found[:limit], next_cursor=more)


def _decode(cursor: str) -> str:
    start = cursors.decode(cursor)
    if not isinstance(start, str) or "\0" in start:
        raise Malformed("The cursor is not valid.", code="invalid_cursor")
    return start


def _folder(
    project_id: int,
    bucket: str,
    prefix: str,
    start: str,
    end: str | None,
    where: psql.Composable,
    limit: int,
) -> Page:
    items: list[Object] = []
    prefixes: list[str] = []
    while True:
        wanted = min(limit + 1, _FOLDER_BATCH)
        rows = sql.page(project_id, bucket, start=start, end=end, where=where, limit=wanted)
        for row in rows:
            if row.path < start:
                continue  # in the folder that was just noted
            if len(items) + len(prefixes) == limit:
                return Page(items=items, prefixes=prefixes, next_cursor=cursors.encode(row.path))
            name, slash, _ = row.path[len(prefix) :].partition("/")
            if slash:
                folder = f"{prefix}{name}/"
                prefixes.append(folder)
                start = paths.end_of_prefix(folder) or ""
            else:
                items.append(row)
                start = row.path + "\x01"  # no path has a control character: the very next one
        if len(rows) < wanted:
            return Page(items=items, prefixes=prefixes)
