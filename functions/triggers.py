"""Triggers: which events start which function."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction

from auth.rules import RuleError
from baas.kernel import config_cache, db
from baas.kernel.events.event import rfc3339
from baas.kernel.problems import FieldError, Invalid, NotFound
from functions import deployments, http
from functions.events import filters
from functions.events.matching import AUTH_TYPES, DB_TYPES, STORAGE_TYPES
from functions.models import Trigger

NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
EVENT_TYPE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\*?|\*")
COLLECTION: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}|\*")
BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}|\*")
# Of the contract, not built yet: refused, never ignored.
LATER: Final = ("timer", "queue", "webhook")
MAX_FILTER: Final = 4096

DEFAULT_ATTEMPTS: Final = 5
DEFAULT_MAX_AGE_S: Final = 24 * 3600
DEFAULT_BACKOFF_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A trigger as its author wants it."""

    function: str
    alias: str
    source: Mapping[str, Any]
    filter: str = ""
    max_attempts: int = DEFAULT_ATTEMPTS
    max_age_s: int = DEFAULT_MAX_AGE_S
    backoff_s: float = DEFAULT_BACKOFF_S


def put(project_id: int, name: str, wanted: Wanted) -> tuple[Trigger, bool]:
    """Make or replace a trigger; returns it and whether it is new.

    It holds for the events that the dispatcher reads after the commit. Deliveries that exist keep
    the function and the retries that they were made with. Raises Invalid, NotFound
    `function_not_found`.
    """
    if not NAME.fullmatch(name):
        raise _invalid("name", "a-z, 0-9 and -, a letter first, at most 63 characters")
    source = check_source(wanted.source)
    _check_filter(wanted.filter)
    with transaction.atomic():
        function = deployments.get(project_id, wanted.function)
        if not function.aliases.filter(name=wanted.alias).exists():
            raise Invalid(
                f"The function {function.name!r} has no alias {wanted.alias!r}: deploy it first.",
                code="alias_not_found",
                errors=[FieldError("alias", "not_found", "no such alias")],
            )
        trigger, created = Trigger.objects.update_or_create(
            project_id=project_id,
            name=name,
            defaults={
                "function": function,
                "alias": wanted.alias,
                "source": source,
                "filter": wanted.filter,
                "max_attempts": wanted.max_attempts,
                "max_age_s": wanted.max_age_s,
                "backoff_s": wanted.backoff_s,
            },
        )
        config_cache.changed(project_id)
    return trigger, created


def get(project_id: int, name: str) -> Trigger:
    """Raises NotFound `trigger_not_found`."""
    try:
        return Trigger.objects.select_related("function").get(project_id=project_id, name=name)
    except Trigger.DoesNotExist as error:
        raise NotFound(f"There is no trigger {name[:70]!r}.", code="trigger_not_found") from error


# Also in the middle of an attempt: its settlement then finds the delivery dead and changes nothing.
_END_DELIVERIES: Final = b"""
UPDATE functions_delivery d SET state = 'dead', reason = 'trigger_deleted', settled_at = now(),
    lease_until = NULL, epoch = epoch + 1
WHERE trigger_id = %s AND state IN ('pending', 'running')
"""


def delete(project_id: int, name: str) -> None:
    """Remove the trigger; what it had not delivered yet becomes dead. Raises NotFound."""
    with transaction.atomic():
        trigger = get(project_id, name)
        db.execute(_END_DELIVERIES, (trigger.id,))
        trigger.delete()
        config_cache.changed(project_id)


def describe(trigger: Trigger) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": trigger.name,
        "function": trigger.function.name,
        "alias": trigger.alias,
        "source": trigger.source,
        "retry": {
            "max_attempts": trigger.max_attempts,
            "max_age_s": trigger.max_age_s,
            "backoff_s": trigger.backoff_s,
        },
        "created_at": rfc3339(trigger.created_at),
        "updated_at": rfc3339(trigger.updated_at),
    }
    if trigger.filter:
        shown["filter"] = trigger.filter
    return shown


def check_source(source: Mapping[str, Any]) -> dict[str, Any]:
    """The source with its defaults filled in. Raises Invalid, naming the member that is wrong."""
    kind = source.get("type")
    if kind in LATER:
        raise Invalid(
            f"Triggers of the type {kind!r} are not available yet: there are db, storage, auth,"
            " event and http.",
            code="trigger_source_not_available",
            errors=[FieldError("source.type", "not_available", "db, storage, auth, event or http")],
        )
    checker = _CHECKERS.get(kind) if isinstance(kind, str) else None
    if checker is None:
        raise _invalid("source.type", "one of db, storage, auth, event, http")
    return {"type": kind, **checker({k: v for k, v in source.items() if k != "type"})}


def _check_db(source: Mapping[str, Any]) -> dict[str, Any]:
    _only(source, {"collection", "operations"})
    return {
        "collection": _text(source, "collection", COLLECTION, "a collection's name, or *"),
        "operations": _operations(source, DB_TYPES),
    }


def _check_storage(source: Mapping[str, Any]) -> dict[str, Any]:
    _only(source, {"bucket", "prefix", "suffix", "operations"})
    anything = re.compile(r"[^\0]{0,1024}")
    return {
        "bucket": _text(source, "bucket", BUCKET, "a bucket's name, or *"),
        "prefix": _text(source, "prefix", anything, "text", default=""),
        "suffix": _text(source, "suffix", anything, "text", default=""),
        "operations": _operations(source, STORAGE_TYPES),
    }


def _check_auth(source: Mapping[str, Any]) -> dict[str, Any]:
    _only(source, {"operations"})
    return {"operations": _operations(source, AUTH_TYPES)}


def _check_event(source: Mapping[str, Any]) -> dict[str, Any]:
    _only(source, {"event_type"})
    return {"event_type": _text(source, "event_type", EVENT_TYPE, "a type such as com.acme.*")}


def _check_http(source: Mapping[str, Any]) -> dict[str, Any]:
    _only(source, {"path", "methods", "auth"})
    methods = source.get("methods", list(http.METHODS))
    known = isinstance(methods, list) and all(
        isinstance(name, str) and name.upper() in http.METHODS for name in methods
    )
    if not known or not methods:
        raise _invalid("source.methods", "a list of " + ", ".join(http.METHODS))
    given = {name.upper() for name in methods}
    auth = source.get("auth", "rules")
    if auth not in ("rules", "none"):
        raise _invalid("source.auth", "rules or none")
    return {
        "path": _text(source, "path", http.PATH, "a path such as /orders/{id}"),
        "methods": [name for name in http.METHODS if name in given],
        "auth": auth,
    }


_CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "db": _check_db,
    "storage": _check_storage,
    "auth": _check_auth,
    "event": _check_event,
    "http": _check_http,
}


def _only(source: Mapping[str, Any], known: set[str]) -> None:
    for name in source:
        if name not in known:
            raise _invalid(f"source.{name[:70]}", "no such member of this source")


def _text(
    source: Mapping[str, Any],
    name: str,
    pattern: re.Pattern[str],
    wanted: str,
    default: str | None = None,
) -> str:
    value = source.get(name, default)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _invalid(f"source.{name}", wanted)
    return value


def _operations(source: Mapping[str, Any], known: Mapping[str, str]) -> list[str]:
    value = source.get("operations", list(known))
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(name, str) and name in known for name in value)
    ):
        raise _invalid("source.operations", "a list of " + ", ".join(known))
    return [name for name in known if name in value]


def _check_filter(text: str) -> None:
    if not text:
        return
    try:
        filters.compile_filter(text)
    except RuleError as error:
        raise Invalid(
            f"`filter` cannot be accepted: {error}",
            code="invalid_filter",
            errors=[FieldError("filter", "invalid_filter", str(error))],
        ) from error


def _invalid(field: str, wanted: str) -> Invalid:
    return Invalid(
        f"`{field}` is not valid: expected {wanted}.",
        errors=[FieldError(field, "invalid", wanted)],
    )
