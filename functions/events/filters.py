"""A trigger's filter: CEL over `event`, the CloudEvent that the function would receive."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

from auth.rules import Rule, RuleError, ast
from auth.rules.checks import check
from auth.rules.parser import parse
from baas.kernel.events import StoredEvent
from documents import values

ROOT: Final = "event"
# The engine evaluates over a fixed set of roots; the event takes the place of this one.
_SLOT: Final = "doc"


def compile_filter(source: str) -> Callable[[StoredEvent], bool]:
    """The predicate of a filter; an error within it (a missing field) lets the event not pass.

    Raises RuleError with a sentence for the filter's author.
    """
    tree = parse(source)
    check(tree, {ROOT})
    if any(isinstance(node, ast.Get) for node, _ in ast.walk(tree)):
        raise RuleError("get() is not available in a filter")
    rule = Rule(source, _renamed(tree))
    return lambda event: rule.allows(doc=_as_event(event))


def _renamed(node: Any) -> Any:
    """The tree with the name `event` replaced by the engine's."""
    if isinstance(node, tuple):
        return tuple(_renamed(item) for item in node)
    if isinstance(node, ast.Name) and node.name == ROOT:
        return replace(node, name=_SLOT)
    if not is_dataclass(node) or isinstance(node, type):
        return node
    return replace(
        node,
        **{item.name: _renamed(getattr(node, item.name)) for item in fields(node) if item.init},
    )


def _as_event(event: StoredEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "source": event.source,
        "subject": event.subject,
        "depth": event.depth,
        "partitionkey": event.partition_key,
        **event.extensions,
        # Numbers exact, as rules see documents: orjson refuses integers beyond every float.
        "data": values.loads(event.data),
    }
