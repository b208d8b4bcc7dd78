"""What a caller sees of a collection whose fields are not for everybody (`rules.fields`).

Lists read a view of the table (`seen`): in it `doc` is without what is hidden, so whatever a query
does (filter, order, group, join) cannot come by it. Single documents are masked in Python.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from psycopg import sql

from auth.rules import document_bindings
from baas.kernel.problems import FieldError, Forbidden, Invalid
from documents import access, hidden, row_filter, values, wire
from documents.access import Caller
from documents.changes import Changed
from documents.collections import Action, Collection
from documents.compiled import Compiled
from documents.hidden import HiddenField, Path, View
from documents.query import columns
from documents.row_filter import RowFilter
from documents.schemas import Validator
from documents.updates import MergePatch, Operators, Replacement, Update
from documents.updates.ast import Rename
from documents.wire import Row

MAX_VIEWS: Final = 16  # kept per collection and process, each with its own plans


# Lists


def seen(caller: Caller, collection: Collection) -> Collection:
    """The collection as lists of the caller may read it: itself when nothing is hidden from him.

    The parameters of its statements are among those of `row_filter.readable` for it.
    """
    if not collection.hidden or caller.principal.bypasses_rules:
        return collection
    conditions = [
        (field, shown) for field in collection.hidden
        if (shown := _shown(caller, field)).text
    ]  # fmt: skip
    if not conditions:
        return collection
    key = tuple([(field.path, shown.text) for field, shown in conditions])
    found = collection.views.get(key)
    if found is None:
        found = collection.seen_through(_view(collection, conditions))
        if len(collection.views) >= MAX_VIEWS:
            collection.views.clear()
        collection.views[key] = found
    return found


def _shown(caller: Caller, field: HiddenField) -> RowFilter:
    """The rows of the table named `t` of which the caller sees the field; empty for all."""
    return row_filter.allowed(caller, field.rule, document_bindings("t", caller.table_of))


def _view(collection: Collection, conditions: list[tuple[HiddenField, RowFilter]]) -> View:
    doc: sql.Composable = sql.SQL("t.doc")
    names = [
        sql.SQL("CASE WHEN {} THEN NULL ELSE {} END").format(
            Compiled(shown.text), columns.literal(field.path[0])
        )
        for field, shown in conditions
        if len(field.path) == 1
    ]
    if names:
        doc = sql.SQL("({} - ARRAY[{}]::text[])").format(doc, sql.SQL(", ").join(names))
    for field, shown in conditions:
        if len(field.path) > 1:
            doc = sql.SQL("documents_without({}, {}, coalesce({}, false))").format(
                doc, columns.path_array(field.path), Compiled(shown.text)
            )
    source = sql.SQL(
        "(SELECT t._id, t.version, t.owner, t.created_at, t.updated_at, t.doc AS whole,"
        " {} AS doc FROM {} AS t)"
    ).format(doc, collection.table)
    roots = frozenset([field.path[0] for field, _ in conditions])
    used = b" ".join([shown.text for _, shown in conditions])
    return View(source, roots, row_filter.names_in(used))


# Single documents


def mask(caller: Caller, collection: Collection, document: dict[str, Any]) -> dict[str, Any]:
    """The document (wire form) without what is hidden from the caller."""
    return hidden.without(document, hidden_paths(caller, collection, document))  # type: ignore[no-any-return]


def mask_row(caller: Caller, collection: Collection, row: Row) -> Row:
    if not collection.hidden or caller.principal.bypasses_rules:
        return row
    document = wire.value(row)
    masked = mask(caller, collection, document)
    if masked == document:
        return row
    return (*row[:5], values.dumps(wire.user_fields(masked)).decode())


def hidden_paths(
    caller: Caller, collection: Collection, document: dict[str, Any]
) -> tuple[Path, ...]:
    """The paths that the caller does not see of this document."""
    if not collection.hidden or caller.principal.bypasses_rules:
        return ()
    return tuple(
        [
            field.path
            for field in collection.hidden
            if not access.allows(caller, field.rule, doc=document)
        ]
    )


def denied(
    caller: Caller, collection: Collection, action: Action, document: dict[str, Any]
) -> Forbidden:
    """The refusal to write what the caller does not see of the document (wire form)."""
    explained = [
        access.explanation(caller, f"fields.{'.'.join(field.path)}", field.rule, doc=document)
        for field in collection.hidden
        if not access.allows(caller, field.rule, doc=document)
    ]
    return access.refusal(collection, action, explained[0] if explained else None)


# Writes


def may_create(caller: Caller, collection: Collection, document: dict[str, Any]) -> bool:
    """Whether a new document (wire form) has nothing that its creator would not see."""
    paths = hidden_paths(caller, collection, document)
    return not any(hidden.has(document, path) for path in paths)


def changed(
    caller: Caller,
    collection: Collection,
    update: Update,
    old: dict[str, Any],
    carry_out: Callable[[], Changed],
) -> Changed | None:
    """The new user fields and owner of a document (wire form); None when the caller may not.

    What he does not see of it he can neither change nor test; in a replacement it stays. So the
    update is looked at before it is carried out: it must not fail by what is hidden.
    """
    paths = hidden_paths(caller, collection, old)
    if not paths:
        return carry_out()
    if not isinstance(update, Replacement) and any(_touches(update, path) for path in paths):
        return None
    fields, owner = carry_out()
    if isinstance(update, Replacement):
        kept = hidden.kept(old, fields, paths)
        return None if kept is None else (kept, owner)
    return (fields, owner) if all(hidden.is_same(old, fields, path) for path in paths) else None


def validate(validator: Validator, fields: dict[str, Any], paths: Iterable[Path]) -> None:
    """As `validator.check`, saying nothing about what is at the hidden paths."""
    try:
        validator.check(fields)
    except Invalid:
        paths = [path for path in paths if hidden.has(fields, path)]
        if not paths:
            raise
        shown = _errors_of(validator, hidden.without(fields, paths))
        roots = {path[0] for path in paths}
        errors = [error for error in shown if error.field.split(".")[0] not in roots]
        unnamed = FieldError("", "schema", "something that you may not see does not match")
        raise Invalid(
            "The document does not match the collection's schema.",
            code="schema_violation",
            errors=errors or [unnamed],
        ) from None


def _errors_of(validator: Validator, fields: dict[str, Any]) -> Sequence[FieldError]:
    try:
        validator.check(fields)
    except Invalid as problem:
        return problem.errors
    return ()


def _touches(update: Operators | MergePatch, path: Path) -> bool:
    if isinstance(update, MergePatch):
        return hidden.touches_members(update.members, path)
    return any(hidden.touches(changed, path) for changed in _changed(update))


def _changed(update: Operators) -> Iterator[Path]:
    for operation in update.operations:
        yield operation.path
        if isinstance(operation.change, Rename):
            yield operation.change.source
