"""How far an import has come: a row that advances together with the documents."""

import re
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from baas.kernel import db, ids
from baas.kernel.problems import Conflict, FieldError, Invalid, NotFound
from documents.transfer.splitter import Form

KEPT_DAYS: Final = 7
MAX_ERRORS: Final = 100
_ID: Final = re.compile(r"[A-Za-z0-9_.~-]{1,128}")


@dataclass(slots=True, kw_only=True)
class Progress:
    project_id: int
    id: str
    options: dict[str, Any]  # what the first request asked for
    form: Form | None = None  # None while nothing has been stored
    position: int = 0  # everything before this byte of the (uncompressed) upload is done
    imported: int = 0
    skipped: int = 0
    failed: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)  # the first MAX_ERRORS
    done: bool = False

    @property
    def read(self) -> int:
        """How many documents are behind the position."""
        return self.imported + self.skipped + self.failed

    def as_dict(self) -> dict[str, Any]:
        return {
            "import_id": self.id,
            "done": self.done,
            "position": self.position,
            "imported": self.imported,
            "skipped": self.skipped,
            "failed": self.failed,
            "errors": self.errors,
        }


_GET: Final = (
    "SELECT id, options::text, form, position, imported, skipped, failed, errors::text, done"
    " FROM documents_import WHERE project_id = %s AND id = %s"
)


def begin(project_id: int, id: str | None, options: dict[str, Any]) -> Progress:
    """The import of this id, made when there is none. Raises Invalid `import_mismatch`."""
    if id is None:
        id = ids.new_id()
    elif _ID.fullmatch(id) is None:
        raise Invalid(
            "`import_id` is a string of 1 to 128 letters, digits and -_.~",
            code="invalid_import_id",
            errors=[FieldError("import_id", "invalid_import_id", "1-128 URL-safe characters")],
        )
    db.execute(
        "INSERT INTO documents_import (project_id, id, options) VALUES (%s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (project_id, id, orjson.dumps(options).decode()),
    )
    found = get(project_id, id)
    if found.options != options:
        raise Invalid(
            "This import was begun with another collection, mode or events: ask for the same, or"
            " take a new import_id.",
            code="import_mismatch",
        )
    return found


def get(project_id: int, id: str) -> Progress:
    """Raises NotFound `import_not_found`."""
    row = db.fetch_one(_GET, (project_id, id))
    if row is None:
        raise NotFound(f"There is no import {id[:128]!r}.", code="import_not_found")
    return Progress(
        project_id=project_id,
        id=row[0],
        options=orjson.loads(row[1]),
        form=row[2],
        position=row[3],
        imported=row[4],
        skipped=row[5],
        failed=row[6],
        errors=orjson.loads(row[7]),
        done=row[8],
    )


def advance(before: Progress, after: Progress) -> None:
    """Keep how far it is now, in the current transaction.

    Raises Conflict `import_in_progress` when somebody else has advanced it.
    """
    changed = db.execute(
        "UPDATE documents_import SET form = %s, position = %s, imported = %s, skipped = %s,"
        " failed = %s, errors = %s, done = %s, updated_at = now()"
        " WHERE project_id = %s AND id = %s AND position = %s AND NOT done",
        (
            after.form,
            after.position,
            after.imported,
            after.skipped,
            after.failed,
            orjson.dumps(after.errors).decode(),
            after.done,
            before.project_id,
            before.id,
            before.position,
        ),
    ).rowcount
    if changed != 1:
        raise in_progress()


def in_progress() -> Conflict:
    return Conflict(
        "This import is running in another request: ask how far it is, or try again later.",
        code="import_in_progress",
    )


def sweep() -> int:
    """Forget imports that nobody has advanced for a week; returns how many."""
    return db.execute(
        "DELETE FROM documents_import WHERE updated_at < now() - make_interval(days => %s)",
        (KEPT_DAYS,),
    ).rowcount
