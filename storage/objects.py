"""An object as a value: what is known of it, and its form on the wire."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from baas.kernel.db import Row
from baas.kernel.events.event import rfc3339


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """One version of an object. Its bytes lie in the object store under `key`."""

    project_id: int
    bucket: str
    path: str
    version: str  # a new one with each upload
    size: int  # bytes
    content_type: str
    etag: str  # MD5 in hex, without quotes
    sha256: str  # hex
    owner: str | None  # uid of the first uploader
    metadata: dict[str, str] = field(default_factory=dict)
    created_at: datetime
    updated_at: datetime

    @property
    def key(self) -> str:
        return object_key(self.project_id, self.version)

    @property
    def for_rules(self) -> dict[str, Any]:
        """The `object` variable of rules."""
        return {
            "path": self.path,
            "size": self.size,
            "content_type": self.content_type,
            "owner": self.owner,
        }

    def as_dict(self) -> dict[str, Any]:
        return {
            "bucket": self.bucket,
            "path": self.path,
            "size": self.size,
            "content_type": self.content_type,
            "etag": self.etag,
            "checksum_sha256": self.sha256,
            "version": self.version,
            "owner": self.owner,
            "metadata": self.metadata,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
        }


def object_key(project_id: int, version: str) -> str:
    return f"{project_prefix(project_id)}{version}"


def project_prefix(project_id: int) -> str:
    """What the keys of all objects of a project start with."""
    return f"objects/{project_id}/"


def from_row(project_id: int, bucket: str, row: Row) -> Object:
    """The object of a row of `sql.COLUMNS`."""
    return Object(
        project_id=project_id,
        bucket=bucket,
        path=row[0],
        version=row[1],
        size=row[2],
        content_type=row[3],
        etag=row[4],
        sha256=row[5],
        owner=row[6],
        metadata=orjson.loads(row[7]),
        created_at=row[8],
        updated_at=row[9],
    )


def now() -> datetime:
    """The present in the wire's precision, so that stored and shown times are the same."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
