"""Atomic batches: up to 500 writes to any collections of a project, all or none."""

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Literal, cast

from baas.kernel import db
from baas.kernel.problems import Conflict, FieldError, Invalid, Malformed, Problem, TooLarge
from documents import checks, collections, service, updates
from documents.access import Caller
from documents.attempts import atomically
from documents.updates import MergePatch, Update

MAX_WRITES: Final = 500
_MEMBERS: Final = frozenset({"op", "collection", "id", "data", "update", "if_version", "if_exists"})
# What a failed precondition is called outside a batch.
_PRECONDITIONS: Final = frozenset({"version_mismatch", "document_not_found"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    op: Literal["create", "set", "update", "delete"]
    collection: str
    id: str | None = None  # made by the server on create when None
    data: dict[str, Any] | None = None  # of create and set
    update: Update | None = None
    if_version: int | None = None
    if_exists: bool | None = None


def parse(body: Any) -> list[Write]:
    """The writes of a request. Raises Malformed, Invalid or TooLarge, naming the write."""
    if not isinstance(body, list):
        raise Malformed("`writes` is an array.")
    if len(body) > MAX_WRITES:
        raise TooLarge(f"A commit has {MAX_WRITES} writes at most.", code="batch_too_large")
    writes = []
    for index, given in enumerate(body):
        try:
            writes.append(_write(given))
        except Problem as problem:
            raise _named(problem, index) from problem
    return writes


def _write(given: Any) -> Write:
    if not isinstance(given, dict) or given.keys() - _MEMBERS:
        raise _invalid("a write has op, collection, id, data or update, if_version, if_exists")
    op, id = given.get("op"), given.get("id")
    collection = given.get("collection")
    if not isinstance(collection, str):
        raise _invalid("collection is a text")
    collections.check_name(collection)
    if op not in ("create", "set", "update", "delete"):
        raise _invalid("op is create, set, update or delete")
    data, version, exists = given.get("data"), given.get("if_version"), given.get("if_exists")
    if op in ("create", "set") and not isinstance(data, dict):
        raise _invalid(f"{op} takes data, an object")
    if op == "update" and not isinstance(given.get("update"), dict):
        raise _invalid("update takes update, an object")
    if id is not None or op != "create":
        checks.check_id(id)
    if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
        raise _invalid("if_version is a whole number")
    if exists is not None and not isinstance(exists, bool):
        raise _invalid("if_exists is true or false")
    _check_preconditions(op, version, exists)
    return Write(
        op=cast(Literal["create", "set", "update", "delete"], op),
        collection=collection,
        id=id,
        data=data,
        update=updates.parse(given["update"]) if op == "update" else None,
        if_version=version,
        if_exists=exists,
    )


def _check_preconditions(op: str, version: int | None, exists: bool | None) -> None:
    if op == "create" and (version is not None or exists):
        raise _invalid("create is for a document that is not there: no if_version, no if_exists")
    if exists is False and (version is not None or op in ("update", "delete")):
        raise _invalid(f"if_exists false contradicts {op if version is None else 'if_version'}")


def _invalid(detail: str) -> Invalid:
    return Invalid(f"The write is not valid: {detail}.", code="invalid_write")


def commit(caller: Caller, writes: list[Write]) -> list[dict[str, Any]]:
    """Carry out all writes in their order, or none; one `{"_id", "_version"}` for each.

    A deleted document has the version null. Raises the problem of the first write that fails,
    with `errors[0].field` = `writes[n]`: Conflict `transaction_conflict` for a failed
    precondition.
    """
    return atomically(lambda: _all(caller, writes))


def _all(caller: Caller, writes: list[Write]) -> list[dict[str, Any]]:
    if len(writes) > 1:
        _lock(caller, writes)
    results: list[dict[str, Any]] = []
    for _, group in groupby(enumerate(writes), key=_group):
        numbered = list(group)
        made = _create_together(caller, [write for _, write in numbered])
        results += made or [_numbered(caller, index, write) for index, write in numbered]
    return results


def _group(numbered: tuple[int, Write]) -> Hashable:
    """The same for creates in one collection that follow each other."""
    index, write = numbered
    return write.collection if write.op == "create" else index


def _create_together(caller: Caller, writes: list[Write]) -> list[dict[str, Any]] | None:
    """By one statement; None when that cannot be, or with a problem: then they are done one by one,
    which tells whose it is."""
    if len(writes) == 1 or _asks_for_others(caller, writes[0].collection):
        return None
    try:
        with db.savepoint():
            rows = service.create_many(caller, writes[0].collection, list(map(_data, writes)))
    except Problem:
        return None
    return [{"_id": row[0], "_version": row[1]} for row in rows]


def _asks_for_others(caller: Caller, name: str) -> bool:
    """Whether the rule may look for a document that the same commit makes."""
    collection = collections.find(caller.project.id, name)
    rule = collection.rules.get("create") if collection else None
    return rule is not None and "get()" in rule.reads and not caller.principal.bypasses_rules


def _data(write: Write) -> dict[str, Any]:
    data = write.data or {}
    return data if write.id is None else {**data, "_id": write.id}


def _numbered(caller: Caller, index: int, write: Write) -> dict[str, Any]:
    try:
        return _carry_out(caller, write)
    except Problem as problem:
        raise _named(problem, index) from problem


def _lock(caller: Caller, writes: list[Write]) -> None:
    """Lock what is there in one order, the same for all, so that no two commits wait for each
    other. (Two that create the same ids can: PostgreSQL ends one, which is then tried again.)"""
    ids: dict[str, set[str]] = {}
    for write in writes:
        if write.id is not None and write.op != "create":
            ids.setdefault(write.collection, set()).add(write.id)
    for name in sorted(ids):
        collection = collections.find(caller.project.id, name)
        if collection is not None:
            db.execute(collection.statements.lock_many, {"ids": list(ids[name])})


def _carry_out(caller: Caller, write: Write) -> dict[str, Any]:
    row: tuple[Any, ...]
    match write.op:
        case "create":
            row = service.create_row(caller, write.collection, _data(write))
        case "set":
            row, _ = service.replace_row(
                caller,
                write.collection,
                write.id or "",
                write.data or {},
                if_version=write.if_version,
                if_exists=write.if_exists,
            )
        case "update":
            row = service.update_row(
                caller,
                write.collection,
                write.id or "",
                write.update or MergePatch({}),
                if_version=write.if_version,
            )
        case "delete":
            return _delete(caller, write)
    return {"_id": row[0], "_version": row[1]}


def _delete(caller: Caller, write: Write) -> dict[str, Any]:
    try:
        service.delete(caller, write.collection, write.id or "", if_version=write.if_version)
    except Problem as problem:
        # Deleting what is not there is done, unless the writer insists that it was.
        if problem.code != "document_not_found" or write.if_exists or write.if_version:
            raise
    return {"_id": write.id, "_version": None}


def _named(problem: Problem, index: int) -> Problem:
    """The same problem, saying which write it is about."""
    where = f"writes[{index}]"
    errors = [
        FieldError(where, problem.code, problem.detail),
        *[FieldError(f"{where}.{e.field}", e.code, e.detail) for e in problem.errors],
    ]
    if problem.code in _PRECONDITIONS or problem.status == 412:
        return Conflict(
            f"{where}: {problem.detail} Nothing was changed.",
            code="transaction_conflict",
            errors=errors,
        )
    problem.errors = tuple(errors)
    return problem
