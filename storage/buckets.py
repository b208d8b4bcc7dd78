"""Buckets: their rules and limits, cached like all configuration."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
import psycopg
from django.db import transaction

from auth.rules import (
    OBJECT_ROOTS,
    Rule,
    RuleError,
    compile_rule,
    object_bindings,
)
from baas.kernel import config_cache, db
from baas.kernel.events.event import rfc3339
from baas.kernel.problems import Conflict, FieldError, Invalid
from storage import objects, paths

DEFAULT_MAX_SIZE: Final = 5 * 1024**3  # bytes; what S3 takes in one request
ACTIONS: Final = ("read", "write", "delete")
_NO_GET: Final = "get() is not available in the rules of buckets"
_COLUMNS: Final = (
    "name, public, rules::text, max_size, allowed_types::text, cache_control, created_at,"
    " updated_at"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket's configuration, its rules compiled."""

    name: str
    public: bool  # objects may be read by anyone who knows their path; lists go by the read rule
    read: Rule
    write: Rule
    delete: Rule
    max_size: int  # bytes of one object
    allowed_types: tuple[str, ...]  # such as image/*; empty: every type
    cache_control: str | None
    created_at: datetime
    updated_at: datetime

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "public": self.public,
            "rules": {action: getattr(self, action).source for action in ACTIONS},
            "max_size": self.max_size,
            "allowed_types": list(self.allowed_types),
            "versioning": False,
            "cache_control": self.cache_control,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
        }


def _from_row(row: db.Row) -> Bucket:
    rules = orjson.loads(row[2])
    return Bucket(
        name=row[0],
        public=row[1],
        **{action: compile_rule(rules[action], OBJECT_ROOTS) for action in ACTIONS},
        max_size=row[3],
        allowed_types=tuple(orjson.loads(row[4])),
        cache_control=row[5],
        created_at=row[6],
        updated_at=row[7],
    )


def _load(project_id: int, name: str) -> Bucket | None:
    row = db.fetch_one(
        f"SELECT {_COLUMNS} FROM storage_bucket WHERE project_id = %s AND name = %s",  # noqa: S608
        (project_id, name),
    )
    return None if row is None else _from_row(row)


_cache = config_cache.ConfigCache("bucket", _load)


def get(project_id: int, name: str) -> Bucket:
    """Raises NotFound `bucket_not_found`."""
    # NUL is the one character that the database would choke on; no bucket's name has it.
    bucket = None if "\0" in name else _cache.get(project_id, name)
    if bucket is None:
        raise paths.bucket_not_found(name)
    return bucket


def list_page(project_id: int, after: str, limit: int) -> list[Bucket]:
    """The next buckets by name."""
    rows = db.fetch_all(
        f"SELECT {_COLUMNS} FROM storage_bucket WHERE project_id = %s AND name > %s"  # noqa: S608
        " ORDER BY name LIMIT %s",
        (project_id, after, limit),
    )
    return [_from_row(row) for row in rows]


def check_rules(rules: dict[str, str]) -> dict[str, str]:
    """The rules of all actions, "closed" where none is given. Raises Invalid `invalid_rule`."""
    errors = [
        FieldError(f"rules.{action}", "unknown", "the actions are read, write and delete")
        for action in rules
        if action not in ACTIONS
    ]
    checked = {}
    for action in ACTIONS:
        checked[action] = rules.get(action) or "closed"
        try:
            rule = compile_rule(checked[action], OBJECT_ROOTS)
            if action == "read":
                rule.require_sql(object_bindings("o"))
            if "get()" in rule.reads:
                errors.append(FieldError(f"rules.{action}", "invalid_rule", _NO_GET))
        except RuleError as error:
            errors.append(FieldError(f"rules.{action}", "invalid_rule", str(error)))
    if errors:
        raise Invalid(f"{errors[0].field}: {errors[0].detail}.", code="invalid_rule", errors=errors)
    return checked


@transaction.atomic
def put(
    project_id: int,
    name: str,
    *,
    public: bool,
    rules: dict[str, str],
    max_size: int,
    allowed_types: list[str],
    cache_control: str | None,
) -> tuple[Bucket, bool]:
    """Make the bucket, or give it this configuration. Returns it and whether it is new.

    Raises Invalid for a bad name or rule.
    """
    paths.check_bucket(name)
    moment = objects.now()
    row = db.fetch_one(
        "INSERT INTO storage_bucket"  # noqa: S608 - constants only
        " (project_id, name, public, rules, max_size, allowed_types,"
        " cache_control, created_at, updated_at)"
        " VALUES (%s, %s, %s, %s::jsonb, %s, %s::jsonb, %s, %s, %s)"
        " ON CONFLICT (project_id, name) DO UPDATE SET public = excluded.public,"
        " rules = excluded.rules, max_size = excluded.max_size,"
        " allowed_types = excluded.allowed_types, cache_control = excluded.cache_control,"
        f" updated_at = excluded.updated_at RETURNING {_COLUMNS}, xmax = 0",
        (
            project_id,
            name,
            public,
            orjson.dumps(check_rules(rules)).decode(),
            max_size,
            orjson.dumps([glob.lower() for glob in allowed_types]).decode(),
            cache_control,
            moment,
            moment,
        ),
    )
    assert row is not None  # noqa: S101 - an upsert returns its row
    config_cache.changed(project_id)
    return _from_row(row), row[-1]


def delete(project_id: int, name: str) -> None:
    """Remove an empty bucket. Raises NotFound, or Conflict `bucket_not_empty`."""
    try:
        with transaction.atomic():
            gone = db.execute(
                "DELETE FROM storage_bucket WHERE project_id = %s AND name = %s", (project_id, name)
            ).rowcount
            config_cache.changed(project_id)
    except psycopg.errors.ForeignKeyViolation as error:
        raise Conflict(
            f"The bucket {name!r} still has objects: delete them first, or ask with ?force=true.",
            code="bucket_not_empty",
        ) from error
    if not gone:
        raise paths.bucket_not_found(name)
