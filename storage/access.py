"""What the rules of a bucket let a caller do, and how a refusal is told."""

from typing import Any, Literal, TypeAlias

from psycopg import sql

from auth.rules import Rule, RuleError, object_bindings
from baas.kernel.problems import Forbidden, NotFound
from storage.buckets import Bucket
from storage.caller import Caller
from storage.objects import Object

Action: TypeAlias = Literal["read", "write", "delete"]
BINDINGS = object_bindings("o")
_NOBODY = sql.SQL("FALSE")


def allows(rule: Rule, caller: Caller, object_: dict[str, Any]) -> bool:
    return caller.bypasses_rules or rule.allows(
        auth=caller.auth, request=caller.request, object=object_
    )


def may_read(bucket: Bucket, caller: Caller, object_: Object) -> bool:
    return bucket.public or allows(bucket.read, caller, object_.for_rules)


def readable(bucket: Bucket, caller: Caller) -> sql.Composable:
    """The condition on the rows of a list. Raises Forbidden when it can be true of none."""
    if caller.bypasses_rules:
        return sql.SQL("TRUE")
    where = bucket.read.to_sql(BINDINGS, auth=caller.auth, request=caller.request)
    if where == _NOBODY:
        raise refusal(bucket, "read", caller)
    return where


def is_closed(rule: Rule, caller: Caller) -> bool:
    """Whether the rule lets this caller do nothing at all, whatever the object."""
    if caller.bypasses_rules:
        return False
    try:
        return rule.to_sql(BINDINGS, auth=caller.auth, request=caller.request) == _NOBODY
    except RuleError:
        return False  # it looks at the object in a way that SQL cannot: so it depends on it


def refusal(
    bucket: Bucket, action: Action, caller: Caller, object_: dict[str, Any] | None = None
) -> Forbidden:
    return Forbidden(
        f"The {action} rule of the bucket {bucket.name!r} does not allow this to the caller.",
        members=_explanation(bucket, action, caller, object_),
    )


def not_found(
    bucket: Bucket, caller: Caller, action: Action, hidden: Object | None = None
) -> NotFound:
    """Said of what is not there and of what is `hidden` from the caller, in the same words."""
    return NotFound(
        f"There is no such object in the bucket {bucket.name!r}, or the caller may not see it.",
        code="object_not_found",
        members=_explanation(bucket, action, caller, hidden.for_rules) if hidden else None,
    )


def _explanation(
    bucket: Bucket, action: Action, caller: Caller, object_: dict[str, Any] | None
) -> dict[str, Any] | None:
    if not caller.explain:
        return None
    rule: Rule = getattr(bucket, action)
    _, why = rule.explain(auth=caller.auth, request=caller.request, object=object_)
    return {"rule": {"action": action, "source": rule.source, "why": why}}


def require_read(bucket: Bucket, caller: Caller, found: Object | None) -> Object:
    """The object, when it is there and the caller may read it. Raises NotFound, or Forbidden when
    he could read nothing here at all."""
    if found is not None and may_read(bucket, caller, found):
        return found
    if not bucket.public and is_closed(bucket.read, caller):
        raise refusal(bucket, "read", caller, found.for_rules if found else None)
    raise not_found(bucket, caller, "read", found)


def require_write(bucket: Bucket, caller: Caller, seen: Object | None, new: Object) -> None:
    """Raises Forbidden unless the caller may put `new` in the place of `seen`.

    The write rule must hold for what is there too: else anyone could overwrite what is not his by
    sending something that is.
    """
    for object_ in (new, seen):
        if object_ is not None and not allows(bucket.write, caller, object_.for_rules):
            raise refusal(bucket, "write", caller, object_.for_rules)


def require_some_write(bucket: Bucket, caller: Caller) -> None:
    """Raises Forbidden when the caller can write nothing here, whatever it is."""
    if is_closed(bucket.write, caller):
        raise refusal(bucket, "write", caller)


def require_delete(bucket: Bucket, caller: Caller, seen: Object | None) -> Object:
    """The object, when the caller may delete it. Raises Forbidden or NotFound."""
    if seen is not None and allows(bucket.delete, caller, seen.for_rules):
        return seen
    if is_closed(bucket.delete, caller) or (seen is not None and may_read(bucket, caller, seen)):
        raise refusal(bucket, "delete", caller, seen.for_rules if seen else None)
    raise not_found(bucket, caller, "delete", seen)
