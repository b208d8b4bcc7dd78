"""Every statement of this room."""

from functools import lru_cache
from typing import Any, Final, LiteralString

import orjson
from django.db import transaction
from psycopg import sql

from baas.kernel import db
from baas.kernel.events import after_commit, event_params, insert_clause
from storage.objects import Object, from_row

COLUMNS: Final = (
    "path, version, size, content_type, etag, sha256, owner, metadata::text, created_at, updated_at"
)
ONE: Final = (
    f"SELECT {COLUMNS} FROM storage_object"  # noqa: S608 - constants only
    " WHERE project_id = %s AND bucket = %s AND path = %s"
)
# Without an event: what takes its place announces itself.
FORGET: Final = (
    "DELETE FROM storage_object"
    " WHERE project_id = %s AND bucket = %s AND path = %s AND version = %s"
)
_WRITTEN: Final = "written"
# Only when the object is still as the caller saw it (nothing there, or that very version): the
# rules were asked about exactly that state.
_INSERT: Final[LiteralString] = (
    "INSERT INTO storage_object (project_id, bucket, path, version, size, content_type, etag,"
    " sha256, owner, metadata, created_at, updated_at) VALUES (%(project_id)s, %(bucket)s,"
    " %(path)s, %(version)s, %(size)s, %(content_type)s, %(etag)s, %(sha256)s, %(owner)s,"
    " %(metadata)s::jsonb, %(created_at)s, %(updated_at)s)"
    " ON CONFLICT (project_id, bucket, path) DO NOTHING RETURNING path"
)
_UPDATE: Final[LiteralString] = (
    "UPDATE storage_object SET version = %(version)s, size = %(size)s,"
    " content_type = %(content_type)s, etag = %(etag)s, sha256 = %(sha256)s,"
    " metadata = %(metadata)s::jsonb, updated_at = %(updated_at)s"
    " WHERE project_id = %(project_id)s AND bucket = %(bucket)s AND path = %(path)s"
    " AND version = %(seen)s RETURNING path"
)
_DELETE: Final[LiteralString] = (
    "DELETE FROM storage_object WHERE project_id = %(project_id)s AND bucket = %(bucket)s"
    " AND path = %(path)s AND version = %(version)s RETURNING path"
)


@lru_cache(maxsize=1024)
def _with_event(statement: LiteralString, type_: str, project_id: int) -> sql.Composed:
    """Row and event in one statement: one round trip, both or neither."""
    event = insert_clause(
        type=type_,
        source=sql.SQL("%(event_source)s::text"),
        subject=sql.SQL("%(event_subject)s::text"),
        data=sql.SQL("%(event_data)s::jsonb"),
        project_id=project_id,
        from_cte=_WRITTEN,
    )
    return sql.SQL("WITH {name} AS ({statement}) {event}").format(
        name=sql.Identifier(_WRITTEN), statement=sql.SQL(statement), event=event
    )


def _run(
    statement: LiteralString, type_: str, object_: Object, slug: str, params: dict[str, Any]
) -> bool:
    params |= event_params() | {
        "project_id": object_.project_id,
        "bucket": object_.bucket,
        "path": object_.path,
        "version": object_.version,
        "event_source": f"/projects/{slug}/storage/{object_.bucket}",
        "event_subject": f"{object_.bucket}/{object_.path}",
        "event_data": orjson.dumps({"object": object_.as_dict()}).decode(),
    }
    written = db.execute(_with_event(statement, type_, object_.project_id), params).rowcount
    if written:
        after_commit()
    return written == 1


def fetch(project_id: int, bucket: str, path: str) -> Object | None:
    row = db.fetch_one(ONE, (project_id, bucket, path))
    return None if row is None else from_row(project_id, bucket, row)


def write(object_: Object, slug: str, seen: Object | None) -> bool:
    """Put the object in the place of `seen`, with its event; False when `seen` is outdated.

    Raises psycopg's ForeignKeyViolation when the bucket is gone.
    """
    params = {
        "size": object_.size,
        "content_type": object_.content_type,
        "etag": object_.etag,
        "sha256": object_.sha256,
        "owner": object_.owner,
        "metadata": orjson.dumps(object_.metadata).decode(),
        "created_at": object_.created_at,
        "updated_at": object_.updated_at,
        "seen": seen.version if seen else None,
    }
    statement = _UPDATE if seen else _INSERT
    return _run(statement, "baas.storage.object.created", object_, slug, params)


def delete(object_: Object, slug: str) -> bool:
    """Delete this very version, with its event; False when it is not there any more."""
    return _run(_DELETE, "baas.storage.object.deleted", object_, slug, {})


def move(found: Object, moved: Object, slug: str, seen: Object | None) -> bool:
    """Give `found` the path of `moved`, in place of `seen`, with both events.

    False, and nothing done, when one of them is outdated.
    """
    with transaction.atomic():
        done = (
            (seen is None or db.execute(FORGET, _key(seen)).rowcount == 1)
            # The version must be free before it stands under the new path.
            and delete(found, slug)
            and write(moved, slug, None)
        )
        if not done:
            transaction.set_rollback(True)
    return done


def _key(object_: Object) -> tuple[int, str, str, str]:
    return object_.project_id, object_.bucket, object_.path, object_.version


def page(
    project_id: int,
    bucket: str,
    *,
    start: str,
    end: str | None,
    where: sql.Composable,
    limit: int,
) -> list[Object]:
    """The objects from `start` to before `end` in path order, of those that `where` lets pass."""
    before = sql.SQL("" if end is None else " AND path < %(end)s")
    rows = db.fetch_all(
        sql.SQL(
            "SELECT {columns} FROM storage_object o WHERE project_id = %(project_id)s"
            " AND bucket = %(bucket)s AND path >= %(start)s{before} AND {where}"
            " ORDER BY path LIMIT %(limit)s"
        ).format(columns=sql.SQL(COLUMNS), before=before, where=where),
        {
            "project_id": project_id,
            "bucket": bucket,
            "start": start,
            "end": end,
            "limit": limit,
        },
    )
    return [from_row(project_id, bucket, row) for row in rows]
