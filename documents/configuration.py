"""Configuring collections: declared as a whole, renamed, dropped."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.db import transaction

from baas.kernel import db
from baas.kernel.config_cache import changed
from baas.kernel.problems import Conflict
from documents import collections, tables
from documents.collections import Action, Collection
from documents.indexes import changes, running
from documents.indexes.declaration import IndexDeclaration


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What PUT collections/{c} asks for, checked by `declarations`."""

    rules: Mapping[Action, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)  # hidden ones: their rules
    schema: Any = None
    indexes: tuple[IndexDeclaration, ...] = ()
    ttl_field: str | None = None
    ttl_seconds: int = 0
    max_docs: int | None = None


@transaction.atomic
def put(project_id: int, name: str, declared: Declaration) -> tuple[Collection, bool]:
    """Make or change a collection so that it is as declared; true when it was made.

    Indexes of a large collection are built in the background afterwards. Raises Conflict
    `unique_violation` when a unique index meets documents that are not, Invalid
    `index_not_possible` or `not_supported`.
    """
    collections.check_name(name)
    made = collections.insert(project_id, name)
    before = collections.locked(project_id, name)
    db.unlimited()  # an index over many documents takes its time
    changes.make_so(before, [*declared.indexes, *_implied(declared)])
    db.execute(
        "UPDATE documents_collection SET rules = %s, schema = %s, ttl_field = %s, ttl_seconds = %s,"
        " max_docs = %s, updated_at = now() WHERE id = %s",
        (
            orjson.dumps(_stored_rules(declared)).decode(),
            orjson.dumps(declared.schema).decode() if declared.schema is not None else None,
            declared.ttl_field,
            declared.ttl_seconds,
            declared.max_docs,
            before.id,
        ),
    )
    changed(project_id)
    return collections.get(project_id, name), made


def _stored_rules(declared: Declaration) -> dict[str, Any]:
    stored: dict[str, Any] = dict(declared.rules.items())
    return stored | {"fields": dict(declared.fields)} if declared.fields else stored


def _implied(declared: Declaration) -> list[IndexDeclaration]:
    """Indexes that nobody declares but the product needs."""
    needed = []
    first = [index.fields[0][0] for index in declared.indexes if index.serves_all_documents]
    if declared.ttl_field is not None and declared.ttl_field not in first:
        needed.append(IndexDeclaration(fields=((declared.ttl_field, 1),), implied=True))
    if any("_owner" in rule or rule == "owner" for rule in declared.rules.values()):
        needed.append(IndexDeclaration(fields=(("_owner", 1),), type="owner", implied=True))
    return needed


@transaction.atomic
def rename(project_id: int, name: str, to: str) -> Collection:
    """Give the collection another name; its documents, rules and indexes stay.

    Raises NotFound, Invalid `invalid_collection_name`, Conflict `collection_exists`.
    """
    collections.check_name(to)
    found = collections.locked(project_id, name)
    if name == to:
        return found
    taken = db.fetch_one(
        "SELECT 1 FROM documents_collection WHERE project_id = %s AND name = %s", (project_id, to)
    )
    if taken is not None:
        raise Conflict(f"There is a collection {to!r} already.", code="collection_exists")
    changes.take(found)
    tables.rename(project_id, found.id, name, to)
    db.execute(
        "UPDATE documents_collection SET name = %s, updated_at = now() WHERE id = %s",
        (to, found.id),
    )
    changed(project_id)
    return collections.get(project_id, to)


@transaction.atomic
def delete(project_id: int, name: str) -> None:
    """Remove the collection with its documents, without events. Raises NotFound."""
    found = collections.locked(project_id, name)
    changes.take(found)
    tables.drop(found.table)
    db.execute("DELETE FROM documents_collection WHERE id = %s", (found.id,))
    changed(project_id)


def delete_all(project_id: int) -> None:
    """Remove the documents of a project that is being deleted."""
    rows = db.fetch_all("SELECT id FROM documents_collection WHERE project_id = %s", (project_id,))
    for (id,) in rows:
        running.interrupt(id)
    tables.drop_schema(project_id)
