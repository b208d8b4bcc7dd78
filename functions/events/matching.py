"""Which triggers an event meets: pure, compiled once per trigger."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from baas.kernel.events import StoredEvent
from functions.events import filters

Matcher = Callable[[StoredEvent], bool]

DB_TYPES: Final = {
    "create": "baas.db.document.created",
    "update": "baas.db.document.updated",
    "delete": "baas.db.document.deleted",
}
STORAGE_TYPES: Final = {
    "create": "baas.storage.object.created",
    "delete": "baas.storage.object.deleted",
}
AUTH_TYPES: Final = {
    "sign_up": "baas.auth.user.created",
    "sign_in": "baas.auth.user.signed_in",
    "delete": "baas.auth.user.deleted",
}
FUNCTION_EVENTS: Final = ("baas.function.succeeded", "baas.function.failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerSpec:
    """A trigger as the dispatcher needs it."""

    id: int
    updated_at: datetime  # with the id: which form of the trigger this is
    project_id: int
    name: str
    function_id: int
    function: str
    alias: str
    source: Mapping[str, Any]
    filter: str
    max_attempts: int
    max_age_s: int
    backoff_s: float


def compile_matcher(spec: TriggerSpec) -> Matcher:
    """The predicate of a trigger: its source, then its filter."""
    of_source = compile_source(spec.source)
    if not spec.filter:
        return of_source
    of_filter = filters.compile_filter(spec.filter)
    return lambda event: of_source(event) and of_filter(event)


def compile_source(source: Mapping[str, Any]) -> Matcher:
    """The predicate of a trigger's `source`, as `triggers.check_source` accepts it."""
    match source["type"]:
        case "db":
            return _subject_matcher(
                {DB_TYPES[name] for name in source["operations"]}, source["collection"], "", ""
            )
        case "storage":
            return _subject_matcher(
                {STORAGE_TYPES[name] for name in source["operations"]},
                source["bucket"],
                source.get("prefix") or "",
                source.get("suffix") or "",
            )
        case "auth":
            types = {AUTH_TYPES[name] for name in source["operations"]}
            return lambda event: event.type in types
        case "event":
            return _type_matcher(source["event_type"])
    raise ValueError(f"not a source of events: {source['type']}")


def _subject_matcher(types: set[str], container: str, prefix: str, suffix: str) -> Matcher:
    """Of these types, with the subject `{container}/{prefix…suffix}`; `*` is any container."""
    # The suffix must not reach into the prefix: `a.jpg` has not both `a.j` and `.jpg`.
    shortest = len(prefix) + len(suffix)

    def matches(event: StoredEvent) -> bool:
        if event.type not in types:
            return False
        found, _, rest = event.subject.partition("/")
        return (
            container in (found, "*")
            and len(rest) >= shortest
            and rest.startswith(prefix)
            and rest.endswith(suffix)
        )

    return matches


def _type_matcher(pattern: str) -> Matcher:
    """Events of a type; a pattern may end in `*`, which stands for any rest."""
    if pattern.endswith("*"):
        start = pattern[:-1]
        return lambda event: event.type.startswith(start)
    return lambda event: event.type == pattern


def hears_functions(source: Mapping[str, Any]) -> bool:
    """Whether a source can match `baas.function.*` events."""
    if source["type"] != "event":
        return False
    pattern: str = source["event_type"]
    if pattern.endswith("*"):
        start = pattern[:-1]
        return any(name.startswith(start) for name in FUNCTION_EVENTS)
    return pattern in FUNCTION_EVENTS
