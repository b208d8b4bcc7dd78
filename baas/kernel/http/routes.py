"""Routes of the data plane and the small router that finds them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from baas.kernel.http.request import Handler

PROJECT = "/v1/projects/{project}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation of the data plane. The OpenAPI document is made from these.

    `path` has `{name}` for one segment, `{name}:verb` for a segment with a fixed ending, and
    `{name...}` for the rest of the path.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    # How a repeated Idempotency-Key is served: the first reply commits with the write itself
    # ("atomic"), or is stored after the handler ("after": for handlers that wait for others, and
    # "inside": those that also store it in a transaction of their own, by `idempotency.keep`).
    idempotency: Literal["atomic", "after", "inside"] | None = None
    # Serves X-Transaction itself, the Idempotency-Key of such a call included.
    transactional: bool = False
    openapi: dict[str, Any] = field(default_factory=dict)  # further members of the operation


class _Node:
    __slots__ = ("literals", "methods", "parameter", "suffixes", "tail")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.suffixes: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.tail: dict[str, tuple[Route, tuple[str, ...]]] = {}
        self.methods: dict[str, tuple[Route, tuple[str, ...]]] = {}


class Router:
    """Finds the route of a path; literal segments win over parameters."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node, names = self._root, []
        for segment in route.path.split("/")[1:]:
            if segment.endswith("...}"):
                names.append(segment[1:-4])
                node.tail[route.method] = (route, tuple(names))
                return
            if segment.startswith("{"):
                name, _, suffix = segment[1:].partition("}")
                names.append(name)
                if suffix:
                    node = node.suffixes.setdefault(suffix, _Node())
                else:
                    node.parameter = node.parameter or _Node()
                    node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        node.methods[route.method] = (route, tuple(names))

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]] | list[str] | None:
        """(route, parameters); the allowed methods when it takes others; None for no such path.

        HEAD falls back to GET. A route of this method wins over a more literal one of others.
        """
        segments = path.split("/")
        for wanted in (method, "GET") if method == "HEAD" else (method,):
            values: list[str] = []
            found = self._walk(self._root, segments, 1, values, wanted)
            if found is not None:
                route, names = found[wanted]
                return route, dict(zip(names, values, strict=True))
        others = self._walk(self._root, segments, 1, [], None)
        return None if others is None else sorted(others)

    def _walk(
        self, node: _Node, segments: list[str], index: int, values: list[str], method: str | None
    ) -> dict[str, tuple[Route, tuple[str, ...]]] | None:
        """The routes of a path, when there is one of this method (of any: None)."""
        if index == len(segments):
            return node.methods if _serves(node.methods, method) else None
        segment = segments[index]
        child = node.literals.get(segment)
        if child is not None:
            found = self._walk(child, segments, index + 1, values, method)
            if found is not None:
                return found
        if segment:
            if node.suffixes and ":" in segment:
                name, _, verb = segment.rpartition(":")
                child = node.suffixes.get(":" + verb)
                if child is not None and name:
                    values.append(name)
                    found = self._walk(child, segments, index + 1, values, method)
                    if found is not None:
                        return found
                    values.pop()
            if node.parameter is not None:
                values.append(segment)
                found = self._walk(node.parameter, segments, index + 1, values, method)
                if found is not None:
                    return found
                values.pop()
        if _serves(node.tail, method) and (rest := "/".join(segments[index:])):
            values.append(rest)
            return node.tail
        return None


def _serves(routes: Mapping[str, object], method: str | None) -> bool:
    return bool(routes) if method is None else method in routes
