"""The one `$near` of a filter: it is also an order."""

from documents.geo.ast import Geo, Near, NearFlat
from documents.query.ast import And, Node
from documents.query.problems import invalid_query


def near_of(node: Node) -> Geo | None:
    """The `$near` or `$nearSphere` that a filter asks of all its documents.

    Raises Malformed `invalid_query` when there are two.
    """
    found = _nears(node)
    if len(found) > 1:
        raise invalid_query("there can be one $near only")
    return found[0] if found else None


def without_near(name: str, node: Node) -> Node:
    """The node. Raises Malformed `invalid_query` when it has a `$near`: it cannot stand there."""
    if _nears(node):
        raise invalid_query(f"$near cannot stand inside of {name}")
    return node


def _nears(node: Node) -> list[Geo]:
    match node:
        case And(parts):
            return [near for part in parts for near in _nears(part)]
        case Geo(_, Near() | NearFlat()):
            return [node]
    return []
